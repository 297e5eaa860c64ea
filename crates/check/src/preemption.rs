//! How many preemptions a class of executions needs.
//!
//! # What a preemption is
//! A schedule takes the turn from a thread that could go on. It is none where the thread has ended,
//! where it waits (for a word that its next operation does not accept, or for the end of another
//! thread), or where it has just given way (a yield, a hint that it spins); Musuvathi & Qadeer,
//! *Iterative Context Bounding*, PLDI'07, and loom count likewise. A schedule of a graph is an order of
//! its events in which the program can execute it: one that respects program order, reads-from,
//! creation and end of threads, and modification order and from-reads where these order a schedule:
//! on ordered locations, and between SeqCst accesses (part of `psc`). Other accesses take their value
//! from any write that was executed, and go to any place: under `rc11` a stale read needs no preemption.
//! What is counted of a class is the least number of preemptions of its schedules. A class without a
//! schedule (RC11 has some in which SeqCst accesses and relaxed ones of the same thread go two ways) is
//! within no bound.
//!
//! # Which graphs may be left out
//! To explore every class of at most `n` preemptions it is not enough to look at the graphs on the way
//! there: these hold events that a later backward revisit takes back, and may need more preemptions
//! than the class itself. Marmanis, Kokologiannakis & Vafeiadis, *Reconciling Preemption Bounding with
//! DPOR*, TACAS'23, allow for that with a slack of as many preemptions as there are threads but two. It
//! relies on sequential consistency, and on threads that are added one after another, each to its end;
//! here a thread that waited goes on as soon as it can, and two threads that hand values to each other
//! may be preempted again and again in a part of a graph that is taken back as a whole.
//!
//! So what is counted is not a graph but what of it can never be taken back, without a slack. That is
//! the prefixes (`porf`) of two kinds of events:
//!
//! * One that was not added maximally: a read, when a newer write than the one it reads was there; a
//!   write, when a newer one was there; a choice of anything but the first. A revisit takes back only
//!   what was added maximally, seen from the events before it and those in the prefix of the write that
//!   revisits. If a revisit does not hold the event in that prefix, it keeps all that was added before
//!   it, the newer write included; so the event is kept, and stays what it is. If it does, the write
//!   that revisits is of the second kind.
//! * A write that is read by a read that was added before it, that is, one that has revisited. While
//!   the read is there, the write was not added maximally, so nothing takes it back. The read is taken
//!   back, or given another write, only by a revisit with a prefix that holds the write: else the read
//!   would not be maximal. That revisit's write is then of this kind, and keeps what is in its prefix.
//!   (Not where the read may turn out to wait: its thread then waits, and is no event that holds the
//!   write.)
//!
//! Whatever is explored from a graph has this part of it, with the same reads-from and the same order
//! of its writes. A schedule of the whole, without the events that are not of the part, is a schedule of
//! the part; no event of a thread is missing between two that are there, so where the turn is taken from
//! a thread of the part, it was taken there in the whole, too; and whether it could have gone on is
//! counted only as far as the part says. So the part needs no more preemptions than any graph that
//! comes of it, and a graph whose part needs more than `n` is left out. What is left is explored; the
//! executions that need more than `n` are seen at their ends, and not counted.
//!
//! # Counting
//! The least number is found by a search over how far each thread is, those with fewer preemptions
//! first. Once a thread has the turn it does not give it up by a preemption before an event that
//! cannot change whether another one waits: to execute it first forbids nothing, and is no dearer.

