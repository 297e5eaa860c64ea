//! Sampling a test: kept failing schedules first, then its iterations.

use super::{TestCase, output};
use crate::env::SettingError;
use crate::fuzzer::Fuzzer;
use crate::regressions::Regressions;
use crate::show;
use racefuzz_trace::{Failure, FailureDetail, FailureKind, Outcome, RunReport};
use std::path::Path;

/// Settings of the environment that ask for other schedules than those of an ordinary run. Then a kept
/// schedule that still fails does not stand for what was asked for.
const ASKING: &[&str] = &["RACEFUZZ_SEED", "RACEFUZZ_ITERATIONS", "RACEFUZZ_STRATEGY", "RACEFUZZ_DEPTH"];

/// Samples the test.
///
/// # Panics
/// With the rendered report, if a bug is found or the run is cut short; if a setting is none.
pub(super) fn run(case: &TestCase, body: impl Fn() + Sync) {
    let mut fuzzer = configure(case).unwrap_or_else(|error| show::fail_test(error.to_string()));
    let regressions = Regressions::of(Path::new(case.manifest_dir), case.name);
    let kept = regressions.load();
    let asked = ASKING.iter().any(|variable| std::env::var_os(variable).is_some());
    if kept.is_empty() || !asked {
        fuzzer.options.first = kept;
        let report = fuzzer.fuzz(body);
        return conclude(case, &report, &regressions, "");
    }
    let mut before = fuzzer.clone();
    before.options.iterations = 0;
    before.options.first = kept;
    let before = before.fuzz(&body);
    let report = fuzzer.fuzz(body);
    let Some(failure) = before.failures.first() else { return conclude(case, &report, &regressions, "") };
    let said = |rest: &str| {
        let message = failure.message.lines().next().unwrap_or_default();
        let file = regressions.file();
        format!("note  a kept schedule of {file} still fails: {message}\n      {rest}\n\n")
    };
    match report.outcome {
        Outcome::Passed => {
            let rest = format!("no bug in the {} executions that were asked for", report.executions());
            output::leave(case, &before);
            show::fail_test(format!("{}{}", said(&rest), output::text(case, &before)));
        }
        Outcome::Failed | Outcome::Incomplete => {
            conclude(case, &report, &regressions, &said("what was asked for shows:"));
        }
    }
}

/// Passes, or fails with the report, and keeps the schedule that fails.
fn conclude(case: &TestCase, report: &RunReport, regressions: &Regressions, note: &str) {
    output::leave(case, report);
    match report.outcome {
        // Where nobody captures the output, it is seen.
        Outcome::Passed if report.expectations.iter().any(|one| !one.seen) => {
            println!("\n{}", output::text(case, report));
        }
        Outcome::Passed => {}
        Outcome::Failed => {
            let repeats = |failure: &&Failure| {
                failure.kind != FailureKind::Nondeterminism
                    && !matches!(failure.detail, FailureDetail::Unseen(_))
            };
            let first = report.failures.first().filter(repeats);
            let text = format!("{note}{}", output::text(case, report));
            match first.and_then(|failure| regressions.keep(failure)) {
                Some(file) => show::fail_test(format!(
                    "{text}\nThe schedule is kept in {file} and tried first next time.\n"
                )),
                None => show::fail_test(text),
            }
        }
        Outcome::Incomplete => show::fail_test(format!("{note}{}", output::text(case, report))),
    }
}

/// A fuzzer with the options of the attribute, which the environment overrides.
pub(super) fn configure(case: &TestCase) -> Result<Fuzzer, SettingError> {
    let mut fuzzer = Fuzzer::new().name(case.name);
    let given = &case.options;
    let options = &mut fuzzer.options;
    options.iterations = given.iterations.unwrap_or(options.iterations);
    options.seed = given.seed.unwrap_or(options.seed);
    options.workers = given.workers.unwrap_or(options.workers).max(1);
    options.depth = given.depth.unwrap_or(options.depth);
    options.stack_size = given.stack_size.unwrap_or(options.stack_size);
    options.settings.max_steps = given.max_steps.unwrap_or(options.settings.max_steps);
    options.roots = show::roots_of(Path::new(case.manifest_dir));
    let wrong = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        move |error| SettingError::new(&name, &value, error)
    };
    if let Some(name) = given.strategy {
        options.strategy = name.parse().map_err(wrong("strategy", name))?;
    }
    if let Some(name) = given.memory {
        options.settings.memory = name.parse().map_err(wrong("memory", name))?;
    }
    if let Some(name) = given.inject {
        options.settings.inject = name.parse().map_err(wrong("inject", name))?;
    }
    fuzzer.from_env()
}
