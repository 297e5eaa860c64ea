//! JUnit's XML, which build servers read: a suite with one test case for the program.

use crate::{Content, Document, Style};
use racefuzz_trace::Outcome;
use std::fmt::Write;

/// A test case.
#[derive(Clone, Debug)]
pub struct TestCase<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it fails, if it does: in one line, and at length.
    pub failure: Option<(String, String)>,
}

pub(super) fn render(document: &Document<'_>) -> String {
    let content = document.content;
    let name = content.program();
    let is_bad = match content {
        Content::Run(report) => report.outcome != Outcome::Passed,
        Content::Fix(_) | Content::Audit(_) => !content.failures().is_empty() || content.stopped().is_some(),
    };
    let failure = is_bad.then(|| {
        let headline = match content.failures().first() {
            Some(failure) => crate::explain(failure, document.sources).headline,
            None => format!("incomplete: {}", content.stopped().unwrap_or("not everything was explored")),
        };
        (headline, super::text::render(document, &Style::default()))
    });
    junit_suite("racefuzz", &[TestCase { name, failure }])
}

/// The suites of several documents in one.
pub(super) fn combine(documents: &[(&str, String)]) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<testsuites>\n");
    for (package, text) in documents {
        let suite = text.split_once("<testsuites>\n").map_or("", |(_, suite)| suite);
        let suite = suite.strip_suffix("</testsuites>\n").unwrap_or(suite);
        out.push_str(&suite.replacen("name=\"racefuzz\"", &format!("name=\"{}\"", escape(package)), 1));
    }
    out.push_str("</testsuites>\n");
    out
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A suite of test cases as JUnit's XML, with a newline at its end.
pub fn junit_suite(name: &str, cases: &[TestCase<'_>]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let mut out = String::from(HEAD);
    out.push_str("<testsuites>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
        escape(name),
        cases.len()
    );
    for case in cases {
        let name = escape(case.name);
        match &case.failure {
            None => _ = writeln!(out, "    <testcase classname=\"racefuzz\" name=\"{name}\"/>"),
            Some((headline, text)) => {
                let _ = writeln!(out, "    <testcase classname=\"racefuzz\" name=\"{name}\">");
                let _ = writeln!(
                    out,
                    "      <failure message=\"{}\">{}</failure>",
                    escape(headline),
                    escape(text)
                );
                let _ = writeln!(out, "    </testcase>");
            }
        }
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text as XML holds it, in an attribute too; XML has no way to write most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
