//! Backward revisits: a write that is added late may be what an earlier read should have read.
//!
//! Kokologiannakis, Marmanis, Gladstein & Vafeiadis, *Truly Stateless, Optimal Dynamic Partial Order
//! Reduction*, POPL'22, algorithm 1. When a write `a` is added, every read `r` of its location that
//! is not in `a`'s prefix may read it instead. The graph then keeps what was added before `r` and
//! `a`'s prefix, and loses the rest. So that every graph comes up once, this is done only where all
//! that is lost, and `r`, were added *maximally*: the way in which they would be added again first.

use crate::graph::{Block, Event, Graph, INIT, Id, Kind, NOWHERE, holds};
use crate::work_item::Moment;
use racefuzz_runtime::Clock;

/// What a backward revisit keeps of a graph.
pub(crate) struct Kept<'a> {
    graph: &'a Graph,
    /// When the write was about to be added.
    at: Moment,
    read: Id,
    prefix: &'a Clock,
}

impl<'a> Kept<'a> {
    /// What stays where `read` is given a write of this prefix that was about to be added at a moment.
    pub(crate) fn new(graph: &'a Graph, at: Moment, read: Id, prefix: &'a Clock) -> Self {
        Self { graph, at, read, prefix }
    }

    /// Whether an event stays.
    pub(crate) fn keeps(&self, id: Id) -> bool {
        id < self.at.events && (id <= self.read || holds(self.prefix, self.graph.event(id)))
    }

    fn keeps_write(&self, id: Id) -> bool {
        id == INIT || self.keeps(id)
    }

    /// Whether each block that stays has what it read, and so had each that is lost, where it was added.
    pub(crate) fn allows_blocks(&self) -> bool {
        self.graph.blocks[..self.at.blocks as usize].iter().all(|block| self.block_allows(block))
    }

    /// Whether the read of a block is an event that stays because it is in the prefix.
    fn is_in_prefix(&self, block: &Block) -> bool {
        self.prefix.get(block.thread) > block.po
    }

    fn keeps_block(&self, block: &Block) -> bool {
        block.stamp <= self.read || self.is_in_prefix(block)
    }

    /// A block that stays needs what it read; and so does one that is lost, where it was added: since
    /// then it has been given each newer write in place.
    fn block_allows(&self, block: &Block) -> bool {
        if self.is_in_prefix(block) {
            true
        } else if block.stamp <= self.read {
            self.keeps_write(block.rf)
        } else {
            let rf = block.rf;
            rf == INIT || rf < block.stamp || holds(self.prefix, self.graph.event(rf))
        }
    }

    /// The graph without what is lost, and in which the read has no write.
    pub(crate) fn restricted(&self, into: Graph) -> (Graph, Numbers) {
        let blocks =
            self.graph.blocks[..self.at.blocks as usize].iter().filter(|block| self.keeps_block(block));
        self.graph.restrict(into, |id| self.keeps(id), blocks, Some(self.read))
    }
}

/// The reads of a location that a write which is about to be added may revisit, newest first, until
/// `revisit` has seen them all.
///
/// An event that is lost, and the read itself, must have been added maximally. Who was, is the same for
/// every read: so the search ends at the newest event that was not.
pub(crate) fn revisitable(graph: &Graph, loc: u32, prefix: &Clock, mut revisit: impl FnMut(Id)) {
    let lost = Lost { graph, prefix };
    let ends = graph.threads.iter().map(Vec::len);
    let mut left: smallvec::SmallVec<[usize; 8]> = ends.collect();
    loop {
        // The newest event that is not in the prefix and was not looked at.
        let mut newest: Option<(Id, usize)> = None;
        for (thread, end) in left.iter().copied().enumerate() {
            if end > prefix.get(thread as u32) as usize {
                newest = newest.max(Some((graph.threads[thread][end - 1], thread)));
            }
        }
        let Some((id, thread)) = newest else { return };
        if !lost.added_maximally(id) {
            return;
        }
        left[thread] -= 1;
        let event = graph.event(id);
        if event.kind == Kind::Read && event.loc == loc {
            revisit(id);
        }
    }
}

/// The events that a revisit by a write of this prefix loses.
struct Lost<'a> {
    graph: &'a Graph,
    prefix: &'a Clock,
}

