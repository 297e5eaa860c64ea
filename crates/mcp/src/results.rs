//! What the tools return: small structures, each with a text that says the same.

use crate::command::Failed;
use crate::document::{Explained, Explanation, FixDocument, ListDocument, Row, RunDocument};
use racefuzz_report::{DiskSources, Sources, Style, fix_text, is_typed, patches, proposals};
use racefuzz_trace::{Certainty, Outcome, Trace};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A result that has words.
pub(crate) trait Worded: Serialize + JsonSchema + 'static {
    /// The result as a short text.
    fn words(&self) -> String;
}

/// The scenarios that there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Scenarios {
    scenarios: Vec<Scenario>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Scenario {
    name: String,
    summary: String,
    /// Whether no schedule breaks it.
    holds: bool,
    /// Its parameters' names.
    params: Vec<String>,
}

impl Scenarios {
    pub(crate) fn of(document: &ListDocument) -> Self {
        let text = |value: &Value, key| value[key].as_str().unwrap_or_default().to_owned();
        let scenario = |value: &Value| Scenario {
            name: text(value, "name"),
            summary: text(value, "summary"),
            holds: value["expected"]["holds"].as_bool().unwrap_or(false),
            params: value["params"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|param| text(param, "name"))
                .collect(),
        };
        Self { scenarios: document.scenarios.iter().map(scenario).collect() }
    }
}

impl Worded for Scenarios {
    fn words(&self) -> String {
        let line = |scenario: &Scenario| format!("{}: {}", scenario.name, scenario.summary);
        lines(self.scenarios.iter().map(line), "no scenario")
    }
}

/// What runs and explorations came to, one for each program.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Verdicts {
    verdicts: Vec<Verdict>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Verdict {
    program: String,
    /// `bug`, `verified` (every execution was explored), `no bug found` (schedules were sampled), or `incomplete`.
    verdict: &'static str,
    /// The bound, if it is verified for executions with at most so many preemptions only.
    preemptions: Option<u32>,
    executions: u64,
    failing: u64,
    /// Why it ended early, if it did.
    stopped: Option<String>,
    failures: Vec<Failure>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Failure {
    /// The established name of what went wrong.
    anomaly: String,
    headline: String,
    /// Who did what, and because of what.
    cause: String,
    /// Repeats the failure: see `explain` and `step`.
    token: Option<String>,
}

impl Verdicts {
    pub(crate) fn of(documents: Vec<RunDocument>) -> Self {
        Self { verdicts: documents.into_iter().map(Verdict::of).collect() }
    }
}

impl Verdict {
    fn of(document: RunDocument) -> Self {
        let report = document.report;
        let proof = report.proof.as_ref();
        let verdict = match report.outcome {
            Outcome::Failed => "bug",
            Outcome::Incomplete => "incomplete",
            Outcome::Passed if proof.is_some_and(|proof| proof.whole) => "verified",
            Outcome::Passed => "no bug found",
        };
        let failure = |explained: Explained| Failure {
            anomaly: explained.name,
            headline: explained.explanation.headline,
            cause: explained.explanation.paragraph,
            token: explained.token,
        };
        Self {
            verdict,
            preemptions: proof.and_then(|proof| proof.preemptions),
            executions: report.stats.executions,
            failing: report.stats.failing,
            stopped: report.stopped,
            program: report.program,
            failures: document.explanations.into_iter().map(failure).collect(),
        }
    }
}

impl Worded for Verdicts {
    fn words(&self) -> String {
        let verdict = |verdict: &Verdict| {
            let bound =
                verdict.preemptions.map_or_else(String::new, |most| format!(" up to {most} preemptions"));
            let executions = match verdict.executions {
                1 => "1 execution".to_owned(),
                executions => format!("{executions} executions"),
            };
            let mut text = format!("{}: {}{bound}, {executions}", verdict.program, verdict.verdict);
            if let Some(why) = &verdict.stopped {
                text += &format!(" ({why})");
            }
            for failure in &verdict.failures {
                text += &format!("\n{}\n{}", failure.headline, failure.cause);
                if let Some(token) = &failure.token {
                    text += &format!("\ntoken {token}");
                }
            }
            text
        };
        lines(self.verdicts.iter().map(verdict), "no test has anything to show")
    }
}

/// A failure as a story, with its steps.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Story {
    headline: String,
    cause: String,
    /// Where the failure was decided, and what lets the execution pass, if that is known.
    decision: Option<String>,
    steps: Vec<Step>,
}

