//! Whether a thread remembers rounds that are taken for waits: executions with them are held against ones
//! without.
//!
//! A round that is taken for a wait leaves memory as it was, but the thread may have kept what it read, or
//! counted. So two graphs are kept of an execution in which a thread has ended such a round: what came before
//! it, with the round and without it. Later both are executed, and go on *quietly*: nothing is left of
//! them to be explored. Threads take turns in an order that follows from a seed and from how far each has
//! come, the round left out, and so do their choices. So both come to the same unless the thread acts on what it remembers (they are
//! stuttering equivalent: Lamport, *What good is temporal logic?*, IFIP'83). If they do not, the loop
//! [counts](crate::waiting::Loops::counting).
//!
//! What a thread remembers follows from all that it has read, its history. A round is held against its absence
//! behind each history, and the first few times that a loop's thread reads the same, in other orders each
//! time; where the thread goes on waiting in all of them, behind whatever else came before the round, too. What
//! does not come before the round happens anew, but for what was overwritten when the round ended: who has read
//! it cannot read it again. So a round is also held against its absence behind its whole past. What
//! needs yet another order, or shows only behind several rounds together, is not noticed. That is why such
//! explorations [sample](crate::sample), too.

use super::finding::Round;
use super::taking_back::spurious_failures;
use super::*;
use crate::graph::holds;
use crate::waiting::{LoopKey, Purpose, choice, mix};
use racefuzz_runtime::Ended;
use racefuzz_trace::FailureKind;
use std::ops::Range;

/// How often a round is held against its absence while that comes to nothing.
const MOST_FOR_NOTHING: u8 = 3;

/// How often while its thread goes on waiting whatever others do, each time with something else before the round.
const MOST_IDLE: u8 = 64;

/// How often a round is held against its absence whatever its thread had done before.
const MOST_PAIRS: u8 = 4;

/// Marks numbers of pairs that have the whole past of their round.
const PAST: u64 = 0x7061_7374;

/// How often that is done where its thread had done the same before.
const PAIRS_OF_A_HISTORY: u8 = 1;

/// In how many orders threads then go on, the first time and later.
const ORDERS: [u64; 2] = [16, 2];

/// What came of holding a round against its absence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    /// How often it is or was done.
    times: u8,
    /// How often one of the two executions said nothing.
    nothing: u8,
    /// How often the thread went on waiting.
    idle: u8,
}

impl Examined {
    fn is_enough(self, times: u8) -> bool {
        self.times >= times || self.nothing >= MOST_FOR_NOTHING || self.idle >= MOST_IDLE
    }
}

/// A round that is taken for a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenBack {
    pub(super) key: LoopKey,
    /// A number of its loop and of what it read.
    pub(super) values: u64,
    /// The same with what its thread had read before.
    pub(super) history: u64,
}

/// Two graphs that differ in one round.
#[derive(Debug)]
pub(crate) struct Pair {
    with: Graph,
    without: Graph,
    round: TakenBack,
    /// What it is counted under: a number of what the round read, and one of what its thread had read before, too.
    examined_as: [u64; 2],
    thread: u32,
    events: Range<u32>,
    /// The round once more, if it can be tried.
    tries: Option<Round>,
    /// The seeds of the orders in which threads go on.
    pub(crate) seeds: Range<u64>,
}

impl Pair {
    /// The loop whose round it is.
    pub(crate) fn key(&self) -> LoopKey {
        self.round.key
    }

    /// The events of the round, if that is the graph which has them.
    fn events(&self, is_with: bool) -> Range<u32> {
        if is_with { self.events.clone() } else { 0..0 }
    }
}

/// How one of a pair goes on.
#[derive(Clone, Debug)]
pub(super) struct Quiet {
    /// The thread that has gone round, and the events of its round; none in the graph without.
    thread: u32,
    round: Range<u32>,
    seed: u64,
    /// The thread is to go through more such rounds first.
    tries: Option<Round>,
    /// How many events the thread had executed when the graph had been, as soon as it has.
    begun: Option<u32>,
}

