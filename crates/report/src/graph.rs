//! The execution as a graph: which store each load read from, in which order the stores of an object
//! stand, which events synchronise, and what happens before what.
//!
//! Synchronisation follows C++20 (and so RC11): a release store, or a store behind a release fence,
//! synchronises with an acquire load that reads it or a read-modify-write of its release sequence, and
//! with an acquire fence behind a load that does. Locks, condition variables, channels and the like are
//! read-modify-writes in a trace and need no rules of their own.

use crate::view::{View, reads, updates, writes};
use racefuzz_trace::{Event, ObjectId, OpKind, ReadsFrom};
use std::collections::HashMap;

/// An edge between two events, by their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// More entries of vector clocks than this are not kept.
const MOST_ENTRIES: usize = 4_000_000;

/// The edges of an execution up to its failure, apart from program order.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// From a store to the load that returns it; loads of initial values have none.
    pub(crate) reads_from: Vec<Edge>,
    /// From each store to the next one of its object in modification order, as far as that is known:
    /// a store that took an earlier place has an edge to the one that it stands before.
    pub(crate) modification: Vec<Edge>,
    /// From an event to one of another thread that synchronises with it.
    pub(crate) synchronizes: Vec<Edge>,
    /// For each event the number of events of each thread that happen before or are it; empty if the
    /// execution is too long.
    clocks: Vec<Vec<u32>>,
    /// For each event its number among those of its thread, from 1.
    positions: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(view: &View<'_>) -> Self {
        let mut graph = Self::default();
        graph.add_reads_from(view);
        graph.add_modification(view);
        if view.events.len() * view.trace.threads.len() <= MOST_ENTRIES {
            Synchronization::new(view, &mut graph).follow();
        }
        graph
    }

    /// Whether one event happens before another one; `None` if that is not known.
    pub(crate) fn happens_before(&self, view: &View<'_>, first: u32, then: u32) -> Option<bool> {
        let known = self.clocks.get(then as usize)?;
        Some(first != then && known[view.event(first).thread.index()] >= self.positions[first as usize])
    }

    fn add_reads_from(&mut self, view: &View<'_>) {
        let edges = view.events.iter().filter_map(|event| match event.reads_from? {
            ReadsFrom::Step(from) => Some(Edge { from, to: event.step }),
            ReadsFrom::Initial => None,
        });
        self.reads_from = edges.collect();
    }

    fn add_modification(&mut self, view: &View<'_>) {
        let mut newest: HashMap<ObjectId, u32> = HashMap::new();
        for event in view.accesses().filter(|event| writes(event)) {
            let Some(object) = event.object else { continue };
            match event.newer.filter(|_| view.is_late(event)) {
                Some(newer) => self.modification.push(Edge { from: event.step, to: newer }),
                None => {
                    if let Some(from) = newest.insert(object, event.step) {
                        self.modification.push(Edge { from, to: event.step });
                    }
                }
            }
        }
    }
}

/// What one thread knows.
#[derive(Clone, Default)]
struct Thread {
    clock: Vec<u32>,
    /// The last release fence, and what was known there.
    fence: Option<(u32, Vec<u32>)>,
    /// What loads that do not acquire have read: an acquire fence does it for them.
    pending: Vec<Release>,
}

/// The head of a release sequence and what was known there.
#[derive(Clone)]
struct Release {
    head: u32,
    clock: Vec<u32>,
}

/// Follows an execution with vector clocks.
struct Synchronization<'g, 'v, 'a> {
    view: &'v View<'a>,
    graph: &'g mut Graph,
    threads: Vec<Thread>,
    /// For each store, what one synchronises with that acquires from it.
    released: HashMap<u32, Vec<Release>>,
}

impl<'g, 'v, 'a> Synchronization<'g, 'v, 'a> {
    fn new(view: &'v View<'a>, graph: &'g mut Graph) -> Self {
        let threads = view.trace.threads.len();
        let thread = Thread { clock: vec![0; threads], ..Thread::default() };
        Self { view, graph, threads: vec![thread; threads], released: HashMap::new() }
    }

    fn follow(mut self) {
        for event in self.view.events {
            let thread = event.thread.index();
            self.threads[thread].clock[thread] += 1;
            self.graph.positions.push(self.threads[thread].clock[thread]);
            self.receive(event);
            self.give(event);
            self.graph.clocks.push(self.threads[thread].clock.clone());
        }
        self.graph.synchronizes.sort_unstable();
        self.graph.synchronizes.dedup();
        self.leave_out_implied();
    }

