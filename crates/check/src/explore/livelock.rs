//! Executions in which threads only go round: whether they keep each other from what they wait for.

use super::finding::Next;
use super::rounds::{Turn, Wait};
use super::{Explore, Front, INIT, Id, Kind, Standing};
use crate::waiting::{Effect, is_choice};
use racefuzz_runtime::{Ended, Standstill, Wait as Awaits};
use smallvec::SmallVec;

impl Explore {
    /// Whether a thread goes round, wherever in a round it stands, and others have seen its last rounds: in a
    /// loop that is known to wait, or in one whose last rounds read the same and left nothing.
    pub(super) fn is_undone(&self, thread: u32) -> bool {
        let front = &self.fronts[thread as usize];
        let most = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let len = front.trail.len();
        (len.saturating_sub(most)..len).rev().any(|end| {
            let Some(next) = (end..len).find(|at| !is_choice(front.trail[*at])) else { return false };
            let known =
                self.looped(thread, end, Next { place: Some(front.trail[next]), site: front.sites[next] });
            let known = known.filter(|(_, equal)| *equal > 1).map(|(length, _)| length);
            let length = known.or_else(|| {
                (1..=most.min(end / 2)).find(|length| {
                    let round = (end - length) as u32..end as u32;
                    front.trail[end - length] == front.trail[next]
                        && self.is_equal(thread, &round, 1, false)
                        && self.effect(thread, &round).0 != Effect::Lasting
                })
            });
            length.is_some_and(|length| self.seen_rounds(thread, end, length).take(2).count() == 2)
        })
    }

    /// A thread that waits has been seen so often that more of it is not explored. If all that have not
    /// ended are like that, they keep each other from what they wait for.
    pub(super) fn attempted_enough(&mut self, standing: &Standing<'_>) -> Turn {
        let goes_round = |thread: &u32| {
            standing.is_live(self.fronts[*thread as usize].runs_as)
                && (self.attempts(*thread, standing) > 1 || self.is_undone(*thread))
        };
        let looping: Vec<u32> = (0..self.started as u32).filter(goes_round).collect();
        let waits = |thread: u32| {
            let front = &self.fronts[thread as usize];
            !standing.is_live(front.runs_as)
                || !standing.is_enabled(front.runs_as)
                || !matches!(front.wait, Wait::No)
                || looping.contains(&thread)
        };
        // What their last rounds read has been overwritten by rounds of theirs only.
        let length = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let is_among_them = |read: &Id| {
            let event = self.graph.event(*read);
            event.kind != Kind::Read || {
                let mo = &self.graph.loc(event.loc).mo;
                let newer = &mo[self.graph.place(event.loc, event.rf)..];
                newer.iter().all(|write| looping.contains(&self.graph.event(*write).thread))
            }
        };
        let keeps_up = |thread: &u32| {
            let ids = &self.graph.threads[*thread as usize];
            ids[ids.len().saturating_sub(length)..].iter().all(is_among_them)
        };
        if looping.len() > 1 && looping.iter().all(keeps_up) && (0..self.started as u32).all(waits) {
            let threads = looping.iter().map(|thread| self.fronts[*thread as usize].runs_as);
            self.livelocked = threads.collect();
        } else {
            (self.dead, self.bounded) = (true, true);
        }
        Turn::Ends
    }

    /// Whether threads seem to keep each other from what they wait for, but have had locks: what those guard
    /// is no event, and may change from round to round.
    pub(super) fn is_livelock_in_doubt(&self, standing: &Standing<'_>) -> bool {
        let takes_lock = |thread: u32| match &self.fronts[thread as usize].wait {
            Wait::Seen(round) => self.takes_lock(thread, round),
            _ => false,
        };
        !self.is_over()
            && !standing.is_more_than_still()
            && (0..self.started as u32).any(takes_lock)
            && matches!(self.stands_still(standing), Standstill::Livelock(_))
    }