impl Lost<'_> {
    /// Whether `id` was there when the event with number `at` was added, or is in the prefix.
    fn was_there(&self, id: Id, at: Id) -> bool {
        id == INIT || id <= at || holds(self.prefix, self.graph.event(id))
    }

    /// Whether a write is the newest of those that were there at `at`.
    fn was_newest(&self, loc: u32, write: Id, at: Id) -> bool {
        let mo = &self.graph.loc(loc).mo;
        for newer in mo.iter().rev() {
            if *newer == write {
                return self.was_there(write, at);
            }
            if self.was_there(*newer, at) {
                return false;
            }
        }
        write == INIT
    }

    fn added_maximally(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        match event.kind {
            Kind::Read => event.choice == 0 && self.was_newest(event.loc, event.rf, id),
            Kind::Write => {
                event.choice == 0
                    && self.was_newest(event.loc, id, id)
                    && !self.graph.readers(event.loc, id).any(|read| self.was_there(read, id))
            }
            Kind::Choice => event.choice == 0,
            Kind::Fence => true,
        }
    }
}

/// What became of the numbers of a graph that lost events.
pub(crate) struct Numbers {
    events: Vec<Id>,
    locs: Vec<u32>,
}

impl Numbers {
    const GONE: Id = u32::MAX - 1;

    /// The event's new number.
    pub(crate) fn event(&self, id: Id) -> Id {
        self.events[id as usize]
    }

    /// The location's new number.
    pub(crate) fn loc(&self, loc: u32) -> u32 {
        if loc == NOWHERE { NOWHERE } else { self.locs[loc as usize] }
    }

    fn keeps(&self, id: Id) -> bool {
        self.event(id) != Self::GONE
    }
}

/// Whether a place lies between a read-modify-write and what it reads.
pub(crate) fn splits(graph: &Graph, loc: u32, place: usize) -> bool {
    graph.loc(loc).mo.get(place - 1).is_some_and(|next| graph.event(*next).rmw)
}

impl Graph {
    /// The graph as it was at a moment since when events were added only.
    pub(crate) fn beginning(&self, at: Moment, mut into: Graph) -> Graph {
        if at.events == self.len() && at.blocks as usize == self.blocks.len() {
            into.clone_from(self);
            return into;
        }
        let count = at.events as usize;
        into.events.truncate(count);
        let known = into.events.len();
        into.events.clone_from_slice(&self.events[..known]);
        into.events.extend_from_slice(&self.events[known..count]);
        into.threads.resize_with(self.threads.len(), Vec::new);
        for (ids, all) in into.threads.iter_mut().zip(&self.threads) {
            ids.clear();
            ids.extend_from_slice(&all[..all.partition_point(|id| *id < at.events)]);
            // A read-modify-write of which only the read was there.
            if let Some(last) = ids.last().map(|last| &mut into.events[*last as usize]) {
                last.rmw &= last.kind != Kind::Read;
            }
        }
        let used = self.locs.iter().rposition(|loc| {
            let there = |id: &Id| *id < at.events;
            loc.reads.first().is_some_and(there) || loc.mo.iter().any(there)
        });
        let locs = &self.locs[..used.map_or(0, |last| last + 1)];
        into.locs.resize_with(locs.len(), Default::default);
        for (loc, all) in into.locs.iter_mut().zip(locs) {
            loc.mo.clear();
            loc.mo.extend(all.mo.iter().copied().filter(|id| *id < at.events));
            loc.reads.clear();
            loc.reads.extend_from_slice(&all.reads[..all.reads.partition_point(|id| *id < at.events)]);
            loc.copy_facts(all);
        }
        into.tree.clone_from(&self.tree);
        into.blocks.clear();
        into.blocks.extend_from_slice(&self.blocks[..at.blocks as usize]);
        into.joins.clear();
        let joins = self.joins.partition_point(|(id, _)| *id < at.events);
        into.joins.extend_from_slice(&self.joins[..joins]);
        (into.ordered, into.seq_cst) = (self.ordered, self.seq_cst);
        for event in &self.events[count..] {
            into.seq_cst -= u32::from(self.counts_as_seq_cst(event));
            if event.kind != Kind::Read {
                continue;
            }
            match event.rf {
                INIT => {
                    if let Some(loc) = into.locs.get_mut(event.loc as usize) {
                        loc.initial_readers -= 1;
                    }
                }
                rf if rf < at.events => into.events[rf as usize].readers -= 1,
                _ => {}
            }
        }
        if into.ordered && into.order_is_stale(None) {
            into.reorder(None);
        }
        into
    }