use crate::graph::{Event, Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_runtime::{Clock, Test};
use racefuzz_trace::MemoryOrder;
use smallvec::SmallVec;
use std::collections::HashSet;

/// States after which a search gives up: the graph then counts as one within the bound, so that it is
/// explored.
const MOST_STATES: usize = 20_000;

/// Whether whatever is explored from a graph needs more preemptions than these.
pub(crate) fn is_beyond(graph: &Graph, most: u32) -> bool {
    let part = settled(graph);
    !Schedules::new(graph, |thread| part.get(thread), false).has_one_within(most)
}

/// Whether a complete graph has a schedule with at most so many preemptions.
pub(crate) fn is_within(graph: &Graph, most: u32) -> bool {
    Schedules::new(graph, |thread| graph.threads[thread as usize].len() as u32, true).has_one_within(most)
}

/// For each thread how many of its events can never be taken back, as far as is known.
fn settled(graph: &Graph) -> Clock {
    let mut part = Clock::default();
    let mut settle = |id: Id| part.join(&graph.event(id).porf);
    let places = places(graph);
    // For each place of a location the oldest event among the writes behind it.
    let mut oldest_newer: Vec<Id> = Vec::new();
    for loc in &graph.locs {
        oldest_newer.clear();
        oldest_newer.resize(loc.mo.len() + 1, Id::MAX);
        for (at, write) in loc.mo.iter().enumerate().rev() {
            oldest_newer[at] = oldest_newer[at + 1].min(*write);
            if oldest_newer[at + 1] < *write {
                settle(*write);
            }
        }
        for read in &loc.reads {
            let rf = graph.event(*read).rf;
            if oldest_newer[if rf == INIT { 0 } else { places[rf as usize] }] < *read {
                settle(*read);
            }
            if rf != INIT && *read < rf && goes_on(graph.event(*read), graph.event(rf)) {
                settle(rf);
            }
        }
    }
    for (id, event) in graph.events.iter().enumerate() {
        if event.choice != 0 {
            settle(id as Id);
        }
    }
    part
}

/// The place of each write in modification order; 0 is the initial one's.
fn places(graph: &Graph) -> Vec<usize> {
    let mut places = vec![0; graph.events.len()];
    for loc in &graph.locs {
        loc.mo.iter().enumerate().for_each(|(at, write)| places[*write as usize] = at + 1);
    }
    places
}

/// Whether a read surely goes on with this write.
fn goes_on(read: &Event, write: &Event) -> bool {
    read.waits == Test::Always || (write.time != 0 && read.waits.holds(write.value))
}

/// How far each thread is, and whose turn it is.
type State = (SmallVec<[u32; 8]>, usize);

/// The schedules of a graph, or of a part of it that holds the prefixes of its events.
struct Schedules<'a> {
    graph: &'a Graph,
    /// The events of each thread.
    events: Vec<&'a [Id]>,
    /// For each event how far other threads have to be before it.
    needs: Vec<SmallVec<[(u32, u32); 2]>>,
    /// Whether it may change what another thread waits for.
    matters: Vec<bool>,
    /// Of an event that waits: whether all writes that may come before it are of the part.
    is_known: Vec<bool>,
}

impl<'a> Schedules<'a> {
    fn new(graph: &'a Graph, count: impl Fn(u32) -> u32, whole: bool) -> Self {
        let events: Vec<&[Id]> = graph
            .threads
            .iter()
            .enumerate()
            .map(|(thread, events)| &events[..(count(thread as u32) as usize).min(events.len())])
            .collect();
        let all = graph.events.len();
        let mut schedules = Self {
            graph,
            events,
            needs: vec![SmallVec::new(); all],
            matters: vec![false; all],
            is_known: vec![whole; all],
        };
        schedules.order_events();
        schedules.order_locations();
        schedules
    }

    fn holds(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        self.events[event.thread as usize].len() > event.po as usize
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
                schedules.holds(id) && (loc.ordered || schedules.graph.event(id).order == MemoryOrder::SeqCst)
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
            // How many writes in a row, from the first on, are each behind what it reads.
            let mut chained = 0;
            for (at, write) in loc.mo.iter().enumerate() {
                if chained == at && self.graph.event(*write).rmw && self.holds(*write) {
                    chained += 1;
                }
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
            for (source, read) in reads {
                self.is_known[read as usize] |= source <= chained;
            }
        }
    }

    fn next(&self, done: &[u32], thread: usize) -> Option<Id> {
        self.events[thread].get(done[thread] as usize).copied()
    }

    /// Both events of a read-modify-write happen at once.
    fn write_with(&self, read: Id) -> Option<Id> {
        let event = self.graph.event(read);
        let next = self.events[event.thread as usize].get(event.po as usize + 1).copied();
        next.filter(|next| event.kind == Kind::Read && event.rmw && self.graph.event(*next).rmw)
    }

    fn is_due(&self, done: &[u32], id: Id) -> bool {
        let reached =
            |id: Id| self.needs[id as usize].iter().all(|(thread, count)| done[*thread as usize] >= *count);
        reached(id) && self.write_with(id).is_none_or(reached)
    }

