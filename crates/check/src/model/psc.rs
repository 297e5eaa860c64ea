//! Whether `psc` (see [`rc11`](super::rc11)) has a cycle, without computing it.
//!
//! This is asked for every step of an exploration of a program with SeqCst accesses, and most graphs
//! are larger than what is SeqCst in them. Each relation it is made of can be decided for two events
//! at once, from their clocks and their places in modification order; so a depth-first search looks
//! at pairs of SeqCst events only, or with SeqCst fences at those of all events.

use crate::graph::{Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_trace::MemoryOrder;

/// What a search stands at. A `psc` step leads from one SeqCst event to another, by way of the others.
#[derive(Clone, Copy)]
enum At {
    /// A SeqCst event.
    SeqCst,
    /// An event that `scb` is to be taken from.
    Left,
    /// An event that `scb` has led to.
    Right,
    /// An event that `eco` is to be taken from, between two fences.
    From,
    /// An event that `eco` has led to.
    To,
}

const PLACES: [At; 5] = [At::SeqCst, At::Left, At::Right, At::From, At::To];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    New,
    OnPath,
    Done,
}

struct Search<'a> {
    graph: &'a Graph,
    /// The place in modification order of each write, and of what each read reads.
    place: Vec<u32>,
    /// The first event of the same thread behind each that is at another location: whatever a later
    /// one happens before it does, too.
    next_elsewhere: Vec<Option<Id>>,
    /// The last such event before each: it knows whatever an earlier one knows.
    last_elsewhere: Vec<Option<Id>>,
    /// The SeqCst events.
    seq_cst: Vec<Id>,
    fences: Vec<Id>,
}

/// Whether `psc` has no cycle.
pub(super) fn is_acyclic(graph: &Graph) -> bool {
    !Search::new(graph).has_cycle()
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph) -> Self {
        let count = graph.events.len();
        let ids = || 0..graph.len();
        let mut search = Self {
            graph,
            place: vec![0; count],
            next_elsewhere: vec![None; count],
            last_elsewhere: vec![None; count],
            seq_cst: ids().filter(|id| graph.event(*id).order == MemoryOrder::SeqCst).collect(),
            fences: ids().filter(|id| graph.event(*id).kind == Kind::Fence).collect(),
        };
        for loc in &graph.locs {
            for (at, write) in loc.mo.iter().enumerate() {
                search.place[*write as usize] = at as u32 + 1;
            }
        }
        for (id, event) in graph.events.iter().enumerate() {
            if event.kind == Kind::Read && event.rf != INIT {
                search.place[id] = search.place[event.rf as usize];
            }
        }
        for thread in &graph.threads {
            for (at, id) in thread.iter().enumerate() {
                let elsewhere = |other: &&Id| !search.same_location(*id, **other);
                let next = thread[at + 1..].iter().find(elsewhere).copied();
                // What has never been executed knows nothing yet.
                let executed = |other: &&Id| graph.event(**other).time != 0;
                let last = thread[..at].iter().rev().filter(executed).find(elsewhere).copied();
                search.next_elsewhere[*id as usize] = next;
                search.last_elsewhere[*id as usize] = last;
            }
        }
        search
    }

    fn same_location(&self, a: Id, b: Id) -> bool {
        let loc = self.graph.event(a).loc;
        loc != NOWHERE && loc == self.graph.event(b).loc
    }

    fn po(&self, from: Id, to: Id) -> bool {
        let (from, to) = (self.graph.event(from), self.graph.event(to));
        from.thread == to.thread && from.po < to.po
    }

    fn hb(&self, from: Id, to: Id) -> bool {
        let (other, event) = (self.graph.event(from), self.graph.event(to));
        // What has never been executed has no time.
        if from == to || other.time == 0 {
            return false;
        }
        let read = event.kind == Kind::Read && event.order.acquires() && event.rf != INIT;
        let learns = || read && self.graph.event(event.rf).release.knows(other.thread, other.time);
        if other.thread == event.thread {
            // The two events of a read-modify-write have one time.
            other.po < event.po && (other.time <= event.time || learns())
        } else {
            event.before.knows(other.thread, other.time) || learns()
        }
    }

    /// `mo ∪ fr`.
    fn is_overwritten(&self, from: Id, to: Id) -> bool {
        self.same_location(from, to)
            && self.graph.event(to).kind == Kind::Write
            && self.place[from as usize] < self.place[to as usize]
            && !self.is_own_write(from, to)
    }

    /// A read-modify-write is one event in the theory: it is not before its own write.
    fn is_own_write(&self, read: Id, write: Id) -> bool {
        let (read, write) = (self.graph.event(read), self.graph.event(write));
        read.kind == Kind::Read && read.rmw && read.thread == write.thread && read.po + 1 == write.po
    }

    fn scb(&self, from: Id, to: Id) -> bool {
        if self.po(from, to) || self.is_overwritten(from, to) {
            return true;
        }
        if self.same_location(from, to) && self.hb(from, to) {
            return true;
        }
        match (self.next_elsewhere[from as usize], self.last_elsewhere[to as usize]) {
            (Some(next), Some(last)) => self.hb(next, last),
            _ => false,
        }
    }

    /// `eco`: writes and the reads behind each are in the order of their places, and only the reads of
    /// one write are not ordered.
    fn eco(&self, from: Id, to: Id) -> bool {
        let kind = |id: Id| self.graph.event(id).kind;
        self.same_location(from, to)
            && !self.is_own_write(from, to)
            && (self.place[from as usize] < self.place[to as usize]
                || self.place[from as usize] == self.place[to as usize]
                    && kind(from) == Kind::Write
                    && kind(to) == Kind::Read)
    }

    fn has_cycle(&self) -> bool {
        let count = self.graph.events.len();
        let mut colours = vec![Colour::New; count * PLACES.len()];
        // A node, or that the search leaves it.
        let mut stack: Vec<(usize, bool)> = Vec::new();
        let mut next = Vec::new();
        for root in &self.seq_cst {
            stack.push((node(At::SeqCst, *root), false));
            while let Some((at, leaves)) = stack.pop() {
                if leaves {
                    colours[at] = Colour::Done;
                    continue;
                }
                if colours[at] != Colour::New {
                    continue;
                }
                colours[at] = Colour::OnPath;
                stack.push((at, true));
                next.clear();
                self.successors(PLACES[at % PLACES.len()], (at / PLACES.len()) as Id, &mut next);
                for other in next.drain(..) {
                    match colours[other] {
                        Colour::OnPath => return true,
                        Colour::New => stack.push((other, false)),
                        Colour::Done => {}
                    }
                }
            }
        }
        false
    }

    fn successors(&self, at: At, id: Id, next: &mut Vec<usize>) {
        let all = 0..self.graph.len();
        let later_fences = |id: Id| self.fences.iter().copied().filter(move |fence| self.hb(id, *fence));
        match at {
            At::SeqCst if self.fences.is_empty() => {
                next.extend(
                    self.seq_cst.iter().filter(|to| self.scb(id, **to)).map(|to| node(At::SeqCst, *to)),
                );
            }
            At::SeqCst => {
                next.push(node(At::Left, id));
                if self.graph.event(id).kind == Kind::Fence {
                    next.extend(later_fences(id).map(|fence| node(At::SeqCst, fence)));
                    for other in all.filter(|other| self.hb(id, *other)) {
                        next.extend([node(At::Left, other), node(At::From, other)]);
                    }
                }
            }
            At::Left => next.extend(all.filter(|to| self.scb(id, *to)).map(|to| node(At::Right, to))),
            At::From => next.extend(all.filter(|to| self.eco(id, *to)).map(|to| node(At::To, to))),
            At::Right | At::To => {
                if matches!(at, At::Right) && self.graph.event(id).order == MemoryOrder::SeqCst {
                    next.push(node(At::SeqCst, id));
                }
                next.extend(later_fences(id).map(|fence| node(At::SeqCst, fence)));
            }
        }
    }
}

