//! Repairs of a program some of whose executions fail: changes that are tried on all of its executions.

use super::{exhaustive, naming, places};
use crate::request::Changeable;
use racefuzz_fix::{Explored, Go, Graphs, HiddenAccesses, Limit, Options, Task, Verifier, Visit, fix_with};
use racefuzz_trace::{Baseline, Certainty, FORMAT_VERSION, FixReport, Outcome, RunReport, Settings, Verdict};

/// Steps of an execution that has an end, in a program of which all executions can be explored: a change may keep others
/// from ending, which are recorded.
const MOST_STEPS: u32 = 20_000;

/// Searches for them, if an exploration has found that some execution fails.
pub(super) fn search(
    explored: &racefuzz_check::Options,
    found: &RunReport,
    changeable: &Changeable,
    execute: &(dyn Fn() + Sync),
) -> FixReport {
    let Some(first) = found.failures.first() else { return nothing(found) };
    places::ask(changeable.clone());
    let max_steps = explored.settings.max_steps.min(MOST_STEPS);
    let settings = Settings { max_steps, ..explored.settings.clone() };
    let options = Options {
        program: explored.program.clone(),
        settings: settings.clone(),
        max_time: explored.max_time,
        roots: explored.roots.clone(),
        process: true,
        hidden: Some(HiddenAccesses { watch: places::watch, watch_all: places::watch_all }),
        knows_origins: false,
        may_change: places::may_change,
        is_written: places::is_written,
        ..Options::default()
    };
    let limits = options.limits();
    let limit = Limit::new(&limits, &Ends);
    let check = racefuzz_check::Options { settings, max_memory: None, ..explored.clone() };
    let seen = Seen { graphs: Graphs::new(execute, check, limit) };
    let mut report = fix_with(&options, execute, Box::new(seen), limit);
    if report.failure.is_none() {
        // The search has stopped before it came there.
        (report.failure, report.holds) = (Some(first.clone()), None);
    }
    if let Some(failure) = &mut report.failure {
        naming::name_failure(failure, false);
    }
    report.stopped = why_not_seen().or(report.stopped);
    report
}

/// What was met that is not seen, in words.
fn why_not_seen() -> Option<String> {
    Some(format!("not all of it is seen: {}", exhaustive::why_over()?))
}

/// What is said where no execution fails.
fn nothing(found: &RunReport) -> FixReport {
    let executions = found.stats.executions;
    let whole = found.outcome == Outcome::Passed && found.proof.is_some_and(|proof| proof.whole);
    let verdict = Verdict { certainty: Certainty::Verified, memory: found.settings.memory, executions };
    FixReport {
        version: FORMAT_VERSION,
        program: found.program.clone(),
        settings: found.settings.clone(),
        baseline: Baseline { executions, complete: whole, ..Baseline::default() },
        failure: None,
        holds: whole.then_some(verdict),
        no_lock: None,
        fixes: Vec::new(),
        notes: Vec::new(),
        tried: 0,
        executions,
        stopped: why_not_seen().or_else(|| found.stopped.clone()),
    }
}

/// Ends a search where something is met that is not seen.
struct Ends;

impl racefuzz_fix::Observer for Ends {
    fn cancelled(&self) -> bool {
        exhaustive::is_over()
    }
}

/// Explores a program of which all that matters has to be seen.
struct Seen<'a> {
    graphs: Graphs<'a>,
}

impl Verifier for Seen<'_> {
    fn explore(&mut self, task: Task<'_>, visit: &mut dyn FnMut(&Visit<'_>) -> Go) -> Explored {
        let explored = self.graphs.explore(task, visit);
        Explored { complete: explored.complete && !exhaustive::is_over(), ..explored }
    }
}
