//! Backward revisits: a write that is added late may be what an earlier read should have read.
//!
//! Kokologiannakis, Marmanis, Gladstein & Vafeiadis, *Truly Stateless, Optimal Dynamic Partial Order
//! Reduction*, POPL'22, algorithm 1. When a write `a` is added, every read `r` of its location that
//! is not in `a`'s prefix may read it instead. The graph then keeps what was added before `r` and
//! `a`'s prefix, and loses the rest. So that every graph comes up once, this is done only where all
//! that is lost, and `r`, were added *maximally*: the way in which they would be added again first.

use crate::graph::{Block, Event, Graph, INIT, Id, Kind, holds};
use racefuzz_runtime::Clock;

/// A read that is about to be revisited, with the prefix of the write.
pub(crate) struct Revisit<'a> {
    graph: &'a Graph,
    read: Id,
    prefix: &'a Clock,
}

impl<'a> Revisit<'a> {
    pub(crate) fn new(graph: &'a Graph, read: Id, prefix: &'a Clock) -> Self {
        Self { graph, read, prefix }
    }

    /// Whether an event stays.
    pub(crate) fn keeps(&self, id: Id) -> bool {
        id <= self.read || holds(self.prefix, self.graph.event(id))
    }

    fn keeps_write(&self, id: Id) -> bool {
        id == INIT || self.keeps(id)
    }

    /// Whether the read and all that is lost were added maximally.
    pub(crate) fn is_maximal(&self) -> bool {
        let graph = self.graph;
        (self.read..graph.len())
            .filter(|id| *id == self.read || !self.keeps(*id))
            .all(|id| self.added_maximally(id))
            && graph.blocks.iter().all(|block| self.block_allows(block))
    }

    /// Whether `id` was there when the event with number `at` was added, or is in the prefix.
    fn was_there(&self, id: Id, at: Id) -> bool {
        id == INIT || id <= at || holds(self.prefix, self.graph.event(id))
    }

    /// Whether a write is the newest of those that were there at `at`.
    fn was_newest(&self, loc: u32, write: Id, at: Id) -> bool {
        let place = self.graph.place(loc, write);
        self.was_there(write, at)
            && !self.graph.loc(loc).mo[place..].iter().any(|newer| self.was_there(*newer, at))
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

    /// The graph without what is lost. The read still has its number, `None` where it is not
    /// consistent any more.
    pub(crate) fn restricted(&self, into: Graph) -> (Graph, Vec<Id>) {
        self.graph.restrict(into, |id| self.keeps(id), |block| self.keeps_block(block))
    }
}

impl Graph {
    /// The graph of the events that are kept, and for each event its new number.
    ///
    /// What is kept must be closed under `porf`, but for reads whose write is lost: they are to be
    /// given another one.
    pub(crate) fn restrict(
        &self,
        into: Graph,
        keep: impl Fn(Id) -> bool,
        keep_block: impl Fn(&Block) -> bool,
    ) -> (Graph, Vec<Id>) {
        const GONE: Id = u32::MAX - 1;
        let mut number = Vec::with_capacity(self.events.len());
        let mut next = 0;
        for id in 0..self.len() {
            if keep(id) {
                number.push(next);
                next += 1;
            } else {
                number.push(GONE);
            }
        }
        let renumber = |id: Id| if id == INIT { INIT } else { number[id as usize] };
        let mut graph = into;
        graph.threads.resize_with(self.threads.len(), Vec::new);
        for (ids, all) in graph.threads.iter_mut().zip(&self.threads) {
            keep_in(ids, all, &number);
        }
        graph.locs.resize_with(self.locs.len(), Default::default);
        for (loc, all) in graph.locs.iter_mut().zip(&self.locs) {
            keep_in(&mut loc.mo, &all.mo, &number);
            keep_in(&mut loc.reads, &all.reads, &number);
            (loc.initial, loc.ordered) = (all.initial, all.ordered);
        }
        graph.tree.clone_from(&self.tree);
        graph.blocks.clear();
        graph.joins.clear();
        let joins = self.joins.iter().map(|(id, join)| (number[*id as usize], number[*join as usize]));
        graph.joins.extend(joins.filter(|(id, _)| *id != GONE));
        (graph.ordered, graph.seq_cst) = (self.ordered, 0);
        graph.events.truncate(next as usize);
        graph.events.reserve(next as usize + 4 - graph.events.len());
        for (id, event) in self.events.iter().enumerate() {
            if number[id] == GONE {
                continue;
            }
            let at = number[id] as usize;
            match graph.events.get_mut(at) {
                Some(slot) => slot.clone_from(event),
                None => graph.events.push(event.clone()),
            }
            let event = &mut graph.events[at];
            if event.kind == Kind::Read {
                event.rf = renumber(event.rf);
                event.rmw &=
                    self.next_in_thread(id as Id).is_some_and(|write| number[write as usize] != GONE);
            }
            graph.seq_cst += u32::from(self.counts_as_seq_cst(event));
        }
        for block in self.blocks.iter().filter(|block| keep_block(block)) {
            let count = |end: u32| number[..end as usize].iter().filter(|id| **id != GONE).count() as u32;
            let (stamp, seen) = (count(block.stamp), count(block.seen));
            graph.blocks.push(Block { stamp, seen, rf: renumber(block.rf), ..block.clone() });
        }
        (graph, number)
    }

    pub(crate) fn counts_as_seq_cst(&self, event: &Event) -> bool {
        event.order == racefuzz_trace::MemoryOrder::SeqCst
            && (event.loc == crate::graph::NOWHERE || !self.loc(event.loc).ordered)
    }

    fn next_in_thread(&self, id: Id) -> Option<Id> {
        let event = self.event(id);
        self.threads[event.thread as usize].get(event.po as usize + 1).copied()
    }

    /// Whether the order of some event but `read` goes through an event that is not there, or through
    /// `read`, which has no write now.
    pub(crate) fn order_is_stale(&self, read: Id) -> bool {
        let count = |thread: usize| self.threads[thread].len() as u32;
        let threads = self.threads.len();
        let (reader, po) = (self.event(read).thread as usize, self.event(read).po);
        self.events.iter().enumerate().any(|(id, event)| {
            id as Id != read
                && (0..threads).any(|thread| {
                    let most = if thread == reader { po } else { count(thread) };
                    event.ord.get(thread as u32) > most
                })
        })
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

fn keep_in(ids: &mut Vec<Id>, all: &[Id], number: &[Id]) {
    ids.clear();
    ids.extend(all.iter().map(|id| number[*id as usize]).filter(|id| *id != u32::MAX - 1));
}
