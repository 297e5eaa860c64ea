//! Memory orderings: the fewest that have to be stronger.

use crate::search::Search;
use racefuzz_trace::{Certificate, Edit, MemoryOrder, ObjectKind, OpKind, Overlay, Site};
use std::collections::BTreeMap;

/// An ordering in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Access {
    /// The access that has it.
    pub(crate) site: Site,
    /// Whether it is the one of a compare-exchange that fails, and so is a load.
    pub(crate) failure: bool,
}

/// What each access is, and its ordering as it stands.
pub(crate) type Accesses = BTreeMap<Access, (OpKind, MemoryOrder)>;

/// The orderings an access of this kind may have, weakest first, that are at least as strong.
fn stronger(kind: OpKind, than: MemoryOrder) -> Vec<MemoryOrder> {
    use MemoryOrder::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    let all: &[MemoryOrder] = match kind {
        OpKind::Load => &[Relaxed, Acquire, SeqCst],
        OpKind::Store => &[Relaxed, Release, SeqCst],
        OpKind::Fence => &[Acquire, Release, AcqRel, SeqCst],
        _ => &[Relaxed, Acquire, Release, AcqRel, SeqCst],
    };
    let covers = |order: MemoryOrder| {
        (!than.acquires() || order.acquires())
            && (!than.releases() || order.releases())
            && (than != SeqCst || order == SeqCst)
    };
    all.iter().copied().filter(|order| covers(*order)).collect()
}

/// An overlay of orderings, and why each is needed.
pub(crate) struct Ordered {
    pub(crate) overlay: Overlay,
    pub(crate) needed: Vec<Certificate>,
}

impl Search<'_> {
    pub(crate) fn accesses(&self) -> Accesses {
        let mut accesses = Accesses::new();
        let traces = self.traces.iter().chain(self.known.iter().map(|known| &known.bad.trace));
        for trace in traces {
            for event in &trace.events {
                let atomic =
                    event.object.is_some_and(|object| trace.object(object).kind == ObjectKind::Atomic);
                let fence = event.kind == OpKind::Fence;
                let access = matches!(event.kind, OpKind::Load | OpKind::Store | OpKind::Rmw) && atomic;
                if !(fence || access) {
                    continue;
                }
                let failure = event.kind == OpKind::Rmw && !event.ok;
                let kind = if failure { OpKind::Load } else { event.kind };
                let site = trace.site(event.site).clone();
                if !self.may_change_access(&site) {
                    continue;
                }
                accesses.entry(Access { site, failure }).or_insert((kind, event.order));
            }
        }
        accesses
    }

    /// The fewest orderings that have to be stronger, found from both ends of the source.
    pub(crate) fn order_accesses(&mut self) -> Vec<Ordered> {
        let accesses = self.accesses();
        let top = |most: usize| -> Vec<(Access, MemoryOrder)> {
            accesses
                .iter()
                .filter_map(|(access, (kind, order))| {
                    let all = stronger(*kind, *order);
                    let below = all.len().checked_sub(most)?;
                    all.get(below).map(|order| (access.clone(), *order))
                })
                .collect()
        };
        // First without SeqCst, which costs most.
        let strongest =
            [top(2), top(1)].into_iter().find(|orders| !orders.is_empty() && self.repairs(&overlay(orders)));
        let Some(strongest) = strongest else { return Vec::new() };
        let mut found: Vec<Ordered> = Vec::new();
        for backwards in [false, true] {
            let mut sites: Vec<usize> = (0..strongest.len()).collect();
            if backwards {
                sites.reverse();
            }
            let mut orders = strongest.clone();
            for at in sites {
                let (kind, own) = accesses[&orders[at].0];
                for weaker in stronger(kind, own) {
                    if self.out_of_time() {
                        return found;
                    }
                    let kept = std::mem::replace(&mut orders[at].1, weaker);
                    if kept == weaker || self.repairs(&overlay(&changed(&orders, &accesses))) {
                        break;
                    }
                    orders[at].1 = kept;
                }
            }
            let orders = changed(&orders, &accesses);
            let overlay = overlay(&orders);
            if orders.is_empty() || found.iter().any(|found| found.overlay == overlay) {
                continue;
            }
            let needed = (0..orders.len()).filter_map(|at| self.ordering_needed(&orders, at, &accesses));
            let needed = needed.collect();
            found.push(Ordered { overlay, needed });
        }
        found
    }

    fn ordering_needed(
        &mut self,
        orders: &[(Access, MemoryOrder)],
        at: usize,
        accesses: &Accesses,
    ) -> Option<Certificate> {
        let mut fewer = orders.to_vec();
        let (access, _) = fewer.remove(at);
        let bad = self.fails(&overlay(&fewer))?;
        let order = accesses[&access].1.name();
        let as_what = if access.failure { " as the failure ordering" } else { "" };
        let without = format!("with `{order}`{as_what} on line {}", access.site.line);
        Some(Certificate { without, site: access.site, fails: bad.in_short() })
    }
}

/// Those that differ from the source.
fn changed(orders: &[(Access, MemoryOrder)], accesses: &Accesses) -> Vec<(Access, MemoryOrder)> {
    orders.iter().filter(|(access, order)| accesses[access].1 != *order).cloned().collect()
}

fn overlay(orders: &[(Access, MemoryOrder)]) -> Overlay {
    let edits = orders.iter().map(|(access, order)| {
        let (site, order) = (access.site.clone(), *order);
        if access.failure { Edit::FailureOrder { site, order } } else { Edit::Order { site, order } }
    });
    edits.collect::<Vec<_>>().into()
}
