//! What to type next.

use super::Command;
use super::pen::{Pen, Role, pad, width};
use crate::words::clean;

/// The commands in one line, or one below the other where there is no room.
pub(super) fn commands(pen: &Pen<'_>, next: &[Command]) -> Vec<String> {
    let one = |command: &Command, label: usize| {
        let label = pen.paint(Role::Strong, &pad(&clean(&command.label), label));
        format!(" {label}  {}", clean(&command.line))
    };
    let total: usize = next.iter().map(|c| width(&c.label) + width(&c.line) + 3).sum::<usize>();
    let gaps = next.len().saturating_sub(1) * 4;
    if total + gaps <= pen.style.width {
        let all: Vec<_> = next.iter().map(|command| one(command, 0)).collect();
        return if all.is_empty() { Vec::new() } else { vec![all.join("    ")] };
    }
    let widest = next.iter().map(|command| width(&command.label)).max().unwrap_or(0);
    next.iter().map(|command| one(command, widest)).collect()
}
