//! Tests selected by an expression of cargo-nextest's filter language, which cargo-nextest itself reads.

use super::super::drive::{cannot, has_nextest};
use super::build::Hooked;
use crate::args::BuildArgs;
use crate::error::Failure;
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The tests that match.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// Test binary, and path within it.
    tests: HashSet<(PathBuf, String)>,
}

/// Refuses expressions where nobody can read them.
pub(super) fn check() -> Result<(), Failure> {
    if has_nextest() {
        return Ok(());
    }
    let text = "`-E` is cargo-nextest's filter language, and cargo-nextest is not there: `cargo install cargo-nextest`, \
                or give a part of the tests' paths instead";
    Err(Failure::Cargo(text.to_owned()))
}

impl Matches {
    /// Asks cargo-nextest, which finds the tests built as they are.
    pub(super) fn of(hooked: &Hooked, args: &BuildArgs, expressions: &[String]) -> Result<Self, Failure> {
        let mut list = hooked.cargo(&["nextest", "list", "--message-format", "json"], args);
        list.stderr(std::process::Stdio::inherit());
        for expression in expressions {
            list.args(["-E", expression]);
        }
        let listed = list.output().map_err(|error| cannot(&error))?;
        let document = serde_json::from_slice(&listed.stdout).ok().filter(|_| listed.status.success());
        let document = document.ok_or_else(|| {
            Failure::Cargo("cargo-nextest does not list the tests; see its messages above".to_owned())
        })?;
        Ok(Self::in_list(&document))
    }

    fn in_list(document: &Value) -> Self {
        let mut tests = HashSet::new();
        for suite in document["rust-suites"].as_object().into_iter().flat_map(|suites| suites.values()) {
            let Some(binary) = suite["binary-path"].as_str() else { continue };
            for (path, test) in suite["testcases"].as_object().into_iter().flatten() {
                if test["filter-match"]["status"] == "matches" {
                    tests.insert((PathBuf::from(binary), path.clone()));
                }
            }
        }
        Self { tests }
    }

    /// Whether a test is among them.
    pub(super) fn has(&self, binary: &Path, path: &str) -> bool {
        self.tests.contains(&(binary.to_owned(), path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_matches_is_told_by_binary_and_path() {
        let case = |status: &str| json!({ "ignored": false, "filter-match": { "status": status } });
        let document = json!({ "rust-suites": { "mine": {
            "binary-path": "/target/mine-1",
            "testcases": { "tests::a": case("matches"), "tests::b": case("mismatch") },
        } } });
        let matches = Matches::in_list(&document);
        assert!(matches.has(Path::new("/target/mine-1"), "tests::a"));
        assert!(!matches.has(Path::new("/target/mine-1"), "tests::b"));
        assert!(!matches.has(Path::new("/target/other-1"), "tests::a"));
    }
}
