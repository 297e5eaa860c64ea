//! `racefuzz replay`: one schedule again.

use super::{find, finish, plain_text, run};
use crate::args::{LookArgs, ReplayArgs};
use crate::error::Failure;
use crate::output::{self, Role, paint};
use crate::{Tool, exit, reporting, terminal};
use racefuzz::{Outcome, Replayed, Schedule};
use racefuzz_report::{Content, Document, Format, Stepper};
use std::path::Path;

pub(super) fn run(tool: &Tool<'_>, args: &ReplayArgs) -> Result<u8, Failure> {
    let schedule = schedule(&args.schedule)?;
    let scenario = find(tool, &schedule.program)?;
    let params =
        scenario.params(&schedule.settings.params).map_err(|error| Failure::Setting(error.to_string()))?;
    reporting::check_writable(&args.output.form)?;
    let replayed = scenario.fuzzer(&params).replay(&schedule, scenario.program(&params));
    let passed = replayed.report.outcome == Outcome::Passed;
    let sources = tool.registry.sources();
    if passed && args.output.form.format == Format::Text {
        let document = Document { content: Content::Run(&replayed.report), sources: &sources, next: &[] };
        reporting::write_files(&document, &args.output)?;
        let look = args.output.look;
        output::print(&plain_text(passes(&replayed, &schedule.program, look), look))?;
        return Ok(exit::OK);
    }
    if let Some(divergence) = &replayed.diverged {
        let _ = output::note_line(&divergence.to_string());
    }
    if args.step
        && let Some(failure) = replayed.report.failures.first()
        && let Some(stepper) = Stepper::new(failure, &sources)
        && terminal::step_through(&stepper, output::style(args.output.look), args.output.look.width)?
    {
        let document = Document { content: Content::Run(&replayed.report), sources: &sources, next: &[] };
        reporting::write_files(&document, &args.output)?;
        return Ok(exit::BUG);
    }
    let next = run::next(tool, scenario, &replayed.report);
    finish(&replayed.report, &sources, &args.output, &next)
}

/// What there is to say of a schedule that does not fail.
fn passes(replayed: &Replayed, program: &str, args: LookArgs) -> String {
    let style = output::style(args);
    let steps = replayed.report.stats.steps;
    let story = match &replayed.diverged {
        Some(divergence) => format!("{divergence}. It ran to its end without a bug, in {steps} steps."),
        None => format!("It was followed to its end, for {steps} steps."),
    };
    let head = format!(" {}   this schedule of {program} does not fail", paint(&style, Role::Good, "ok"));
    let mut text = format!("{head}\n");
    for line in output::wrap(&upper_first(&story), style.width.saturating_sub(6)) {
        text.push_str(&format!("      {line}\n"));
    }
    text
}

fn upper_first(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// The schedule in a report file, or of a token.
fn schedule(text: &str) -> Result<Schedule, Failure> {
    let file = Path::new(text);
    if !file.exists() {
        let looks_like_file = text.contains('/') || text.ends_with(".json");
        return match text.parse() {
            Ok(schedule) => Ok(schedule),
            Err(_) if looks_like_file => {
                Err(Failure::Read { file: file.to_owned(), error: std::io::ErrorKind::NotFound.into() })
            }
            Err(error) => Err(Failure::Token { text: text.to_owned(), error }),
        };
    }
    let content =
        std::fs::read_to_string(file).map_err(|error| Failure::Read { file: file.to_owned(), error })?;
    let none = |reason: String| Failure::NoSchedule { file: file.to_owned(), reason };
    let json: serde_json::Value =
        serde_json::from_str(&content).map_err(|_| none("it is no report".to_owned()))?;
    if json.pointer("/report/failures").is_none() {
        return Err(none("it is no report".to_owned()));
    }
    let found = json.pointer("/report/failures/0/schedule").cloned();
    let found = found.ok_or_else(|| none("its run found no failure".to_owned()))?;
    serde_json::from_value(found).map_err(|error| none(error.to_string()))
}
