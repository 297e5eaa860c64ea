//! Whether `psc` (see [`rc11`](super::rc11)) has a cycle, without computing it.
//!
//! Each relation that `psc` is made of can be decided from the events' clocks and their places in
//! modification order. Program order is part of it, so what it puts before an event is, for each
//! thread, all SeqCst events up to one: a clock, as happens-before has one. An event's clock comes
//! from those of its direct predecessors, of which the last one of each thread is enough; a
//! depth-first search along them finds the clocks, and cycles where there are any.
//!
//! Of the steps that `scb` takes, those of `mo ∪ fr` communicate, and the others are part of `hb`.
//! Where both ends may be extended by `hb`, as between fences, the latter therefore come to `hb`
//! alone. What communication puts before a write is put before each newer write of its location,
//! too: it has clocks of its own, one for the accesses that are overwritten and one for the fences
//! that happen before something that is overwritten, and each adds to that of the write before.
//!
//! # Graphs that grow
//! Nothing happens after an event that is last in its thread, and that nobody reads. What `psc` puts
//! behind it, or puts behind something else because of it, is behind it by `mo ∪ fr`: newer writes of
//! its location, and the fences they happen before. So
//!
//! * a read of the newest write, a write that becomes the newest, and a fence close no cycle, and
//!   change no other event's clock;
//! * another access closes a cycle only if one of those is before it, or before a fence that happens
//!   before it. That is looked up in its clock, before it is added.
//!
//! An [`Order`] keeps the clocks of one graph while that grows in the first way, and says of every
//! other way whether it is consistent. A graph that changed otherwise is searched from the events
//! that changed on: each cycle goes through one of them, or through a fence that happens before it.

mod before;
mod index;

use crate::graph::{Event, Graph, Id, Kind, NOWHERE};
use before::knows;
use index::Index;
use racefuzz_trace::MemoryOrder;

/// What a node of the search stands for, besides an event or a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A SeqCst event.
    Event,
    /// The SeqCst accesses that a write overwrites, or that read what it overwrites.
    Accesses,
    /// The SeqCst fences that happen before an access of what a write overwrites.
    Fences,
}

/// A node of the search: an event, and what of it.
#[derive(Clone, Copy, Debug)]
struct Node(u32);

impl Node {
    const PARTS: usize = 3;

    fn new(id: Id, part: Part) -> Self {
        Self(id * Self::PARTS as u32 + part as u32)
    }

    fn at(self) -> usize {
        self.0 as usize
    }

    fn id(self) -> Id {
        self.0 / Self::PARTS as u32
    }

    fn part(self) -> Part {
        match self.0 as usize % Self::PARTS {
            0 => Part::Event,
            1 => Part::Accesses,
            _ => Part::Fences,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    OnPath,
    Done,
}

/// A node whose predecessors are being searched.
#[derive(Debug)]
struct Frame {
    node: u32,
    /// Its predecessors, in the list of all, and the next one to look at.
    first: usize,
    next: usize,
}

/// An access that is about to be added to a graph, behind all its thread has done.
#[derive(Clone, Copy)]
pub(crate) struct Addition<'a> {
    /// The event; of a read-modify-write its read.
    pub(crate) event: &'a Event,
    /// How many writes there are in modification order up to the one it reads, or is put behind.
    pub(crate) place: usize,
    /// It is a write, or has one.
    pub(crate) writes: bool,
}

/// The order of a graph's SeqCst events, as far as somebody asked.
#[derive(Debug, Default)]
pub(crate) struct Order {
    index: Index,
    /// The number of threads: that of entries of a clock.
    width: usize,
    states: Vec<State>,
    /// For each node, and each thread, how many of the thread's events there are up to the last
    /// SeqCst one before it.
    clocks: Vec<u32>,
    path: Vec<Frame>,
    before: Vec<Node>,
    /// The graph is not consistent: there is nothing more to know.
    cyclic: bool,
}

/// Whether `psc` has no cycle.
pub(super) fn is_acyclic(graph: &Graph) -> bool {
    let seq_cst = |id: &Id| graph.event(*id).order == MemoryOrder::SeqCst;
    let mut order = Order::default();
    order.grow(graph);
    (0..graph.len()).filter(seq_cst).all(|id| order.search(graph, Node::new(id, Part::Event)))
}

/// Whether a graph is consistent that was so before these events were added, each the last of its
/// thread but for one of its own read-modify-write, and read by no other event than these.
pub(super) fn stays_acyclic(graph: &Graph, added: &[Id]) -> bool {
    let mut order = Order::default();
    let mut roots = Vec::new();
    for id in added {
        let event = graph.event(*id);
        if event.loc == NOWHERE {
            continue;
        }
        if order.index.len() == 0 {
            order.grow(graph);
        }
        if order.overwritten_from(graph, *id) < graph.loc(event.loc).mo.len() {
            if event.order == MemoryOrder::SeqCst {
                roots.push(Node::new(*id, Part::Event));
            }
            order.fences_before(graph, *id, &mut roots);
        }
    }
    roots.into_iter().all(|root| order.search(graph, root))
}

impl Order {
    /// Forgets the graph it was of.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.cyclic = false;
    }

