//! Stepping through a failure in the terminal. Its mode is `stty`'s concern, keys and screen are plain
//! escape sequences: a library for this would take longer to build than the rest of the command line.

use crate::error::Failure;
use racefuzz::Style;
use racefuzz_report::Stepper;
use std::io::{self, IsTerminal, Read, Write, stdin, stdout};
use std::process::{Command, Stdio};

/// Other screen on, cursor off; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Lines where the terminal does not say.
const LINES: u16 = 24;

/// Whether there is one to step through a failure in.
pub(crate) fn is_there() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Steps through until the user quits. Whether there was a terminal to do so in; without one nothing is
/// written.
///
/// # Errors
/// If the terminal cannot be written.
pub(crate) fn step_through(
    stepper: &Stepper<'_>,
    style: Style,
    width: Option<usize>,
) -> Result<bool, Failure> {
    if !is_there() {
        return Ok(false);
    }
    let Some(_raw) = Raw::enter() else { return Ok(false) };
    let mut at = stepper.first();
    let mut bytes = [0; 64];
    loop {
        draw(&screen(stepper, at, style, width)).map_err(Failure::Output)?;
        let read = match stdin().lock().read(&mut bytes) {
            Ok(0) => return Ok(true),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Output(error)),
        };
        for key in keys(&bytes[..read]) {
            let last = stepper.stops() - 1;
            at = match key {
                Key::Next => (at + 1).min(last),
                Key::Back => at.saturating_sub(1),
                Key::NextMarked => stepper.marked_behind(at).unwrap_or(last),
                Key::LastMarked => stepper.marked_before(at).unwrap_or(0),
                Key::First => 0,
                Key::Last => last,
                Key::Quit => return Ok(true),
            };
        }
    }
}

/// The lines to draw; a terminal that has changed its size is asked anew.
fn screen(stepper: &Stepper<'_>, at: usize, style: Style, width: Option<usize>) -> Vec<String> {
    let size = terminal_size::terminal_size();
    let (columns, lines) =
        size.map_or((style.width, LINES), |(columns, lines)| (usize::from(columns.0), lines.0));
    let style = Style { width: width.unwrap_or(columns).clamp(30, 400), ..style };
    stepper.screen(at, &style, usize::from(lines).max(10))
}

fn draw(lines: &[String]) -> io::Result<()> {
    let mut out = stdout().lock();
    write!(out, "\x1b[H")?;
    for (index, line) in lines.iter().enumerate() {
        let end = if index + 1 == lines.len() { "\x1b[K\x1b[J" } else { "\x1b[K\r\n" };
        write!(out, "{line}{end}")?;
    }
    out.flush()
}

/// The terminal as it has to be for single keys; as it was when this is dropped.
struct Raw {
    before: String,
}

impl Raw {
    /// `None` where there is no `stty`.
    fn enter() -> Option<Self> {
        let output = stty(&["-g"])?;
        let raw = Self { before: String::from_utf8(output).ok()?.trim().to_owned() };
        stty(&["raw", "-echo"])?;
        print!("{ENTER}");
        stdout().flush().ok()?;
        Some(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        print!("{LEAVE}");
        // A terminal that is gone needs nothing.
        let _ = stdout().flush();
        let _ = stty(&[&self.before]);
    }
}

/// What `stty` prints; `None` if it fails.
fn stty(arguments: &[&str]) -> Option<Vec<u8>> {
    let output =
        Command::new("stty").args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Next,
    Back,
    NextMarked,
    LastMarked,
    First,
    Last,
    Quit,
}

/// The keys that the bytes of a terminal stand for; what is no key of ours is passed over.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: &[(&[u8], Key)] = &[
        (b"\x1b[B", Key::Next),
        (b"\x1b[C", Key::Next),
        (b"\x1bOB", Key::Next),
        (b"\x1bOC", Key::Next),
        (b"\x1b[A", Key::Back),
        (b"\x1b[D", Key::Back),
        (b"\x1bOA", Key::Back),
        (b"\x1bOD", Key::Back),
        (b"\x1b[H", Key::First),
        (b"\x1b[1~", Key::First),
        (b"\x1b[F", Key::Last),
        (b"\x1b[4~", Key::Last),
        (b"j", Key::Next),
        (b" ", Key::Next),
        (b"\r", Key::Next),
        (b"k", Key::Back),
        (b"n", Key::NextMarked),
        (b"p", Key::LastMarked),
        (b"g", Key::First),
        (b"G", Key::Last),
        (b"q", Key::Quit),
        (b"\x03", Key::Quit),
        (b"\x04", Key::Quit),
    ];
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(sequence, _)| bytes.starts_with(sequence)) {
            keys.push(*key);
            bytes = &bytes[sequence.len()..];
        } else if *first == 0x1b && rest.is_empty() {
            // The key itself, which begins no sequence.
            keys.push(Key::Quit);
            bytes = rest;
        } else if *first == 0x1b {
            // A sequence that is none of ours, up to its last byte.
            let end = rest.iter().skip(1).position(|byte| (0x40..=0x7e).contains(byte));
            bytes = end.map_or(&[][..], |end| &rest[end + 2..]);
        } else {
            bytes = rest;
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        assert_eq!(keys(b"\x1b[B\x1b[Aj"), [Key::Next, Key::Back, Key::Next]);
        assert_eq!(keys(b"\x1b"), [Key::Quit]);
        assert_eq!(keys(b"x\x1b[5~\x1b[1;5Bq"), [Key::Quit], "what is unknown is passed over");
        assert_eq!(keys(b"\x1b[1~G\xc3\xa9"), [Key::First, Key::Last]);
    }
}
