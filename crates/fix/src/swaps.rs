//! Stores that cut a release sequence: as a swap of the same ordering the store goes on with it.
//!
//! A release sequence is the store that heads it and the read-modify-writes that follow it directly in
//! modification order. A plain store in between ends it: who reads that store, or a read-modify-write
//! behind it, is ordered behind the storing thread only, and no longer behind those who went before.
//! A swap in its place is part of the sequence. That is what a lock has to do that others ask for by a
//! read-modify-write while it is held (rust-lang/rust and tokio's `AtomicWaker`).

use crate::search::Search;
use racefuzz_trace::{Edit, ObjectKind, OpKind, Site};
use std::collections::BTreeSet;

impl Search<'_> {
    /// Stores to atomics that somebody changes by a read-modify-write, too.
    pub(crate) fn swaps(&self) -> Vec<Edit> {
        let mut stores: BTreeSet<Site> = BTreeSet::new();
        let traces = self.traces.iter().chain(self.known.iter().map(|known| &known.bad.trace));
        for trace in traces {
            let updated: BTreeSet<_> = trace
                .events
                .iter()
                .filter(|event| event.kind == OpKind::Rmw && event.ok)
                .filter_map(|event| event.object)
                .filter(|object| trace.object(*object).kind == ObjectKind::Atomic)
                .collect();
            let stored = trace.events.iter().filter(|event| event.kind == OpKind::Store);
            let stored = stored.filter(|event| event.object.is_some_and(|object| updated.contains(&object)));
            stores.extend(stored.map(|event| trace.site(event.site).clone()));
        }
        stores.into_iter().map(|site| Edit::Swap { site }).collect()
    }
}
