//! Running tests, each in a process of its own, some side by side.

use super::build::{Entry, Runnable};
use crate::error::Failure;
use racefuzz::{FailureKind, FixReport, Outcome, Report};
use racefuzz_hooks::{Answer, Request};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a test is given beyond its time: to minimise what it has found, and to report it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No bug in the executions made.
    Passed,
    /// No bug in any execution.
    Verified,
    /// Not every execution was explored, or not all that matters was seen.
    Incomplete,
    Bug,
    /// Something that racefuzz does not control differs from one execution to the next, or an execution has not
    /// ended within the steps that it may take.
    Unsure,
    /// It could not be run.
    Unable,
}

/// A test that was run.
pub(super) struct Done<'a> {
    pub(super) test: &'a Runnable,
    /// The answer, or why there is none.
    pub(super) answer: Result<Answer, String>,
    pub(super) time: Duration,
}

impl Done<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let Ok(answer) = &self.answer else { return Verdict::Unable };
        let report = &answer.report;
        match report.outcome {
            // An ordinary test may be long: that it does not end in so many steps is no bug yet.
            Outcome::Failed if report.failures.iter().all(|failure| is_no_verdict(failure.kind)) => {
                Verdict::Unsure
            }
            // What waits for it may seem to wait for ever.
            Outcome::Failed if answer.real.is_some() => Verdict::Unsure,
            Outcome::Failed => Verdict::Bug,
            Outcome::Passed if report.proof.is_some_and(|proof| proof.whole) => Verdict::Verified,
            _ if report.proof.is_some() => Verdict::Incomplete,
            // The time given was up: that is all that was asked for.
            Outcome::Incomplete if report.stats.executions == 0 => Verdict::Unsure,
            Outcome::Incomplete | Outcome::Passed => Verdict::Passed,
        }
    }

    pub(super) fn report(&self) -> Option<&Report> {
        self.answer.as_ref().ok().map(|answer| &answer.report)
    }

    /// What repairs it, if that was searched for.
    pub(super) fn repairs(&self) -> Option<&FixReport> {
        self.answer.as_ref().ok()?.fix.as_ref()
    }

    pub(super) fn divergence(&self) -> Option<&str> {
        self.answer.as_ref().ok()?.diverged.as_deref()
    }

    /// Keeps the schedule of a bug, to be tried first next time.
    pub(super) fn keep(&self) {
        // What an exploration has found is had again by another one.
        if self.verdict() != Verdict::Bug || self.report().is_some_and(|report| report.proof.is_some()) {
            return;
        }
        let failure = self.report().and_then(|report| report.failures.first());
        // One that was kept is kept, though minimising it again may lead elsewhere.
        let new = |failure: &&racefuzz::Failure| failure.is_replayable() && failure.found_by != "regression";
        if let Some(failure) = failure.filter(new) {
            kept(self.test).keep(failure);
        }
    }
}

/// Whether a failure of this kind says nothing of the test yet.
fn is_no_verdict(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Nondeterminism | FailureKind::StepLimit)
}

/// Where the schedules of a test are kept.
fn kept(test: &Runnable) -> racefuzz::regressions::Regressions {
    racefuzz::regressions::Regressions::of(&test.package, &test.program)
}

/// Runs the tests, as many side by side as `jobs` says; `told` of each that is done, in the order of the tests
/// in the end.
pub(super) fn all<'a>(
    tests: &[&'a Runnable],
    jobs: usize,
    time: Duration,
    request: &(dyn Fn(&Runnable) -> Request + Sync),
    told: &(dyn Fn(&Done<'_>) + Sync),
) -> Result<Vec<Done<'a>>, Failure> {
    let folder = super::super::reports::Folder::new("requests")?;
    let next = AtomicUsize::new(0);
    let all: Mutex<Vec<(usize, Done<'a>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(index) else { return };
            let begun = Instant::now();
            let asked = request(test);
            let answer =
                one(test, asked, &folder.path().join(index.to_string()), time.saturating_mul(3) + PATIENCE);
            let done = Done { test, answer, time: begun.elapsed() };
            told(&done);
            all.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, done));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(tests.len()).max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut all = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}

/// Runs one test: its answer, or why there is none.
fn one(test: &Runnable, mut request: Request, base: &Path, patience: Duration) -> Result<Answer, String> {
    let file = |extension: &str| -> PathBuf { base.with_extension(extension) };
    if request.replay.is_none() {
        request.first = kept(test).load().iter().map(ToString::to_string).collect();
    }
    request.answer = file("answer").to_string_lossy().into_owned();
    let text = serde_json::to_string(&request).map_err(|error| error.to_string())?;
    fs::write(file("request"), text).map_err(|error| error.to_string())?;
    let output = File::create(file("output")).map_err(|error| error.to_string())?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut process = Command::new(&test.binary);
    match &test.entry {
        Entry::Test(path) => {
            process.args(["--exact", path, "--test-threads=1", "--nocapture"]).current_dir(&test.package);
        }
        Entry::Main(arguments) => _ = process.args(arguments),
    }
    // The program's own panics are announced many times: without a backtrace, which takes milliseconds.
    process.env("RUST_BACKTRACE", "0");
    process.env(Request::VARIABLE, file("request")).env("CARGO_MANIFEST_DIR", &test.package);
    process.stdin(Stdio::null()).stdout(output).stderr(errors);
    let mut child = process.spawn().map_err(|error| error.to_string())?;
    let ended = wait(&mut child, patience);
    if let Ok(text) = fs::read_to_string(file("answer")) {
        return serde_json::from_str(&text).map_err(|error| format!("its answer cannot be read: {error}"));
    }
    let said = fs::read_to_string(file("output")).unwrap_or_default();
    let last =
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned();
    Err(match ended {
        Some(status) => format!("the process gave no answer ({status}): {last}"),
        None => format!("it did not end within {} s", patience.as_secs()),
    })
}

/// Waits for the end of a process; one that takes too long is ended.
fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    while begun.elapsed() < patience {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
