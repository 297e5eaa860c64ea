//! The schedules of a complete graph: whether one has few preemptions.
//!
//! The least number is found by a search over how far each thread is, those with fewer preemptions
//! first. Once a thread has the turn it does not give it up by a preemption before an event that
//! cannot change whether another one waits: to execute it first forbids nothing, and is no dearer.

use crate::graph::{Graph, INIT, Id, Kind, NOWHERE};
use crate::waiting::mix;
use racefuzz_runtime::Test;
use racefuzz_trace::MemoryOrder;
use smallvec::SmallVec;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// How far each thread is, and whose turn it is.
type State = (SmallVec<[u32; 8]>, usize);

/// A hash that is had quickly.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for bytes in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// The schedules of a complete graph.
pub(super) struct Schedules<'a> {
    graph: &'a Graph,
    /// The events of each thread.
    events: Vec<&'a [Id]>,
    /// For each event how far other threads have to be before it; both events of a read-modify-write happen
    /// at once, and what the write needs, the read does.
    needs: Vec<SmallVec<[(u32, u32); 2]>>,
    /// Whether it may change what another thread waits for.
    matters: Vec<bool>,
    /// Reads that have a write in the part.
    is_pair: Vec<bool>,
    /// Events that come behind a spawn or a join.
    has_joins: Vec<bool>,
    /// For each thread, and each number of its events, how many there are up to the next one before which
    /// something depends on the schedule: the others need nothing, and change nothing for others.
    stops: Vec<Vec<u32>>,
}

impl<'a> Schedules<'a> {
    /// The schedules of a complete graph.
    pub(super) fn of(graph: &'a Graph) -> Self {
        let events: Vec<&[Id]> = graph.threads.iter().map(Vec::as_slice).collect();
        let all = graph.events.len();
        let mut schedules = Self {
            graph,
            events,
            needs: vec![SmallVec::new(); all],
            matters: vec![false; all],
            is_pair: vec![false; all],
            has_joins: vec![false; all],
            stops: Vec::new(),
        };
        schedules.order_events();
        schedules.order_locations();
        schedules.pair_events();
        schedules.stops = schedules.events.iter().map(|events| schedules.stops_among(events)).collect();
        schedules
    }

    fn pair_events(&mut self) {
        for thread in 0..self.events.len() {
            for pair in self.events[thread].windows(2) {
                let [read, write] = [pair[0], pair[1]];
                let (event, next) = (self.graph.event(read), self.graph.event(write));
                if event.kind == Kind::Read && event.rmw && next.rmw {
                    self.is_pair[read as usize] = true;
                    self.matters[read as usize] |= self.matters[write as usize];
                    let needs = std::mem::take(&mut self.needs[write as usize]);
                    self.needs[read as usize].extend(needs);
                }
            }
        }
    }

    fn stops_among(&self, events: &[Id]) -> Vec<u32> {
        let count = events.len();
        let mut stops: Vec<u32> = (0..=count as u32).collect();
        for at in (0..count).rev() {
            let id = events[at] as usize;
            let event = self.graph.event(events[at]);
            let may_wait = event.yields || self.has_joins[id] || event.waits != Test::Always;
            if !may_wait && !self.matters[id] && self.needs[id].is_empty() {
                stops[at] = stops[at + self.width(events[at]) as usize];
            }
        }
        stops
    }

    /// How many events happen together with this one, itself included.
    fn width(&self, id: Id) -> u32 {
        1 + u32::from(self.is_pair[id as usize])
    }

    fn need(&mut self, id: Id, before: Id) {
        let (event, other) = (self.graph.event(id), self.graph.event(before));
        if event.thread != other.thread {
            self.needs[id as usize].push((other.thread, other.po + 1));
        }
    }

    fn order_events(&mut self) {
        for thread in 0..self.events.len() {
            for id in self.events[thread] {
                let event = self.graph.event(*id);
                if event.kind == Kind::Read && event.rf != INIT {
                    self.need(*id, event.rf);
                }
                for join in self.graph.joins_of(*id).collect::<SmallVec<[Id; 4]>>() {
                    self.has_joins[*id as usize] = true;
                    self.need(*id, join);
                    // The end of a thread.
                    self.matters[join as usize] = true;
                }
            }
        }
    }

