//! JSON: the whole report with its explanations, for other programs.

use crate::{Content, Document, Explanation, Sources, explain};
use racefuzz_trace::{AuditReport, Failure, FixReport, RunReport};
use serde::Serialize;
use serde_json::{Value, json};

/// Version of this form; raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// The document as pretty-printed JSON: `report` is the result itself, `explanations` or `explanation`
/// says of its failures what [`explain`] says.
pub(super) fn render(document: &Document<'_>) -> String {
    match document.content {
        Content::Run(report) => run(report, document.sources),
        Content::Fix(report) => fix(report, document.sources),
        Content::Audit(report) => pretty(&Audit { format: "racefuzz-audit", version: VERSION, report }),
    }
}

/// One document of kind `tests` from those of several tests.
pub(super) fn combine(documents: &[(&str, String)]) -> Option<String> {
    let tests = documents.iter().map(|(package, text)| {
        let report: Value = serde_json::from_str(text).ok()?;
        Some(json!({ "package": package, "report": report }))
    });
    let tests: Vec<Value> = tests.collect::<Option<_>>()?;
    Some(pretty(&json!({ "version": VERSION, "kind": "tests", "tests": tests })))
}

/// Anything as JSON with indentation and a newline at its end.
pub(super) fn pretty(document: &impl Serialize) -> String {
    let mut out =
        serde_json::to_string_pretty(document).expect("strings, numbers, lists and string keys only");
    out.push('\n');
    out
}

#[derive(Serialize)]
struct Run<'a> {
    format: &'static str,
    version: u32,
    report: &'a RunReport,
    /// One per failure, in the same order.
    explanations: Vec<Explained>,
}

#[derive(Serialize)]
struct Explained {
    /// The anomaly as people say it; `explanation.anomaly` is the same as an identifier.
    name: &'static str,
    /// What repeats the failure; none if its schedule does not.
    token: Option<String>,
    explanation: Explanation,
}

fn run(report: &RunReport, sources: &dyn Sources) -> String {
    let explained = |failure: &Failure| {
        let explanation = explain(failure, sources);
        let token = failure.is_replayable().then(|| failure.schedule.to_string());
        Explained { name: explanation.anomaly.name(), token, explanation }
    };
    let explanations = report.failures.iter().map(explained).collect();
    pretty(&Run { format: "racefuzz-report", version: VERSION, report, explanations })
}

#[derive(Serialize)]
struct Fix<'a> {
    format: &'static str,
    version: u32,
    report: &'a FixReport,
    /// For each repair, whether its text is the whole of it and does what was explored; else it is
    /// advice.
    typed: Vec<bool>,
    /// What is repaired.
    explanation: Option<Explanation>,
}

fn fix(report: &FixReport, sources: &dyn Sources) -> String {
    let explanation = report.failure.as_ref().map(|failure| explain(failure, sources));
    let typed = report.fixes.iter().map(|fix| crate::is_typed(fix, sources)).collect();
    pretty(&Fix { format: "racefuzz-fix", version: VERSION, report, typed, explanation })
}

#[derive(Serialize)]
struct Audit<'a> {
    format: &'static str,
    version: u32,
    report: &'a AuditReport,
}
