//! `racefuzz check --all`: every scenario against what it is expected to show.

use super::super::list::{self, verdict};
use super::checker;
use crate::args::CheckArgs;
use crate::error::Failure;
use crate::output::{self, Role, paint};
use crate::progress::{CheckProgress, interrupted};
use crate::{Tool, exit, reporting};
use indicatif::HumanCount;
use racefuzz::scenario::{Expected, Scenario};
use racefuzz::{Outcome, Report, Style};
use racefuzz_report::{Format, Sources, TestCase, junit_suite};
use serde_json::json;
use std::fmt::Write;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

/// Executions in which the expected bug is looked for where another one comes first.
const FURTHER: u64 = 10_000;

/// A scenario and what its check showed.
struct Checked<'a> {
    scenario: &'a Scenario,
    report: Report,
    /// The failure's name, if there is one: that of the first, or the expected one if that is found
    /// later.
    anomaly: Option<&'static str>,
    took: Duration,
}

impl Checked<'_> {
    fn is_as_expected(&self) -> bool {
        match self.scenario.expected {
            Expected::Holds => self.report.outcome == Outcome::Passed,
            Expected::Fails { kind, anomaly } => {
                let found = self.report.failures.first().map(|failure| failure.kind);
                (found, self.anomaly) == (Some(kind), Some(anomaly))
            }
        }
    }

    /// What it came to, in a word or two.
    fn verdict(&self) -> &'static str {
        match (self.report.outcome, self.anomaly) {
            (Outcome::Passed, _) => "verified",
            (_, Some(anomaly)) => anomaly,
            _ => "incomplete",
        }
    }
}

pub(super) fn run(tool: &Tool<'_>, args: &CheckArgs) -> Result<u8, Failure> {
    let sources = tool.registry.sources();
    let form = &args.output.form;
    let mut formats = form.report.iter().map(|file| file.format).chain([form.format]);
    if let Some(other) = formats.find(|format| !matches!(format, Format::Text | Format::Json | Format::Junit))
    {
        let text = format!("`--all` is told as text, json or junit; name one scenario for {other}");
        return Err(Failure::Usage(text));
    }
    reporting::check_writable(form)?;
    let mut checked = Vec::new();
    for scenario in tool.registry.iter() {
        if interrupted() {
            break;
        }
        let params = scenario.params(&[]).map_err(|error| Failure::Setting(error.to_string()))?;
        let progress = CheckProgress::new().of(scenario.name);
        let began = Instant::now();
        let report = checker(scenario, &params, args).check_watched(scenario.program(&params), &progress);
        progress.clear();
        let mut anomaly = report.failures.first().map(|failure| anomaly_of(failure, &sources));
        if let Expected::Fails { anomaly: expected, .. } = scenario.expected
            && anomaly.is_some_and(|found| found != expected)
        {
            // A program may have several bugs, and the one to be shown need not come first.
            let longer = checker(scenario, &params, args).keep_going(true).max_executions(FURTHER);
            let report = longer.check_watched(scenario.program(&params), &CheckProgress::new());
            let mut found = report.failures.iter().map(|failure| anomaly_of(failure, &sources));
            anomaly = found.find(|found| *found == expected).or(anomaly);
        }
        checked.push(Checked { scenario, report, anomaly, took: began.elapsed() });
    }
    let left = tool.registry.iter().count() - checked.len();
    let rendered = |format, style: &Style| match format {
        Format::Json => document(&checked, left, args),
        Format::Junit => junit(&checked),
        _ => text(&checked, left, args, style),
    };
    let look = args.output.look;
    for file in &args.output.form.report {
        let style = Style { color: false, ..output::style(look) };
        let text = rendered(file.format, &style);
        reporting::write_file(file, &reporting::in_characters(text, file.format, look))?;
    }
    let format = args.output.form.format;
    output::print(&reporting::in_characters(rendered(format, &output::style(look)), format, look))?;
    let wrong = |row: &&Checked<'_>| !row.is_as_expected();
    Ok(match checked.iter().filter(wrong).any(|row| row.report.outcome != Outcome::Incomplete) {
        true => exit::BUG,
        false if left > 0 || checked.iter().any(|row| !row.is_as_expected()) => exit::INCOMPLETE,
        false => exit::OK,
    })
}

fn anomaly_of(failure: &racefuzz::Failure, sources: &dyn Sources) -> &'static str {
    racefuzz_report::explain(failure, sources).anomaly.name()
}