    /// The graph of the events that are kept, in which `without` reads nothing, and the new numbers.
    ///
    /// What is kept must be closed under `porf`, but for `without`.
    pub(crate) fn restrict<'a>(
        &self,
        into: Graph,
        keep: impl Fn(Id) -> bool,
        blocks: impl Iterator<Item = &'a Block>,
        without: Option<Id>,
    ) -> (Graph, Numbers) {
        let mut numbers = Numbers { events: Vec::with_capacity(self.events.len()), locs: Vec::new() };
        let mut next = 0;
        let mut used = vec![false; self.locs.len()];
        for (id, event) in self.events.iter().enumerate() {
            if !keep(id as Id) {
                numbers.events.push(Numbers::GONE);
                continue;
            }
            if let Some(used) = used.get_mut(event.loc as usize) {
                *used = true;
            }
            numbers.events.push(next);
            next += 1;
        }
        // A location of which nothing is left is made anew where it is met again.
        let mut locs = 0;
        for used in used {
            numbers.locs.push(if used { locs } else { NOWHERE });
            locs += u32::from(used);
        }
        let mut graph = into;
        graph.threads.resize_with(self.threads.len(), Vec::new);
        for (ids, all) in graph.threads.iter_mut().zip(&self.threads) {
            keep_in(ids, all, &numbers);
        }
        graph.locs.resize_with(locs as usize, Default::default);
        for (number, all) in self.locs.iter().enumerate() {
            if numbers.locs[number] == NOWHERE {
                continue;
            }
            let loc = &mut graph.locs[numbers.locs[number] as usize];
            keep_in(&mut loc.mo, &all.mo, &numbers);
            keep_in(&mut loc.reads, &all.reads, &numbers);
            loc.copy_facts(all);
            loc.initial_readers = 0;
        }
        graph.tree.clone_from(&self.tree);
        graph.joins.clear();
        let kept = self.joins.iter().filter(|(id, _)| numbers.keeps(*id));
        graph.joins.extend(kept.map(|(id, join)| (numbers.event(*id), numbers.event(*join))));
        (graph.ordered, graph.seq_cst, graph.kept_out) = (self.ordered, 0, false);
        graph.events.truncate(next as usize);
        graph.events.reserve(next as usize + 4 - graph.events.len());
        for (id, event) in self.events.iter().enumerate() {
            if !numbers.keeps(id as Id) {
                continue;
            }
            let at = numbers.event(id as Id) as usize;
            match graph.events.get_mut(at) {
                Some(slot) => slot.clone_from(event),
                None => graph.events.push(event.clone()),
            }
            let event = &mut graph.events[at];
            event.loc = numbers.loc(event.loc);
            event.readers = 0;
            if event.kind == Kind::Read {
                event.rmw &= self.next_in_thread(id as Id).is_some_and(|write| numbers.keeps(write));
                if without == Some(id as Id) {
                    event.rf = INIT;
                } else if event.rf != INIT {
                    event.rf = numbers.event(event.rf);
                }
            }
            graph.seq_cst += u32::from(graph.counts_as_seq_cst(&graph.events[at]));
        }
        graph.count_readers(without.map(|read| numbers.event(read)));
        graph.blocks.clear();
        for block in blocks {
            let count = |end: u32| {
                numbers.events[..end as usize].iter().filter(|id| **id != Numbers::GONE).count() as u32
            };
            // A block whose read is behind it stays though what was read then may be gone.
            let stays = block.rf != INIT && numbers.keeps(block.rf);
            let rf = if stays { numbers.event(block.rf) } else { INIT };
            let (stamp, seen) = (count(block.stamp), count(block.seen));
            graph.blocks.push(Block { stamp, seen, rf, ..block.clone() });
        }
        (graph, numbers)
    }

    /// Counts the readers of every write, and takes `without` off its location.
    fn count_readers(&mut self, without: Option<Id>) {
        for loc in 0..self.locs.len() {
            if let Some(read) = without.filter(|read| self.event(*read).loc == loc as u32) {
                self.locs[loc].reads.retain(|other| *other != read);
            }
            for at in 0..self.locs[loc].reads.len() {
                self.add_reader(self.locs[loc].reads[at]);
            }
        }
    }

    /// Brings the order of a graph that lost events, and in which `read` has no write, up to date;
    /// false where it has a cycle.
    pub(crate) fn settle(&mut self, read: Id) -> bool {
        let porf = self.porf_before(read);
        let event = self.event_mut(read);
        let (thread, po) = (event.thread, event.po);
        event.porf = porf;
        event.porf.set(thread, po + 1);
        if !self.ordered {
            return true;
        }
        if self.order_is_stale(Some(read)) {
            return self.reorder(Some(read));
        }
        self.order_alone(read);
        true
    }

    pub(crate) fn counts_as_seq_cst(&self, event: &Event) -> bool {
        event.order == racefuzz_trace::MemoryOrder::SeqCst
            && (event.loc == crate::graph::NOWHERE || !self.loc(event.loc).ordered)
    }

    fn next_in_thread(&self, id: Id) -> Option<Id> {
        let event = self.event(id);
        self.threads[event.thread as usize].get(event.po as usize + 1).copied()
    }

    /// Whether the order of some event goes through an event that is not there, or through `without`,
    /// which has no write now.
    pub(crate) fn order_is_stale(&self, without: Option<Id>) -> bool {
        let mut most: smallvec::SmallVec<[u32; 8]> =
            self.threads.iter().map(|thread| thread.len() as u32).collect();
        if let Some(read) = without {
            most[self.event(read).thread as usize] = self.event(read).po;
        }
        let stale = |event: &Event| (0..most.len()).any(|thread| event.ord.get(thread as u32) > most[thread]);
        self.events.iter().enumerate().any(|(id, event)| Some(id as Id) != without && stale(event))
    }

    /// The order of a read that has no write: what is before it in its thread, and itself.
    pub(crate) fn order_alone(&mut self, read: Id) {
        let (thread, po) = (self.event(read).thread, self.event(read).po);
        let mut ord = match po {
            0 => Clock::default(),
            po => self.event(self.threads[thread as usize][po as usize - 1]).ord.clone(),
        };
        for join in self.joins_of(read) {
            ord.join(&self.event(join).ord);
        }
        ord.set(thread, po + 1);
        self.event_mut(read).ord = ord;
    }

    /// Recomputes the order of everything from its edges, of a graph in which `without` has no write;
    /// false where they have a cycle.
    pub(crate) fn reorder(&mut self, without: Option<Id>) -> bool {
        if !self.ordered {
            return true;
        }
        let count = self.events.len();
        let mut edges: Vec<(Id, Id)> = Vec::with_capacity(count * 3);
        for (id, event) in self.events.iter().enumerate() {
            let id = id as Id;
            if event.po > 0 {
                edges.push((self.threads[event.thread as usize][event.po as usize - 1], id));
            }
            if event.kind == Kind::Read && Some(id) != without {
                if event.rf != INIT {
                    edges.push((event.rf, id));
                }
                let loc = self.loc(event.loc);
                if loc.ordered
                    && let Some(next) = loc.mo.get(self.place(event.loc, event.rf))
                    && !(event.rmw && self.next_in_thread(id) == Some(*next))
                {
                    edges.push((id, *next));
                }
            }
        }
        edges.extend(self.joins.iter().map(|(id, join)| (*join, *id)));
        for loc in self.locs.iter().filter(|loc| loc.ordered) {
            edges.extend(loc.mo.windows(2).map(|pair| (pair[0], pair[1])));
        }
        // Kahn's algorithm, the successors of an event lying side by side.
        edges.sort_unstable();
        let mut first = vec![0u32; count + 1];
        let mut waits = vec![0u32; count];
        for (from, to) in &edges {
            first[*from as usize + 1] += 1;
            waits[*to as usize] += 1;
        }
        for id in 0..count {
            first[id + 1] += first[id];
        }
        self.events.iter_mut().for_each(|event| event.ord.clear());
        let mut ready: Vec<Id> = (0..count as Id).filter(|id| waits[*id as usize] == 0).collect();
        let mut done = 0;
        while let Some(id) = ready.pop() {
            done += 1;
            let event = &mut self.events[id as usize];
            let mut ord = std::mem::take(&mut event.ord);
            ord.set(event.thread, event.po + 1);
            for (_, next) in &edges[first[id as usize] as usize..first[id as usize + 1] as usize] {
                self.events[*next as usize].ord.join(&ord);
                waits[*next as usize] -= 1;
                if waits[*next as usize] == 0 {
                    ready.push(*next);
                }
            }
            self.events[id as usize].ord = ord;
        }
        done == count
    }
}

fn keep_in(ids: &mut Vec<Id>, all: &[Id], numbers: &Numbers) {
    ids.clear();
    ids.extend(all.iter().map(|id| numbers.event(*id)).filter(|id| *id != Numbers::GONE));
}
