//! The execution graph: events with program order, reads-from and modification order.
//!
//! An event's number is its place in the order in which events were added (`<_G` in the TruSt
//! paper), so taking back the last event is cutting off the end. A read-modify-write is two events,
//! a read and, where it succeeds, the write right behind it.

use racefuzz_runtime::Clock;
#[cfg(test)]
use racefuzz_runtime::Test;
use racefuzz_trace::{MemoryOrder, Verb};

/// An event: its place in the order of addition.
pub(crate) type Id = u32;

/// The write of a location's initial value, which is no event of a thread.
pub(crate) const INIT: Id = u32::MAX;

/// No location.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// How an event acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Kind {
    Read,
    Write,
    /// A SeqCst fence; other fences are part of their thread's next event.
    Fence,
    /// A choice of a value.
    Choice,
}

/// One event.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Event {
    /// The thread, in the graph's numbering.
    pub(crate) thread: u32,
    /// The place in program order.
    pub(crate) po: u32,
    pub(crate) kind: Kind,
    pub(crate) loc: u32,
    pub(crate) order: MemoryOrder,
    pub(crate) verb: Verb,
    /// Of a read: the write it reads.
    pub(crate) rf: Id,
    /// A read whose write follows, or that write.
    pub(crate) rmw: bool,
    /// The word written.
    pub(crate) value: u64,
    /// What was chosen, where the event involves a choice.
    pub(crate) choice: u32,
    /// It was put into the graph before it was ever executed.
    pub(crate) fresh: bool,
    /// Its thread gave way before it (a yield, a hint that it spins).
    #[cfg(test)]
    pub(crate) yields: bool,
    /// The words of its location under which it can happen.
    #[cfg(test)]
    pub(crate) waits: Test,
    /// Of a write: how many events read it.
    pub(crate) readers: u32,
    /// A number of its place in the source.
    pub(crate) site: u64,
    /// Its number among the events of its thread, as the runtime counts.
    pub(crate) time: u32,
    /// What happens before it; of an event on an ordered location, including what it learns there.
    pub(crate) before: Clock,
    /// Of a write: what it publishes.
    pub(crate) release: Clock,
    /// Its prefix, itself included: for each thread the number of events before it in
    /// `(po ∪ rf)+`, spawns and joins counted in.
    pub(crate) porf: Clock,
    /// The same for `(po ∪ rf ∪ mo ∪ fr)+`, the latter two on ordered locations. Only where the
    /// graph has such locations.
    pub(crate) ord: Clock,
}

/// A location.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Loc {
    /// Its writes in modification order, without the initial one.
    pub(crate) mo: Vec<Id>,
    /// Its reads, ascending.
    pub(crate) reads: Vec<Id>,
    pub(crate) initial: u64,
    /// How many events read the initial value.
    pub(crate) initial_readers: u32,
    /// All its operations are totally ordered, together with those of other such locations: state
    /// words, and under `sc` everything.
    pub(crate) ordered: bool,
}

impl Loc {
    /// Takes over everything but the events.
    pub(crate) fn copy_facts(&mut self, other: &Self) {
        (self.initial, self.ordered) = (other.initial, other.ordered);
        self.initial_readers = other.initial_readers;
    }
}

/// A thread that was about to read a word it has to wait for, and could not go on.
///
/// In the theory it is a read of the newest write, which is revisited when a newer one comes. It is
/// no event here: the thread waits (Kokologiannakis, Marmanis & Vafeiadis, CAV'23: such revisits can
/// be made in place). What is kept is when it was added and what it read, for whether it was added
/// maximally.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Block {
    pub(crate) thread: u32,
    /// The place in program order of the read.
    pub(crate) po: u32,
    /// The number of events when it was added.
    pub(crate) stamp: u32,
    /// The number of events when it last was seen to wait: what it might have read of those is
    /// explored elsewhere.
    pub(crate) seen: u32,
    pub(crate) rf: Id,
}

/// An execution graph.
#[derive(Debug, Default)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Graph {
    pub(crate) events: Vec<Event>,
    /// The events of each thread in program order.
    pub(crate) threads: Vec<Vec<Id>>,
    pub(crate) locs: Vec<Loc>,
    pub(crate) blocks: Vec<Block>,
    /// Pairs of an event and one of another thread that is before it by a spawn or a join; ascending.
    pub(crate) joins: Vec<(Id, Id)>,
    /// For each thread its parent and its number among the parent's children.
    pub(crate) tree: Vec<(u32, u32)>,
    /// Some location is ordered.
    pub(crate) ordered: bool,
    /// SeqCst accesses to locations that are not ordered, and SeqCst fences.
    pub(crate) seq_cst: u32,
    /// It ends here: no thread goes on but readers, who are [kept out](crate::kept_out).
    pub(crate) kept_out: bool,
}

impl Clone for Graph {
    fn clone(&self) -> Self {
        let mut graph = Self::default();
        graph.clone_from(self);
        graph
    }

