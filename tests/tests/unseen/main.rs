//! What racefuzz cannot see is never taken for proof.

mod crashes;
mod expected;
mod foreign;
mod hanging;
mod kept;
mod limits;

use racefuzz::{Checker, Failure, Fuzzer, Outcome, Report};

/// The program under each of the ways to run it, by name.
fn everywhere(program: impl Fn() + Sync) -> Vec<(&'static str, Report)> {
    vec![
        ("fuzz", Fuzzer::new().iterations(50).fuzz(&program)),
        ("check", Checker::new().check(&program)),
        ("workers", Checker::new().workers(2).keep_going(true).check(&program)),
    ]
}

/// The failure that each of them ends with.
fn failing_everywhere(program: impl Fn() + Sync, look: impl Fn(&Failure)) {
    for (how, report) in everywhere(program) {
        assert_eq!(report.outcome(), Outcome::Failed, "{how}: {report:?}");
        look(&report.failures()[0]);
    }
}
