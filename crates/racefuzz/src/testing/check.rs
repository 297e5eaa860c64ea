//! Proving a test.

use super::request::is_set;
use super::{TestCase, output};
use crate::checker::Checker;
use crate::env::SettingError;
use crate::show;
use racefuzz_trace::Outcome;
use std::path::Path;

/// Explores the test. Where the environment asks for it, the verdict is printed although nothing fails.
///
/// # Panics
/// With the rendered report, if an execution fails or not all are explored; if a setting is none.
pub(super) fn check(case: &TestCase, body: impl Fn() + Sync) {
    let checker = configure(case).unwrap_or_else(|error| show::fail_test(error.to_string()));
    let report = checker.check(body);
    output::leave(case, &report);
    match report.outcome {
        Outcome::Passed if is_set("RACEFUZZ_CHECK") => println!("\n{}", output::text(case, &report)),
        Outcome::Passed => {}
        Outcome::Failed | Outcome::Incomplete => show::fail_test(output::text(case, &report)),
    }
}

/// A checker with the options of the attribute, which the environment overrides.
pub(super) fn configure(case: &TestCase) -> Result<Checker, SettingError> {
    let mut checker = Checker::new().name(case.name);
    let given = &case.options;
    let options = &mut checker.options;
    options.max_executions = given.max_executions;
    options.workers = given.workers.unwrap_or(options.workers).max(1);
    options.stack_size = given.stack_size.unwrap_or(options.stack_size);
    options.settings.max_steps = given.max_steps.unwrap_or(options.settings.max_steps);
    options.roots = show::roots_of(Path::new(case.manifest_dir));
    if let Some(name) = given.memory {
        let wrong = |error| SettingError::new("memory", name, error);
        options.settings.memory = name.parse().map_err(wrong)?;
    }
    checker.from_env()
}
