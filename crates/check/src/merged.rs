//! What the units that are done came to, together, in the order of the exploration.

use crate::graph::Graph;
use crate::options::{Options, Progress};
use crate::recheck::Unrepeatable;
use crate::show::{self, Shower};
use crate::turns::Places;
use crate::unit::{Done, Failed};
use crate::waiting::{Loops, MOST_ATTEMPTS};
use racefuzz_fuzz::decide;
use racefuzz_fuzz::{Limits, Reached, Sight};
use racefuzz_trace::{Engine, Failure, Outcome, Proof, RunReport, Stats, Warning};
use std::collections::BTreeSet;

/// Why an exploration ends before everything is explored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Limit(Reached),
    Enough,
}

impl Cut {
    fn reason(self, options: &Options, limits: &Limits) -> String {
        match self {
            Self::Limit(reached) => limits.words(reached),
            Self::Enough => match options.max_executions {
                Some(1) => "the limit of one execution was reached".to_owned(),
                Some(most) => format!("the limit of {most} executions was reached"),
                None => "enough".to_owned(),
            },
        }
    }
}

/// The results so far.
#[derive(Default)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Merged {
    pub(crate) stats: Stats,
    relaxed: bool,
    bounded: bool,
    rounds_cut: bool,
    /// The first execution of each failure, and how many executions came before it.
    pub(crate) failed: Vec<(Failed, u64)>,
    met: BTreeSet<u64>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    diverged: Option<Graph>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) counts_observed: bool,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) learned: Loops,
    /// What units have learned of loops while they went on, and the loops that units went on without a trial of.
    pub(crate) in_passing: Loops,
    untried: BTreeSet<u64>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) places: Places,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    unrepeatable: Option<(Box<Unrepeatable>, u64)>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    values: Option<String>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    sight: Sight,
    blocked_at: Option<String>,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) cut: Option<Cut>,
    pub(crate) estimate: Option<(f64, f64)>,
    /// Schedules that were sampled besides, and the failure found so.
    pub(crate) sampled: u64,
    #[cfg_attr(feature = "checkpoint", serde(skip))]
    pub(crate) sampled_failure: Option<Failure>,
}

impl Merged {
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            executions: self.stats.executions,
            blocked: self.stats.blocked,
            failing: self.stats.failing,
            estimate: self.estimate,
        }
    }

    /// Whether the program did something else than before, which ends every exploration.
    pub(crate) fn has_diverged(&self) -> bool {
        self.diverged.is_some() || self.unrepeatable.is_some()
    }

    /// Whether everything was explored, and nothing found.
    pub(crate) fn is_proof(&self) -> bool {
        self.cut.is_none()
            && self.failed.is_empty()
            && !self.has_diverged()
            && !(self.bounded || self.rounds_cut)
    }

    /// Learns what units have learned in passing, if one of them went on without: the exploration is to begin anew.
    /// Whether that is so.
    pub(crate) fn learns_from_others(&mut self) -> bool {
        self.in_passing.knows_one_of(&self.untried) && self.learned.learn(&self.in_passing)
    }

    /// Adds what comes next in order.
    pub(crate) fn add(&mut self, done: Done) {
        let before = self.stats.executions;
        self.in_passing.learn(&done.in_passing);
        self.untried.extend(done.untried);
        self.stats.executions += done.executions;
        self.stats.classes += done.executions;
        self.stats.blocked += done.blocked;
        self.stats.failing += done.failing;
        self.stats.steps += done.steps;
        self.stats.abandoned += done.abandoned;
        self.relaxed |= done.relaxed;
        self.bounded |= done.bounded;
        self.rounds_cut |= done.rounds_cut;
        for failed in done.failed {
            if self.met.insert(failed.detected.identity) {
                let index = before + failed.before;
                self.failed.push((failed, index));
            }
        }
        self.diverged = self.diverged.take().or(done.diverged);
        let unrepeatable = done.unrepeatable.map(|found| (before + found.before, found));
        self.unrepeatable = self.unrepeatable.take().or(unrepeatable.map(|(index, found)| (found, index)));
        self.values = self.values.take().or(done.values);
        self.sight.merge(done.sight);
        self.blocked_at = self.blocked_at.take().or(done.blocked_at);
    }

    /// A failure met outside the exploration's order, which ends it.
    pub(crate) fn add_probed(&mut self, failed: Failed) {
        let index = self.stats.executions;
        self.stats.executions += 1;
        self.stats.failing += 1;
        self.failed.push((failed, index));
    }

    /// The report.
    pub(crate) fn conclude(self, options: &Options, limits: &Limits, shower: &Shower<'_>) -> RunReport {
        let mut failures: Vec<Failure> = self
            .failed
            .into_iter()
            .map(|(failed, index)| show::failure(shower, failed.graph, failed.detected, index))
            .chain(self.sampled_failure)
            .collect();
        if let Some(first) = failures.first_mut().filter(|first| first.decision.is_none()) {
            let points = shower.config.count_points;
            first.decision = decide(shower.fuzz, shower.program, shower.guard, first, points);
        }
        let diverged = self.diverged.is_some() || self.unrepeatable.is_some();
        if let Some((found, index)) = self.unrepeatable {
            failures.push(show::fail(shower, found.detected, found.trace, index));
        } else if let Some(graph) = self.diverged {
            failures.push(show::diverged(shower, graph, self.stats.executions));
        }
        let stats = Stats { outcomes: 0, ..self.stats };
        let cut = self.cut.map(|cut| cut.reason(options, limits));
        let (finished, is_bounded) = (cut.is_none() && !diverged, self.bounded || self.rounds_cut);
        let (outcome, stopped) = match cut {
            cut if !failures.is_empty() => (Outcome::Failed, cut),
            Some(why) => (Outcome::Incomplete, Some(why)),
            None if stats.executions > 0 && is_bounded => {
                let most = if self.rounds_cut {
                    "not all of them".to_owned()
                } else {
                    format!("only {MOST_ATTEMPTS} in a row")
                };
                let why = format!(
                    "rounds of a loop that waits matter to its thread or to others, and {most} were explored"
                );
                (Outcome::Incomplete, Some(why))
            }
            None if stats.executions > 0 => (Outcome::Passed, None),
            None => {
                let at = self.blocked_at.map_or_else(String::new, |site| format!(" at {site}"));
                (Outcome::Incomplete, Some(format!("every execution blocks{at}")))
            }
        };
        let explored = finished && (failures.is_empty() || options.keep_going);
        let whole = explored && stats.executions > 0 && !is_bounded;
        let proof = Proof {
            engine: Engine::Graph,
            whole,
            relaxed: self.relaxed,
            preemptions: options.preemptions,
            sampled: self.sampled,
        };
        let mut report = options.report((outcome, stopped), stats, failures, proof);
        report.warnings.extend(self.sight.warning());
        report.warnings.extend(self.values.map(|first| Warning::ValuesDiffer { first }));
        report
    }
}
