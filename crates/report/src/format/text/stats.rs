//! What the executions of the run have in common: how rare the bug is, and what is left to see.

use super::pen::Pen;
use crate::words::{clean, count, number};
use racefuzz_trace::{Outcome, Proof, RunReport, Stats};

/// Below this many executions, the chance of a new class says nothing.
const ENOUGH: u64 = 100;

/// The exploration line.
pub(super) fn exploration(pen: &Pen<'_>, report: &RunReport) -> Vec<String> {
    exploration_words(report).map_or_else(Vec::new, |text| pen.paragraph(&text, 1))
}

/// What is to be said of the executions together, if anything.
pub(in crate::format) fn exploration_words(report: &RunReport) -> Option<String> {
    let stats = &report.stats;
    if report.failures.first().is_some_and(|failure| failure.found_by == "replay") {
        // One schedule, chosen by the user.
        return None;
    }
    let mut parts = match report.proof {
        Some(proof) => vec![explored(report, proof)],
        None => vec![share(report)],
    };
    if report.proof.is_none() {
        parts.extend(classes(stats));
    }
    if report.outcome != Outcome::Failed && stats.outcomes > 1 {
        parts.push(format!("{} distinct outcomes", number(stats.outcomes)));
    }
    if stats.blocked > 0 {
        parts.push(format!("{} blocked", count(stats.blocked, "execution", "executions")));
    }
    if stats.abandoned > 0 {
        parts.push(format!("{} could not be ended", count(stats.abandoned, "thread", "threads")));
    }
    if let Some(why) = report.stopped.as_deref().filter(|_| report.outcome == Outcome::Failed) {
        parts.push(crate::words::clean(why));
    }
    parts.retain(|part| !part.is_empty());
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What should happen in some execution: how much of it did, and what never did.
pub(super) fn expectations(pen: &Pen<'_>, report: &RunReport) -> Vec<String> {
    let words = expectation_words(report);
    let indents = std::iter::once(1).chain(std::iter::repeat(6));
    words.iter().zip(indents).flat_map(|(text, indent)| pen.paragraph(text, indent)).collect()
}

/// The same in words, a line for each that never happened.
pub(in crate::format) fn expectation_words(report: &RunReport) -> Vec<String> {
    let all = &report.expectations;
    if all.is_empty() {
        return Vec::new();
    }
    let seen = all.iter().filter(|one| one.seen).count() as u64;
    let of = count(all.len() as u64, "thing that should happen", "things that should happen");
    let mut words = vec![format!("{} of {of} in some execution did", number(seen))];
    words.extend(all.iter().filter(|one| !one.seen).map(|one| {
        let how = if one.reached { "never true" } else { "never reached" };
        format!("{how}: {} ({})", clean(&one.name), clean(&one.site.to_string()))
    }));
    words
}

/// What an enumeration of executions came to.
fn explored(report: &RunReport, proof: Proof) -> String {
    let stats = &report.stats;
    if report.outcome != Outcome::Failed {
        let steps = if stats.steps > 0 { format!("{} steps", number(stats.steps)) } else { String::new() };
        return match proof.sampled {
            0 => steps,
            sampled => format!("{steps}; {} sampled first", count(sampled, "schedule", "schedules")),
        };
    }
    if stats.failing == 0 && proof.sampled > 0 {
        return format!(
            "{} explored before it was found by sampling",
            count(stats.executions, "execution", "executions")
        );
    }
    match stats.executions {
        0 => String::new(),
        1 if proof.whole => "the only execution fails".to_owned(),
        1 => "the first execution fails".to_owned(),
        ran if !proof.whole && stats.failing <= 1 => {
            format!("{} executions explored up to the first that fails", number(ran))
        }
        ran => format!(
            "{} of {}{} executions {}",
            number(stats.failing),
            if proof.whole { "all " } else { "" },
            number(ran),
            if stats.failing == 1 { "fails" } else { "fail" },
        ),
    }
}

fn share(report: &RunReport) -> String {
    let stats = &report.stats;
    if report.outcome != Outcome::Failed {
        return if stats.steps > 0 { format!("{} steps", number(stats.steps)) } else { String::new() };
    }
    if stats.executions == 0 {
        return String::new();
    }
    let found_by = |how| report.failures.first().is_some_and(|failure| failure.found_by == how);
    if found_by("regression") && stats.failing <= 1 {
        return "it failed before and still fails".to_owned();
    }
    if stats.failing <= 1 && stats.executions < report.iterations {
        // The run ended at the bug: one failure among so many says nothing about how rare it is.
        return match stats.executions {
            1 => "the first schedule fails".to_owned(),
            ran => format!("{} schedules ran up to the first that fails", number(ran)),
        };
    }
    let share = stats.failing_share();
    let (low, high) = share.interval();
    format!(
        "{} of {} {} ({:.1}\u{a0}%\u{a0}±\u{a0}{:.1})",
        number(share.count),
        count(share.total, "schedule", "schedules"),
        if share.total == 1 { "fails" } else { "fail" },
        share.value() * 100.0,
        (high - low) * 50.0
    )
}

fn classes(stats: &Stats) -> Option<String> {
    if stats.classes == 0 {
        return None;
    }
    let seen = format!("{} seen", count(stats.classes, "class", "classes"));
    if stats.executions < ENOUGH {
        return Some(seen);
    }
    // With no class seen only once, the estimate is zero; what is known is a bound.
    let chance = stats.next_class_is_new().max(1.0 / stats.executions as f64) * 100.0;
    let sign = if stats.singletons == 0 { "<" } else { "≈" };
    let chance = if chance < 0.01 {
        "p\u{a0}<\u{a0}0.01\u{a0}%".to_owned()
    } else {
        format!("p\u{a0}{sign}\u{a0}{chance:.2}\u{a0}%")
    };
    Some(format!("{seen}, next one new with {chance}"))
}
