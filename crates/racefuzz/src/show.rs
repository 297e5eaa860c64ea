//! From a report to text: sources, style, and the next commands.

use racefuzz_report::{Command, DiskSources, Sources};
use racefuzz_trace::RunReport;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use racefuzz_report::Style;

/// The report as a failing test prints it.
pub fn render(report: &RunReport) -> String {
    let next: Vec<Command> = report
        .failures
        .iter()
        .take(1)
        .filter(|failure| failure.is_replayable())
        .map(|failure| Command {
            label: "replay".to_owned(),
            line: format!("racefuzz::replay(\"{}\", || {{ .. }})", failure.schedule),
        })
        .collect();
    render_with(report, &DiskSources::default(), &style_from_env(), &next)
}

/// The report with sources, style and next commands of the caller's.
pub fn render_with(report: &RunReport, sources: &dyn Sources, style: &Style, next: &[Command]) -> String {
    racefuzz_report::text(report, sources, style, next)
}

/// Ends a test with a text, which is all that is printed, once: a panic's own message would add the
/// place of this function and, with `RUST_BACKTRACE`, the way to it, neither of which is the user's.
///
/// # Panics
/// Always, with the text as payload, so that `#[should_panic(expected = "..")]` sees it.
pub(crate) fn fail_test(text: String) -> ! {
    // As the panic hook does: into the output of the test, where the harness captures it.
    eprintln!("\n{}", text.trim_end_matches('\n'));
    std::panic::resume_unwind(Box::new(text))
}

/// A program that ends the process is reported before that, past the capture of a test's output. The
/// first to say so wins: a command line has its own way.
pub(crate) fn before_the_end() {
    racefuzz_fuzz::on_abort_report(|report| {
        let _ = writeln!(std::io::stderr(), "\n{}", render(report));
    });
}

/// An explorer is called: not from inside a program under test.
///
/// # Panics
/// If it is, with the caller's place: that is a failure of the program.
#[track_caller]
pub(crate) fn refuse_nested() {
    let outside = racefuzz_runtime::ops::mode() == Err(racefuzz_runtime::Absent::Outside);
    assert!(outside, "racefuzz is called from inside a program under test");
}

/// The style of a failing test: no colour, as its output is captured and compared.
pub(crate) fn style_from_env() -> Style {
    let mut style = Style::default();
    if let Some(width) = std::env::var("RACEFUZZ_WIDTH").ok().and_then(|width| width.parse().ok()) {
        style.width = width;
    }
    style.all_steps = std::env::var_os("RACEFUZZ_ALL_STEPS").is_some_and(|value| value == "1");
    style
}

/// Folders that paths in reports are shown relative to: the package under test and its workspace.
pub(crate) fn roots() -> Vec<String> {
    std::env::var_os("CARGO_MANIFEST_DIR").map(|package| roots_of(Path::new(&package))).unwrap_or_default()
}

pub(crate) fn roots_of(package: &Path) -> Vec<String> {
    let workspace: Option<PathBuf> =
        package.ancestors().filter(|folder| folder.join("Cargo.lock").is_file()).last().map(Path::to_owned);
    std::iter::once(package.to_owned())
        .chain(workspace)
        .filter_map(|folder| folder.to_str().map(str::to_owned))
        .collect()
}
