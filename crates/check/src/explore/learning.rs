//! What is learned of a loop in the middle of an exploration, which then need not begin anew.
//!
//! A loop that was tried and left is no wait: from then on only many equal rounds of it, in a row, are taken for
//! one. Had that been known when the exploration began, all executions so far would have been the same, unless one
//! of them had come to so many rounds of this loop and gone on without a trial, as it held a lock, or as nothing
//! that it had read could be read again. So the exploration goes on with what it knows now, and the execution that
//! was spent on the trial is had again from where it began.
//!
//! Units of work share nothing. Whether one of them has learned what another one went on without is looked at when
//! they are [merged](crate::merged).

use super::finding::Round;
use super::{Explore, WorkItem};
use crate::waiting::{COUNTED_ROUNDS, Loops};
use std::collections::BTreeSet;

/// What a unit of work learns of loops, and where the running execution began.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// What was learned while the exploration went on.
    in_passing: Loops,
    /// Loops whose threads went on, or waited, without a trial: each by its start.
    untried: BTreeSet<u64>,
    /// What the running execution began with, and how much was to be explored behind it.
    origin: Option<(WorkItem, usize)>,
}

impl Explore {
    /// A unit of work begins, with what is known of loops.
    pub(crate) fn begin_unit(&mut self, loops: &Loops) {
        if !self.learning.in_passing.is_empty() {
            self.loops = loops.clone();
        }
        self.learning = Learning::default();
        self.forget_dead_ends();
    }

    /// What the unit of work has learned in passing, and the loops that it went on without a trial of.
    pub(crate) fn end_unit(&mut self) -> (Loops, BTreeSet<u64>) {
        (self.learning.in_passing.clone(), std::mem::take(&mut self.learning.untried))
    }

    /// Notes what the next execution begins with.
    pub(super) fn note_origin(&mut self, item: WorkItem) {
        self.learning.origin = Some((item, self.later.len()));
    }

    /// A thread goes on, or waits, behind a round of a loop that was not tried.
    pub(super) fn goes_untried(&mut self, thread: u32, round: &Round) {
        if (1..COUNTED_ROUNDS).all(|back| self.is_equal(thread, &round.events, back, false)) {
            self.learning.untried.insert(round.key.start);
        }
    }

    /// Takes over what was learned of a loop if the exploration can go on with it.
    pub(crate) fn learns_in_passing(&mut self, learned: &Loops) -> bool {
        let Some(start) = learned.only_no_wait() else { return false };
        if self.loops.knows(start) || self.learning.untried.contains(&start) {
            return false;
        }
        self.loops.learn(learned);
        self.learning.in_passing.learn(learned);
        true
    }

    /// The running execution is had again, from where it began; whether it can be.
    pub(crate) fn is_had_again(&mut self) -> bool {
        let Some((mut item, behind)) = self.learning.origin.take() else { return false };
        // What it left on its way.
        self.later.truncate(behind);
        if let Some(turns) = &mut self.turns {
            turns.forget_running();
        }
        let (loaded, _) = item.next(self.model, &mut self.spare);
        let again = loaded.map(WorkItem::again);
        let is_one = again.is_some();
        self.later.extend(again);
        is_one
    }
}
