//! `racefuzz show`: a scenario's source, and what it teaches.

use super::{find, json_text, list, plain_text};
use crate::args::{PlainFormat, ShowArgs};
use crate::error::Failure;
use crate::output::{self, Role, paint, wrap};
use crate::{Tool, exit};
use racefuzz::Style;
use racefuzz::scenario::{Expected, Param, Registry, Scenario};
use std::fmt::Write;

pub(super) fn run(tool: &Tool<'_>, args: &ShowArgs) -> Result<u8, Failure> {
    let scenario = find(tool, &args.name)?;
    output::print(&match args.output.format {
        PlainFormat::Text => {
            plain_text(text(tool, scenario, &output::style(args.output.look)), args.output.look)
        }
        PlainFormat::Json => {
            let mut document = list::describe(scenario);
            document["source"] = scenario.source.text.into();
            json_text(format!("{document:#}\n"), args.output.look)
        }
    })?;
    Ok(exit::OK)
}

fn text(tool: &Tool<'_>, scenario: &Scenario, style: &Style) -> String {
    let mut text = String::new();
    let room = style.width - 1;
    // Writing to a string cannot fail.
    let _ = writeln!(text, " {}", paint(style, Role::Title, scenario.name));
    for line in wrap(scenario.summary, room) {
        let _ = writeln!(text, " {}", paint(style, Role::Name, &line));
    }
    text.push('\n');
    for line in wrap(scenario.teaches, room) {
        let _ = writeln!(text, " {line}");
    }
    text.push('\n');
    let run = format!("{} run {}{}", tool.name, scenario.name, example(scenario));
    for (label, role, value) in [
        ("expected", verdict_role(scenario), expected(scenario)),
        (relation(tool.registry, scenario), Role::Name, scenario.twin.unwrap_or("").to_owned()),
        ("run", Role::Name, run),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, " {:10}{}", label, paint(style, role, &value));
        }
    }
    for (index, param) in scenario.params.iter().enumerate() {
        let label = if index == 0 { "--param" } else { "" };
        for (number, line) in wrap(&parameter(param), room.saturating_sub(10)).iter().enumerate() {
            let _ = writeln!(text, " {:10}{line}", if number == 0 { label } else { "" });
        }
    }
    let _ = writeln!(text, "\n {}", paint(style, Role::Name, scenario.source.file));
    let lines = scenario.source.text.lines().count();
    let gutter = lines.to_string().len().max(3);
    for (number, line) in scenario.source.text.lines().enumerate() {
        let number = paint(style, Role::Quiet, &format!("{:gutter$} |", number + 1));
        let _ = writeln!(text, "{}", format!(" {number} {line}").trim_end());
    }
    text
}

fn expected(scenario: &Scenario) -> String {
    match scenario.expected {
        Expected::Holds => "no bug".to_owned(),
        Expected::Fails { kind, anomaly } if kind.to_string() == anomaly => anomaly.to_owned(),
        Expected::Fails { kind, anomaly } => format!("{anomaly} (it shows as a {kind})"),
    }
}

fn verdict_role(scenario: &Scenario) -> Role {
    if scenario.expected == Expected::Holds { Role::Good } else { Role::Bad }
}

/// What the twin is to the scenario.
fn relation(registry: &Registry, scenario: &Scenario) -> &'static str {
    let twin = scenario.twin.and_then(|twin| registry.find(twin));
    match (scenario.expected, twin.map(|twin| twin.expected)) {
        (Expected::Fails { .. }, Some(Expected::Holds)) => "repaired",
        (Expected::Holds, Some(Expected::Fails { .. })) => "repairs",
        _ => "see also",
    }
}

/// A parameter as it may be typed, by way of example.
fn example(scenario: &Scenario) -> String {
    let other = |param: &&Param| param.max > param.default;
    let param = scenario.params.iter().find(other);
    param.map_or_else(String::new, |param| format!(" --param {}={}", param.name, param.default + 1))
}

fn parameter(param: &Param) -> String {
    format!("{}={}: {} ({} to {})", param.name, param.default, param.about, param.min, param.max)
}
