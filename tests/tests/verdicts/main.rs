//! Programs whose verdict is known, by fuzzing and by checking: whether there is a bug, and which.

mod addresses;
mod freed;
mod handed_over;
mod orderings;
mod published;
mod readers;
mod unordered;
mod wakeups;

use racefuzz::{Checker, Fuzzer, Outcome, Report};

/// The program by each of the two ways to run it.
fn judged(program: &(dyn Fn() + Sync)) -> [(&'static str, Report); 2] {
    let fuzzer = Fuzzer::new().seed(42).iterations(10_000);
    [("fuzz", fuzzer.fuzz(program)), ("check", Checker::new().check(program))]
}

/// Both ways find a bug of this name; their reports.
#[track_caller]
fn fails(name: &str, program: impl Fn() + Sync) -> [String; 2] {
    judged(&program).map(|(how, report)| {
        let text = racefuzz::render(&report);
        assert_eq!(report.outcome(), Outcome::Failed, "{how}: {text}");
        assert!(text.trim_start().starts_with(&format!("bug  {name}")), "{how}: {text}");
        text
    })
}

/// Neither way finds a bug, and checking is a proof.
#[track_caller]
fn holds(program: impl Fn() + Sync) {
    for (how, report) in judged(&program) {
        assert_eq!(report.outcome(), Outcome::Passed, "{how}: {}", racefuzz::render(&report));
    }
}

/// The steps of a report's trace: number and text.
fn rows(report: &str) -> Vec<(u32, &str)> {
    let row = |line: &'_ str| -> Option<(u32, usize)> {
        let number = line.trim_start().split("  ").next()?;
        Some((number.parse().ok()?, line.find(number)? + number.len()))
    };
    report.lines().filter_map(|line| row(line).map(|(number, at)| (number, &line[at..]))).collect()
}