    /// Takes in what was added to the graph, all of it newest.
    fn grow(&mut self, graph: &Graph) {
        if self.index.len() == graph.events.len() && self.width == graph.threads.len() {
            return;
        }
        if self.width != graph.threads.len() {
            self.clear();
        }
        if self.index.len() == 0 {
            self.width = graph.threads.len();
            self.states.clear();
        }
        self.index.grow(graph);
        let nodes = graph.events.len() * Node::PARTS;
        self.states.resize(nodes, State::New);
        self.clocks.resize(nodes * self.width, 0);
    }

    /// Whether a consistent graph that has only grown by what is newest since this order was
    /// [cleared](Self::clear) stays consistent with an access that is not.
    pub(super) fn admits(&mut self, graph: &Graph, addition: Addition<'_>) -> bool {
        let Addition { event, place, writes } = addition;
        let Some(next) = graph.loc(event.loc).mo.get(place).copied() else { return true };
        let is_seq_cst = event.order == MemoryOrder::SeqCst;
        self.grow(graph);
        if !is_seq_cst && !self.index.has_fences {
            return true;
        }
        let mut before = Vec::new();
        if is_seq_cst {
            self.before_access(graph, event, &mut before);
            if writes {
                self.before_write(next, &mut before);
            }
            if !self.stands_after(graph, addition, &before, false) {
                return false;
            }
            before.clear();
        }
        self.fences_that_happen_before(graph, event, &mut before);
        self.stands_after(graph, addition, &before, true)
    }

    /// Whether nothing that is behind an access by `mo ∪ fr` is before one of these nodes, or among
    /// them; from fences, `eco` leads on to reads.
    fn stands_after(&mut self, graph: &Graph, addition: Addition<'_>, nodes: &[Node], fences: bool) -> bool {
        let mut found = vec![0; self.width];
        for node in nodes {
            if self.cyclic || !self.search(graph, *node) {
                return false;
            }
            self.join(graph, *node, &mut found);
        }
        let Addition { event: Event { loc, .. }, place, .. } = addition;
        let newer = &graph.loc(*loc).mo[place..];
        // The first one is before all others.
        let write = newer.iter().map(|id| graph.event(*id)).find(|write| write.order == MemoryOrder::SeqCst);
        if write.is_some_and(|write| found[write.thread as usize] > write.po) {
            return false;
        }
        let index = &self.index;
        !index.has_fences
            || !found.iter().enumerate().any(|(thread, count)| {
                let events = &graph.threads[thread];
                // The last fence knows what the others know.
                let count = index.fences_among(events, *count as usize);
                let Some(fence) = count.checked_sub(1).map(|last| graph.event(events[last])) else {
                    return false;
                };
                let known = |id: Id| knows(graph, fence, graph.event(id));
                newer.iter().any(|write| known(*write))
                    || (fences
                        && (place + 1..=place + newer.len())
                            .any(|place| index.readers(graph, *loc, place).any(known)))
            })
    }

    /// The clock of a node is complete; false where there is a cycle before it.
    fn search(&mut self, graph: &Graph, root: Node) -> bool {
        if !self.enter(graph, root) {
            return true;
        }
        while let Some(frame) = self.path.last_mut() {
            if let Some(node) = self.before.get(frame.next).copied() {
                frame.next += 1;
                match self.states[node.at()] {
                    State::Done => {}
                    State::New => {
                        self.enter(graph, node);
                    }
                    State::OnPath => {
                        self.cyclic = true;
                        self.path.clear();
                        self.before.clear();
                        return false;
                    }
                }
                continue;
            }
            let (node, first) = (frame.node as usize, frame.first);
            let mut clock = std::mem::take(&mut self.clocks);
            let (start, end) = (node * self.width, (node + 1) * self.width);
            clock[start..end].fill(0);
            for other in &self.before[first..] {
                let from = other.at() * self.width;
                for thread in 0..self.width {
                    clock[start + thread] = clock[start + thread].max(clock[from + thread]);
                }
                if other.part() == Part::Event {
                    let event = graph.event(other.id());
                    let own = &mut clock[start + event.thread as usize];
                    *own = (*own).max(event.po + 1);
                }
            }
            self.clocks = clock;
            self.before.truncate(first);
            self.states[node] = State::Done;
            self.path.pop();
        }
        true
    }

    /// Begins to search what is before a node; false if that is known.
    fn enter(&mut self, graph: &Graph, node: Node) -> bool {
        if self.states[node.at()] != State::New {
            return false;
        }
        self.states[node.at()] = State::OnPath;
        let mut before = std::mem::take(&mut self.before);
        let first = before.len();
        let event = graph.event(node.id());
        match node.part() {
            Part::Event if event.kind == Kind::Fence => self.before_fence(graph, event, &mut before),
            Part::Event => {
                self.before_access(graph, event, &mut before);
                if event.kind == Kind::Write {
                    self.before_write(node.id(), &mut before);
                }
            }
            Part::Accesses => self.overwritten_accesses(graph, node.id(), &mut before),
            Part::Fences => self.overwritten_fences(graph, node.id(), &mut before),
        }
        self.before = before;
        self.path.push(Frame { node: node.0, first, next: first });
        true
    }

    fn join(&self, graph: &Graph, node: Node, into: &mut [u32]) {
        let from = node.at() * self.width;
        for (entry, other) in into.iter_mut().zip(&self.clocks[from..from + self.width]) {
            *entry = (*entry).max(*other);
        }
        if node.part() == Part::Event {
            let event = graph.event(node.id());
            let own = &mut into[event.thread as usize];
            *own = (*own).max(event.po + 1);
        }
    }
}

#[cfg(test)]
mod tests;
