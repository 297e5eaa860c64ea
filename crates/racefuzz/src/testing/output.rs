//! What a test says: its report as text, and as JSON in a folder where that is asked for.

use super::TestCase;
use crate::show;
use racefuzz_report::{Command, DiskSources};
use racefuzz_trace::RunReport;
use std::path::Path;

/// The folder in which each test leaves its report as JSON.
const FOLDER: &str = "RACEFUZZ_REPORT_DIR";

/// The sources of the test's package.
pub(super) fn sources(case: &TestCase) -> DiskSources {
    DiskSources::in_directories([Path::new(case.manifest_dir).to_owned()])
}

/// Set by `cargo racefuzz` to what its commands need to find the same tests again, such as
/// `--features fast`; may be empty.
const TOOL: &str = "RACEFUZZ_CARGO_ARGUMENTS";

/// The report as text, with the commands to type next.
pub(super) fn text(case: &TestCase, report: &RunReport) -> String {
    show::render_with(report, &sources(case), &show::style_from_env(), &next(case, report))
}

/// Repeats the first failure; where `cargo racefuzz` runs the test, proves and repairs it, too.
fn next(case: &TestCase, report: &RunReport) -> Vec<Command> {
    let Some(failure) = report.failures.first() else { return Vec::new() };
    let path = case.name.split_once("::").map_or(case.name, |(_, path)| path);
    let command = |label: &str, line: String| Command { label: label.to_owned(), line };
    let mut next = Vec::new();
    match std::env::var(TOOL) {
        Ok(arguments) => {
            let more = if arguments.is_empty() { String::new() } else { format!(" -- {arguments}") };
            let line = |what: &str| format!("cargo racefuzz {what} -p {}{more}", case.package);
            if failure.is_replayable() {
                next.push(command("replay", line(&format!("replay '{}'", failure.schedule))));
            }
            next.push(command("prove", line(&format!("check {path}"))));
            next.push(command("fix", line(&format!("fix {path}"))));
        }
        Err(_) if failure.is_replayable() => {
            let line =
                format!("RACEFUZZ_REPLAY='{}' cargo test -p {} {path}", failure.schedule, case.package);
            next.push(command("replay", line));
        }
        Err(_) => {}
    }
    next
}

/// Set by `cargo racefuzz` to a folder in which each test leaves its outcome, so that a bug can be told
/// from an exploration that was cut short: a failed test is all that cargo knows of.
const OUTCOMES: &str = "RACEFUZZ_OUTCOME_DIR";

/// Leaves the outcome, and the report as JSON, if the environment asks for them.
pub(super) fn leave(case: &TestCase, report: &RunReport) {
    if let Some(folder) = std::env::var_os(OUTCOMES) {
        let file = Path::new(&folder).join(format!("{}-{}", case.package, case.name.replace("::", "-")));
        // Without it an incomplete test is taken for one with a bug.
        let _ = std::fs::write(file, report.outcome.to_string());
    }
    #[cfg(feature = "json")]
    leave_json(case, || racefuzz_report::json(report, &sources(case)));
    #[cfg(not(feature = "json"))]
    let _ = (case, report);
    #[cfg(not(feature = "json"))]
    say_that_json_is_off();
}

/// Writes a report to the folder of `RACEFUZZ_REPORT_DIR`: `PACKAGE/module-test.json`.
///
/// # Panics
/// If it cannot be written: what reads the folder would take the test for one that was not run.
#[cfg(feature = "json")]
pub(super) fn leave_json(case: &TestCase, json: impl FnOnce() -> String) {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder).join(case.package);
    let file = folder.join(format!("{}.json", case.name.replace("::", "-")));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, json())) {
        show::fail_test(format!("{FOLDER}: cannot write {}: {error}", file.display()));
    }
}

/// Says why the folder stays empty.
#[cfg(not(feature = "json"))]
pub(super) fn say_that_json_is_off() {
    if std::env::var_os(FOLDER).is_some() {
        eprintln!("{FOLDER} is set, but reports as JSON need the feature `json` of racefuzz");
    }
}
