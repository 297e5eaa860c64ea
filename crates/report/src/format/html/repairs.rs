//! The repairs on a page, each as a diff with what it keeps and leaves.

use super::sources::Files;
use crate::Sources;
use crate::format::story::Story;
use crate::format::text;
use crate::repair::{Mark, hunks, is_typed};
use racefuzz_trace::{Certainty, Fix, FixReport};
use serde::Serialize;

/// A repair.
#[derive(Serialize)]
pub(super) struct Repair {
    number: usize,
    kind: &'static str,
    title: String,
    /// How sure it is, in words.
    sure: String,
    /// Whether it was explored in full and is what is typed in.
    verified: bool,
    /// The number of a repair that is at least as good, or the same with another lock.
    behind: Option<String>,
    facts: Vec<String>,
    /// The share of good schedules that it keeps, from 0 to 1.
    kept: Option<f64>,
    /// The parallelism before and after it.
    parallelism: Option<(f64, f64)>,
    /// The step of the failing schedule that now waits, and the step that it waits for.
    waits: Option<(u32, u32)>,
    files: Vec<Diff>,
}

/// Lines of a file: their number, what becomes of them (`+`, `-` or a blank), their text.
#[derive(Serialize)]
struct Diff {
    file: String,
    lines: Vec<(Option<usize>, char, String)>,
}

pub(super) fn repairs(
    report: &FixReport,
    sources: &dyn Sources,
    story: Option<&Story<'_>>,
    files: &mut Files<'_>,
) -> Vec<Repair> {
    let repair = |(at, fix): (usize, &Fix)| {
        for region in &fix.regions {
            files.place(&region.first);
        }
        let twin = report.fixes[..at].iter().position(|other| text::is_twin(other, fix));
        let better = fix.dominated_by.map(|by| format!("{by} is at least as good in everything"));
        let known =
            |step: u32| story.is_some_and(|story| story.told.rows.iter().any(|row| row.event == Some(step)));
        let diff = hunks(fix, sources).into_iter().map(|hunk| Diff {
            file: hunk.file,
            lines: hunk.lines.into_iter().map(|line| (line.number, sign(line.mark), line.text)).collect(),
        });
        Repair {
            number: at + 1,
            kind: fix.kind.word(),
            title: text::title(fix, sources),
            sure: text::how_sure(fix, sources),
            verified: fix.verdict.certainty == Certainty::Verified && is_typed(fix, sources),
            behind: better.or_else(|| twin.map(|twin| format!("the same as {} with another lock", twin + 1))),
            facts: text::facts(report, fix, sources),
            kept: fix.kept.map(|kept| kept.share()),
            parallelism: report
                .baseline
                .parallelism
                .zip(fix.parallelism)
                .map(|(before, left)| (before.mean, left.mean)),
            waits: fix
                .waits
                .as_ref()
                .map(|waits| (waits.step, waits.until))
                .filter(|(step, until)| known(*step) && known(*until)),
            files: diff.collect(),
        }
    };
    report.fixes.iter().enumerate().map(repair).collect()
}

fn sign(mark: Mark) -> char {
    match mark {
        Mark::Keep => ' ',
        Mark::Add => '+',
        Mark::Remove => '-',
    }
}
