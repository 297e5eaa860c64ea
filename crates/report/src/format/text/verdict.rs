//! The first line: the verdict, and how to come by it again.

use super::pen::{Pen, Role, pad, width};
use super::warnings;
use crate::Explanation;
use crate::words::{clean, number};
use racefuzz_trace::{Engine, Failure, MemoryModel, Outcome, Proof, RunReport};

/// A verdict, before it is laid out.
pub(in crate::format) struct Head {
    pub(in crate::format) role: Role,
    /// The verdict in a word.
    pub(in crate::format) word: &'static str,
    /// What it is about.
    pub(in crate::format) left: String,
    /// How it was come by.
    pub(in crate::format) right: String,
    /// Paragraphs behind it.
    pub(in crate::format) more: Vec<String>,
}

impl Head {
    pub(super) fn new(role: Role, word: &'static str, left: String, right: String) -> Self {
        Self { role, word, left, right, more: Vec::new() }
    }

    pub(super) fn lines(&self, pen: &Pen<'_>) -> Vec<String> {
        let mut lines = line(pen, self.role, self.word, &self.left, &self.right);
        lines.extend(self.more.iter().flat_map(|text| pen.paragraph(text, 6)));
        lines
    }
}

/// The verdict of a run that found a bug.
pub(in crate::format) fn bug(report: &RunReport, failure: &Failure, story: &Explanation) -> Head {
    let schedule = number(failure.iteration + 1);
    let right = match report.iterations {
        _ if failure.found_by == Failure::CHECKED => {
            format!("execution {schedule}, {}", model(report))
        }
        _ if failure.found_by == "replay" => format!("replayed{}", memory(report)),
        _ if failure.found_by == "regression" => format!("a kept schedule, tried first{}", memory(report)),
        0 | 1 => format!("seed {}, {}{}", report.seed, report.strategy, memory(report)),
        of => format!(
            "schedule {schedule} of {}, seed {}, {}{}",
            number(of),
            report.seed,
            report.strategy,
            memory(report)
        ),
    };
    let mut head = Head::new(Role::Bug, "bug", story.headline.clone(), right);
    head.more.push(story.paragraph.clone());
    head
}

/// The verdict of a run that found none.
pub(in crate::format) fn other(report: &RunReport) -> Head {
    if let Some(proof) = report.proof {
        return checked(report, proof);
    }
    let executions = report.stats.executions;
    let program = clean(&report.program);
    let right = format!("seed {}, {}{}", report.seed, report.strategy, memory(report));
    match report.outcome {
        Outcome::Passed => {
            let times = if executions == 1 { "execution" } else { "executions" };
            let except = warnings::except(&report.warnings);
            let left = format!("no bug in {} {times} of {program}{except}", number(executions));
            Head::new(Role::Good, "ok", left, right)
        }
        _ => {
            let left = format!("{program}: {}", unfinished(report));
            Head::new(Role::Open, "incomplete", left, right)
        }
    }
}

/// The verdict of an exploration that found none.
fn checked(report: &RunReport, proof: Proof) -> Head {
    let executions = report.stats.executions;
    let program = clean(&report.program);
    if report.outcome != Outcome::Passed || !proof.whole {
        let why = report.stopped.as_deref().map_or_else(|| "not everything was explored".to_owned(), clean);
        let times = if executions == 1 { "execution" } else { "executions" };
        let left = format!("{program}: {why}; no bug in {} {times}", number(executions));
        return Head::new(Role::Open, "incomplete", left, model(report));
    }
    // Under the other models there is nothing to be said of it: they allow less anyway.
    let buffers = proof.relaxed && report.settings.memory == MemoryModel::Rc11;
    let passes = match executions {
        1 => format!("the only execution of {program} passes"),
        all => format!("all {} executions of {program} pass", number(all)),
    };
    let except = if buffers { ", without load buffering" } else { "" };
    let bound = bound(proof);
    let unseen = warnings::except(&report.warnings);
    let role = if unseen.is_empty() { Role::Good } else { Role::Open };
    let left = format!("verified{bound}: {passes} ({}{except}){unseen}", model(report));
    let mut head = Head::new(role, "ok", left, String::new());
    if buffers {
        let caveat = "The program has a relaxed load before a relaxed store. rc11 excludes load buffering; \
                      LLVM and ARM allow it for such accesses, and this verdict does not speak of it.";
        head.more.push(caveat.to_owned());
    }
    head
}

/// What a bound on preemptions leaves unsaid.
fn bound(proof: Proof) -> String {
    match proof.preemptions {
        None => String::new(),
        Some(1) => " up to 1 preemption".to_owned(),
        Some(most) => format!(" up to {} preemptions", number(u64::from(most))),
    }
}

/// The memory model, and the engine where it is not the usual one.
fn model(report: &RunReport) -> String {
    match report.proof.map(|proof| proof.engine) {
        Some(engine) if engine != Engine::Graph => format!("{}, {engine}", report.settings.memory),
        _ => report.settings.memory.to_string(),
    }
}

/// Why there is no answer.
fn unfinished(report: &RunReport) -> String {
    let stats = &report.stats;
    let why = report.stopped.as_deref().map(clean);
    if stats.executions == 0 && stats.blocked > 0 {
        return why.unwrap_or_else(|| {
            "no execution completes, every one is blocked at an assume or a wait that never holds".to_owned()
        });
    }
    let why = why.unwrap_or_else(|| "ended before all schedules were run".to_owned());
    format!("{why}; no bug in {} of {} executions", number(stats.executions), number(report.iterations))
}

/// The memory model, where it is not the default one.
fn memory(report: &RunReport) -> String {
    match report.settings.memory {
        MemoryModel::Rc11 => String::new(),
        other => format!(", {other}"),
    }
}

/// Word and headline on the left, the run on the right; below each other where there is no room.
pub(super) fn line(pen: &Pen<'_>, role: Role, word: &str, left: &str, right: &str) -> Vec<String> {
    let left = pen.glyphs(left);
    let word = if word.len() < 3 { pad(word, 3) } else { word.to_owned() };
    let start = width(&word) + 3;
    let head = |text: &str| format!(" {}  {}", pen.paint(role, &word), pen.paint(Role::Strong, text));
    let room = pen.style.width;
    if right.is_empty() && start + width(&left) <= room {
        return vec![head(&left)];
    }
    let needed = start + width(&left) + 3 + width(right);
    if needed <= room {
        let gap = room - start - width(&left) - width(right);
        // Far apart is hard to read together on a wide terminal.
        let gap = gap.min(40);
        return vec![format!("{}{}{}", head(&left), " ".repeat(gap), pen.paint(Role::Quiet, right))];
    }
    let mut lines = Vec::new();
    for (index, text) in super::pen::wrap(&left, room.saturating_sub(start)).iter().enumerate() {
        lines.push(if index == 0 {
            head(text)
        } else {
            format!("{}{}", " ".repeat(start), pen.paint(Role::Strong, text))
        });
    }
    let right = (!right.is_empty()).then_some(right);
    for text in right.iter().flat_map(|right| super::pen::wrap(right, room.saturating_sub(start))) {
        lines.push(format!("{}{}", " ".repeat(start), pen.paint(Role::Quiet, &text)));
    }
    lines
}