/// A table for people. The time is for those who sit and wait; elsewhere the output depends on the
/// arguments alone.
fn text(checked: &[Checked<'_>], left: usize, args: &CheckArgs, style: &Style) -> String {
    let timed = stdout().is_terminal();
    let cells: Vec<[String; 5]> = checked
        .iter()
        .map(|row| {
            let stats = &row.report.stats;
            let (executions, blocked) = (HumanCount(stats.executions), HumanCount(stats.blocked));
            let name = row.scenario.name.to_owned();
            [
                name,
                row.verdict().to_owned(),
                executions.to_string(),
                blocked.to_string(),
                format!("{:.2} s", row.took.as_secs_f64()),
            ]
        })
        .collect();
    let titles = ["scenario", "verdict", "executions", "blocked", "time"];
    let widths: [usize; 5] = std::array::from_fn(|column| {
        cells.iter().map(|row| row[column].len()).chain([titles[column].len()]).max().unwrap_or(0)
    });
    let columns = if timed { 5 } else { 4 };
    let line = |cells: &[&str], role: Role| {
        let padded = cells.iter().take(columns).enumerate().map(|(column, cell)| {
            let blanks = " ".repeat(widths[column].saturating_sub(cell.len()));
            match column {
                0 => format!("{cell}{blanks}"),
                1 => format!("{}{blanks}", paint(style, role, cell)),
                _ => format!("{blanks}{cell}"),
            }
        });
        format!(" {}", padded.collect::<Vec<_>>().join("  "))
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", line(&titles, Role::Quiet));
    for (row, cells) in checked.iter().zip(&cells) {
        let role = if row.report.outcome == Outcome::Passed { Role::Good } else { Role::Bad };
        let _ = write!(text, "{}", line(&cells.each_ref().map(String::as_str), role));
        let expected = verdict(row.scenario.expected);
        let expected = if row.is_as_expected() { String::new() } else { format!("  expected: {expected}") };
        let _ = writeln!(text, "{}", paint(style, Role::Bad, &expected));
    }
    text.push('\n');
    for line in output::wrap(&summary(checked, left, args), style.width - 1) {
        let _ = writeln!(text, " {line}");
    }
    text
}

/// A test case for each scenario, which fails if what it shows is not what was expected.
fn junit(checked: &[Checked<'_>]) -> String {
    let cases = checked.iter().map(|row| TestCase {
        name: row.scenario.name,
        failure: (!row.is_as_expected()).then(|| {
            let headline = format!("{}; expected: {}", row.verdict(), verdict(row.scenario.expected));
            let more = row.report.failures.first().map(|failure| failure.message.clone());
            (headline, more.or_else(|| row.report.stopped.clone()).unwrap_or_default())
        }),
    });
    junit_suite("check --all", &cases.collect::<Vec<_>>())
}

fn summary(checked: &[Checked<'_>], left: usize, args: &CheckArgs) -> String {
    let count = |outcome| checked.iter().filter(|row| row.report.outcome == outcome).count();
    let wrong = checked.iter().filter(|row| !row.is_as_expected()).count();
    let mut text = format!(
        "{} {} under {}: {} verified, {} with a bug, {} incomplete",
        checked.len(),
        if checked.len() == 1 { "scenario" } else { "scenarios" },
        args.memory,
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::Incomplete),
    );
    match wrong {
        0 => text.push_str("; all as expected"),
        _ => text.push_str(&format!("; {wrong} not as expected")),
    }
    if left > 0 {
        text.push_str(&format!("; interrupted with {left} not checked"));
    }
    text
}

fn document(checked: &[Checked<'_>], left: usize, args: &CheckArgs) -> String {
    let rows: Vec<_> = checked
        .iter()
        .map(|row| {
            json!({
                "name": row.scenario.name,
                "expected": list::expected(row.scenario.expected),
                "outcome": row.report.outcome,
                "kind": row.report.failures.first().map(|failure| failure.kind.to_string()),
                "anomaly": row.anomaly,
                "executions": row.report.stats.executions,
                "blocked": row.report.stats.blocked,
                "proof": row.report.proof,
                "stopped": row.report.stopped,
                "as_expected": row.is_as_expected(),
            })
        })
        .collect();
    let document = json!({
        "format": "racefuzz-check-all", "version": 1, "memory": args.memory, "scenarios": rows,
        "not_checked": left,
    });
    format!("{document:#}\n")
}