    /// Keeps its own memory.
    fn clone_from(&mut self, other: &Self) {
        self.events.clone_from(&other.events);
        self.threads.clone_from(&other.threads);
        self.locs.truncate(other.locs.len());
        let known = self.locs.len();
        for (mine, theirs) in self.locs.iter_mut().zip(&other.locs) {
            mine.mo.clone_from(&theirs.mo);
            mine.reads.clone_from(&theirs.reads);
            mine.copy_facts(theirs);
        }
        self.locs.extend_from_slice(&other.locs[known..]);
        self.blocks.clone_from(&other.blocks);
        self.joins.clone_from(&other.joins);
        self.tree.clone_from(&other.tree);
        (self.ordered, self.seq_cst, self.kept_out) = (other.ordered, other.seq_cst, other.kept_out);
    }
}

/// Whether a prefix holds an event.
#[inline]
pub(crate) fn holds(prefix: &Clock, event: &Event) -> bool {
    prefix.get(event.thread) > event.po
}

impl Graph {
    pub(crate) fn new() -> Self {
        Self { threads: vec![Vec::new()], tree: vec![(u32::MAX, 0)], ..Self::default() }
    }

    #[inline]
    pub(crate) fn event(&self, id: Id) -> &Event {
        &self.events[id as usize]
    }

    #[inline]
    pub(crate) fn event_mut(&mut self, id: Id) -> &mut Event {
        &mut self.events[id as usize]
    }

    #[inline]
    pub(crate) fn loc(&self, loc: u32) -> &Loc {
        &self.locs[loc as usize]
    }

    pub(crate) fn len(&self) -> u32 {
        self.events.len() as u32
    }

    /// The thread that is child number `child` of `parent`; made if it is new.
    pub(crate) fn thread(&mut self, parent: u32, child: u32) -> u32 {
        if let Some(known) = self.tree.iter().position(|place| *place == (parent, child)) {
            return known as u32;
        }
        self.tree.push((parent, child));
        self.threads.push(Vec::new());
        self.tree.len() as u32 - 1
    }

    pub(crate) fn new_loc(&mut self, initial: u64, ordered: bool) -> u32 {
        self.locs.push(Loc { initial, ordered, ..Loc::default() });
        if ordered && !self.ordered {
            self.ordered = true;
            for event in &mut self.events {
                event.ord.copy_from(&event.porf);
            }
        }
        self.locs.len() as u32 - 1
    }

