//! Executions in which threads only go round: whether they keep each other from what they wait for.

use super::finding::{Attempts, Next};
use super::rounds::{LoopState, Wait};
use super::{Event, Explore, Front, INIT, Id, Kind, Standing};
use crate::waiting::{Effect, LONGEST, LoopKey, Loops, is_choice};
use racefuzz_runtime::{Ended, Standstill, Wait as Awaits};
use smallvec::SmallVec;

/// How often a thread that could go on is passed over before it has the next turn.
const MOST_OWED: u32 = 64;

/// Whether threads of the running execution keep each other going round for ever, as far as that was looked
/// at. Threads have the running execution's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Livelock {
    /// Nothing speaks for it.
    #[default]
    None,
    /// It seems so, and what their rounds hide may tell them apart, be it how many there were: they go on for real,
    /// until they end or the steps are used up.
    Doubted(Turns),
}

/// Whose turn it is while threads go on to show whether they are in a livelock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// Whose turn comes next.
    taken: u32,
    /// How often each thread was passed over since it took a turn.
    owed: Vec<u32>,
    /// The loops whose rounds were taken for waits.
    loops: Vec<LoopKey>,
    /// The [rings](LoopKey::ring) of which more rounds in a row are to be explored if their threads end.
    attempted: Vec<u64>,
}

impl Livelock {
    /// Whether threads go on to show whether they are in one.
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self, Self::Doubted(_))
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
            let known = known.filter(|looped| looped.count > 1).map(|looped| looped.length);
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
    /// ended are like that, they may keep each other from what they wait for; or each of them counts, and ends once
    /// it has done its work. So they go on as in their last rounds, to show which.
    pub(super) fn attempted_enough(&mut self, standing: &Standing<'_>) -> LoopState {
        let attempts: SmallVec<[(u32, Attempts); 8]> = (0..self.started as u32)
            .filter(|thread| standing.is_live(self.fronts[*thread as usize].runs_as))
            .map(|thread| (thread, self.attempts(thread, standing)))
            .filter(|(thread, attempts)| attempts.count > 1 || self.is_undone(*thread))
            .collect();
        // What they did last has each of their rounds.
        let length = self.loops.lengths_of_waits().max().unwrap_or(0) as usize;
        let last = |thread: &u32| {
            let ids = &self.graph.threads[*thread as usize];
            SmallVec::from_slice(&ids[ids.len().saturating_sub(length)..])
        };
        let threads: Vec<u32> = attempts.iter().map(|(thread, _)| *thread).collect();
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
        let attempted = attempts.iter().map(|(_, attempts)| attempts.ring).collect();
        self.livelock = Livelock::Doubted(Turns { attempted, ..Turns::default() });
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

    /// The thread that goes on next, where all take turns until they end or the steps are used up. Who would not read
    /// what it read the last time it did the same lets others go first, for a while: so threads that keep each other
    /// going round go on doing so. Who cannot take its turn has it as soon as it can: that a thread is never let on
    /// which often could go on proves nothing.
    pub(super) fn take_turns(&mut self, standing: &Standing<'_>) -> Option<u32> {
        let Livelock::Doubted(turns) = &self.livelock else { return None };
        let (started, taken) = (self.started as u32, turns.taken);
        let is_live = |thread: &u32| standing.is_live(*thread);
        let goes_on = |thread: &u32| is_live(thread) && standing.is_enabled(*thread);
        let is_owed = |thread: &u32| {
            let owed = turns.owed.get(*thread as usize).copied().unwrap_or_default();
            owed >= MOST_OWED && goes_on(thread)
        };
        let in_turn = || (0..started).map(|ahead| (taken + ahead) % started);
        let in_step =
            |thread: &u32| goes_on(thread) && self.reads_the_same(self.threads[*thread as usize], standing);
        let next = in_turn()
            .find(is_owed)
            .or_else(|| in_turn().find(in_step))
            .or_else(|| in_turn().find(goes_on))?;
        let passed: SmallVec<[u32; 8]> =
            in_turn().take_while(|thread| *thread != next).filter(is_live).collect();
        let Livelock::Doubted(turns) = &mut self.livelock else { return None };
        turns.taken = next + 1;
        turns.owed.resize(started as usize, 0);
        for thread in passed {
            // Its turn has come, and it could not take it.
            let owed = if standing.is_enabled(thread) { 1 } else { MOST_OWED };
            let before = &mut turns.owed[thread as usize];
            *before = before.saturating_add(owed);
        }
        turns.owed[next as usize] = 0;
        Some(next)
    }

    /// Whether a thread reads, in what it does next, the word that it read the last time it did that.
    fn reads_the_same(&self, thread: u32, standing: &Standing<'_>) -> bool {
        let Some(place) = self.next_operation(thread, standing).place else { return true };
        let trail = &self.fronts[thread as usize].trail;
        let last = trail.iter().rev().take(LONGEST).position(|earlier| *earlier == place);
        last.is_none_or(|back| {
            let id = self.graph.threads[thread as usize][trail.len() - 1 - back];
            let event = self.graph.event(id);
            event.kind != Kind::Read
                || self.graph.word(event.loc, self.graph.newest(event.loc)) == self.read_word(id)
        })
    }

    /// Threads whose rounds are taken for waits go on for real.
    pub(super) fn doubt(&mut self) {
        let fronts = self.fronts[..self.started].iter();
        let waits = fronts.filter(|front| matches!(front.wait, Wait::Seen(_)));
        let loops = waits.map(|front| front.taken_back.key).collect();
        self.livelock = Livelock::Doubted(Turns { loops, ..Turns::default() });
    }

    /// What is learned of the loops of threads that seemed to be in a livelock, and have ended all the same:
    /// the last of their rounds were no waits, or led on in the end.
    pub(crate) fn refuted(&self, ended: &Ended) -> Option<Loops> {
        let Livelock::Doubted(turns) = &self.livelock else { return None };
        if ended.failure.is_some() {
            return None;
        }
        let mut learned = Loops::default();
        for key in &turns.loops {
            learned.learn(&self.loops.gone_on(*key));
        }
        for ring in &turns.attempted {
            learned.learn(&self.loops.attempted(*ring));
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
