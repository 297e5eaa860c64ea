//! What the workers of an exploration share.

use crate::explore::Examined;
use crate::frontier::Frontier;
use crate::keeper::{Keeper, Kept};
use crate::merged::{Cut, Merged};
use crate::options::{Observer, Options};
use crate::turns::Places;
use crate::unit::{Done, Worker};
use crate::waiting::Loops;
use racefuzz_fuzz::Limits;
use racefuzz_runtime::Config;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Of so many executions within a bound at least one is complete, and new, where the bound is worth it.
const FRUITFUL: u64 = 10;

/// What the workers share; looked at once per unit.
pub(super) struct Shared<'a> {
    pub(super) options: &'a Options,
    pub(super) program: &'a (dyn Fn() + Sync),
    pub(super) observer: &'a dyn Observer,
    pub(super) keeper: Option<&'a dyn Keeper>,
    pub(super) config: Config,
    pub(super) loops: Loops,
    pub(super) places: Places,
    /// A number of the program, for the keeper.
    pub(super) fingerprint: u64,
    pub(super) limits: &'a Limits,
    /// Schedules are sampled if the exploration does not end soon.
    pub(super) samples: bool,
    pub(super) patience: Patience,
    pub(super) state: Mutex<State>,
    /// What was found in units that are to be explored again by whoever goes on.
    pub(super) unkept: Mutex<Vec<Done>>,
    pub(super) changed: Condvar,
    pub(super) over: AtomicBool,
    /// It has paused, with more to be done.
    pub(super) paused: AtomicBool,
    /// Executions so far, complete or not.
    pub(super) ran: AtomicU64,
}

/// When an exploration ends, or pauses, although no limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Endless,
    /// Once it has run so many executions, complete or not, it pauses if few of them were complete ones that
    /// had not been counted before.
    Pauses(u64),
    /// It ends where more executions than these are to be expected, or were complete.
    Few(u64),
}

impl Patience {
    /// Whether an exploration pauses that has run so many executions, and counted so many.
    pub(super) fn pauses(self, ran: u64, counted: u64) -> bool {
        matches!(self, Self::Pauses(most) if ran >= most && counted < ran / FRUITFUL)
    }

    /// Whether one goes on that is expected to have so many. An unknown number is no small one.
    pub(super) fn allows(self, expected: f64) -> bool {
        match self {
            Self::Few(most) => expected <= most as f64,
            Self::Endless | Self::Pauses(_) => true,
        }
    }
}

/// How far it is.
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct State {
    pub(crate) frontier: Frontier,
    pub(crate) merged: Merged,
    /// How often the first unit has held rounds against their absence.
    pub(crate) examined: BTreeMap<u64, Examined>,
}

impl Shared<'_> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many explore side by side. Within a bound it is one, which knows where it has been.
    pub(super) fn workers(&self) -> usize {
        if self.options.preemptions.is_some() { 1 } else { self.options.workers.max(1) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// After how many executions it has paused, if it has; it may go on then.
    pub(super) fn has_paused(&mut self) -> Option<u64> {
        let has_paused = std::mem::take(self.paused.get_mut());
        *self.over.get_mut() &= !has_paused;
        has_paused.then_some(*self.ran.get_mut())
    }

    /// Complete executions after which it ends.
    pub(super) fn most(&self) -> Option<u64> {
        match self.patience {
            Patience::Few(few) => Some(self.options.max_executions.map_or(few, |most| most.min(few))),
            Patience::Endless | Patience::Pauses(_) => self.options.max_executions,
        }
    }

    /// What it came to.
    pub(super) fn into_merged(self) -> Merged {
        let State { mut merged, frontier, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if matches!(merged.cut, Some(Cut::Limit(_))) {
            // A bug found always wins, wherever it was found.
            let unkept = self.unkept.into_inner().unwrap_or_else(PoisonError::into_inner);
            frontier
                .into_done()
                .chain(unkept)
                .filter(|done| !done.failed.is_empty())
                .for_each(|done| merged.add(done));
        }
        merged
    }

    pub(super) fn cut(&self) -> Option<Cut> {
        self.limits.reached(|| self.observer.cancelled()).map(Cut::Limit)
    }

    pub(super) fn keep(&self, state: &State, worker: &mut Worker, finally: bool) {
        if let Some(keeper) = self.keeper
            && (finally || keeper.is_due())
        {
            let count_points = self.config.count_points;
            let (fingerprint, loops) = (self.fingerprint, &self.loops);
            let turns = worker.turns().map(|turns| &*turns);
            keeper.keep(&Kept { fingerprint, count_points, loops, turns, state });
        }
    }
}
