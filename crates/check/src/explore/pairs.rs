//! Which rounds are held against their absence, and behind what: the pairs of graphs that [stuttering](super::stutter)
//! executions go on from.

use super::finding::{Round, path};
use super::*;
use crate::graph::holds;
use crate::waiting::{LoopKey, mix};
use std::ops::Range;

/// How often a round is held against its absence while that comes to nothing.
const MOST_FOR_NOTHING: u8 = 3;

/// How often while its thread goes on waiting whatever others do, each time with something else before the round.
const MOST_IDLE: u8 = 64;

/// How often a round is held against its absence whatever its thread had done before.
const MOST_PAIRS: u8 = 4;

/// How often that is done where its thread had done the same before.
const PAIRS_OF_A_HISTORY: u8 = 1;

/// Marks numbers of pairs that have the whole past of their round.
const PAST: u64 = 0x7061_7374;

/// In how many orders threads then go on: the first time, later or where that was done for many rounds, and where it
/// was for very many. In every other one the thread that has gone round comes back behind a change by others, half of
/// the time the first, a quarter of the time the second ..., and then goes on before everybody.
pub(super) const ORDERS: [u64; 3] = [32, 8, 2];

/// How many rounds those are, each counted by what it read, and by what its thread had read before.
const MANY: usize = 200;
const VERY_MANY: usize = 1_000;

/// One order more, for so many of these, in which reads may pass over newer writes.
const OLDER_SHARE: u64 = 4;

/// Marks the seeds of orders in which they may.
const PASSES_OVER: u64 = 1 << 63;

/// What came of holding a round against its absence.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
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
    pub(super) with: Graph,
    pub(super) without: Graph,
    round: TakenBack,
    /// What it is counted under: a number of what the round read, and one of what its thread had read before, too.
    examined_as: [u64; 2],
    pub(super) thread: u32,
    events: Range<u32>,
    /// The round once more, if it can be tried.
    pub(super) tries: Option<Round>,
    /// The seeds of the orders in which threads go on with the newest writes.
    seeds: Range<u64>,
    /// Whether overwritten values can be read.
    has_older: bool,
}

impl Pair {
    /// The seeds of all orders in which threads go on: those in which each reads the newest write, and, where others
    /// can be read, some more.
    pub(crate) fn orders(&self) -> impl Iterator<Item = u64> + use<> {
        let all = self.seeds.clone();
        let count = if self.has_older { (all.end - all.start) / OLDER_SHARE } else { 0 };
        let older = all.start..all.start + count;
        all.chain(older.map(|seed| seed | PASSES_OVER))
    }

    /// Whether reads may pass over newer writes in this order.
    pub(crate) fn reads_older(seed: u64) -> bool {
        seed & PASSES_OVER != 0
    }

    /// The seed of the order in which threads take turns in this one.
    pub(super) fn place(seed: u64) -> u64 {
        seed & !PASSES_OVER
    }

    /// The loop whose round it is.
    pub(crate) fn key(&self) -> LoopKey {
        self.round.key
    }

    /// The events of the round, if that is the graph which has them.
    pub(super) fn events(&self, is_with: bool) -> Range<u32> {
        if is_with { self.events.clone() } else { 0..0 }
    }
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
        let examined_as = [round.values, round.history];
        if self.is_to_be_examined(examined_as) {
            let before: Vec<Id> = (0..self.graph.len()).filter(is_before).collect();
            // What others have read of it they cannot have read without it.
            let reads_of_it = |id: &Id| {
                let event = self.graph.event(*id);
                event.kind == Kind::Read && ids.contains(&event.rf) && !ids.contains(id)
            };
            if !before.iter().any(reads_of_it) {
                let number = mix(round.history, number_of(&self.graph, before.iter().copied()));
                self.keep_pair(thread, ended, tries, &before, examined_as, number);
            }
        }
        // What has read what was overwritten by then, or was overwritten itself, cannot do so again.
        let past = past(&self.graph, &ids);
        let others: Vec<Id> =
            past.iter().copied().filter(|id| !holds(&prefix, self.graph.event(*id))).collect();
        if !others.is_empty() {
            let history = mix(round.history, number_of(&self.graph, others.into_iter()));
            self.keep_pair(thread, ended, tries, &past, [mix(round.values, PAST), history], history);
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
        let times = self.examined.get(&values).map_or(0, |examined| u64::from(examined.times));
        let orders = match self.examined.len() {
            0..=MANY if times == 0 => ORDERS[0],
            0..=VERY_MANY => ORDERS[1],
            _ => ORDERS[2],
        };
        let seeds = times * ORDERS[0]..times * ORDERS[0] + orders;
        for number in examined_as {
            let examined = self.examined.entry(number).or_default();
            examined.times = examined.times.saturating_add(1);
        }
        let round = self.fronts[thread as usize].taken_back;
        let (events, tries) = (ended.events.clone(), tries.then(|| ended.clone()));
        let has_older = self.model != MemoryModel::Sc;
        self.pairs.push(Pair { with, without, round, examined_as, thread, events, tries, seeds, has_older });
    }

    /// Whether a round was not yet held against its absence often enough, nor came that to nothing too often.
    fn is_to_be_examined(&self, [values, history]: [u64; 2]) -> bool {
        let is_enough = |number, times| {
            self.examined.get(&number).is_some_and(|examined: &Examined| examined.is_enough(times))
        };
        !is_enough(values, MOST_PAIRS) || !is_enough(history, PAIRS_OF_A_HISTORY)
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
}

/// The events before the last of a round in `(po ∪ rf ∪ mo ∪ fr)+`, and the round, but for what has seen the
/// round; ascending.
fn past(graph: &Graph, round: &[Id]) -> Vec<Id> {
    let (first, last) = (graph.event(round[0]), round[round.len() - 1]);
    let saw_it = |id: Id| holds(&graph.event(id).porf, first) && !round.contains(&id);
    let mut found = vec![false; graph.events.len()];
    let mut left = vec![last];
    while let Some(id) = left.pop() {
        if id == INIT || std::mem::replace(&mut found[id as usize], true) {
            continue;
        }
        let event = graph.event(id);
        left.extend(event.po.checked_sub(1).map(|po| graph.threads[event.thread as usize][po as usize]));
        left.extend(graph.joins_of(id));
        match event.kind {
            Kind::Read => left.push(event.rf),
            Kind::Write => {
                let before = graph.write_before(id);
                left.extend(graph.readers(event.loc, before).chain([before]));
            }
            Kind::Fence | Kind::Choice => {}
        }
    }
    (0..graph.len()).filter(|id| found[*id as usize] && !saw_it(*id)).collect()
}

/// A number of some events, of what each reads or writes, whatever their order.
fn number_of(graph: &Graph, events: impl Iterator<Item = Id>) -> u64 {
    let place = |id: Id| match id {
        INIT => u64::MAX,
        id => mix(path(graph, graph.event(id).thread), u64::from(graph.event(id).po)),
    };
    let number = |id: Id| match graph.event(id) {
        Event { kind: Kind::Read, rf, .. } => mix(place(id), place(*rf)),
        event => mix(place(id), mix(event.value, u64::from(event.choice))),
    };
    events.fold(PAST, |sum, id| sum.wrapping_add(number(id)))
}

/// A number of what a graph's last event has in its whole past, and not in its causal one.
pub(super) fn number_of_past(graph: &Graph) -> u64 {
    let last = graph.len() - 1;
    let prefix = &graph.event(last).porf;
    let others = past(graph, &[last]).into_iter().filter(|id| !holds(prefix, graph.event(*id)));
    number_of(graph, others)
}
