//! From a graph to an order of its events in which an execution can run, and can be read.
//!
//! A graph says which write each read takes its value from; in which order an execution runs its events
//! is open where the graph does not say so. A person reads a trace from its top to its bottom, and
//! takes what was written last for what is there. So of all orders one is taken in which, as far as
//! possible, every read returns the newest write and every write is the newest: where the graph is
//! sequentially consistent that is always so, and where it is not, only the accesses that make it weak
//! are marked. SeqCst events stand in the order that the model gives them (`psc`), unless that agrees
//! with no execution: it need not follow a read of a SeqCst write (RC11 has `psc` follow `hb` only).
//!
//! The order is built from its beginning. Of the events that can come next, those are preferred behind
//! which no read has to be stale that need not be; of these one of the thread that ran last, so that
//! there are few switches.

use crate::graph::{Event, Graph, Id, Kind, holds};
use racefuzz_trace::MemoryOrder;

/// Nobody reads a trace of more events than this, and looking at each pair of them takes its time.
const LONGEST: usize = 2_000;

/// An order of the graph's events; a read-modify-write's two stand side by side. The thread of the event
/// `late` does not get there before all others have gone as far as they can.
pub(crate) fn order(graph: &Graph, late: Option<Id>) -> Vec<Id> {
    let sc = match graph.events.len() > LONGEST {
        true => vec![Vec::new(); graph.events.len()],
        false => crate::model::sc_order(graph),
    };
    Builder::new(graph, &sc, late).build().unwrap_or_else(|| {
        let none = vec![Vec::new(); graph.events.len()];
        Builder::new(graph, &none, late).build().unwrap_or_else(|| unreachable!("a graph is acyclic"))
    })
}

struct Builder<'a> {
    graph: &'a Graph,
    /// For each event those that the order of SeqCst events puts before it.
    sc: &'a [Vec<Id>],
    late: Option<Id>,
    /// For each write its place in modification order, from 1.
    ranks: Vec<u32>,
    /// For each thread the events placed.
    done: Vec<u32>,
    placed: Vec<bool>,
    order: Vec<Id>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, sc: &'a [Vec<Id>], late: Option<Id>) -> Self {
        let mut ranks = vec![0; graph.events.len()];
        for (rank, write) in
            graph.locs.iter().flat_map(|loc| loc.mo.iter().zip(1..).map(|(id, rank)| (rank, *id)))
        {
            ranks[write as usize] = rank;
        }
        Self {
            graph,
            sc,
            late,
            ranks,
            done: vec![0; graph.threads.len()],
            placed: vec![false; graph.events.len()],
            order: Vec::with_capacity(graph.events.len()),
        }
    }

    /// `None` if the order of SeqCst events cannot be kept.
    fn build(mut self) -> Option<Vec<Id>> {
        let mut last = 0;
        while self.order.len() < self.graph.events.len() {
            let ready = (0..self.done.len()).filter_map(|thread| Some((thread, self.next(thread)?)));
            let cheapest = ready
                .min_by_key(|(thread, ids)| (self.is_late(ids), self.cost(ids), *thread != last, *thread));
            let (thread, ids) = cheapest?;
            for id in ids.iter().flatten() {
                self.done[thread] += 1;
                self.placed[*id as usize] = true;
                self.order.push(*id);
            }
            last = thread;
        }
        Some(self.order)
    }

    /// The events that a thread executes next, if they can come next: of a read-modify-write both.
    fn next(&self, thread: usize) -> Option<[Option<Id>; 2]> {
        let events = &self.graph.threads[thread];
        let at = self.done[thread] as usize;
        let first = *events.get(at)?;
        let event = self.graph.event(first);
        let second = if event.kind == Kind::Read && event.rmw { events.get(at + 1).copied() } else { None };
        let last = self.graph.event(second.unwrap_or(first));
        let before = self.graph.run_order(last);
        let is_ready = (0..self.done.len())
            .all(|other| other == thread || before.get(other as u32) <= self.done[other])
            && [Some(first), second].into_iter().flatten().all(|id| self.keeps_sc(id, first));
        is_ready.then_some([Some(first), second])
    }

    fn is_late(&self, ids: &[Option<Id>; 2]) -> bool {
        let late = self.late.map(|late| self.graph.event(late));
        let reached = |id: Id| {
            late.is_some_and(|late| {
                self.graph.event(id).thread == late.thread && self.graph.event(id).po >= late.po
            })
        };
        ids.iter().flatten().any(|id| reached(*id))
    }

    fn keeps_sc(&self, id: Id, first: Id) -> bool {
        self.sc[id as usize].iter().all(|before| self.placed[*before as usize] || *before == first)
    }

    /// How much harder to read the order becomes if these events come next: the reads that will have to
    /// be stale, the writes that will not be the newest.
    fn cost(&self, ids: &[Option<Id>; 2]) -> u32 {
        let write = ids.iter().flatten().copied().find(|id| self.graph.event(*id).kind == Kind::Write);
        let write = write.filter(|id| !self.graph.loc(self.graph.event(*id).loc).ordered);
        let Some(write) = write.filter(|_| self.placed.len() <= LONGEST) else { return 0 };
        let loc = self.graph.loc(self.graph.event(write).loc);
        let rank = self.ranks[write as usize];
        let comes_anyway = |event: &Event| holds(self.graph.run_order(event), self.graph.event(write));
        let open = |id: &&Id| {
            !self.placed[**id as usize] && !ids.contains(&Some(**id)) && !comes_anyway(self.graph.event(**id))
        };
        let old = |id: &&Id| {
            let rf = self.graph.event(**id).rf;
            self.ranks.get(rf as usize).copied().unwrap_or(0) < rank
        };
        let stale = loc.reads.iter().filter(open).filter(old);
        let stale = stale.map(|id| if self.graph.event(*id).order == MemoryOrder::SeqCst { 4 } else { 2 });
        // A read-modify-write that reads an old value looks as if it were torn.
        let late = loc.mo[..rank as usize - 1].iter().filter(open);
        let late = late.map(|id| if self.graph.event(*id).rmw { 8 } else { 2 });
        stale.sum::<u32>() + late.sum::<u32>()
    }
}
