//! Executions in which threads only go round: whether they keep each other from what they wait for.

use super::finding::Next;
use super::rounds::{Turn, Wait};
use super::{Event, Explore, Front, INIT, Id, Kind, Standing};
use crate::waiting::{Effect, Loops, is_choice};
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
            let hides = |thread: &u32| {
                let front = &self.fronts[*thread as usize];
                let last = front.done.saturating_sub(length as u32)..front.done;
                standing.writes_cells(front.runs_as) || self.takes_lock(*thread, &last)
            };
            if looping.iter().any(hides) {
                // What they guard is no event: they go on as in their last rounds, to show that it does not
                // change.
                self.turns = self.last_turns(&looping, 2 * length);
                self.at_large = Some(0);
            } else {
                let threads = looping.iter().map(|thread| self.fronts[*thread as usize].runs_as);
                self.livelocked = threads.collect();
            }
        } else {
            (self.dead, self.bounded) = (true, true);
        }
        Turn::Ends
    }

    /// Whether threads seem to keep each other from what they wait for, but write: what a lock guards, be it
    /// one of their own making, is no event, and may change from round to round.
    pub(super) fn is_livelock_in_doubt(&self, standing: &Standing<'_>) -> bool {
        let writes = |thread: u32| match &self.fronts[thread as usize].wait {
            Wait::Seen(round) => {
                self.ids(thread, round).iter().any(|id| self.graph.event(*id).kind == Kind::Write)
            }
            _ => false,
        };
        !self.is_over()
            && !standing.is_more_than_still()
            && (0..self.started as u32).any(writes)
            && matches!(self.stands_still(standing), Standstill::Livelock(_))
    }

    /// The thread that goes on next, where all take turns until they end or the steps are used up.
    pub(super) fn take_turns(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let at = self.at_large.unwrap_or(0);
        self.at_large = Some(at.wrapping_add(1));
        let goes_on = |thread: &u32| standing.is_live(*thread) && standing.is_enabled(*thread);
        let again = self.turns.get(at as usize % self.turns.len().max(1)).copied();
        let started = self.started as u32;
        again.filter(goes_on).or_else(|| (0..started).map(|ahead| (at + ahead) % started).find(goes_on))
    }

    /// The threads that did the last operations of these, each of which did so many events, in the running
    /// execution's numbers: if their rounds have as many, the same turns lead to the same rounds.
    fn last_turns(&self, looping: &[u32], events: usize) -> Vec<u32> {
        let mut is_last = vec![false; self.graph.events.len()];
        for thread in looping {
            let ids = &self.graph.threads[*thread as usize];
            ids[ids.len().saturating_sub(events)..].iter().for_each(|id| is_last[*id as usize] = true);
        }
        let mut last = crate::linearize::order(&self.graph, None);
        last.retain(|id| is_last[*id as usize]);
        let is_turn =
            |event: &&Event| event.kind != Kind::Choice && !(event.kind == Kind::Write && event.rmw);
        let turns = last.iter().map(|id| self.graph.event(*id)).filter(is_turn);
        turns.map(|event| self.fronts[event.thread as usize].runs_as).collect()
    }

    /// Notes whose rounds are taken for waits.
    pub(super) fn doubt(&mut self) {
        let fronts = self.fronts[..self.started].iter();
        let waits = fronts.filter(|front| matches!(front.wait, Wait::Seen(_)));
        self.doubted = waits.map(|front| front.taken_back.key).collect();
    }

    /// What is learned of the loops of threads that seemed to be in a livelock, and have ended all the same:
    /// the last of their rounds were no waits.
    pub(crate) fn refuted(&self, ended: &Ended) -> Option<Loops> {
        if self.at_large.is_none() || ended.failure.is_some() {
            return None;
        }
        let mut learned = Loops::default();
        for key in &self.doubted {
            learned.learn(&self.loops.told_apart(*key));
        }
        Some(learned)
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
