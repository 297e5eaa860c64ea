//! An exploration that does not end soon samples first: what some schedules in a thousand show should
//! not take until their graphs come up.

use crate::options::Options;
use racefuzz_trace::{Failure, MemoryModel, RunReport};

/// Schedules sampled, unless they are long.
const MOST: u64 = 1_000;
/// Schedules sampled where they are.
const LEAST: u64 = 50;
/// Steps of all of them together, about: work for a second or two.
const STEPS: u64 = 2_000_000;

/// Whether an exploration samples: one that is to find every failure, or to end soon, does not, and
/// `tso` cannot be sampled.
pub(crate) fn is_wanted(options: &Options) -> bool {
    !options.keep_going && options.max_executions.is_none() && options.settings.memory != MemoryModel::Tso
}

/// Samples schedules, the same for every run of a program; `steps` is how many steps its executions
/// have. How many schedules that were, and the failure found, if there is one.
pub(crate) fn sample(
    options: &Options,
    program: &(dyn Fn() + Sync),
    is_over: &(dyn Fn() -> bool + Sync),
    steps: u64,
) -> (u64, Option<Failure>) {
    let iterations = (STEPS / steps.max(1)).clamp(LEAST, MOST);
    let fuzz = racefuzz_fuzz::Options { iterations, workers: 1, enumerates: false, ..options.fuzz() };
    let RunReport { stats, failures, .. } = racefuzz_fuzz::fuzz(&fuzz, program, &Cancelled(is_over));
    (stats.executions, failures.into_iter().next())
}

/// Ends the sampling where the exploration is to end.
struct Cancelled<'a>(&'a (dyn Fn() -> bool + Sync));

impl racefuzz_fuzz::Observer for Cancelled<'_> {
    fn cancelled(&self) -> bool {
        (self.0)()
    }
}
