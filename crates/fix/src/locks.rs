//! New locks: from what bad executions have in common to placements that are proved.
//!
//! A counterexample-guided search: the smallest placement that forbids every bad execution known is
//! explored; a bad execution found then is one more to forbid. What is found first is smallest, so a
//! placement that holds a lock wherever a proved one does need not be tried.

use crate::clause::runs;
use crate::placement::Placement;
use crate::search::{Measured, Search, Tried};
use crate::verifier::Bad;
use racefuzz_trace::{Certificate, FailureDetail, FailureKind, ObjectKind, Overlay, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::sync::Arc;

/// A placement that was proved.
pub(crate) struct Placed {
    pub(crate) placement: Placement,
    pub(crate) measured: Arc<Measured>,
    pub(crate) needed: Vec<Certificate>,
}

/// Placements that are worth showing.
const ENOUGH: usize = 6;

type Queue = BinaryHeap<Reverse<(usize, Placement)>>;

impl Search<'_> {
    /// Placements of new locks that repair the program together with `base`, smallest first.
    pub(crate) fn place_locks(&mut self, base: &Overlay) -> Vec<Placed> {
        let mut found: Vec<Placed> = Vec::new();
        let mut queue: Queue = BinaryHeap::from([Reverse((0, Placement::default()))]);
        let mut queued = HashSet::new();
        let end = self.tried + self.options.tries;
        while let Some(Reverse((_, placement))) = queue.pop() {
            if found.len() >= ENOUGH || self.tried >= end || self.out_of_time() {
                break;
            }
            if found.iter().any(|found| found.placement.within(&placement)) || self.held_in_sleep(&placement)
            {
                continue;
            }
            let loose = self
                .known
                .iter()
                .position(|known| !placement.forbids(&known.bad.trace, &known.graph, &self.sites));
            // What the other edits forbid is no reason for a lock.
            let ways = match loose {
                Some(index) if base.is_empty() => self.known[index].clause.clone(),
                _ => match self.try_overlay(&placement.overlay(&self.sites).with(base)) {
                    Tried::Good(measured) => {
                        found.push(Placed { placement, measured, needed: Vec::new() });
                        continue;
                    }
                    Tried::Bad(bad) => self.learn(&placement, &bad),
                    Tried::Unknown => break,
                },
            };
            for way in ways {
                for larger in placement.extended(&way, self.options.locks) {
                    let larger = self.close(larger);
                    if larger != placement && queued.insert(larger.clone()) {
                        queue.push(Reverse((larger.size() + larger.locks.len(), larger)));
                    }
                }
            }
        }
        found
    }

    /// Whether a lock would be held while its thread waits on a condition variable: no repair that
    /// anybody wants, even where nobody has to take that lock to wake the thread.
    fn held_in_sleep(&self, placement: &Placement) -> bool {
        placement.locks.iter().any(|places| !places.is_disjoint(&self.sites.waits))
    }

    /// One lock over everything, which is known to repair, as far as it cannot be made smaller.
    pub(crate) fn shrink_from(&mut self, everything: Placement, measured: Arc<Measured>) -> Placed {
        let mut placed = Placed { placement: everything, measured, needed: Vec::new() };
        self.shrink(&mut placed, &Overlay::default());
        placed
    }

    /// Where a lock of the program's is taken inside a region, the region lasts at least until that
    /// lock is given back: it would otherwise begin anew with that lock held.
    pub(crate) fn close(&self, placement: Placement) -> Placement {
        let mut closed = placement;
        for places in &mut closed.locks {
            loop {
                let before = places.len();
                for trace in self.traces.iter().chain(self.known.iter().map(|known| &known.bad.trace)) {
                    self.sections(trace, places);
                }
                if places.len() == before {
                    break;
                }
            }
        }
        closed
    }

    /// Adds the places of critical sections that begin at one of the places.
    fn sections(&self, trace: &Trace, places: &mut BTreeSet<usize>) {
        for events in crate::sites::by_thread(trace) {
            let mut held = Vec::new();
            for event in events.iter().map(|at| &trace.events[*at]) {
                let Some(place) = self.sites.known(trace.site(event.site)) else { continue };
                if event.verb.takes_lock() && event.ok {
                    held.push((event.object, places.contains(&place)));
                } else if event.verb.gives_lock() {
                    held.retain(|(object, _)| *object != event.object);
                } else if held.iter().any(|(_, inside)| *inside) && !crate::steps::is_structure(event) {
                    places.insert(place);
                }
            }
        }
    }

    /// What a counterexample asks for.
    fn learn(&mut self, placement: &Placement, bad: &Bad) -> Vec<BTreeSet<usize>> {
        let outer: Vec<_> = outer_locks(bad)
            .iter()
            .map(|site| BTreeSet::from([self.sites.number(site)]))
            .filter(|way| !placement.locks.iter().all(|places| way.is_subset(places)))
            .collect();
        if !outer.is_empty() {
            return outer;
        }
        self.remember(bad.clone());
        self.known.last().map(|known| known.clause.clone()).unwrap_or_default()
    }

    /// Takes away what is not needed at the ends of the regions, and says why the rest is.
    pub(crate) fn shrink(&mut self, placed: &mut Placed, base: &Overlay) {
        'again: loop {
            placed.needed.clear();
            for (lock, end) in self.ends(placed) {
                let mut smaller = placed.placement.clone();
                smaller.locks[lock].remove(&end);
                smaller.locks.retain(|places| !places.is_empty());
                match self.try_overlay(&smaller.overlay(&self.sites).with(base)) {
                    Tried::Good(measured) => {
                        placed.placement = smaller;
                        placed.measured = measured;
                        continue 'again;
                    }
                    Tried::Unknown => return,
                    Tried::Bad(bad) => {
                        let site = self.sites.site(end).clone();
                        let without = format!("without line {}", site.line);
                        placed.needed.push(Certificate { without, site, fails: bad.in_short() });
                    }
                }
            }
            return;
        }
    }

    /// The places at which regions begin or end, each with its lock.
    fn ends(&self, placed: &Placed) -> BTreeSet<(usize, usize)> {
        let mut ends = BTreeSet::new();
        for (lock, places) in placed.placement.locks.iter().enumerate() {
            for trace in &placed.measured.traces {
                for run in runs(trace, &self.sites, places).iter().flatten() {
                    for at in [run[0], run[run.len() - 1]] {
                        let site = trace.site(trace.events[at].site);
                        ends.extend(self.sites.known(site).map(|site| (lock, site)));
                    }
                }
            }
        }
        ends
    }
}

