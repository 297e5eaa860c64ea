//! A lock around the taking of other locks, where threads wait for each other's.
//!
//! Locks that are taken in different orders are best taken in one order. Where it is not known which locks those are, or
//! no order helps, nobody else may take any of them while one thread does.

use crate::locks::Placed;
use crate::placement::Placement;
use crate::search::{Search, Tried};
use crate::sites::by_thread;
use racefuzz_trace::{FailureDetail, Overlay, ThreadId, WaitEdge};
use std::collections::BTreeSet;

impl Search<'_> {
    /// One lock around all stretches in which a thread of a circle takes a lock and waits for another one.
    pub(crate) fn gate(&mut self) -> Option<Placed> {
        let mut places = BTreeSet::new();
        let Self { known, sites, .. } = self;
        for known in known.iter() {
            let Some(FailureDetail::Deadlock { waiting, cycle }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            let threads = by_thread(trace);
            for edge in waiting.iter().filter(|edge| cycle.len() > 1 && cycle.contains(&edge.thread)) {
                let Some(taken) = held_by(edge.thread, edge, waiting) else { continue };
                let events = &threads[edge.thread.index()];
                let took = |at: &usize| {
                    let event = &trace.events[*at];
                    event.site == taken && event.verb.takes_lock() && event.ok
                };
                let Some(first) = events.iter().rposition(took) else { continue };
                places.extend(sites.between(trace, &events[first..]));
                places.insert(sites.number(trace.site(edge.site)));
            }
        }
        if places.is_empty() {
            return None;
        }
        let placement = self.close(Placement::one(places));
        let Tried::Good(measured) = self.try_overlay(&placement.overlay(&self.sites)) else { return None };
        let mut placed = Placed { placement, measured, needed: Vec::new() };
        self.shrink(&mut placed, &Overlay::default());
        Some(placed)
    }
}

/// Where a thread that waits has taken what another one waits for.
fn held_by(thread: ThreadId, waits: &WaitEdge, waiting: &[WaitEdge]) -> Option<racefuzz_trace::SiteId> {
    let others = waiting.iter().filter(|other| other.verb.takes_lock() && other.object != waits.object);
    others.flat_map(|other| &other.holders).find(|(holder, _)| *holder == thread)?.1
}