    /// The thread that goes on next, where all take turns until they end or the steps are used up.
    pub(super) fn take_turns(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let started = self.started as u32;
        let last = self.at_large.unwrap_or(started - 1);
        let mut turns = (1..=started).map(|ahead| (last + ahead) % started);
        let next = turns.find(|thread| standing.is_live(*thread) && standing.is_enabled(*thread));
        self.at_large = next.or(Some(last));
        next
    }

    /// Whether what seemed to be a livelock was none: the execution has ended.
    pub(crate) fn is_no_livelock(&self, ended: &Ended) -> bool {
        self.at_large.is_some() && ended.failure.is_none()
    }

    /// How an execution stands in which no thread goes on.
    pub(super) fn stands_still(&self, standing: &Standing<'_>) -> Standstill {
        let waits = |front: &Front| !matches!(front.wait, Wait::No);
        if self.quiet && self.fronts[..self.started].iter().any(waits) {
            return Standstill::Discarded;
        }
        if self.diverged
            || self.at_large.is_some()
            || self.dead
            || self.anew.is_some()
            || self.trial.is_some()
            || self.learned.is_some()
        {
            return Standstill::Discarded;
        }
        if !self.livelocked.is_empty() {
            return Standstill::Livelock(self.livelocked.clone());
        }
        let rounds = |thread: usize| match &self.fronts[thread].wait {
            Wait::Seen(round) => Some(self.ids(thread as u32, round)),
            _ => None,
        };
        let spinning: Vec<usize> = (0..self.started).filter(|thread| rounds(*thread).is_some()).collect();
        let Some(first) = spinning.first() else { return Standstill::Stuck };
        let rounds: Vec<_> = spinning.iter().filter_map(|thread| rounds(*thread)).collect();
        // What a round reads of its own it will have written again.
        let finds_newest = |round: &SmallVec<[Id; 8]>| {
            let again = |id: &Id| self.finds_newest(*id) || round.contains(&self.graph.event(*id).rf);
            round.iter().all(|id| again(id) && self.finds_what_is_guarded(*id, &spinning))
        };
        let newest = rounds.iter().all(finds_newest);
        // The rounds of others may pass through a word that lets a thread on which only looks. Threads that
        // all undo what they do keep each other from it.
        let writes = |loc: u32| {
            let events = rounds.iter().flatten().map(|id| self.graph.event(*id));
            events.filter(move |event| event.kind == Kind::Write && event.loc == loc)
        };
        let looks = |round: &SmallVec<[Id; 8]>| {
            let mut events = round.iter().map(|id| self.graph.event(*id));
            events.clone().all(|event| event.kind != Kind::Write || event.rmw && self.wrote_the_same(event))
                && {
                    events.any(|event| {
                        let read = || self.graph.word(event.loc, event.rf);
                        event.kind == Kind::Read && writes(event.loc).any(|write| write.value != read())
                    })
                }
        };
        let lets_on = |thread: usize| {
            let runs_as = self.fronts[thread].runs_as;
            let Awaits::Word { object, test } = standing.waits_for(runs_as) else { return false };
            standing.is_live(runs_as) && writes(self.loc(object)).any(|event| test.holds(event.value))
        };
        let others = (0..self.started).filter(|thread| !spinning.contains(thread));
        if !newest || rounds.iter().any(looks) || others.into_iter().any(lets_on) {
            return Standstill::Blocked(self.fronts[*first].runs_as);
        }
        Standstill::Livelock(spinning.iter().map(|thread| self.fronts[*thread].runs_as).collect())
    }

    /// Whether an event of a round that takes a lock finds behind it what it found: nobody but threads that
    /// go round has had the lock since, as what it guards is no event.
    fn finds_what_is_guarded(&self, id: Id, spinning: &[usize]) -> bool {
        let event = self.graph.event(id);
        event.kind != Kind::Read || !event.verb.takes_lock() || self.finds_newest_write(id) || {
            let newest = self.graph.newest(event.loc);
            newest != INIT && spinning.contains(&(self.graph.event(newest).thread as usize))
        }
    }
}