    /// Leaves out what follows from another edge to the same event: the earlier heads of a release
    /// sequence, where the later ones are behind them anyway.
    fn leave_out_implied(&mut self) {
        let mut heads: HashMap<u32, Vec<u32>> = HashMap::new();
        for edge in &self.graph.synchronizes {
            heads.entry(edge.to).or_default().push(edge.from);
        }
        let (graph, view) = (&*self.graph, self.view);
        let implied = |edge: &Edge| {
            let mut others = heads[&edge.to].iter().filter(|other| **other != edge.from);
            others.any(|other| graph.happens_before(view, edge.from, *other) == Some(true))
        };
        let needed = graph.synchronizes.iter().filter(|edge| !implied(edge)).copied().collect();
        self.graph.synchronizes = needed;
    }

    /// Joins what the event synchronises with into what its thread knows.
    fn receive(&mut self, event: &Event) {
        let thread = event.thread.index();
        if event.kind == OpKind::Join
            && let Some(other) = event.other
        {
            let end = self.view.events[..event.step as usize].iter();
            let end = end.rev().find(|end| end.thread == other && end.kind == OpKind::Finish);
            if let Some(end) = end {
                let clock = self.graph.clocks[end.step as usize].clone();
                self.join(event, &Release { head: end.step, clock });
            }
        }
        if reads(event)
            && let Some(ReadsFrom::Step(store)) = event.reads_from
        {
            let releases = self.released.get(&store).cloned().unwrap_or_default();
            match event.order.acquires() {
                true => releases.iter().for_each(|release| self.join(event, release)),
                false => {
                    let mut pending = std::mem::take(&mut self.threads[thread].pending);
                    pending.extend(releases);
                    self.keep_latest(&mut pending);
                    self.threads[thread].pending = pending;
                }
            }
        }
        if event.kind == OpKind::Fence && event.order.acquires() {
            for release in std::mem::take(&mut self.threads[thread].pending) {
                self.join(event, &release);
            }
        }
    }

    fn join(&mut self, event: &Event, release: &Release) {
        let clock = &mut self.threads[event.thread.index()].clock;
        clock.iter_mut().zip(&release.clock).for_each(|(known, given)| *known = (*known).max(*given));
        if self.view.event(release.head).thread != event.thread {
            self.graph.synchronizes.push(Edge { from: release.head, to: event.step });
        }
    }

    /// Leaves out the heads that happen before others: whoever learns of these learns of them, too. What is
    /// left is at most one for each thread.
    fn keep_latest(&self, releases: &mut Vec<Release>) {
        releases.sort_unstable_by_key(|release| release.head);
        releases.dedup_by_key(|release| release.head);
        let known: Vec<bool> = releases
            .iter()
            .map(|one| {
                let (thread, position) =
                    (self.view.event(one.head).thread, self.graph.positions[one.head as usize]);
                let covers =
                    |other: &Release| other.head != one.head && other.clock[thread.index()] >= position;
                releases.iter().any(covers)
            })
            .collect();
        let mut known = known.into_iter();
        releases.retain(|_| !known.next().unwrap_or(false));
    }

    /// Keeps what others learn from the event.
    fn give(&mut self, event: &Event) {
        let thread = &mut self.threads[event.thread.index()];
        if event.kind == OpKind::Fence && event.order.releases() {
            thread.fence = Some((event.step, thread.clock.clone()));
        }
        if event.kind == OpKind::Spawn
            && let Some(child) = event.other
        {
            let clock = thread.clock.clone();
            let known = &mut self.threads[child.index()].clock;
            known.iter_mut().zip(&clock).for_each(|(known, given)| *known = (*known).max(*given));
            let first = self.view.events[event.step as usize..].iter().find(|first| first.thread == child);
            if let Some(first) = first {
                self.graph.synchronizes.push(Edge { from: event.step, to: first.step });
            }
            return;
        }
        // A plain write publishes nothing; a failed update writes nothing.
        if !(event.kind == OpKind::Store || updates(event)) {
            return;
        }
        let mut releases = Vec::new();
        if event.order.releases() {
            releases.push(Release { head: event.step, clock: thread.clock.clone() });
        } else if let Some((head, clock)) = &thread.fence {
            releases.push(Release { head: *head, clock: clock.clone() });
        }
        if let (true, Some(ReadsFrom::Step(store))) = (updates(event), event.reads_from) {
            releases.extend(self.released.get(&store).cloned().unwrap_or_default());
        }
        self.keep_latest(&mut releases);
        if !releases.is_empty() {
            self.released.insert(event.step, releases);
        }
    }
}
