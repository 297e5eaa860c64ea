//! Shorter executions with the same failure: fewest stale reads and other oddities first, then fewest
//! context switches, then fewest steps.
//!
//! Three ways, each validated by running what it proposes and keeping it only if it fails in the
//! same way and is shorter:
//!
//! * small programs: every execution with none, one, two choices other than the default (Lincheck's
//!   way: N. Koval et al., "Lincheck", CAV'23, which exhausts 0, 1, 2 switches) ([`few`]);
//! * stretches of threads are moved together, whole windows first, then a thread's next stretch
//!   pulled back or its last one pushed forward (J. Walker, C. Runciman, "Déjà Fu", Haskell'15)
//!   ([`plan`]);
//! * single choices are put back to the default, batches first (delta debugging).
//!
//! Nothing is drawn, so the result is a function of the failing execution.

mod bounded_search;
pub(crate) mod recording_explorer;
pub(crate) mod schedule_blocks;

use crate::schedule_runner::ScheduleRunner;
use racefuzz_runtime::Record;
use racefuzz_trace::{Choice, Point};
use recording_explorer::{Proposal, RecordingExplorer};
use schedule_blocks::Plan;

/// What an execution costs its reader, what matters most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// Stale reads, faults and other choices that are no threads and not the default. First,
    /// because what an interleaving shows needs no knowledge of memory models to understand.
    oddities: usize,
    switches: usize,
    steps: u32,
    /// Choices other than the default.
    choices: usize,
}

/// A failing execution.
struct Candidate {
    cost: Cost,
    choices: Vec<Choice>,
    plan: Plan,
}

/// Looks for short executions within a budget.
struct Search<'l, 'a> {
    runner: &'l mut ScheduleRunner<'a>,
    identity: u64,
    best: Candidate,
    executions: u32,
    steps: u64,
}

/// Executions a search may take, and steps in all of them together.
const EXECUTIONS: u32 = 2_000;
const STEPS: u64 = 4_000_000;
/// An execution that has so many steps does not end, and the search for a shorter one takes a quarter.
const LONG: u32 = 50_000;

/// Looks for an execution that fails in the same way, with fewer switches.
pub(crate) fn minimise(runner: &mut ScheduleRunner<'_>, identity: u64, choices: &[Choice]) -> Vec<Choice> {
    let Some(best) = attempt(runner, identity, Proposal::Choices(choices)).0 else { return choices.to_vec() };
    let mut search = Search { runner, identity, best, executions: 1, steps: 0 };
    bounded_search::search(&mut search);
    loop {
        let before = search.best.cost;
        schedule_blocks::search(&mut search);
        single_choices(&mut search);
        if search.best.cost == before || search.spent() {
            #[cfg(feature = "tracing")]
            {
                let (tried, Cost { switches, steps, .. }) = (search.executions, search.best.cost);
                let (before, behind) = (choices.len(), search.best.choices.len());
                tracing::debug!(tried, switches, steps, before, behind, "choices made fewer");
            }
            return search.best.choices;
        }
    }
}

/// Runs one proposal: the execution, if it fails in the same way, and what the explorer saw.
fn attempt<'c>(
    runner: &mut ScheduleRunner<'_>,
    identity: u64,
    way: Proposal<'c>,
) -> (Option<Candidate>, RecordingExplorer<'c>, u32) {
    let mut track = RecordingExplorer::new(way);
    let ended = runner.explore(&mut track, Record::Choices);
    let steps = ended.steps;
    if crate::confirm::identity(&ended) != Some(identity) {
        return (None, track, steps);
    }
    let choices = runner.choices().to_vec();
    let cost = Cost {
        switches: track.plan.switches(),
        steps,
        oddities: track.plan.oddities(),
        choices: choices.iter().filter(|choice| !choice.is_default()).count(),
    };
    (Some(Candidate { cost, choices, plan: track.plan.clone() }), track, steps)
}

impl Search<'_, '_> {
    fn spent(&self) -> bool {
        let steps = if self.best.cost.steps >= LONG { STEPS / 4 } else { STEPS };
        self.executions >= EXECUTIONS || self.steps >= steps || self.runner.is_late()
    }

    /// Runs a proposal and keeps it if it is better. Whether it is; and what the explorer saw.
    fn propose<'c>(&mut self, way: Proposal<'c>) -> (bool, RecordingExplorer<'c>) {
        self.executions += 1;
        let (candidate, track, steps) = attempt(self.runner, self.identity, way);
        self.steps += u64::from(steps);
        match candidate {
            Some(candidate) if candidate.cost < self.best.cost => {
                self.best = candidate;
                (true, track)
            }
            _ => (false, track),
        }
    }
}

/// Puts choices back to the default, in batches that are halved.
fn single_choices(search: &mut Search<'_, '_>) {
    let odd = |search: &Search<'_, '_>| -> Vec<usize> {
        let choices = search.best.choices.iter().enumerate();
        choices.filter(|(_, choice)| !choice.is_default()).map(|(index, _)| index).collect()
    };
    let mut batch = odd(search).len();
    while batch > 0 {
        let mut from = 0;
        loop {
            let places = odd(search);
            if from >= places.len() || search.spent() {
                break;
            }
            let mut choices = search.best.choices.clone();
            for place in &places[from..(from + batch).min(places.len())] {
                choices[*place] = Choice::new(choices[*place].point(), 0);
            }
            if !search.propose(Proposal::Choices(&choices)).0 {
                from += batch;
            }
        }
        batch /= 2;
    }
}

/// Whether a choice is one that makes an execution odd.
fn is_side(point: Point) -> bool {
    point != Point::Thread
}
