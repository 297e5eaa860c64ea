//! What a test says: its report as text, and in files of a folder where that is asked for.

use super::TestCase;
use crate::show;
use racefuzz_report::{Command, DiskSources};
use racefuzz_trace::RunReport;
use std::path::Path;

/// The folder in which each test leaves its report.
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

/// Leaves the outcome, and the report in files, if the environment asks for them.
pub(super) fn leave(case: &TestCase, report: &RunReport) {
    if let Some(folder) = std::env::var_os(OUTCOMES) {
        let file = Path::new(&folder).join(format!("{}-{}", case.package, case.name.replace("::", "-")));
        // Without it an incomplete test is taken for one with a bug.
        let _ = std::fs::write(file, report.outcome.to_string());
    }
    #[cfg(feature = "json")]
    leave_report(case, racefuzz_report::Content::Run(report), &next(case, report));
    #[cfg(not(feature = "json"))]
    say_that_reports_are_off();
}

/// Which forms a test leaves its report in, by name with commas; JSON and a page if it is not set.
#[cfg(feature = "json")]
const FORMATS: &str = "RACEFUZZ_REPORT_FORMATS";

/// Writes a report to the folder of `RACEFUZZ_REPORT_DIR`: `PACKAGE/module-test.json` and the like. What
/// shows a failure is written where there is one.
///
/// # Panics
/// If it cannot be written: what reads the folder would take the test for one that was not run.
#[cfg(feature = "json")]
pub(super) fn leave_report(case: &TestCase, content: racefuzz_report::Content<'_>, next: &[Command]) {
    use racefuzz_report::{Content, Document, Format, render};
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder).join(case.package);
    let sources = sources(case);
    let document = Document { content, sources: &sources, next };
    let names = std::env::var(FORMATS).unwrap_or_else(|_| "json,html".to_owned());
    let nothing_to_show = content.failures().is_empty() && !matches!(content, Content::Audit(_));
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let format: Format = name
            .trim()
            .parse()
            .unwrap_or_else(|error| show::fail_test(format!("{FORMATS}={names}: {error}")));
        if nothing_to_show
            && matches!(format, Format::Html | Format::Perfetto | Format::Dot | Format::Mermaid)
        {
            continue;
        }
        let file = folder.join(format!("{}{}", case.name.replace("::", "-"), format.ending()));
        let text = render(&document, format, &show::style_from_env());
        if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
            show::fail_test(format!("{FOLDER}: cannot write {}: {error}", file.display()));
        }
    }
}

/// Says why the folder stays empty.
#[cfg(not(feature = "json"))]
pub(super) fn say_that_reports_are_off() {
    if std::env::var_os(FOLDER).is_some() {
        eprintln!("{FOLDER} is set, but reports in files need the feature `json` of racefuzz");
    }
}
