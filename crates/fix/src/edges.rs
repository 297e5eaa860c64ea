//! Order edges: something waits for something else.

use crate::search::{Search, Tried};
use crate::steps::{is_added, is_structure, writes};
use racefuzz_trace::{Edit, OpKind, Overlay, ThreadId, Trace, Verb};

/// More edges than this are not tried.
const MOST: usize = 40;

impl Search<'_> {
    /// Edges that repair the program together with `others`, joins first.
    pub(crate) fn order_edges(&mut self, others: &Overlay, enough: usize) -> Vec<Edit> {
        let mut candidates = self.missing_joins();
        candidates.extend(self.missing_waits());
        self.repairing(candidates, others, enough)
    }

    /// Those of the edges that repair the program, each alone, together with `others`.
    pub(crate) fn repairing(&mut self, candidates: Vec<Edit>, others: &Overlay, enough: usize) -> Vec<Edit> {
        let mut found = Vec::new();
        for edge in candidates.into_iter().take(MOST) {
            if found.len() >= enough || self.out_of_time() {
                break;
            }
            if let Tried::Good(_) = self.try_overlay(&others.with(&vec![edge.clone()].into())) {
                found.push(edge);
            }
        }
        found
    }

    /// In each bad execution: a thread does something although one that it has spawned has not ended.
    pub(crate) fn missing_joins(&self) -> Vec<Edit> {
        let mut edges = Vec::new();
        self.known.iter().for_each(|known| self.joins_in(&known.bad.trace, &mut edges));
        edges
    }

    /// In each bad execution: two events of different threads on one thing, in the order that may
    /// have been the wrong one.
    pub(crate) fn missing_waits(&self) -> Vec<Edit> {
        let mut edges = Vec::new();
        self.known.iter().for_each(|known| self.waits_in(&known.bad.trace, &mut edges));
        edges
    }

    fn joins_in(&self, trace: &Trace, into: &mut Vec<Edit>) {
        for (at, event) in trace.events.iter().enumerate() {
            let (OpKind::Spawn, Some(child)) = (event.kind, event.other) else { continue };
            let spawned = trace.site(event.site);
            let behind = &trace.events[at + 1..];
            let early =
                behind.iter().take_while(|later| !(later.thread == child && later.kind == OpKind::Finish));
            for later in early.filter(|later| later.thread == event.thread) {
                if is_structure(later) || is_added(trace, later) {
                    continue;
                }
                let edge = Edit::Join { spawned: spawned.clone(), before: trace.site(later.site).clone() };
                if !into.contains(&edge) {
                    into.push(edge);
                }
            }
        }
    }

    fn waits_in(&self, trace: &Trace, into: &mut Vec<Edit>) {
        for (at, early) in trace.events.iter().enumerate() {
            let lock = early.verb.takes_lock() || early.verb.gives_lock();
            if early.object.is_none() || lock || is_structure(early) || is_added(trace, early) {
                continue;
            }
            for late in &trace.events[at + 1..] {
                let same = late.object == early.object && late.thread != early.thread;
                let lock = late.verb.takes_lock() || late.verb.gives_lock();
                if !same || lock || !(writes(early) || writes(late)) {
                    continue;
                }
                if late.site == early.site || !done_once(trace, late.site, late.thread) {
                    continue;
                }
                let edge = Edit::Await {
                    first: trace.site(late.site).clone(),
                    before: trace.site(early.site).clone(),
                };
                if !into.contains(&edge) {
                    into.push(edge);
                }
            }
        }
    }
}

/// Whether one thread alone passes a place. (A wait on a condition variable is several events.)
fn done_once(trace: &Trace, site: racefuzz_trace::SiteId, thread: ThreadId) -> bool {
    trace
        .events
        .iter()
        .filter(|event| event.site == site && event.verb != Verb::Woken)
        .all(|event| event.thread == thread)
}