/// A deadlock between an added lock and one of the program's: where threads that wait for the added
/// one took what they hold. A region that begins before that place takes the two in the other order.
fn outer_locks(bad: &Bad) -> Vec<racefuzz_trace::Site> {
    let Some(FailureDetail::Deadlock { waiting, .. }) = &bad.detail else { return Vec::new() };
    let trace: &Trace = &bad.trace;
    let added = |object: Option<racefuzz_trace::ObjectId>| {
        object.is_some_and(|object| trace.object(object).kind == ObjectKind::Added)
    };
    let stuck: Vec<_> = waiting.iter().filter(|edge| added(edge.object)).map(|edge| edge.thread).collect();
    let mut places: Vec<_> = waiting
        .iter()
        .filter(|edge| !added(edge.object))
        .flat_map(|edge| &edge.holders)
        .filter(|(holder, _)| stuck.contains(holder))
        .filter_map(|(_, site)| site.map(|site| trace.site(site).clone()))
        .collect();
    places.sort();
    places.dedup();
    places
}

/// Whether an added lock is what a bad execution waits for.
pub(crate) fn waits_for_added(bad: &Bad) -> bool {
    let Some(FailureDetail::Deadlock { waiting, .. }) = &bad.detail else {
        return bad.kind == FailureKind::StepLimit;
    };
    waiting
        .iter()
        .any(|edge| edge.object.is_some_and(|object| bad.trace.object(object).kind == ObjectKind::Added))
}
