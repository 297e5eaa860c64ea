//! An exploration that does not end soon samples first: what some schedules in a thousand show should
//! not take until their graphs come up.
//!
//! One that took rounds of waiting threads back samples last, if it found nothing: what a thread remembers
//! of such rounds is noticed by what it does, in some of its executions (see
//! [`stutter`](crate::explore::stutter)), and in sampled ones every round happens.

use crate::options::Options;
use racefuzz_trace::{Failure, FailureKind, MemoryModel, RunReport, Stats};

/// Schedules sampled, unless they are long.
const MOST: u64 = 1_000;
/// Schedules sampled where they are.
const LEAST: u64 = 50;
/// Steps of all of them together, about: work for a second or two.
const STEPS: u64 = 2_000_000;

/// Whether an exploration samples before it is over: one that is to find every failure, or to end soon,
/// does not, and `tso` cannot be sampled.
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

/// Samples a program of which an exploration has found nothing, under every option: a proof rests on it.
/// What that finds, if not that it does not end, of which the exploration knows more. What `tso` allows is sampled as far as `sc` allows it.
pub(crate) fn besides(
    options: &Options,
    program: &(dyn Fn() + Sync),
    is_over: &(dyn Fn() -> bool + Sync),
    stats: &Stats,
) -> Option<Failure> {
    let mut options = options.clone();
    // Nothing has failed so far: one failure is news enough.
    options.keep_going = false;
    if options.settings.memory == MemoryModel::Tso {
        options.settings.memory = MemoryModel::Sc;
    }
    let (_, failure) = sample(&options, program, is_over, stats.steps / stats.executions.max(1));
    failure.filter(|failure| failure.kind != FailureKind::StepLimit)
}

/// Ends the sampling where the exploration is to end.
struct Cancelled<'a>(&'a (dyn Fn() -> bool + Sync));

impl racefuzz_fuzz::Observer for Cancelled<'_> {
    fn cancelled(&self) -> bool {
        (self.0)()
    }
}
