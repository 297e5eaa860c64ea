//! What is written, where, and how it looks.

use super::OUTPUT;
use super::values::{named, number};
use crate::error::Failure;
use clap::{Args, ValueEnum};
use racefuzz_report::Format;
use std::path::{Path, PathBuf};

/// How text looks.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct LookArgs {
    /// Write nothing outside ASCII.
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) ascii: bool,
    /// Columns to write in; the terminal's by default.
    #[arg(help_heading = OUTPUT, long, value_name = "COLUMNS", value_parser = number::<usize>(30, 1000), allow_negative_numbers = true)]
    pub(crate) width: Option<usize>,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
}

/// Which steps a trace in text shows.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct StepArgs {
    /// Show every step in text: those inside libraries, too, and none folded.
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) all_steps: bool,
}

impl StepArgs {
    /// The environment variable that says the same to tests.
    pub(crate) fn setting(self) -> Option<(&'static str, String)> {
        self.all_steps.then(|| ("RACEFUZZ_ALL_STEPS", "1".to_owned()))
    }
}

/// The forms of what is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlainFormat {
    Text,
    Json,
}

/// The output of a command that does not report on a program.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct PlainArgs {
    /// For people, or for programs (versioned).
    #[arg(help_heading = OUTPUT, long, value_enum, default_value_t = PlainFormat::Text, value_name = "FORMAT")]
    pub(crate) format: PlainFormat,
    #[command(flatten)]
    pub(crate) look: LookArgs,
}

/// The forms of a report, on standard output and in files.
#[derive(Args, Clone, Debug)]
pub(crate) struct FormArgs {
    /// The form of the report on standard output.
    #[arg(help_heading = OUTPUT, long, default_value = "text", value_name = "FORMAT", value_parser = named::<Format>(Format::NAMES))]
    pub(crate) format: Format,
    /// Also write the report to a file; its name decides the form: .html, .json, .sarif, .perfetto.json,
    /// .dot, .mmd, .xml (JUnit) or .txt; JSON without an ending. May be repeated.
    #[arg(help_heading = OUTPUT, long, value_name = "FILE", value_parser = report_file)]
    pub(crate) report: Vec<ReportFile>,
}

/// The output of a command that reports.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) look: LookArgs,
}

impl FormArgs {
    /// The format on standard output, where text and JSON are all there is.
    ///
    /// # Errors
    /// For any other format; `what` is said to have none.
    pub(crate) fn plain(&self, what: &str) -> Result<PlainFormat, Failure> {
        match self.format {
            Format::Text => Ok(PlainFormat::Text),
            Format::Json => Ok(PlainFormat::Json),
            other => {
                Err(Failure::Usage(format!("`--format {other}` is for a report; {what} is text or json")))
            }
        }
    }
}

/// A file that a report is written to.
#[derive(Clone, Debug)]
pub(crate) struct ReportFile {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
}

impl ReportFile {
    /// Refuses a file that cannot be written, before a long run and not after it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        check_writable(&self.path)
    }
}

/// Refuses a file that cannot be written before a long run, not after it.
///
/// # Errors
/// If it cannot be opened.
pub(crate) fn check_writable(file: &Path) -> Result<(), Failure> {
    let existed = file.exists();
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(|error| Failure::Write { file: file.to_owned(), error })?;
    if !existed {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

fn report_file(text: &str) -> Result<ReportFile, String> {
    let path = PathBuf::from(text);
    // A name without an ending is that of a device or a pipe.
    let format = Format::of_file(&path).or(path.extension().is_none().then_some(Format::Json));
    match format {
        Some(format) => Ok(ReportFile { path, format }),
        None => {
            let endings: Vec<&str> = Format::ALL.iter().map(|format| format.ending()).collect();
            Err(format!("the form is told by the end of the name: {}", endings.join(", ")))
        }
    }
}
