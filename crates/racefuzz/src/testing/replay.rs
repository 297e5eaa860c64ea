//! Repeating one schedule of a test.

use super::{TestCase, check, output, run};
use crate::fuzzer::Fuzzer;
use crate::show;
use racefuzz_trace::{Outcome, Schedule};

/// Repeats the schedule, and says where the program leaves it.
///
/// # Panics
/// With the rendered report, if it fails; if a setting is none.
pub(super) fn replay(case: &TestCase, schedule: &Schedule, body: impl Fn() + Sync) {
    let configured = match case.options.check {
        true => check::configure(case).map(|checker| {
            let mut fuzzer = Fuzzer::new().name(case.name).stack_size(checker.options.stack_size);
            fuzzer.options.roots = checker.options.roots;
            fuzzer
        }),
        false => run::configure(case),
    };
    let fuzzer = configured.unwrap_or_else(|error| show::fail_test(error.to_string()));
    let replayed = fuzzer.replay(schedule, body);
    output::leave(case, &replayed.report);
    if let Some(divergence) = &replayed.diverged {
        eprintln!("{divergence}");
    }
    if replayed.report.outcome == Outcome::Failed {
        show::fail_test(output::text(case, &replayed.report));
    }
    eprintln!("the schedule of this token no longer fails");
}
