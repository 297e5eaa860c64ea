//! Loops that wait by trying again.
//!
//! A correct program that waits is proved in few executions and little time, whatever its loop looks like;
//! one whose thread remembers its rounds, or in which nobody is left to end the wait, is not.

use racefuzz::{Checker, MemoryModel, Outcome};
use std::time::Duration;

mod handed;
mod lasting;
mod locks;
mod polls;
mod remembering;
mod sampled;
mod shared;
mod stuck;
mod timed;
mod work;

const MODELS: [MemoryModel; 3] = [MemoryModel::Sc, MemoryModel::Tso, MemoryModel::Rc11];

/// Longer than any of these programs may take, on a slow machine.
const LONG: Duration = Duration::from_secs(60);

fn checker(memory: MemoryModel) -> Checker {
    Checker::new().memory_model(memory).max_time(LONG)
}

/// Executions by each strategy of a program that is proved.
const SAMPLED: u64 = 100;

/// Panics unless the program is proved under every memory model, in at most so many executions, and no
/// strategy finds a failure.
#[track_caller]
pub(crate) fn verified(most: u64, program: impl Fn() + Sync) {
    for memory in MODELS {
        let report = checker(memory).check(&program);
        let failures: Vec<&str> = report.failures().iter().map(|failure| failure.message()).collect();
        assert_eq!(
            (report.outcome(), failures),
            (Outcome::Passed, Vec::new()),
            "{memory:?}: {:?}",
            report.stopped
        );
        assert!(report.executions() <= most, "{memory:?}: {} executions", report.executions());
    }
    sampled::passes(SAMPLED, &program);
}

/// Panics unless the program is proved in exactly so many executions, where every store is seen at once, and no
/// strategy finds a failure.
#[track_caller]
pub(crate) fn verified_in(executions: u64, program: impl Fn() + Sync) {
    let report = checker(MemoryModel::Rc11).check(&program);
    assert_eq!(
        (report.outcome(), report.executions()),
        (Outcome::Passed, executions),
        "{:?}",
        report.stopped
    );
    sampled::passes(SAMPLED, &program);
}

/// Panics unless a failure with such a message is found under every memory model.
#[track_caller]
pub(crate) fn fails(message: &str, program: impl Fn() + Sync) {
    for memory in MODELS {
        let report = checker(memory).check(&program);
        let failures: Vec<&str> = report.failures().iter().map(|failure| failure.message()).collect();
        assert!(failures.iter().any(|found| found.contains(message)), "{memory:?}: {failures:?}");
    }
}

/// Panics if the program is called proved under any memory model.
#[track_caller]
pub(crate) fn not_verified(program: impl Fn() + Sync) {
    for memory in MODELS {
        let report = checker(memory).check(&program);
        assert_ne!(report.outcome(), Outcome::Passed, "{memory:?}: {} executions", report.executions());
    }
}

/// Panics if a failure is found under any memory model.
#[track_caller]
pub(crate) fn not_failing(program: impl Fn() + Sync) {
    for memory in MODELS {
        let report = checker(memory).check(&program);
        let failures: Vec<&str> = report.failures().iter().map(|failure| failure.message()).collect();
        assert_eq!(failures, Vec::<&str>::new(), "{memory:?}");
    }
}
