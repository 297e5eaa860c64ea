//! Auditing the synchronisation of a test.

use super::{TestCase, fix, output};
use crate::show;

/// Audits the test, and shows what of its synchronisation is needed.
///
/// # Panics
/// With the audit, if an execution fails as it is; if a setting is none.
pub(super) fn audit(case: &TestCase, body: impl Fn() + Sync) {
    let report = fix::configure(case).audit(body);
    let sources = output::sources(case);
    #[cfg(feature = "json")]
    output::leave_report(case, racefuzz_report::Content::Audit(&report), &[]);
    #[cfg(not(feature = "json"))]
    output::say_that_reports_are_off();
    let text = racefuzz_report::audit_text(&report, &sources, &show::style_from_env(), &[]);
    match report.failure {
        None => println!("\n{text}"),
        Some(_) => show::fail_test(text),
    }
}
