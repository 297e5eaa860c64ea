//! Hashes of graphs and of states, the same for whatever schedule has led there.

use super::TurnState;
use crate::graph::{Graph, INIT, Id, Kind, holds};
use crate::waiting::mix;

/// The square of the number of new events up to which they are always looked at one by one.
const MOST_LOOKED_AT: u64 = 64 * 64;

/// The hash of the graph of a running execution, brought up to date event by event.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    /// Events of the graph when it was computed anew.
    base: u32,
    /// The hash then, and behind each event since.
    sums: Vec<u128>,
    /// For each thread a number of its place among all, whatever number it has here.
    threads: Vec<u64>,
}

impl Digest {
    /// Forgets the graph.
    pub(crate) fn clear(&mut self) {
        self.sums.clear();
        self.threads.clear();
    }

    /// The hash of a state: a graph, who has the turn in it, and a number of what else matters.
    pub(crate) fn of_state(&mut self, graph: &Graph, thread: u32, stand: TurnState, variant: u64) -> u128 {
        let sum = self.of_graph(graph);
        let state = mix(self.threads[thread as usize] ^ variant, 2 + stand as u64);
        wide(sum as u64 ^ state, (sum >> 64) as u64)
    }

    /// The hash of a complete graph.
    pub(crate) fn of_whole(&mut self, graph: &Graph) -> u128 {
        let sum = self.of_graph(graph);
        wide(sum as u64, (sum >> 64) as u64 ^ 1)
    }

    /// A number of an event and of all that it comes of: the events of its prefix, and what each of them reads. The
    /// places of writes in modification order are no part of it.
    pub(crate) fn of_prefix(&mut self, graph: &Graph, last: Id) -> u128 {
        self.number_threads(graph);
        let prefix = &graph.event(last).porf;
        let events = (0..=last).filter(|id| holds(prefix, graph.event(*id)));
        let sum = events.fold(0u128, |sum, id| {
            let source = match graph.event(id).kind {
                Kind::Read => graph.event(id).rf,
                Kind::Write | Kind::Fence | Kind::Choice => INIT,
            };
            sum.wrapping_add(self.of_event(graph, id, source))
        });
        let last = self.of_place(graph, last);
        wide(sum as u64 ^ last, (sum >> 64) as u64 ^ 2)
    }

    /// Numbers threads by their places among all.
    fn number_threads(&mut self, graph: &Graph) {
        for at in self.threads.len()..graph.tree.len() {
            let (parent, number) = graph.tree[at];
            let parent = self.threads.get(parent as usize).copied().unwrap_or(0);
            self.threads.push(mix(parent, u64::from(number)));
        }
    }

    fn of_graph(&mut self, graph: &Graph) -> u128 {
        self.number_threads(graph);
        let len = graph.len();
        let known = self.base + (self.sums.len() as u32).saturating_sub(1);
        let new = u64::from(len.saturating_sub(known));
        // Of each new write it is looked whether it is the last one so far; of many together that costs more.
        if self.sums.is_empty() || len < self.base || new * new > u64::from(len).max(MOST_LOOKED_AT) {
            self.renew(graph);
        }
        self.sums.truncate((len - self.base) as usize + 1);
        while self.base + (self.sums.len() as u32) <= len {
            let id = self.base + self.sums.len() as u32 - 1;
            let event = graph.event(id);
            if event.kind == Kind::Write && graph.newest(event.loc) != id && !self.is_last_so_far(graph, id) {
                self.renew(graph);
                break;
            }
            let sum = self.sums.last().copied().unwrap_or(0);
            self.sums.push(sum.wrapping_add(self.of_event_in_order(graph, id)));
        }
        self.sums.last().copied().unwrap_or(0)
    }

    /// Whether a write stands behind all that were added before it.
    fn is_last_so_far(&self, graph: &Graph, id: Id) -> bool {
        let mo = &graph.loc(graph.event(id).loc).mo;
        mo.iter().rev().take_while(|write| **write != id).all(|write| *write > id)
    }

    /// Computes the hash from the whole graph.
    fn renew(&mut self, graph: &Graph) {
        let no_write = |id: &Id| graph.event(*id).kind != Kind::Write;
        let others = (0..graph.len()).filter(no_write).map(|id| self.of_event_in_order(graph, id));
        let writes = graph.locs.iter().flat_map(|loc| {
            let before = std::iter::once(INIT).chain(loc.mo.iter().copied());
            before.zip(&loc.mo).map(|(before, write)| self.of_event(graph, *write, before))
        });
        let sum = others.chain(writes).fold(0u128, u128::wrapping_add);
        self.base = graph.len();
        self.sums.clear();
        self.sums.push(sum);
    }

    /// A number of an event, with what it reads or the write that it is behind.
    fn of_event_in_order(&self, graph: &Graph, id: Id) -> u128 {
        let event = graph.event(id);
        let source = match event.kind {
            Kind::Read => event.rf,
            Kind::Write => graph.write_before(id),
            Kind::Fence | Kind::Choice => INIT,
        };
        self.of_event(graph, id, source)
    }

    fn of_event(&self, graph: &Graph, id: Id, source: Id) -> u128 {
        let event = graph.event(id);
        let kind = match event.kind {
            Kind::Read => 1,
            Kind::Write => 2,
            Kind::Fence => 3,
            Kind::Choice => 4,
        };
        let source = if source == INIT { 7 } else { self.of_place(graph, source) };
        wide(mix(self.of_place(graph, id), kind), mix(source, u64::from(event.choice)))
    }

    /// A number of an event: its thread and its place in program order.
    fn of_place(&self, graph: &Graph, id: Id) -> u64 {
        let event = graph.event(id);
        mix(self.threads[event.thread as usize], u64::from(event.po))
    }
}

/// Two words as one that depends on both in all its bits.
fn wide(a: u64, b: u64) -> u128 {
    u128::from(mix(a, b)) << 64 | u128::from(mix(b ^ 0x2545_f491_4f6c_dd1d, a.rotate_left(17)))
}