    /// Whether the turn can be taken from a thread without a preemption.
    fn gives_way(&self, done: &[u32], thread: usize) -> bool {
        let Some(id) = self.next(done, thread) else { return true };
        let event = self.graph.event(id);
        let executed = |id: Id| {
            let event = self.graph.event(id);
            done[event.thread as usize] > event.po
        };
        if event.yields || !self.graph.joins_of(id).all(executed) {
            return true;
        }
        if event.waits == Test::Always || event.loc == NOWHERE {
            return false;
        }
        if !self.is_known[id as usize] {
            return true;
        }
        let loc = self.graph.loc(event.loc);
        let word = match loc.mo.iter().rev().find(|write| executed(**write)) {
            None => loc.initial,
            Some(write) if self.graph.event(*write).time == 0 => return true,
            Some(write) => self.graph.event(*write).value,
        };
        !event.waits.holds(word)
    }

    fn has_one_within(&self, most: u32) -> bool {
        let mut seen: HashSet<State> = HashSet::new();
        let mut states: Vec<State> = vec![(SmallVec::from_elem(0, self.events.len()), 0)];
        let mut dearer: Vec<State> = Vec::new();
        for _ in 0..=most {
            while let Some(state) = states.pop() {
                if seen.len() > MOST_STATES {
                    return true;
                }
                if seen.insert(state.clone()) && self.run(state, &mut states, &mut dearer) {
                    return true;
                }
            }
            std::mem::swap(&mut states, &mut dearer);
        }
        false
    }

    /// Gives a thread the turn, and notes where it may be taken from it, for nothing or by a
    /// preemption. Whether everything was executed.
    fn run(&self, (mut done, thread): State, free: &mut Vec<State>, dearer: &mut Vec<State>) -> bool {
        // Who has just got the turn has no use for giving it up, but for the first thread.
        let mut moved = done.iter().all(|done| *done == 0);
        loop {
            let next = self.next(&done, thread).filter(|id| self.is_due(&done, *id));
            let gives_way = self.gives_way(&done, thread);
            let leaves = match next {
                None => true,
                Some(id) => {
                    let write = self.write_with(id);
                    let matters =
                        self.matters[id as usize] || write.is_some_and(|id| self.matters[id as usize]);
                    moved && (gives_way || matters)
                }
            };
            if leaves {
                let into = if gives_way { &mut *free } else { &mut *dearer };
                for other in (0..self.events.len()).filter(|other| *other != thread) {
                    if self.next(&done, other).is_some_and(|id| self.is_due(&done, id)) {
                        into.push((done.clone(), other));
                    }
                }
            }
            let Some(id) = next else {
                return self.events.iter().zip(&done).all(|(events, done)| events.len() as u32 == *done);
            };
            done[thread] += 1 + u32::from(self.write_with(id).is_some());
            moved = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Explore;
    use crate::options::Options;
    use crate::work_item::WorkItem;
    use racefuzz_oracle::{Sharing, generate, litmus, observed};
    use racefuzz_runtime::{Record, Runner};
    use racefuzz_trace::MemoryModel;

    /// How many graphs of a program are within the bound; what is beyond it is left out, or not.
    fn within(program: &dyn Fn(), memory: MemoryModel, most: u32, leaves_out: bool) -> Option<(u32, u32)> {
        let mut config = Options::default().fuzz().config(&Options::default().settings);
        config.memory = memory;
        let (mut explore, mut runner) = (Explore::new(memory), Runner::new(config));
        explore.preemptions = leaves_out.then_some(most);
        explore.later.push(WorkItem::root());
        let (mut found, mut all) = (0, 0);
        while explore.load_next() {
            runner.run(program, &mut explore, Record::Choices);
            if explore.is_trying() || all > 2_000 {
                return None;
            }
            if explore.is_consistent() {
                found += u32::from(is_within(&explore.graph, most));
                all += 1;
            } else {
                explore.forget();
            }
            explore.seal();
        }
        Some((found, all))
    }

    #[test]
    fn what_is_left_out_leads_nowhere_within_the_bound() {
        let (mut compared, mut seen, mut left_out) = (0, 0, 0);
        for program in litmus().into_iter().chain((0..300).map(generate)) {
            for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
                let run = observed(&program, Sharing::Free, |_| {});
                for most in 0..3 {
                    let Some((expected, all)) = within(&run, memory, most, false) else { continue };
                    let Some((found, some)) = within(&run, memory, most, true) else {
                        panic!("ended before")
                    };
                    assert_eq!(found, expected, "{memory}, {most} preemptions: {program}");
                    compared += 1;
                    seen += some - found;
                    left_out += all - some;
                }
            }
        }
        assert!(compared > 1000 && left_out > 5000, "{compared} compared, {seen} seen, {left_out} left out");
    }
}
