//! Executions in which threads only go round: whether they keep each other from what they wait for.

use super::finding::Next;
use super::rounds::{LoopState, Wait};
use super::{Event, Explore, Front, INIT, Id, Kind, Standing};
use crate::waiting::{Effect, LoopKey, Loops, is_choice};
use racefuzz_runtime::{Ended, Standstill, Wait as Awaits};
use smallvec::SmallVec;

/// Whether threads of the running execution keep each other going round for ever, as far as that was looked
/// at. Threads have the running execution's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Livelock {
    /// Nothing speaks for it.
    #[default]
    None,
    /// These threads do.
    Found(Vec<u32>),
    /// It seems so, and their rounds may hide something: they go on for real, until they end or the steps
    /// are used up.
    Doubted(Turns),
}

/// Whose turn it is while threads go on to show whether they are in a livelock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// How many there were.
    taken: u32,
    /// Whose turns these are, again and again; all threads' if empty.
    order: Vec<u32>,
    /// The loops whose rounds were taken for waits.
    loops: Vec<LoopKey>,
}

impl Livelock {
    /// Whether threads go on to show whether they are in one.
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self, Self::Doubted(_))
    }

    /// Whether there is one.
    pub(super) fn is_found(&self) -> bool {
        matches!(self, Self::Found(_))
    }
}

/// Threads that go round, and what each did in its last rounds.
struct Circle {
    threads: Vec<u32>,
    rounds: Vec<SmallVec<[Id; 8]>>,
}

impl Circle {
    fn holds(&self, thread: u32) -> bool {
        self.threads.contains(&thread)
    }

