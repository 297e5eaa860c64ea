//! A report, written to standard output and to files.

use crate::args::{FormArgs, LookArgs, OutputArgs, ReportFile};
use crate::error::Failure;
use crate::output;
use racefuzz::Style;
use racefuzz_report::{Document, Format, render};

/// Refuses files that cannot be written, before a long run and not after it.
///
/// # Errors
/// If one cannot be opened.
pub(crate) fn check_writable(form: &FormArgs) -> Result<(), Failure> {
    form.report.iter().try_for_each(ReportFile::check_writable)
}

/// Writes the files that were asked for, then prints the report.
///
/// # Errors
/// If something cannot be written.
pub(crate) fn report(document: &Document<'_>, args: &OutputArgs) -> Result<(), Failure> {
    write_files(document, args)?;
    print(document, args)
}

/// Prints the report.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn print(document: &Document<'_>, args: &OutputArgs) -> Result<(), Failure> {
    let text = render(document, args.form.format, &output::style(args.look));
    output::print(&in_characters(text, args.form.format, args.look))
}

/// Writes the files that were asked for.
///
/// # Errors
/// If one cannot be written.
pub(crate) fn write_files(document: &Document<'_>, args: &OutputArgs) -> Result<(), Failure> {
    // A file is no terminal.
    let style = Style {
        color: false,
        width: args.look.width.unwrap_or(output::PIPED_WIDTH),
        ..output::style(args.look)
    };
    args.form.report.iter().try_for_each(|file| {
        let text = render(document, file.format, &style);
        write_file(file, &in_characters(text, file.format, args.look))
    })
}

/// Writes one file.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_file(file: &ReportFile, text: &str) -> Result<(), Failure> {
    std::fs::write(&file.path, text).map_err(|error| Failure::Write { file: file.path.clone(), error })
}

/// The text with ASCII only, where that is asked for.
pub(crate) fn in_characters(text: String, format: Format, look: LookArgs) -> String {
    if !look.ascii || text.is_ascii() {
        return text;
    }
    match format {
        Format::Json | Format::Sarif | Format::Perfetto => output::ascii_json(&text),
        Format::Dot | Format::Junit | Format::Html => output::ascii_references(&text, "&#"),
        Format::Mermaid => output::ascii_references(&text, "#"),
        _ => output::ascii(&text),
    }
}