/// One step of a failing execution.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Step {
    /// Its number; what is not counted, such as who waits at the end, has none.
    number: Option<u32>,
    thread: Option<String>,
    action: String,
    /// `FILE:LINE`.
    place: Option<String>,
    /// What it has to do with the failure.
    marks: Vec<String>,
}

/// A step, and what there is behind it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Moment {
    step: Step,
    /// How many steps there are.
    of: u32,
    /// The line of the source, if it can be read.
    source: Option<String>,
    /// The objects that the failure is about, with their states.
    states: Vec<ObjectState>,
    /// The step of the same thread before it, and the next one.
    before: Option<u32>,
    next: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ObjectState {
    object: String,
    state: String,
}

/// The failure that a replay has shown.
///
/// # Errors
/// If it has shown none: the program has changed.
fn only(document: RunDocument) -> Result<(Trace, Explanation), Failed> {
    let (failure, explained) =
        (document.report.failures.into_iter().next(), document.explanations.into_iter().next());
    match (failure, explained) {
        (Some(failure), Some(explained)) => Ok((failure.trace, explained.explanation)),
        _ => Err(Failed("the schedule fails no more: the program has changed, or been repaired".to_owned())),
    }
}

impl Step {
    fn of(row: &Row, trace: &Trace, explanation: &Explanation) -> Self {
        let site = row.site.and_then(|site| trace.sites.get(site));
        Self {
            number: row.number,
            thread: row.thread.and_then(|thread| explanation.thread_names.get(thread).cloned()),
            action: row.text.clone(),
            place: site.map(|site| format!("{}:{}", site.file, site.line)),
            marks: row.marks.clone(),
        }
    }

    fn words(&self) -> String {
        let number = self.number.map_or_else(String::new, |number| format!("{number}. "));
        number + &self.without_number()
    }

    fn without_number(&self) -> String {
        let thread = self.thread.as_ref().map_or_else(String::new, |thread| format!("{thread}: "));
        let place = self.place.as_ref().map_or_else(String::new, |place| format!("  ({place})"));
        let marks =
            if self.marks.is_empty() { String::new() } else { format!("  — {}", self.marks.join("; ")) };
        format!("{thread}{}{place}{marks}", self.action)
    }
}

impl Story {
    pub(crate) fn of(document: RunDocument) -> Result<Self, Failed> {
        let (trace, explanation) = only(document)?;
        let steps = explanation.rows.iter().map(|row| Step::of(row, &trace, &explanation)).collect();
        let Explanation { headline, paragraph, decision, .. } = explanation;
        Ok(Self { headline, cause: paragraph, decision, steps })
    }
}

impl Worded for Story {
    fn words(&self) -> String {
        let mut text = format!("{}\n{}\n", self.headline, self.cause);
        text.extend(self.steps.iter().map(|step| format!("{}\n", step.words())));
        text.extend(self.decision.as_deref());
        text.trim_end().to_owned()
    }
}

impl Moment {
    /// The step of a number.
    ///
    /// # Errors
    /// If there is none, or no failure.
    pub(crate) fn of(document: RunDocument, number: u32, folder: &Path) -> Result<Self, Failed> {
        let (trace, explanation) = only(document)?;
        let rows = &explanation.rows;
        let of = rows.iter().filter_map(|row| row.number).max().unwrap_or(0);
        let at = rows.iter().position(|row| row.number == Some(number));
        let Some(at) = at else {
            return Err(Failed(format!(
                "there is no step {number}: the steps shown go up to {of}, and some are folded"
            )));
        };
        let row = &rows[at];
        let same = |other: &&Row| other.thread == row.thread && other.number.is_some();
        let site = row.site.and_then(|site| trace.sites.get(site));
        let sources = sources_in(folder);
        let text = site.and_then(|site| sources.text(&site.file));
        let line = site.and_then(|site| text.as_deref()?.lines().nth((site.line as usize).checked_sub(1)?));
        let names = explanation.objects.iter().map(|object| explanation.object_names.get(*object));
        let states = names
            .zip(&row.states)
            .filter_map(|(name, state)| Some(ObjectState { object: name?.clone(), state: state.clone() }));
        Ok(Self {
            step: Step::of(row, &trace, &explanation),
            of,
            source: line.map(|line| line.trim().to_owned()),
            states: states.collect(),
            before: rows[..at].iter().rev().find(same).and_then(|row| row.number),
            next: rows[at + 1..].iter().find(same).and_then(|row| row.number),
        })
    }
}

