//! Execution graphs: events with program order, reads-from and modification order.

use crate::machine::{Event, Kind};
use crate::program::{Order, Program};
use crate::relation::MOST;

/// The thread of the initial writes.
pub(crate) const INITIAL: usize = usize::MAX;

/// An event in a graph.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) event: Event,
    pub(crate) thread: usize,
    /// Which of its thread's events it is.
    pub(crate) index: usize,
    /// The node that it reads from.
    pub(crate) rf: Option<usize>,
}

/// A graph. The nodes stand in an order that extends `po` and `rf`; the initial writes come first.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// The writes of each location in modification order.
    pub(crate) mo: Vec<Vec<usize>>,
    /// The first location that is a lock.
    pub(crate) first_lock: usize,
    /// How many events each thread has.
    lengths: Vec<usize>,
}

/// What makes a graph the one it is, whatever the order in which it was built.
pub(crate) type Key = Vec<u32>;

impl Graph {
    /// The graph of the initial writes.
    pub(crate) fn new(program: &Program) -> Self {
        let locations = program.locations.iter().map(|location| location.initial);
        let initials: Vec<i64> = locations.chain(program.locks.iter().map(|_| 0)).collect();
        let node = |(location, &value): (usize, &i64)| Node {
            event: Event { kind: Kind::Write, order: Order::Na, location, value, locked: false },
            thread: INITIAL,
            index: location,
            rf: None,
        };
        Self {
            nodes: initials.iter().enumerate().map(node).collect(),
            mo: (0..initials.len()).map(|location| vec![location]).collect(),
            first_lock: program.locations.len(),
            lengths: vec![0; program.threads.len()],
        }
    }

    /// Adds an event as the next of its thread; a write at `place` in modification order.
    pub(crate) fn add(&mut self, thread: usize, event: Event, rf: Option<usize>, place: Option<usize>) {
        let node = self.nodes.len();
        assert!(node < MOST, "a graph of more than {MOST} events is too large for brute force");
        self.nodes.push(Node { event, thread, index: self.lengths[thread], rf });
        self.lengths[thread] += 1;
        if let Some(place) = place {
            self.mo[event.location].insert(place, node);
        }
    }

    /// The newest write of a location.
    pub(crate) fn last(&self, location: usize) -> &Node {
        &self.nodes[*self.mo[location].last().expect("the initial write")]
    }

    /// The final values of the locations.
    pub(crate) fn memory(&self) -> impl Iterator<Item = i64> {
        (0..self.first_lock).map(|location| self.last(location).event.value)
    }

    fn name(&self, node: usize) -> u32 {
        let Node { thread, index, .. } = self.nodes[node];
        // 0 stands for nothing.
        1 + index as u32 + if thread == INITIAL { 0 } else { (thread as u32 + 1) << 16 }
    }

    /// Its key: rf and mo. Which events there are follows from the program and rf.
    pub(crate) fn key(&self) -> Key {
        let mut nodes: Vec<&Node> = self.nodes.iter().filter(|node| node.thread != INITIAL).collect();
        nodes.sort_by_key(|node| (node.thread, node.index));
        let mut key: Key = self.lengths.iter().map(|&length| length as u32).collect();
        key.extend(nodes.iter().map(|node| node.rf.map_or(0, |rf| self.name(rf))));
        for mo in &self.mo {
            key.extend(mo[1..].iter().map(|&node| self.name(node)));
            key.push(0);
        }
        key
    }
}
