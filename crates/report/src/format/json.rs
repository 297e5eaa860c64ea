//! JSON: the whole report with its explanations, for other programs.

use crate::{Explanation, Sources, explain};
use racefuzz_trace::{AuditReport, FixReport, RunReport};
use serde::Serialize;

/// Version of this form; raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
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

/// The report as pretty-printed JSON: `report` is the [`RunReport`] itself, `explanations` says for
/// each failure what [`explain`] says.
///
/// # Panics
/// Never: the types hold nothing that JSON cannot express.
pub fn json(report: &RunReport, sources: &dyn Sources) -> String {
    let explanations = report.failures.iter().map(|failure| {
        let explanation = explain(failure, sources);
        let token = failure.is_replayable().then(|| failure.schedule.to_string());
        Explained { name: explanation.anomaly.name(), token, explanation }
    });
    let explanations = explanations.collect();
    let document = Document { format: "racefuzz-report", version: VERSION, report, explanations };
    let mut out = serde_json::to_string_pretty(&document).expect("strings, numbers and lists only");
    out.push('\n');
    out
}

#[derive(Serialize)]
struct FixDocument<'a> {
    format: &'static str,
    version: u32,
    report: &'a FixReport,
    /// For each repair, whether its text is the whole of it and does what was explored; else it is
    /// advice.
    typed: Vec<bool>,
    /// What is repaired.
    explanation: Option<Explanation>,
}

/// What was found out about repairs, as pretty-printed JSON.
///
/// # Panics
/// Never: the types hold nothing that JSON cannot express.
pub fn fix_json(report: &FixReport, sources: &dyn Sources) -> String {
    let explanation = report.failure.as_ref().map(|failure| explain(failure, sources));
    let typed = report.fixes.iter().map(|fix| crate::is_typed(fix, sources)).collect();
    let document = FixDocument { format: "racefuzz-fix", version: VERSION, report, typed, explanation };
    let mut out = serde_json::to_string_pretty(&document).expect("strings, numbers and lists only");
    out.push('\n');
    out
}

/// An audit as pretty-printed JSON.
///
/// # Panics
/// Never: the types hold nothing that JSON cannot express.
pub fn audit_json(report: &AuditReport) -> String {
    #[derive(Serialize)]
    struct AuditDocument<'a> {
        format: &'static str,
        version: u32,
        report: &'a AuditReport,
    }
    let document = AuditDocument { format: "racefuzz-audit", version: VERSION, report };
    let mut out = serde_json::to_string_pretty(&document).expect("strings, numbers and lists only");
    out.push('\n');
    out
}