    /// Modification order and from-reads, of all events on an ordered location, and of SeqCst events on
    /// another one.
    fn order_locations(&mut self) {
        let places = places(self.graph);
        for loc in &self.graph.locs {
            let counts = |schedules: &Self, id: Id| {
                loc.ordered || schedules.graph.event(id).order == MemoryOrder::SeqCst
            };
            let source = |read: Id| match self.graph.event(read).rf {
                INIT => 0,
                write => places[write as usize],
            };
            let mut reads: SmallVec<[(usize, Id); 16]> =
                loc.reads.iter().filter(|id| counts(self, **id)).map(|read| (source(*read), *read)).collect();
            reads.sort_unstable();
            let is_waited_for = reads.iter().any(|(_, read)| self.graph.event(*read).waits != Test::Always);
            let mut before = None;
            let mut next_read = 0;
            for (at, write) in loc.mo.iter().enumerate() {
                if !counts(self, *write) {
                    continue;
                }
                self.matters[*write as usize] |= is_waited_for;
                if let Some(before) = before {
                    self.need(*write, before);
                }
                while let Some((_, read)) = reads.get(next_read).copied().filter(|(source, _)| *source <= at)
                {
                    self.need(*write, read);
                    next_read += 1;
                }
                before = Some(*write);
            }
        }
    }

    fn next(&self, done: &[u32], thread: usize) -> Option<Id> {
        self.events[thread].get(done[thread] as usize).copied()
    }

    fn is_due(&self, done: &[u32], id: Id) -> bool {
        self.needs[id as usize].iter().all(|(thread, count)| done[*thread as usize] >= *count)
    }

    /// Whether a thread has something to do that can be done now.
    fn can_go_on(&self, done: &[u32], thread: usize) -> bool {
        self.next(done, thread).is_some_and(|id| self.is_due(done, id))
    }

    /// Whether the turn can be taken from a thread without a preemption.
    fn gives_way(&self, done: &[u32], thread: usize) -> bool {
        let Some(id) = self.next(done, thread) else { return true };
        let event = self.graph.event(id);
        let executed = |id: Id| {
            let event = self.graph.event(id);
            done[event.thread as usize] > event.po
        };
        if event.yields || self.has_joins[id as usize] && !self.graph.joins_of(id).all(executed) {
            return true;
        }
        if event.waits == Test::Always || event.loc == NOWHERE {
            return false;
        }
        let loc = self.graph.loc(event.loc);
        let word = match loc.mo.iter().rev().find(|write| executed(**write)) {
            None => loc.initial,
            Some(write) if self.graph.event(*write).time == 0 => return true,
            Some(write) => self.graph.event(*write).value,
        };
        !event.waits.holds(word)
    }

    /// Whether one has at most so many preemptions.
    pub(super) fn has_one_within(&self, most: u32) -> bool {
        let mut seen: HashSet<State, BuildHasherDefault<Mixed>> = HashSet::default();
        let mut states: Vec<State> = vec![(SmallVec::from_elem(0, self.events.len()), 0)];
        let mut dearer: Vec<State> = Vec::new();
        for _ in 0..=most {
            while let Some(state) = states.pop() {
                if seen.insert(state.clone()) && self.run(state, &mut states, &mut dearer) {
                    return true;
                }
            }
            std::mem::swap(&mut states, &mut dearer);
        }
        false
    }

    fn is_all(&self, done: &[u32]) -> bool {
        self.events.iter().zip(done).all(|(events, done)| events.len() as u32 == *done)
    }

    /// Gives a thread the turn, and notes where it may be taken from it, for nothing or by a
    /// preemption. Whether everything was executed.
    fn run(&self, (mut done, thread): State, free: &mut Vec<State>, dearer: &mut Vec<State>) -> bool {
        // Who has just got the turn has no use for giving it up, but for the first thread.
        let mut moved = done.iter().all(|done| *done == 0);
        loop {
            let at = self.stops[thread].get(done[thread] as usize).copied().unwrap_or(done[thread]);
            moved |= at != done[thread];
            done[thread] = at;
            let next = self.next(&done, thread).filter(|id| self.is_due(&done, *id));
            let gives_way = self.gives_way(&done, thread);
            let leaves = next.is_none_or(|id| moved && (gives_way || self.matters[id as usize]));
            if leaves {
                let into = if gives_way { &mut *free } else { &mut *dearer };
                for other in (0..self.events.len()).filter(|other| *other != thread) {
                    if self.can_go_on(&done, other) {
                        into.push((done.clone(), other));
                    }
                }
            }
            let Some(id) = next else { return self.is_all(&done) };
            done[thread] += self.width(id);
            moved = true;
        }
    }
}

/// The place of each write in modification order; 0 is the initial one's.
fn places(graph: &Graph) -> Vec<usize> {
    let mut places = vec![0; graph.events.len()];
    for loc in &graph.locs {
        loc.mo.iter().enumerate().for_each(|(at, write)| places[*write as usize] = at + 1);
    }
    places
}