impl Explore {
    /// Keeps two graphs, one with the round that a thread has ended and one without it, if they are to be held
    /// against each other; `tries` says whether the thread can go through more such rounds.
    pub(super) fn leave_pair(&mut self, thread: u32, ended: &Round, tries: bool) {
        let events = &ended.events;
        let round = self.fronts[thread as usize].taken_back;
        if !self.examines {
            return;
        }
        let ids = self.ids(thread, events);
        let Some(last) = ids.last().copied() else { return };
        let prefix = self.graph.event(last).porf.clone();
        // What does not come before the round happens anew, in other orders.
        let is_before = |id: &Id| holds(&prefix, self.graph.event(*id));
        let before: Vec<Id> = (0..self.graph.len()).filter(is_before).collect();
        // What others have read of it they cannot have read without it.
        let reads_of_it = |id: &Id| {
            let event = self.graph.event(*id);
            event.kind == Kind::Read && ids.contains(&event.rf) && !ids.contains(id)
        };
        let number = mix(round.history, self.number_of(before.iter().copied()));
        if !before.iter().any(reads_of_it) {
            self.keep_pair(thread, ended, tries, &before, [round.values, round.history], number);
        }
        // What has read what was overwritten by then, or was overwritten itself, cannot do so again.
        let past = self.past(&ids);
        if past.len() > before.len() {
            let others = past.iter().copied().filter(|id| before.binary_search(id).is_err());
            let (values, history) = (mix(round.values, PAST), mix(round.history, self.number_of(others)));
            self.keep_pair(thread, ended, tries, &past, [values, history], history);
        }
    }

    /// Keeps two graphs of these events, with a round and without it, unless that was done under this `number` or
    /// often enough under those two.
    fn keep_pair(
        &mut self,
        thread: u32,
        ended: &Round,
        tries: bool,
        kept: &[Id],
        examined_as: [u64; 2],
        number: u64,
    ) {
        if !self.is_to_be_examined(examined_as) || self.examined.contains_key(&number) {
            return;
        }
        self.examined.insert(number, Examined::default());
        let ids = self.ids(thread, &ended.events);
        let without = |left_out: &[Id]| {
            let keeps = |id: Id| kept.binary_search(&id).is_ok() && !left_out.contains(&id);
            let (mut graph, _) = self.graph.restrict(Graph::default(), keeps, std::iter::empty(), None);
            graph.reorder(None);
            graph
        };
        let (with, without) = (without(&[]), without(&ids));
        let [values, _] = examined_as;
        let seeds = match self.examined.get(&values).map_or(0, |examined| u64::from(examined.times)) {
            0 => 0..ORDERS[0],
            times => times * ORDERS[0]..times * ORDERS[0] + ORDERS[1],
        };
        for number in examined_as {
            let examined = self.examined.entry(number).or_default();
            examined.times = examined.times.saturating_add(1);
        }
        let round = self.fronts[thread as usize].taken_back;
        let (events, tries) = (ended.events.clone(), tries.then(|| ended.clone()));
        self.pairs.push(Pair { with, without, round, examined_as, thread, events, tries, seeds });
    }

    /// Whether a round was not yet held against its absence often enough, nor came that to nothing too often.
    fn is_to_be_examined(&self, [values, history]: [u64; 2]) -> bool {
        let is_enough = |number, times| {
            self.examined.get(&number).is_some_and(|examined: &Examined| examined.is_enough(times))
        };
        !is_enough(values, MOST_PAIRS) || !is_enough(history, PAIRS_OF_A_HISTORY)
    }

    /// The events before the last of a round in `(po ∪ rf ∪ mo ∪ fr)+`, and the round, but for what has seen the
    /// round; ascending.
    fn past(&self, round: &[Id]) -> Vec<Id> {
        let (first, last) = (self.graph.event(round[0]), round[round.len() - 1]);
        let saw_it = |id: Id| holds(&self.graph.event(id).porf, first) && !round.contains(&id);
        let mut found = vec![false; self.graph.events.len()];
        let mut left = vec![last];
        while let Some(id) = left.pop() {
            if id == INIT || std::mem::replace(&mut found[id as usize], true) {
                continue;
            }
            let event = self.graph.event(id);
            left.extend(
                event.po.checked_sub(1).map(|po| self.graph.threads[event.thread as usize][po as usize]),
            );
            left.extend(self.graph.joins_of(id));
            match event.kind {
                Kind::Read => left.push(event.rf),
                Kind::Write => {
                    let before = self.graph.write_before(id);
                    left.extend(self.graph.readers(event.loc, before).chain([before]));
                }
                Kind::Fence | Kind::Choice => {}
            }
        }
        (0..self.graph.len()).filter(|id| found[*id as usize] && !saw_it(*id)).collect()
    }

