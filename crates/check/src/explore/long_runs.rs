//! Threads that go on for long while others could.
//!
//! A round that leaves something else in memory than the one before it, as it counts there, say, is no wait: there
//! are as many executions as numbers of rounds. The order in which events are added would let its thread go on for
//! ever all the same, and so would reads of what has long been overwritten. No fair scheduler does the one (M.
//! Musuvathi, S. Qadeer, "Fair stateless model checking", PLDI'08), and no memory in which what is written is seen in
//! the end the other, so neither proves a livelock. So threads take turns of so many events where nothing else
//! says who goes on, and what would go on with old values behind a turn is not explored. Where schedules are explored a
//! thread keeps its turn: there it is not explored what only goes round, and an execution that comes to
//! its last step is no failure. An exploration that leaves out any of these is not called complete.

use super::rounds::{LoopState, Wait};
use super::{Explore, Kind};
use crate::waiting::{Effect, LONGEST};
use racefuzz_runtime::Standing;

/// The events of a turn at the most.
const LONGEST_TURN: u32 = 2_048;

/// The share of the step limit that a turn takes at the most: one in so many.
const TURN_SHARE: u32 = 8;

impl Explore {
    /// Executions have at most so many steps.
    pub(crate) fn limit_steps(&mut self, most: u32) {
        self.longest_turn = LONGEST_TURN.min(most / TURN_SHARE).max(1);
    }

    /// Whether an execution that has come to its last step shows nothing: one thread alone went on in the end, though
    /// others could have, or most of its events were those of its graph, whose order need not be fair.
    pub(crate) fn is_unfair(&self) -> bool {
        let len = self.graph.len();
        let went_alone = |(thread, since)| (since..len).all(|id| self.graph.event(id).thread == thread);
        self.given > len / 2 || self.alone.is_some_and(went_alone)
    }

    /// How many turns a thread has had: who has had fewer goes first. It follows from the graph, as the order in which
    /// events are added has to.
    pub(super) fn turns_had(&self, thread: u32) -> u32 {
        self.fronts[thread as usize].done / self.longest_turn
    }

    /// What becomes of a thread that has had its turn; `None` if that is for others to say.
    pub(super) fn ends_turn(&mut self, thread: u32, standing: &Standing<'_>) -> Option<LoopState> {
        let turns = self.turns_had(thread);
        if turns == self.fronts[thread as usize].turns || self.quiet.is_some() {
            return None;
        }
        self.front(thread).turns = turns;
        let goes_on = |other: u32| {
            let front = &self.fronts[other as usize];
            other != thread && front.moves() && standing.is_enabled(front.runs_as)
        };
        let others = (0..self.started as u32).any(goes_on);
        let is_turn = self.turn().is_some();
        if is_turn {
            self.alone = others.then_some((thread, self.graph.len()));
        }
        let is_cut = self.goes_on_with_old_values(thread) || is_turn && others && self.goes_round(thread);
        if is_cut {
            self.rounds_cut = true;
            if is_turn {
                self.dead = true;
                return Some(LoopState::Ends);
            }
            // Others may still change what it read.
            self.doomed = true;
            self.front(thread).wait = Wait::Never;
            return Some(LoopState::Waits);
        }
        None
    }

    /// Whether a thread whose turn lasts has changed something in it, and does not read in the end what others
    /// had written before.
    fn goes_on_with_old_values(&self, thread: u32) -> bool {
        let ids = &self.graph.threads[thread as usize];
        let turn = &ids[ids.len().saturating_sub(self.longest_turn as usize)..];
        let Some(first) = turn.first() else { return false };
        let is_old = |id: &u32| {
            let event = self.graph.event(*id);
            event.kind == Kind::Read && !self.finds_newest_write(*id) && self.graph.newest(event.loc) < *first
        };
        let changes = |id: &u32| {
            let event = self.graph.event(*id);
            event.kind == Kind::Write && self.graph.word_before(*id) != event.value
        };
        turn.iter().rev().take(LONGEST).any(is_old) && turn.iter().any(changes)
    }

    /// Whether all that a thread has done in its turn were rounds which left something and found of others what the
    /// one before had found.
    fn goes_round(&self, thread: u32) -> bool {
        let window = self.longest_turn as usize;
        let trail = &self.fronts[thread as usize].trail;
        let Some(start) = trail.len().checked_sub(window) else { return false };
        let (turn, ids) = (&trail[start..], &self.graph.threads[thread as usize][start..trail.len()]);
        let finds_the_same = |(now, before): (&u32, &u32)| {
            let (now, before) = (self.graph.event(*now), self.graph.event(*before));
            now.kind != Kind::Read
                || now.rf == before.rf
                || self.is_own(thread, now.rf) && self.is_own(thread, before.rf)
        };
        let length = (1..=LONGEST.min(window / 2)).find(|length| {
            // What the first round found of its own may have been there before.
            turn[*length..] == turn[..window - length]
                && ids[*length..].iter().zip(ids).skip(*length).all(finds_the_same)
        });
        length.is_some_and(|length| {
            let round = (trail.len() - length) as u32..trail.len() as u32;
            self.effect(thread, &round).0 == Effect::Lasting
        })
    }
}