fn node(at: At, id: Id) -> usize {
    id as usize * PLACES.len() + at as usize
}

#[cfg(test)]
mod tests {
    use super::is_acyclic;
    use crate::explore::{Explore, Item};
    use crate::graph::{Graph, INIT, Kind};
    use crate::model::rc11;
    use crate::options::Options;
    use racefuzz_primitives::sync::Arc;
    use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering::*, fence};
    use racefuzz_primitives::thread;
    use racefuzz_runtime::{Record, Runner};

    /// Every graph of the program, and what becomes of it when its reads read other writes.
    fn graphs(program: &dyn Fn(), look: &mut dyn FnMut(&Graph)) {
        let config = Options::default().fuzz().config(&Options::default().settings);
        let (mut explore, mut runner) = (Explore::new(config.memory), Runner::new(config));
        explore.later.push(Item { graph: Graph::new(), revisited: None });
        while let Some(item) = explore.later.pop() {
            explore.load(item);
            runner.run(program, &mut explore, Record::Choices);
            let graph = &explore.graph;
            look(graph);
            for read in (0..graph.len()).filter(|id| graph.event(*id).kind == Kind::Read) {
                let event = graph.event(read);
                for write in graph.loc(event.loc).mo.iter().copied().chain([INIT]) {
                    let mut other = graph.clone();
                    other.event_mut(read).rf = write;
                    look(&other);
                }
            }
        }
    }

    type Body = fn(&[AtomicUsize; 2]);

    fn run(bodies: [Body; 2]) {
        let shared = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let threads = bodies.map(|body| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || body(&shared))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn the_search_finds_a_cycle_where_the_definition_has_one() {
        let programs: [[Body; 2]; 4] = [
            // Store buffering, by accesses, by fences, and by one of each.
            [|x| sb(x, 0, SeqCst, false), |x| sb(x, 1, SeqCst, false)],
            [|x| sb(x, 0, Relaxed, true), |x| sb(x, 1, Release, true)],
            [|x| sb(x, 0, SeqCst, true), |x| sb(x, 1, SeqCst, false)],
            [|x| rmw(x, 0), |x| rmw(x, 1)],
        ];
        let (mut cyclic, mut acyclic) = (0, 0);
        for bodies in programs {
            graphs(&|| run(bodies), &mut |graph| {
                let psc = rc11::psc_is_acyclic(graph);
                assert_eq!(is_acyclic(graph), psc, "{graph:?}");
                *if psc { &mut acyclic } else { &mut cyclic } += 1;
            });
        }
        assert!(cyclic > 20 && acyclic > 20, "{cyclic} cyclic, {acyclic} acyclic");
    }

    fn sb(x: &[AtomicUsize; 2], mine: usize, store: std::sync::atomic::Ordering, fenced: bool) {
        x[mine].store(1 + mine, store);
        if fenced {
            fence(SeqCst);
        }
        x[1 - mine].load(if store == SeqCst { SeqCst } else { Relaxed });
        x[mine].store(3 + mine, Relaxed);
        x[1 - mine].store(5 + mine, store);
    }

    fn rmw(x: &[AtomicUsize; 2], mine: usize) {
        x[mine].fetch_add(1, SeqCst);
        fence(SeqCst);
        x[1 - mine].fetch_add(1, AcqRel);
        x[mine].load(Acquire);
    }
}