    fn events<'a>(&'a self, explore: &'a Explore) -> impl Iterator<Item = &'a Event> + 'a {
        self.rounds.iter().flatten().map(|id| explore.graph.event(*id))
    }

    /// The words that its rounds leave at a location or pass through.
    fn words<'a>(&'a self, explore: &'a Explore, loc: u32) -> impl Iterator<Item = u64> + 'a {
        let writes = self.events(explore).filter(move |event| event.kind == Kind::Write && event.loc == loc);
        writes.map(|event| event.value)
    }

    /// Whether what its rounds pass through lets a thread on which is not of it.
    fn lets_others_on(&self, explore: &Explore, standing: &Standing<'_>) -> bool {
        let lets_on = |thread: u32| {
            let runs_as = explore.fronts[thread as usize].runs_as;
            let Awaits::Word { object, test } = standing.waits_for(runs_as) else { return false };
            standing.is_live(runs_as) && self.words(explore, explore.loc(object)).any(|word| test.holds(word))
        };
        (0..explore.started as u32).filter(|thread| !self.holds(*thread)).any(lets_on)
    }

    /// Whether what its threads read was overwritten by themselves only.
    fn keeps_up(&self, explore: &Explore) -> bool {
        self.events(explore).filter(|event| event.kind == Kind::Read).all(|event| {
            let mo = &explore.graph.loc(event.loc).mo;
            let newer = &mo[explore.graph.place(event.loc, event.rf)..];
            newer.iter().all(|write| self.holds(explore.graph.event(*write).thread))
        })
    }

    /// Whether each of its rounds finds what it found when it comes again. What a round reads of its own it
    /// will have written again.
    fn finds_the_same(&self, explore: &Explore) -> bool {
        self.rounds.iter().all(|round| {
            round.iter().all(|id| {
                (explore.finds_newest(*id) || round.contains(&explore.graph.event(*id).rf))
                    && self.finds_what_is_guarded(explore, *id)
            })
        })
    }

    /// Whether an event of a round that takes a lock finds behind it what it found: nobody but threads that
    /// go round has had the lock since, as what it guards is no event.
    fn finds_what_is_guarded(&self, explore: &Explore, id: Id) -> bool {
        let event = explore.graph.event(id);
        event.kind != Kind::Read || !event.verb.takes_lock() || explore.finds_newest_write(id) || {
            let newest = explore.graph.newest(event.loc);
            newest != INIT && self.holds(explore.graph.event(newest).thread)
        }
    }

    /// Whether the rounds of others may pass through a word that lets a thread on which only looks. Threads
    /// that all undo what they do keep each other from it.
    fn has_one_that_looks(&self, explore: &Explore) -> bool {
        self.rounds.iter().any(|round| {
            let mut events = round.iter().map(|id| explore.graph.event(*id));
            events
                .clone()
                .all(|event| event.kind != Kind::Write || event.rmw && explore.wrote_the_same(event))
                && events.any(|event| {
                    let read = || explore.graph.word(event.loc, event.rf);
                    event.kind == Kind::Read && self.words(explore, event.loc).any(|word| word != read())
                })
        })
    }

    /// Its threads in the running execution's numbers.
    fn run_as(&self, explore: &Explore) -> Vec<u32> {
        self.threads.iter().map(|thread| explore.fronts[*thread as usize].runs_as).collect()
    }
}

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
    pub(super) fn attempted_enough(&mut self, standing: &Standing<'_>) -> LoopState {
        let goes_round = |thread: &u32| {
            standing.is_live(self.fronts[*thread as usize].runs_as)
                && (self.attempts(*thread, standing) > 1 || self.is_undone(*thread))
        };
        // What they did last has each of their rounds.
        let length = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let last = |thread: &u32| {
            let ids = &self.graph.threads[*thread as usize];
            SmallVec::from_slice(&ids[ids.len().saturating_sub(length)..])
        };
        let threads: Vec<u32> = (0..self.started as u32).filter(goes_round).collect();
        let circle = Circle { rounds: threads.iter().map(last).collect(), threads };
        let waits = |thread: u32| {
            let front = &self.fronts[thread as usize];
            !standing.is_live(front.runs_as)
                || !standing.is_enabled(front.runs_as)
                || !matches!(front.wait, Wait::No)
                || circle.holds(thread)
        };
        let is_one = circle.threads.len() > 1
            && circle.keeps_up(self)
            && !circle.lets_others_on(self, standing)
            && (0..self.started as u32).all(waits);
        if !is_one {
            (self.dead, self.bounded) = (true, true);
            return LoopState::Ends;
        }
        let hides = |thread: &u32| {
            let front = &self.fronts[*thread as usize];
            let last = front.done.saturating_sub(length as u32)..front.done;
            standing.writes_cells(front.runs_as) || self.takes_lock(*thread, &last)
        };
        self.livelock = if circle.threads.iter().any(hides) {
            // What they guard is no event: they go on as in their last rounds, to show that it does not
            // change.
            let order = self.last_turns(&circle.threads, 2 * length);
            Livelock::Doubted(Turns { order, ..Turns::default() })
        } else {
            Livelock::Found(circle.run_as(self))
        };
        LoopState::Ends
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
        let started = self.started as u32;
        let Livelock::Doubted(turns) = &mut self.livelock else { return None };
        let at = turns.taken;
        turns.taken = at.wrapping_add(1);
        let goes_on = |thread: &u32| standing.is_live(*thread) && standing.is_enabled(*thread);
        let again = turns.order.get(at as usize % turns.order.len().max(1)).copied();
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

    /// Threads whose rounds are taken for waits go on for real.
    pub(super) fn doubt(&mut self) {
        let fronts = self.fronts[..self.started].iter();
        let waits = fronts.filter(|front| matches!(front.wait, Wait::Seen(_)));
        let loops = waits.map(|front| front.taken_back.key).collect();
        self.livelock = Livelock::Doubted(Turns { loops, ..Turns::default() });
    }

    /// What is learned of the loops of threads that seemed to be in a livelock, and have ended all the same:
    /// the last of their rounds were no waits.
    pub(crate) fn refuted(&self, ended: &Ended) -> Option<Loops> {
        let Livelock::Doubted(turns) = &self.livelock else { return None };
        if ended.failure.is_some() {
            return None;
        }
        let mut learned = Loops::default();
        for key in &turns.loops {
            learned.learn(&self.loops.gone_on(*key));
        }
        Some(learned)
    }

    /// How an execution stands in which no thread goes on.
    pub(super) fn stands_still(&self, standing: &Standing<'_>) -> Standstill {
        let waits = |front: &Front| !matches!(front.wait, Wait::No);
        if self.quiet.is_some() && self.fronts[..self.started].iter().any(waits) {
            return Standstill::Discarded;
        }
        if self.diverged
            || self.livelock.is_doubted()
            || self.is_dead_end()
            || self.anew.is_some()
            || self.trial.is_some()
            || self.learned.is_some()
        {
            return Standstill::Discarded;
        }
        if let Livelock::Found(threads) = &self.livelock {
            return Standstill::Livelock(threads.clone());
        }
        let round = |thread: u32| match &self.fronts[thread as usize].wait {
            Wait::Seen(round) => Some((thread, self.ids(thread, round))),
            _ => None,
        };
        let (threads, rounds) = (0..self.started as u32).filter_map(round).unzip();
        let circle = Circle { threads, rounds };
        let Some(first) = circle.threads.first() else { return Standstill::Stuck };
        let is_one = circle.finds_the_same(self)
            && !circle.has_one_that_looks(self)
            && !circle.lets_others_on(self, standing);
        match is_one {
            true => Standstill::Livelock(circle.run_as(self)),
            false => Standstill::Blocked(self.fronts[*first as usize].runs_as),
        }
    }
}