    /// The order in which an execution must run its events.
    #[inline]
    pub(crate) fn run_order<'a>(&self, event: &'a Event) -> &'a Clock {
        if self.ordered { &event.ord } else { &event.porf }
    }

    /// The place of a write in modification order: 0 is the initial one.
    pub(crate) fn place(&self, loc: u32, write: Id) -> usize {
        if write == INIT {
            return 0;
        }
        let mo = &self.loc(loc).mo;
        1 + mo.iter().rposition(|other| *other == write).expect("a write is in its modification order")
    }

    /// The write at a place of modification order.
    #[inline]
    pub(crate) fn write_at(&self, loc: u32, place: usize) -> Id {
        match place {
            0 => INIT,
            place => self.loc(loc).mo[place - 1],
        }
    }

    /// The newest write.
    pub(crate) fn newest(&self, loc: u32) -> Id {
        self.loc(loc).mo.last().copied().unwrap_or(INIT)
    }

    /// The write that comes before this one in modification order.
    pub(crate) fn write_before(&self, write: Id) -> Id {
        let loc = self.event(write).loc;
        self.write_at(loc, self.place(loc, write) - 1)
    }

    /// The word that a location held before this write.
    pub(crate) fn word_before(&self, write: Id) -> u64 {
        self.word(self.event(write).loc, self.write_before(write))
    }

    /// The word a write wrote.
    #[inline]
    pub(crate) fn word(&self, loc: u32, write: Id) -> u64 {
        if write == INIT { self.loc(loc).initial } else { self.event(write).value }
    }

    /// The read of the read-modify-write that reads `write`, and has written.
    pub(crate) fn consumer(&self, loc: u32, write: Id) -> Option<Id> {
        self.readers(loc, write).find(|read| self.event(*read).rmw)
    }

    /// The reads of a write, the newest first.
    pub(crate) fn readers(&self, loc: u32, write: Id) -> impl Iterator<Item = Id> + '_ {
        // Most often they are among the last, and soon all found.
        let reads = self.loc(loc).reads.iter().rev().copied();
        let count = match write {
            INIT => self.loc(loc).initial_readers,
            write => self.event(write).readers,
        };
        reads.filter(move |read| self.event(*read).rf == write).take(count as usize)
    }

    /// Counts a read among the readers of what it reads.
    pub(crate) fn add_reader(&mut self, read: Id) {
        let event = self.event(read);
        let (loc, rf) = (event.loc, event.rf);
        match rf {
            INIT => self.locs[loc as usize].initial_readers += 1,
            rf => self.events[rf as usize].readers += 1,
        }
    }

    /// Adds an event that reads or does not touch a location; its prefixes must be complete but for
    /// what it reads.
    pub(crate) fn add(&mut self, mut event: Event, joins: &[Id]) -> Id {
        let id = self.len();
        self.joins.extend(joins.iter().map(|join| (id, *join)));
        if event.kind == Kind::Read && event.rf != INIT {
            event.porf.join(&self.events[event.rf as usize].porf);
            if self.ordered {
                event.ord.join(&self.events[event.rf as usize].ord);
            }
        }
        event.porf.set(event.thread, event.po + 1);
        if self.ordered {
            event.ord.set(event.thread, event.po + 1);
        }
        if event.order == MemoryOrder::SeqCst && (event.loc == NOWHERE || !self.loc(event.loc).ordered) {
            self.seq_cst += 1;
        }
        self.threads[event.thread as usize].push(id);
        let (kind, loc) = (event.kind, event.loc);
        self.events.push(event);
        if kind == Kind::Read {
            self.locs[loc as usize].reads.push(id);
            self.add_reader(id);
            self.order_read(id);
        }
        id
    }

    /// Adds a write at a place of modification order, 1 being right behind the initial one.
    pub(crate) fn add_write(&mut self, event: Event, joins: &[Id], place: usize) -> Id {
        let loc = event.loc;
        let id = self.add(event, joins);
        self.locs[loc as usize].mo.insert(place - 1, id);
        self.order_write(id, place);
        id
    }

    /// Takes the events from this one on back; each was added in the way that is newest.
    pub(crate) fn truncate(&mut self, first: Id) {
        while self.len() > first {
            let Some(event) = self.events.pop() else { return };
            let id = self.len();
            self.threads[event.thread as usize].pop();
            self.seq_cst -= u32::from(self.counts_as_seq_cst(&event));
            match event.kind {
                Kind::Read => {
                    let loc = &mut self.locs[event.loc as usize];
                    loc.reads.pop();
                    match event.rf {
                        INIT => loc.initial_readers -= 1,
                        rf => self.events[rf as usize].readers -= 1,
                    }
                }
                Kind::Write => self.locs[event.loc as usize].mo.retain(|other| *other != id),
                Kind::Fence | Kind::Choice => {}
            }
        }
        let joins = self.joins.partition_point(|(id, _)| *id < first);
        self.joins.truncate(joins);
        self.blocks.retain(|block| block.seen <= first);
    }

    /// A read of an ordered location is before the write behind the one it reads.
    pub(crate) fn order_read(&mut self, read: Id) {
        let (loc, rf) = (self.event(read).loc, self.event(read).rf);
        if !self.loc(loc).ordered {
            return;
        }
        let place = self.place(loc, rf);
        if let Some(next) = self.loc(loc).mo.get(place).copied() {
            self.order_before(read, next);
        }
    }

    /// A write to an ordered location is behind the one before it and its reads.
    fn order_write(&mut self, write: Id, place: usize) {
        let loc = self.event(write).loc;
        if !self.loc(loc).ordered {
            return;
        }
        let before = self.write_at(loc, place - 1);
        let mut ord = std::mem::take(&mut self.event_mut(write).ord);
        if before != INIT {
            ord.join(&self.event(before).ord);
        }
        for read in self.readers(loc, before) {
            ord.join(&self.event(read).ord);
        }
        self.event_mut(write).ord = ord;
        if let Some(next) = self.loc(loc).mo.get(place).copied() {
            self.order_before(write, next);
        }
    }

    /// An edge from an event without successors to another one.
    fn order_before(&mut self, first: Id, next: Id) {
        let ord = self.event(first).ord.clone();
        let (thread, po) = (self.event(next).thread, self.event(next).po);
        for event in &mut self.events {
            if event.ord.get(thread) > po {
                event.ord.join(&ord);
            }
        }
    }

    /// Events of other threads that are before this one by a spawn or a join.
    pub(crate) fn joins_of(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let from = self.joins.partition_point(|(event, _)| *event < id);
        self.joins[from..].iter().take_while(move |(event, _)| *event == id).map(|(_, join)| *join)
    }

    /// What happens before an event, and itself.
    pub(crate) fn hb(&self, id: Id) -> Clock {
        let event = self.event(id);
        let mut clock = event.before.clone();
        clock.set(event.thread, event.time);
        if event.kind == Kind::Read && event.order.acquires() && event.rf != INIT {
            clock.join(&self.event(event.rf).release);
        }
        clock
    }

    /// The prefix of an event but for itself and what it reads.
    pub(crate) fn porf_before(&self, id: Id) -> Clock {
        let event = self.event(id);
        let mut clock = match event.po {
            0 => Clock::default(),
            po => self.event(self.threads[event.thread as usize][po as usize - 1]).porf.clone(),
        };
        for join in self.joins_of(id) {
            clock.join(&self.event(join).porf);
        }
        clock
    }
}
