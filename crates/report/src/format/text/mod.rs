//! Text for people: verdict, story, trace, places, statistics, what to type next.

#[cfg(feature = "fix")]
mod audit;
mod excerpts;
#[cfg(feature = "fix")]
mod fix;
#[cfg(feature = "fix")]
mod fix_words;
mod next;
mod pen;
mod stats;
mod trace;
mod verdict;
mod warnings;

use crate::anomaly::explain_all;
use crate::words::{clean, count, number, short};
use crate::{Explanation, Sources, explain};
#[cfg(feature = "fix")]
pub use audit::audit_text;
#[cfg(feature = "json")]
pub(in crate::format) use audit::{audit_head, audit_remarks, audit_words, told_step};
#[cfg(feature = "fix")]
pub use fix::fix_text;
#[cfg(feature = "json")]
pub(in crate::format) use fix::{facts, fix_head, how_sure, is_twin};
#[cfg(feature = "json")]
pub(in crate::format) use fix_words::title;
pub(in crate::format) use pen::{Pen, Role};
#[cfg(feature = "json")]
pub(in crate::format) use pen::{cut, pad, width, wrap};
use racefuzz_trace::{Engine, Failure, FailureKind, RunReport};
#[cfg(feature = "json")]
pub(in crate::format) use stats::{expectation_words, exploration_words};
#[cfg(feature = "json")]
pub(in crate::format) use trace::trace_lines;
#[cfg(feature = "json")]
pub(in crate::format) use verdict::{Head, bug, other};
#[cfg(feature = "json")]
pub(in crate::format) use warnings::words as warning_words;

/// How a text report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The columns of the terminal.
    pub width: usize,
    /// Whether to do without glyphs outside ASCII.
    pub ascii: bool,
    /// Whether to use colours.
    pub color: bool,
    /// Whether every step has a row of its own; else what tells nothing is left out, and loops are folded.
    pub all_steps: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, ascii: false, color: false, all_steps: false }
    }
}

/// A command that helps to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it is for, in one word: `replay`.
    pub label: String,
    /// What to type.
    pub line: String,
}

/// Further failures shown in one line each.
const OTHERS: usize = 10;

/// The document as text.
#[cfg(feature = "json")]
pub(in crate::format) fn render(document: &crate::Document<'_>, style: &Style) -> String {
    use crate::Content;
    let (sources, next) = (document.sources, document.next);
    match document.content {
        Content::Run(report) => text(report, sources, style, next),
        Content::Fix(report) => fix_text(report, sources, style, next),
        Content::Audit(report) => audit_text(report, sources, style, next),
    }
}

/// The report as text, with a newline at its end. `next` are commands that suggest themselves.
pub fn text(report: &RunReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    let pen = Pen { style };
    let mut blocks: Vec<Vec<String>> = Vec::new();
    match report.failures.split_first() {
        Some((failure, others)) => {
            let story =
                if style.all_steps { explain_all(failure, sources) } else { explain(failure, sources) };
            let mut head = verdict::bug(report, failure, &story).lines(&pen);
            head.extend(own_words(&pen, failure, &story));
            blocks.push(head);
            let mut body = trace::trace(&pen, &story);
            if style.width < 60 && !body.is_empty() {
                // In a narrow list the places would run into the last row.
                body.push(String::new());
            }
            body.extend(excerpts::excerpts(&pen, &story, &failure.trace, sources));
            blocks.push(body);
            let mut foot: Vec<String> =
                story.decision.iter().flat_map(|decision| pen.paragraph(decision, 1)).collect();
            foot.extend(more(&pen, &story, others, sources));
            foot.extend(stats::exploration(&pen, report));
            if !failure.is_replayable() {
                foot.extend(pen.paragraph(&no_replay(report, failure), 1));
            }
            foot.extend(next::commands(&pen, next));
            blocks.push(foot);
        }
        None => {
            let mut head = verdict::other(report).lines(&pen);
            head.extend(warnings::paragraphs(&pen, &report.warnings));
            head.extend(stats::exploration(&pen, report));
            head.extend(stats::expectations(&pen, report));
            head.extend(next::commands(&pen, next));
            blocks.push(head);
        }
    }
    blocks.retain(|block| !block.is_empty());
    let mut out = blocks.iter().map(|block| block.join("\n")).collect::<Vec<_>>().join("\n\n");
    out.push('\n');
    out
}

/// Why nothing repeats a failure.
pub(in crate::format) fn no_replay(report: &RunReport, failure: &Failure) -> String {
    let why = match failure.kind {
        FailureKind::Nondeterminism => "a schedule does not fix what this program does".to_owned(),
        _ if report.proof.is_some_and(|proof| proof.engine == Engine::Loom) => {
            "loom does not tell the schedule".to_owned()
        }
        _ => format!("no schedule leads to this execution of {}", report.settings.memory),
    };
    format!("no replay: {why}")
}

/// The panic message itself, where the story gives it only in part.
fn own_words(pen: &Pen<'_>, failure: &Failure, story: &Explanation) -> Vec<String> {
    let message = clean(&failure.message.split_whitespace().collect::<Vec<_>>().join(" "));
    let told = story.paragraph.contains(message.trim_end_matches('.')) || message.starts_with("assertion ");
    if failure.kind != FailureKind::Panic || told || message.is_empty() {
        return Vec::new();
    }
    let lines = pen.paragraph(&format!("message: {}", short(&message, 400)), 6);
    lines.iter().map(|line| pen.paint(Role::Quiet, line)).collect()
}

/// The failures after the first, each kind of story once.
fn more(pen: &Pen<'_>, first: &Explanation, others: &[Failure], sources: &dyn Sources) -> Vec<String> {
    let mut kinds: Vec<(String, u64, &Failure)> = Vec::new();
    for failure in others {
        let headline = crate::anomaly::headline_of(failure, sources);
        match kinds.iter_mut().find(|(known, ..)| *known == headline) {
            Some((_, times, _)) => *times += 1,
            None => kinds.push((headline, 1, failure)),
        }
    }
    let mut lines = Vec::new();
    if let Some(at) = kinds.iter().position(|(headline, ..)| *headline == first.headline) {
        let (_, times, _) = kinds.remove(at);
        let times = count(times, "more failure", "more failures");
        lines.extend(pen.paragraph(&format!("{times} of this kind"), 1));
    }
    for (headline, times, failure) in kinds.iter().take(OTHERS) {
        let first = number(failure.iteration + 1);
        let times = if *times == 1 { String::new() } else { format!(", {} times", number(*times)) };
        let execution = if failure.found_by == Failure::CHECKED { "execution" } else { "schedule" };
        lines.extend(pen.paragraph(&format!("also {headline} ({execution} {first}{times})"), 1));
    }
    if kinds.len() > OTHERS {
        let left = count((kinds.len() - OTHERS) as u64, "other failure", "other failures");
        lines.extend(pen.paragraph(&format!("and {left}"), 1));
    }
    lines
}
