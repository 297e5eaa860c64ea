//! x86's total store order, as Sewell, Sarkar, Owens, Nardelli & Myreen, *x86-TSO*, CACM 2010, in
//! the axiomatic form of Alglave, Maranget & Tautschnig, *Herding Cats*, TOPLAS 2014.
//!
//! * per location: `po|loc ∪ rf ∪ mo ∪ fr` is acyclic;
//! * globally: `ppo ∪ rfe ∪ mo ∪ fr` is acyclic, where `ppo` is program order but for a write and a
//!   later read with nothing between that drains the store buffer.
//!
//! Rust's accesses map to it as compilers do: a SeqCst store, a read-modify-write and a SeqCst fence
//! drain the buffer, everything else is a plain access. Operations on ordered locations (locks, ...)
//! drain it, too, and so do a thread's creation and end.

use crate::graph::{Event, Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_trace::{MemoryOrder, Verb};
use std::collections::HashMap;

pub(super) fn is_consistent(graph: &Graph) -> bool {
    let mut all = Edges::new(graph);
    let mut here = Edges::new(graph);
    for thread in &graph.threads {
        program_order(graph, thread, &mut all, &mut here);
    }
    // For each write the one behind it.
    let mut behind: Vec<Option<Id>> = vec![None; graph.events.len()];
    for pair in graph.locs.iter().flat_map(|loc| loc.mo.windows(2)) {
        behind[pair[0] as usize] = Some(pair[1]);
        here.add(pair[0], pair[1]);
        all.add(pair[0], pair[1]);
    }
    for (to, event) in graph.events.iter().enumerate() {
        let to = to as Id;
        for join in graph.joins_of(to) {
            // A thread's creation and its end drain the buffer: all before it is before.
            let join = graph.event(join);
            let before = Before::of(graph, &graph.threads[join.thread as usize][..=join.po as usize]);
            before.write.into_iter().chain(before.other).for_each(|from| all.add(from, to));
        }
        if event.kind != Kind::Read {
            continue;
        }
        if event.rf != INIT {
            here.add(event.rf, to);
            if graph.event(event.rf).thread != event.thread {
                all.add(event.rf, to);
            }
        }
        let newer = match event.rf {
            INIT => graph.loc(event.loc).mo.first().copied(),
            rf => behind[rf as usize],
        };
        if let Some(newer) = newer
            && !(event.rmw && is_write_of(graph, newer, event))
        {
            here.add(to, newer);
            all.add(to, newer);
        }
    }
    here.is_acyclic() && all.is_acyclic()
}

fn is_write_of(graph: &Graph, write: Id, read: &Event) -> bool {
    let write = graph.event(write);
    write.thread == read.thread && write.po == read.po + 1
}

/// The edges from which, with those of other events, all of program order follows that holds: writes are
/// ordered among each other, and so is everything else, so the last ones of both kinds stand for all before.
fn program_order(graph: &Graph, thread: &[Id], all: &mut Edges, here: &mut Edges) {
    let mut before = Before::default();
    let mut on_loc: HashMap<u32, Id> = HashMap::new();
    for to in thread {
        let event = graph.event(*to);
        let may_overtake = event.kind == Kind::Read && !drains_first(graph, event);
        let write = if may_overtake { before.drained_write } else { before.write };
        write.into_iter().chain(before.other).for_each(|from| all.add(from, *to));
        if event.loc != NOWHERE
            && let Some(from) = on_loc.insert(event.loc, *to)
        {
            here.add(from, *to);
        }
        before.pass(graph, *to);
    }
}

/// What of a thread's past stands for all of it.
#[derive(Default)]
struct Before {
    /// The last write.
    write: Option<Id>,
    /// The last write that had left the buffer when something happened that drains it.
    drained_write: Option<Id>,
    /// The last event that is no write.
    other: Option<Id>,
}

impl Before {
    fn of(graph: &Graph, thread: &[Id]) -> Self {
        let mut before = Self::default();
        thread.iter().for_each(|id| before.pass(graph, *id));
        before
    }

    fn pass(&mut self, graph: &Graph, id: Id) {
        let event = graph.event(id);
        match event.kind {
            Kind::Write => self.write = Some(id),
            _ => self.other = Some(id),
        }
        if drains(graph, event) {
            self.drained_write = self.write;
        }
    }
}

/// Whether no store waits in the buffer behind this event.
fn drains(graph: &Graph, event: &Event) -> bool {
    match event.kind {
        Kind::Fence => true,
        Kind::Write => event.rmw || event.order == MemoryOrder::SeqCst || graph.loc(event.loc).ordered,
        Kind::Read => drains_first(graph, event),
        Kind::Choice => false,
    }
}

/// Whether no store waits in the buffer when this event reads.
fn drains_first(graph: &Graph, event: &Event) -> bool {
    // A compare-exchange that fails is a locked instruction, too.
    let locked = matches!(event.verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
    event.rmw || locked || (event.loc != NOWHERE && graph.loc(event.loc).ordered)
}

struct Edges(Vec<Vec<Id>>);

impl Edges {
    fn new(graph: &Graph) -> Self {
        Self(vec![Vec::new(); graph.events.len()])
    }

    fn add(&mut self, from: Id, to: Id) {
        self.0[from as usize].push(to);
    }

    /// Kahn's algorithm.
    fn is_acyclic(&self) -> bool {
        let mut waits = vec![0u32; self.0.len()];
        self.0.iter().flatten().for_each(|to| waits[*to as usize] += 1);
        let mut ready: Vec<usize> = (0..waits.len()).filter(|at| waits[*at] == 0).collect();
        let mut done = 0;
        while let Some(at) = ready.pop() {
            done += 1;
            for to in &self.0[at] {
                waits[*to as usize] -= 1;
                if waits[*to as usize] == 0 {
                    ready.push(*to as usize);
                }
            }
        }
        done == self.0.len()
    }
}
