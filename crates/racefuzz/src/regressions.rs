//! Failing schedules of tests, kept beside the crate and tried first next time.
//!
//! `racefuzz-regressions/<module>.txt` holds a line per schedule: its token and, behind `#`, what it
//! showed. Put the folder under version control; delete a line, or the folder, to forget.

use racefuzz_trace::{Failure, Schedule};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const FOLDER: &str = "racefuzz-regressions";
const HEADER: &str = "\
# Schedules that made a test fail, found by racefuzz. They are tried before all others.
# Keep this file under version control; a line whose schedule no longer fails does no harm.
";

/// The kept schedules of one test.
pub struct Regressions {
    file: PathBuf,
    /// The file, relative to the package.
    shown: String,
    program: String,
}

impl Regressions {
    /// Those of the test `module::path::name` of the package in a folder.
    pub fn of(package: &Path, program: &str) -> Self {
        let module = program.rsplit_once("::").map_or("tests", |(module, _)| module);
        let shown = format!("{FOLDER}/{}.txt", module.replace("::", "-"));
        Self { file: package.join(&shown), shown, program: program.to_owned() }
    }

    /// The schedules, oldest first; none if there is no file. Lines that are no tokens are passed
    /// over: the file is the user's.
    pub fn load(&self) -> Vec<Schedule> {
        let Ok(text) = fs::read_to_string(&self.file) else { return Vec::new() };
        text.lines()
            .filter_map(|line| line.split('#').next()?.trim().parse::<Schedule>().ok())
            .filter(|schedule| schedule.program == self.program)
            .collect()
    }

    /// The file, relative to the package.
    pub fn file(&self) -> &str {
        &self.shown
    }

    /// Keeps a failing schedule; the file's name if it was not there yet. `RACEFUZZ_REGRESSIONS=off`
    /// keeps nothing, and neither does a folder that cannot be written.
    pub fn keep(&self, failure: &Failure) -> Option<String> {
        if std::env::var_os("RACEFUZZ_REGRESSIONS").is_some_and(|value| value == "off") {
            return None;
        }
        let token = failure.schedule.to_string();
        if self.load().iter().any(|schedule| schedule.to_string() == token) {
            return None;
        }
        let new = !self.file.exists();
        fs::create_dir_all(self.file.parent()?).ok()?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).ok()?;
        let message: String = failure.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let header = if new { HEADER } else { "" };
        writeln!(file, "{header}{token} # {}: {message}", failure.kind).ok()?;
        Some(self.shown.clone())
    }
}