    /// A number of some events, of what each reads or writes, whatever their order.
    fn number_of(&self, events: impl Iterator<Item = Id>) -> u64 {
        let place = |id: Id| match id {
            INIT => u64::MAX,
            id => mix(self.path(self.graph.event(id).thread), u64::from(self.graph.event(id).po)),
        };
        let number = |id: Id| match self.graph.event(id) {
            Event { kind: Kind::Read, rf, .. } => mix(place(id), place(*rf)),
            event => mix(place(id), mix(event.value, u64::from(event.choice))),
        };
        events.fold(PAST, |sum, id| sum.wrapping_add(number(id)))
    }

    /// Holding a round against its absence came to nothing; whether it always does, so that nothing is known
    /// of it.
    pub(crate) fn comes_to_nothing(&mut self, pair: &Pair) -> bool {
        for number in pair.examined_as {
            let examined = self.examined.entry(number).or_default();
            examined.nothing = examined.nothing.saturating_add(1);
        }
        let examined = self.examined[&pair.examined_as[0]];
        examined.nothing >= MOST_FOR_NOTHING && examined.nothing == examined.times
    }

    /// The thread of a pair has gone on waiting in all orders: nothing could differ.
    pub(crate) fn was_idle(&mut self, pair: &Pair) {
        for number in pair.examined_as {
            let examined = self.examined.entry(number).or_default();
            (examined.times, examined.idle) =
                (examined.times.saturating_sub(1), examined.idle.saturating_add(1));
        }
    }

    /// Whether the thread of a pair has gone on behind its round.
    pub(crate) fn goes_on_behind_round(&self, pair: &Pair) -> bool {
        let thread = pair.thread as usize;
        self.graph.threads[thread].len() > pair.with.threads[thread].len()
    }

    /// Makes one of a pair the next graph, to be executed quietly.
    pub(crate) fn load_quietly(&mut self, pair: &Pair, is_with: bool, seed: u64) {
        let graph = if is_with { pair.with.clone() } else { pair.without.clone() };
        self.load(Loaded::new(graph, None));
        let (thread, round) = (pair.thread, pair.events(is_with));
        let tries = pair.tries.clone().filter(|_| is_with);
        self.quiet_next = Some(Quiet { thread, round, seed, tries, begun: None });
    }

    /// The thread whose next event is added where one of a pair goes on.
    pub(super) fn extend_quietly(&mut self, standing: &Standing<'_>) -> Option<u32> {
        self.begin_quietly();
        if let Some(thread) = self.trial.as_ref().map(|trial| trial.thread) {
            if self.tries(standing).is_some() {
                return Some(thread);
            }
            self.end_trial();
            if self.is_over() {
                return None;
            }
        }
        let waits = match self.waiting(standing) {
            Ok(waits) => waits,
            Err(next) => return next,
        };
        let quiet = self.quiet.as_ref()?;
        let goes_on = |thread: &u32| {
            !waits[*thread as usize] && standing.is_enabled(self.fronts[*thread as usize].runs_as)
        };
        let rank = |thread: &u32| self.quiet_number(quiet, *thread);
        // Who polls comes last.
        let able = (0..self.started as u32).filter(goes_on);
        let next = able.min_by_key(|thread| (self.is_about_to_poll(*thread, standing), rank(thread)))?;
        self.go(next, standing, None)
    }

    /// A number of the order in which one of a pair goes on and of how far a thread has come in it, the round left
    /// out. Choices do not count: some may have been made in the trial.
    fn quiet_number(&self, quiet: &Quiet, thread: u32) -> u64 {
        let front = &self.fronts[thread as usize];
        let of_round = match thread == quiet.thread {
            true => self.ids(thread, &quiet.round),
            false => SmallVec::new(),
        };
        let counts = |id: &&Id| self.graph.event(**id).kind != Kind::Choice;
        let done = front.done - front.choices - of_round.iter().filter(counts).count() as u32;
        mix(quiet.seed, mix(u64::from(thread), u64::from(done)))
    }

