//! Memory that programs allocate: its addresses, its birth, its end.
//!
//! Every program is fuzzed and checked, under sequential consistency and under RC11: where the four
//! verdicts differ a test says why.

use racefuzz_check::check;
use racefuzz_primitives::alloc::Allocator;
use racefuzz_trace::{FailureKind, Inject, MemoryModel, RunReport, Settings};

mod addresses;
mod freed;
mod publication;
#[path = "../../../primitives/tests/laws/random.rs"]
mod random;
mod reuse;
mod zeroed;

#[global_allocator]
static GLOBAL: Allocator = Allocator::new();

const MODELS: [MemoryModel; 2] = [MemoryModel::Sc, MemoryModel::Rc11];

/// Explores every execution.
pub(crate) fn checked(memory: MemoryModel, inject: Inject, program: &(dyn Fn() + Sync)) -> RunReport {
    let settings = Settings { memory, inject, ..Settings::default() };
    let options = racefuzz_check::Options { settings, ..racefuzz_check::Options::default() };
    check(&options, program, &())
}

/// Samples schedules.
pub(crate) fn fuzzed(memory: MemoryModel, inject: Inject, program: &(dyn Fn() + Sync)) -> RunReport {
    let settings = Settings { memory, inject, ..Settings::default() };
    let options =
        racefuzz_fuzz::Options { settings, seed: 42, iterations: 2_000, ..racefuzz_fuzz::Options::default() };
    racefuzz_fuzz::fuzz(&options, program, &())
}

/// The kinds of failure that fuzzing and checking find, per memory model.
#[track_caller]
pub(crate) fn found(program: &(dyn Fn() + Sync)) -> Vec<(&'static str, Option<FailureKind>)> {
    let kind = |report: RunReport| report.failures.first().map(|failure| failure.kind);
    let none = Inject::default();
    let names = [("fuzz sc", "check sc"), ("fuzz rc11", "check rc11")];
    MODELS
        .iter()
        .zip(names)
        .flat_map(|(memory, (fuzz, check))| {
            [(fuzz, kind(fuzzed(*memory, none, program))), (check, kind(checked(*memory, none, program)))]
        })
        .collect()
}

/// Panics unless every way of running the program finds this kind of failure.
#[track_caller]
pub(crate) fn always_fails(kind: FailureKind, program: impl Fn() + Sync) {
    for (how, found) in found(&program) {
        assert_eq!(found, Some(kind), "{how}");
    }
}

/// Panics unless every way of running the program passes.
#[track_caller]
pub(crate) fn passes(program: impl Fn() + Sync) {
    for memory in MODELS {
        let none = Inject::default();
        for report in [fuzzed(memory, none, &program), checked(memory, none, &program)] {
            assert!(report.failures.is_empty(), "{memory:?}: {:#?}", report.failures[0]);
        }
    }
}
