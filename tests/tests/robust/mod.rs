//! What the robustness tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use racefuzz::{Failure, FailureKind, Fuzzer, Outcome, Report};
use std::process::{Command, Output};

/// Few iterations, one strategy: these programs fail or pass in every schedule, or soon.
pub fn fuzzer() -> Fuzzer {
    Fuzzer::new().seed(1).iterations(200)
}

/// The one failure of a program.
#[track_caller]
pub fn failure(report: &Report) -> &Failure {
    assert_eq!(report.outcome(), Outcome::Failed, "{}", racefuzz::render(report));
    &report.failures()[0]
}

#[track_caller]
pub fn fails(kind: FailureKind, program: impl Fn() + Sync) -> String {
    let report = fuzzer().fuzz(program);
    let failure = failure(&report);
    assert_eq!(failure.kind(), kind, "{}", racefuzz::render(&report));
    failure.message().to_owned()
}

/// The message with which a program panics, in some thread.
#[track_caller]
pub fn panics(program: impl Fn() + Sync) -> String {
    fails(FailureKind::Panic, program)
}

#[track_caller]
pub fn passes(program: impl Fn() + Sync) -> Report {
    let report = fuzzer().fuzz(program);
    assert_eq!(report.outcome(), Outcome::Passed, "{}", racefuzz::render(&report));
    report
}

const CHILD: &str = "RACEFUZZ_ROBUST_CHILD";

/// Runs `body` in a process of its own, which is this test once more: `None` in there.
pub fn in_child(test: &str, body: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let program = std::env::current_exe().expect("the path of the test binary");
    let output = Command::new(program)
        .args([test, "--exact", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("the test binary runs");
    Some(output)
}

/// Both outputs of a child process that must have ended with exit code 1, and not by a signal.
#[track_caller]
pub fn exited_1(output: &Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{}\n{text}", output.status);
    text
}

/// Runs its closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
