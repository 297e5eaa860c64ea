//! Stepping through the failure of a test, from the JSON that its run has left.

use crate::args::LookArgs;
use crate::error::Failure;
use crate::{output, terminal};
use racefuzz::Report;
use racefuzz_report::{DiskSources, Stepper};
use serde_json::Value;

/// Steps through the first failure of a document, which may be that of several tests. Whether there was one,
/// and a terminal.
///
/// # Errors
/// If the terminal cannot be written.
pub(super) fn through(document: &str) -> Result<bool, Failure> {
    let Some(report) = failing(document) else { return Ok(false) };
    let sources = DiskSources::new();
    let stepper = report.failures.first().and_then(|failure| Stepper::new(failure, &sources));
    let look = LookArgs::default();
    match stepper {
        Some(stepper) => terminal::step_through(&stepper, output::style(look), None),
        None => Ok(false),
    }
}

/// The first report of a document in which something fails.
fn failing(document: &str) -> Option<Report> {
    let document: Value = serde_json::from_str(document).ok()?;
    let tests = document.get("tests").and_then(Value::as_array);
    let reports = tests.into_iter().flatten().filter_map(|test| test.get("report"));
    let read = |report: &Value| serde_json::from_value::<Report>(report.get("report")?.clone()).ok();
    let mut reports = reports.chain([&document]).filter_map(read);
    reports.find(|report| !report.failures.is_empty())
}