impl Worded for Moment {
    fn words(&self) -> String {
        let source = self.source.iter().map(|line| format!("    {line}"));
        let states = self.states.iter().map(|state| format!("{} = {}", state.object, state.state));
        let number = self.step.number.unwrap_or(0);
        let head = format!("step {number} of {}, {}", self.of, self.step.without_number());
        lines([head].into_iter().chain(source).chain(states), "")
    }
}

/// Changes that repair a program.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Repairs {
    program: String,
    /// What is repaired; nothing if no execution fails.
    failure: Option<String>,
    /// Best first.
    repairs: Vec<Repair>,
    notes: Vec<String>,
    /// As a person reads it.
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Repair {
    number: usize,
    kind: &'static str,
    /// `verified`, or `no bug found` where schedules were sampled; `advice` is explored as its words say it, and no
    /// text is the whole of it; a `proposal` is explored by nobody until it is typed in: see `verify_patch`.
    certainty: &'static str,
    /// The whole repair as a unified diff; none if words have to say it.
    patch: Option<String>,
    /// How many of the good schedules it keeps, as `KEPT/ALL`.
    keeps: Option<String>,
    /// How many steps happen at once, in the mean.
    parallelism: Option<f64>,
    notes: Vec<String>,
}

fn certainty(certainty: Certainty, is_typed: bool) -> &'static str {
    match certainty {
        Certainty::Untried => "proposal",
        _ if !is_typed => "advice",
        Certainty::Verified => "verified",
        Certainty::Sampled => "no bug found",
    }
}

impl Repairs {
    pub(crate) fn of(document: FixDocument, folder: &Path) -> Self {
        let report = document.report;
        let sources = sources_in(folder);
        let mut typed = patches(&report, &sources);
        typed.extend(proposals(&report, &sources));
        let repairs = report.fixes.iter().enumerate().map(|(at, fix)| Repair {
            number: at + 1,
            kind: fix.kind.word(),
            certainty: certainty(fix.verdict.certainty, is_typed(fix, &sources)),
            patch: typed.iter().find(|patch| patch.number == at + 1).map(|patch| patch.text.clone()),
            keeps: fix.kept.as_ref().map(|kept| format!("{}/{}", kept.schedules, kept.of)),
            parallelism: fix.parallelism.as_ref().map(|parallelism| parallelism.mean),
            notes: fix.notes.clone(),
        });
        Self {
            repairs: repairs.collect(),
            failure: document.explanation.map(|explanation| explanation.headline),
            text: fix_text(&report, &sources, &Style::default(), &[]),
            notes: report.notes,
            program: report.program,
        }
    }
}

impl Worded for Repairs {
    fn words(&self) -> String {
        self.text.trim_end().to_owned()
    }
}

/// What came of a patch that was typed into a copy of a package.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Patched {
    /// Whether every execution of the tests passes.
    pub(crate) holds: bool,
    /// Whether it compiles.
    pub(crate) compiles: bool,
    /// What was said instead, at its end; nothing if it holds.
    pub(crate) said: Option<String>,
}

impl Worded for Patched {
    fn words(&self) -> String {
        match (self.holds, &self.said) {
            (true, _) => "verified: no execution fails with the patch".to_owned(),
            (false, said) => {
                let why = if self.compiles { "it does not hold" } else { "it does not compile" };
                format!("{why}\n{}", said.as_deref().unwrap_or_default())
            }
        }
    }
}

fn lines(lines: impl Iterator<Item = String>, none: &str) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}

/// The sources of a program that was run in a folder.
fn sources_in(folder: &Path) -> DiskSources {
    DiskSources::in_directories([std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())])
}
