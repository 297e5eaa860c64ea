//! `racefuzz list`: what there is to run.

use super::{json_text, plain_text};
use crate::args::{ListArgs, PlainFormat};
use crate::error::Failure;
use crate::output::{self, Role, paint, wrap};
use crate::{Tool, exit};
use racefuzz::Style;
use racefuzz::scenario::{Expected, Scenario};
use serde_json::json;
use std::fmt::Write;

pub(super) fn run(tool: &Tool<'_>, args: &ListArgs) -> Result<u8, Failure> {
    let chosen: Vec<&Scenario> = tool
        .registry
        .iter()
        .filter(|scenario| {
            let matches =
                |filter: &String| scenario.name.contains(filter.as_str()) || folder(scenario) == filter;
            args.filter.as_ref().is_none_or(matches)
        })
        .collect();
    if let (true, Some(filter)) = (chosen.is_empty(), &args.filter) {
        return Err(Failure::NoMatch { filter: filter.clone() });
    }
    output::print(&match args.output.format {
        PlainFormat::Text => {
            plain_text(text(&chosen, &tool.name, &output::style(args.output.look)), args.output.look)
        }
        PlainFormat::Json => json_text(json(&chosen), args.output.look),
    })?;
    Ok(exit::OK)
}

/// What a scenario is expected to show, in a word or two.
pub(super) fn verdict(expected: Expected) -> &'static str {
    match expected {
        Expected::Holds => "holds",
        Expected::Fails { anomaly, .. } => anomaly,
    }
}

/// The folder a scenario's source lies in: scenarios of one folder belong together.
fn folder(scenario: &Scenario) -> &str {
    let file = scenario.source.file;
    let folder = file.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder);
    folder.rsplit(['/', '\\']).next().unwrap_or("")
}

/// Whether the second scenario repairs the first, or the other way round.
fn twins(first: &Scenario, second: &Scenario) -> bool {
    let of = |a: &Scenario, b: &Scenario| a.twin == Some(b.name);
    (of(first, second) || of(second, first))
        && (first.expected == Expected::Holds) != (second.expected == Expected::Holds)
}

/// A name longer than this stands on a line of its own.
const LONGEST_NAME: usize = 27;
/// With less room than this, a summary stands below its name.
const LEAST_SUMMARY: usize = 40;

/// Where the columns stand.
struct Layout {
    name: usize,
    verdict: usize,
    summary: usize,
    below: bool,
}

fn layout(rows: &[(bool, &Scenario)], style: &Style) -> Layout {
    let indented = |(second, scenario): &(bool, &Scenario)| scenario.name.len() + 2 * usize::from(*second);
    let name =
        rows.iter().map(indented).filter(|length| *length <= LONGEST_NAME).max().unwrap_or(LONGEST_NAME);
    let verdict = rows.iter().map(|(_, scenario)| verdict(scenario.expected).len()).max().unwrap_or(0);
    let room = style.width.saturating_sub(1 + name + 2 + verdict + 2);
    match room >= LEAST_SUMMARY {
        true => Layout { name, verdict, summary: room, below: false },
        false => Layout { name, verdict, summary: style.width.saturating_sub(6), below: true },
    }
}

fn text(scenarios: &[&Scenario], tool: &str, style: &Style) -> String {
    let mut rows: Vec<(bool, &Scenario)> = Vec::new();
    for scenario in scenarios {
        let second = rows.last().is_some_and(|(second, before)| !second && twins(before, scenario));
        rows.push((second, scenario));
    }
    let layout = layout(&rows, style);
    let folders = rows.windows(2).any(|pair| folder(pair[0].1) != folder(pair[1].1));
    let mut text = String::new();
    for (index, (second, scenario)) in rows.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| rows[before].1);
        if folders && before.is_none_or(|before| folder(before) != folder(scenario)) {
            let gap = if before.is_some() { "\n" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{gap} {}", paint(style, Role::Title, folder(scenario)));
        }
        row(&mut text, *second, scenario, &layout, style);
    }
    let holding = scenarios.iter().filter(|scenario| scenario.expected == Expected::Holds).count();
    let count =
        format!("{} {}", scenarios.len(), if scenarios.len() == 1 { "scenario" } else { "scenarios" });
    let foot = format!(
        "{count}: {} with a bug to find, {holding} without. `{tool} show NAME` tells what a scenario teaches, \
         `{tool} run NAME` runs it.",
        scenarios.len() - holding
    );
    text.push('\n');
    for line in wrap(&foot, style.width - 1) {
        let _ = writeln!(text, " {line}");
    }
    text
}

fn row(text: &mut String, second: bool, scenario: &Scenario, layout: &Layout, style: &Style) {
    let hook = if second { "└ " } else { "" };
    let verdict = verdict(scenario.expected);
    let role = if scenario.expected == Expected::Holds { Role::Good } else { Role::Bad };
    let mut summary = wrap(scenario.summary, layout.summary).into_iter();
    let _ = write!(text, " {}{}", paint(style, Role::Quiet, hook), paint(style, Role::Name, scenario.name));
    let used = hook.chars().count() + scenario.name.len();
    if used > layout.name {
        let _ = write!(text, "\n {}", " ".repeat(layout.name));
    } else {
        text.push_str(&" ".repeat(layout.name - used));
    }
    let _ = write!(text, "  {}", paint(style, role, verdict));
    let start = if layout.below {
        text.push('\n');
        5
    } else {
        text.push_str(&" ".repeat(layout.verdict - verdict.len() + 2));
        let _ = writeln!(text, "{}", summary.next().unwrap_or_default());
        layout.name + layout.verdict + 5
    };
    for line in summary {
        let _ = writeln!(text, "{}{line}", " ".repeat(start));
    }
}

fn json(scenarios: &[&Scenario]) -> String {
    let list: Vec<_> = scenarios.iter().map(|scenario| describe(scenario)).collect();
    let document = json!({ "format": "racefuzz-scenarios", "version": 1, "scenarios": list });
    format!("{document:#}\n")
}

/// A scenario for programs.
pub(super) fn describe(scenario: &Scenario) -> serde_json::Value {
    let params: Vec<_> = scenario
        .params
        .iter()
        .map(|param| {
            json!({
                "name": param.name, "default": param.default, "min": param.min, "max": param.max,
                "about": param.about,
            })
        })
        .collect();
    json!({
        "name": scenario.name,
        "summary": scenario.summary,
        "teaches": scenario.teaches,
        "expected": expected(scenario.expected),
        "twin": scenario.twin,
        "params": params,
        "file": scenario.source.file,
    })
}

/// What a scenario is expected to show, for programs.
pub(super) fn expected(expected: Expected) -> serde_json::Value {
    match expected {
        Expected::Holds => json!({ "holds": true }),
        Expected::Fails { kind, anomaly } => {
            json!({ "holds": false, "kind": kind.to_string(), "anomaly": anomaly })
        }
    }
}
