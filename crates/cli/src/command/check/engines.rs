//! `racefuzz check --engine loom|both`: the program on the loom crate, alone or as a second opinion.

use super::super::{exit_code, finish, json_text, plain_text};
use super::{checker, next};
use crate::args::{CheckArgs, PlainFormat};
use crate::error::Failure;
use crate::output::{self, Role, paint};
use crate::progress::CheckProgress;
use crate::{Tool, exit, reporting};
use racefuzz::scenario::{Params, Scenario};
use racefuzz::{Outcome, Style};
use racefuzz_loom_engine::{Agreement, Checked, Verdict, agree_despite, check_watched};
use racefuzz_report::{Command as Next, Content, Document, Format, render};
use serde_json::{Value, json};
use std::fmt::Write;

fn ask(scenario: &Scenario, params: &Params, args: &CheckArgs) -> Checked {
    let progress = CheckProgress::new().of("loom");
    let checked =
        check_watched(checker(scenario, params, args).options(), &scenario.program(params), &progress);
    progress.clear();
    tracing::info!(iterations = checked.report.stats.executions, "loom ended");
    checked
}

/// Loom alone.
pub(super) fn loom(
    tool: &Tool<'_>,
    scenario: &Scenario,
    params: &Params,
    args: &CheckArgs,
) -> Result<u8, Failure> {
    let Checked { report, .. } = ask(scenario, params, args);
    let sources = tool.registry.sources();
    let mut next = next(tool, scenario, &report, args);
    if report.outcome == Outcome::Failed {
        // Loom tells that it fails, and not how.
        let line = format!("{} check {}", tool.name, scenario.name);
        next.insert(0, Next { label: "trace".to_owned(), line });
    }
    finish(&report, &sources, &args.output, &next)
}

/// The graph engine, and what loom says to it.
pub(super) fn both(
    tool: &Tool<'_>,
    scenario: &Scenario,
    params: &Params,
    args: &CheckArgs,
) -> Result<u8, Failure> {
    let progress = CheckProgress::new();
    let graph = checker(scenario, params, args).check_watched(scenario.program(params), &progress);
    progress.clear();
    let loom = ask(scenario, params, args);
    let agreement = agree_despite(&graph, &loom);
    let sources = tool.registry.sources();
    let look = args.output.look;
    let style = output::style(look);
    let commands = next(tool, scenario, &graph, args);
    let document = |report, next| Document { content: Content::Run(report), sources: &sources, next };
    reporting::write_files(&document(&graph, &commands), &args.output)?;
    output::print(&match args.output.form.plain("a comparison")? {
        PlainFormat::Text => {
            let report = render(&document(&graph, &commands), Format::Text, &style);
            plain_text(format!("{report}\n{}", opinion(&agreement, &style)), look)
        }
        PlainFormat::Json => {
            let json = |report| parsed(&render(&document(report, &[]), Format::Json, &style));
            let exceptions: Vec<String> = loom.exceptions.iter().map(ToString::to_string).collect();
            let document = json!({
                "format": "racefuzz-check-both", "version": 1, "verdict": word(&agreement.verdict),
                "graph": json(&graph), "loom": json(&loom.report), "exceptions": exceptions,
            });
            json_text(format!("{document:#}\n"), look)
        }
    })?;
    Ok(match agreement.verdict {
        Verdict::Disagree => exit::BUG,
        // Where the graph engine has no answer, a bug that loom found is one.
        Verdict::Undecided if loom.report.outcome == Outcome::Failed => exit::BUG,
        _ => exit_code(graph.outcome),
    })
}

/// What was just written as JSON.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Agree => "agree",
        Verdict::Excused(_) => "excused",
        Verdict::Undecided => "undecided",
        Verdict::Disagree => "disagree",
    }
}

/// The comparison, for people.
fn opinion(agreement: &Agreement, style: &Style) -> String {
    const LABEL: &str = " loom      ";
    let role = match agreement.verdict {
        Verdict::Agree => Role::Good,
        Verdict::Disagree => Role::Bad,
        Verdict::Excused(_) | Verdict::Undecided => Role::Quiet,
    };
    let mut text = String::new();
    let lines = output::wrap(&agreement.to_string(), style.width.saturating_sub(LABEL.len()));
    for (number, line) in lines.iter().enumerate() {
        let label = if number == 0 { LABEL } else { "           " };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label}{}", paint(style, role, line));
    }
    text
}