    /// What a thread chooses that goes on quietly: what the first choice leads to may hide what else others could
    /// have done, so that each order has choices of its own. 0 where nobody goes on quietly.
    pub(super) fn chooses_quietly(&self, thread: u32, point: Point, count: u32) -> u32 {
        let Some(quiet) = &self.quiet else { return 0 };
        let begun = quiet.begun.unwrap_or(u32::MAX) as usize;
        let events = self.graph.threads[thread as usize].get(begun..).unwrap_or_default();
        // Behind a round that was tried, what comes next has been chosen in the trial.
        let is_next = events.iter().all(|id| self.graph.event(*id).kind == Kind::Choice);
        if thread == quiet.thread && is_next {
            return 0;
        }
        (mix(self.quiet_number(quiet, thread), choice(point)) % u64::from(count)) as u32
    }

    /// The graph has been executed: its thread goes on, with or without the round.
    fn begin_quietly(&mut self) {
        let Some(quiet) = self.quiet.as_mut().filter(|quiet| quiet.begun.is_none()) else { return };
        let (thread, round) = (quiet.thread, quiet.round.clone());
        quiet.begun = Some(self.fronts[thread as usize].done);
        let tries = quiet.tries.take();
        let ids = self.ids(thread, &round);
        let spurious = spurious_failures(ids.iter().map(|id| self.graph.event(*id)));
        let front = self.front(thread);
        front.spurious -= spurious.min(front.spurious);
        (front.looked, front.seen) = (front.done, front.done);
        let confirm = Purpose::Confirm { often: false };
        self.trial = tries.map(|round| self.trial_of(thread, &round, 0, confirm));
    }

    /// Whether an event is of the round in which one of a pair differs from the other.
    pub(super) fn is_of_round(&self, event: &Event) -> bool {
        let is_of = |quiet: &Quiet| event.thread == quiet.thread && quiet.round.contains(&event.po);
        self.quiet.as_ref().is_some_and(is_of)
    }

    /// How many of a thread's events were executed before one of a pair went on.
    pub(super) fn before_quiet(&self, thread: u32) -> usize {
        let quiet = self.quiet.as_ref().filter(|quiet| quiet.thread == thread);
        quiet.and_then(|quiet| quiet.begun).map_or(0, |begun| begun as usize)
    }

    /// A number of what one of a pair came to, whatever the order of its events, and without the round; `None`
    /// if it says nothing.
    pub(crate) fn came_to(&self, ended: &Ended, pair: &Pair, is_with: bool) -> Option<u64> {
        let left_out = pair.events(is_with);
        let endless = ended.failure.as_ref().is_some_and(|found| found.kind == FailureKind::StepLimit);
        let in_trial = self.trial.is_some();
        if ended.stopped || ended.unseen || self.diverged || in_trial || endless {
            return None;
        }
        let failure = ended.failure.as_ref().map_or(0, |found| mix(found.identity, found.kind as u64));
        let threads = self.graph.threads.iter().zip(0..);
        Some(threads.fold(failure, |sum, (events, thread)| {
            let counts = |id: &&Id| {
                let event = self.graph.event(**id);
                // The choice of what happens anyway may have been made in the trial.
                let is_none = event.kind == Kind::Choice && event.choice == 0;
                !is_none && (thread != pair.thread || !left_out.contains(&event.po))
            };
            let events = events.iter().filter(counts);
            let number = events.fold(self.path(thread), |number, id| mix(number, self.shown(*id)));
            sum.wrapping_add(number)
        }))
    }

    /// A number of what an event does. Addresses may differ, as the thread has perhaps allocated in its round;
    /// and so may the words of locks and channels, which number those that wait, and what nobody looks at.
    fn shown(&self, id: Id) -> u64 {
        let event = self.graph.event(id);
        let word = match event.kind {
            Kind::Read | Kind::Write if !event.verb.is_atomic() => 0,
            _ if self.counts_up(id).is_some() && self.is_statistic(event.loc) => 0,
            Kind::Read => self.graph.word(event.loc, event.rf),
            Kind::Write => event.value,
            Kind::Fence | Kind::Choice => u64::from(event.choice),
        };
        let word = if word > u64::from(u32::MAX) { u64::MAX } else { word };
        let what = (event.verb as u64) << 3 | (event.kind as u64) << 1 | u64::from(event.rmw);
        mix(mix(event.site, what), word)
    }
}
