//! The reports that tests leave in files, put together where a format can hold several.

use crate::args::ReportFile;
use crate::confirm::sorted;
use crate::error::Failure;
use crate::{output, reporting};
use racefuzz::Outcome;
use racefuzz_report::{Format, combine};
use std::fs;
use std::path::{Path, PathBuf};

/// A temporary folder in which each test leaves its report, such as `PACKAGE/module-test.json`, its outcome,
/// or its repairs.
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

    /// The reports of a format, each with its package and its test, in their order.
    fn reports(&self, format: Format) -> Result<Vec<TestReport>, Failure> {
        let read = |error| Failure::Read { file: self.path.clone(), error };
        let mut reports = Vec::new();
        for folder in sorted(&self.path).map_err(read)? {
            let package = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for file in sorted(&folder).map_err(read)? {
                if Format::of_file(&file) == Some(format) {
                    let text = fs::read_to_string(&file).map_err(read)?;
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    let test = name.strip_suffix(format.ending()).unwrap_or(&name).to_owned();
                    reports.push(TestReport { package: package.clone(), test, text });
                }
            }
        }
        Ok(reports)
    }

    /// All reports of a format in one.
    ///
    /// # Errors
    /// Where a format has no way to hold as many as there are.
    pub(super) fn collect(&self, format: Format) -> Result<String, Failure> {
        let mut reports = self.reports(format)?;
        let documents: Vec<(&str, String)> =
            reports.iter().map(|report| (report.package.as_str(), report.text.clone())).collect();
        if let Some(text) = combine(format, &documents) {
            return Ok(text);
        }
        match reports.len() {
            1 => Ok(reports.remove(0).text),
            0 => Err(Failure::Usage(format!("no test has anything to show as {format}"))),
            tests => Err(Failure::Usage(format!(
                "{tests} tests have reports, and {format} holds one: name a test"
            ))),
        }
    }

    /// Writes the reports of a file's format to it; where the format holds only one and there are several,
    /// to a file for each, with the test's name in it.
    pub(super) fn write(&self, file: &ReportFile) -> Result<(), Failure> {
        let reports = self.reports(file.format)?;
        let documents: Vec<(&str, String)> =
            reports.iter().map(|report| (report.package.as_str(), report.text.clone())).collect();
        if let Some(text) = combine(file.format, &documents) {
            return reporting::write_file(file, &text);
        }
        match &reports[..] {
            [] => {
                let text = format!("{} is not written: no test has anything to show", file.path.display());
                output::note_line(&text).map_err(Failure::Output)
            }
            [one] => reporting::write_file(file, &one.text),
            several => several.iter().try_for_each(|report| {
                let file = ReportFile { path: beside(&file.path, &report.test), format: file.format };
                reporting::write_file(&file, &report.text)?;
                output::note_line(&format!("{} is of {}", file.path.display(), report.test))
                    .map_err(Failure::Output)
            }),
        }
    }
}

/// The report of one test.
struct TestReport {
    package: String,
    /// The test's path, with hyphens.
    test: String,
    text: String,
}

/// The file's name with a part in front of its endings: `FAIL.html` becomes `FAIL-test.html`.
fn beside(file: &Path, part: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (stem, endings) = name.split_once('.').unwrap_or((&name, ""));
    file.with_file_name(format!("{stem}-{part}.{endings}"))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}
