//! The reports that tests leave as JSON, put together to one document.

use crate::confirm::sorted;
use crate::error::Failure;
use racefuzz::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The version of the document; its reports have one of their own.
const VERSION: u32 = 1;

/// A temporary folder in which each test leaves its report, `PACKAGE/module-test.json`, its outcome, or its
/// repairs.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new one for a purpose, which is gone when this is dropped.
    pub(super) fn new(purpose: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("racefuzz-{purpose}-{}", std::process::id()));
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self { path }),
            Err(error) => Err(Failure::Write { file: path, error }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether tests were cut short, and none of the others has a bug.
    pub(super) fn is_incomplete(&self) -> bool {
        let files = sorted(&self.path).unwrap_or_default();
        let outcomes: Vec<String> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
        let is = |outcome: Outcome| outcomes.contains(&outcome.to_string());
        is(Outcome::Incomplete) && !is(Outcome::Failed)
    }

    /// One document of all reports, in the order of packages and tests.
    pub(super) fn collect(&self) -> Result<String, Failure> {
        let read = |error| Failure::Read { file: self.path.clone(), error };
        let mut tests = Vec::new();
        for package in sorted(&self.path).map_err(read)? {
            for file in sorted(&package).map_err(read)? {
                let text = fs::read_to_string(&file).map_err(read)?;
                let report: Value = serde_json::from_str(&text)
                    .map_err(|error| Failure::NoSchedule { file: file.clone(), reason: error.to_string() })?;
                let package = package.file_name().map(|name| name.to_string_lossy().into_owned());
                tests.push(json!({ "package": package, "report": report }));
            }
        }
        let document = json!({ "version": VERSION, "kind": "tests", "tests": tests });
        Ok(format!("{document:#}\n"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}
