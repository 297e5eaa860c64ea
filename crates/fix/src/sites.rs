//! The places of a program, numbered in the order of their names, and what is known of them.

use crate::steps::{is_added, is_step, is_structure};
use racefuzz_trace::{Event, Site, ThreadId, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// Places met so far.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    numbers: BTreeMap<Site, usize>,
    list: Vec<Site>,
    /// Places of events of threads that run beside others.
    pub(crate) concurrent: BTreeSet<usize>,
    /// Places of steps.
    pub(crate) steps: BTreeSet<usize>,
    /// Places of waits on condition variables.
    pub(crate) waits: BTreeSet<usize>,
    /// Where each place was met: the place where its thread was spawned, `None` for the root.
    pub(crate) roles: BTreeMap<usize, BTreeSet<Option<usize>>>,
}

impl Sites {
    pub(crate) fn number(&mut self, site: &Site) -> usize {
        if let Some(number) = self.numbers.get(site) {
            return *number;
        }
        let number = self.list.len();
        self.numbers.insert(site.clone(), number);
        self.list.push(site.clone());
        number
    }

    pub(crate) fn known(&self, site: &Site) -> Option<usize> {
        self.numbers.get(site).copied()
    }

    pub(crate) fn site(&self, number: usize) -> &Site {
        &self.list[number]
    }

    /// Learns the places of an execution.
    pub(crate) fn learn(&mut self, trace: &Trace) {
        let mut alive = 0;
        for event in &trace.events {
            use racefuzz_trace::OpKind::{Finish, Join, Spawn};
            match event.kind {
                Spawn => alive += 1,
                Finish if event.thread != ThreadId::ROOT => alive -= 1,
                Finish | Join => {}
                _ if is_added(trace, event) || is_structure(event) => {}
                _ => {
                    let number = self.number(trace.site(event.site));
                    if event.thread != ThreadId::ROOT || alive > 0 {
                        self.concurrent.insert(number);
                    }
                    if is_step(trace, event) {
                        self.steps.insert(number);
                    }
                    if event.verb == racefuzz_trace::Verb::Wait {
                        self.waits.insert(number);
                    }
                    let spawned = trace.thread(event.thread).spawned_at;
                    let role = spawned.map(|site| self.number(trace.site(site)));
                    self.roles.entry(number).or_default().insert(role);
                }
            }
        }
    }

    /// The places of a thread's events from one to another in program order, both included.
    pub(crate) fn between(&mut self, trace: &Trace, events: &[usize]) -> BTreeSet<usize> {
        events
            .iter()
            .map(|at| &trace.events[*at])
            .filter(|event| !is_added(trace, event) && !is_structure(event))
            .map(|event| self.number(trace.site(event.site)))
            .collect()
    }
}

/// The events of each thread, as indices, without those that an overlay added.
pub(crate) fn by_thread(trace: &Trace) -> Vec<Vec<usize>> {
    let mut threads = vec![Vec::new(); trace.threads.len()];
    for (at, event) in trace.events.iter().enumerate() {
        if !is_added(trace, event) {
            threads[event.thread.index()].push(at);
        }
    }
    threads
}

/// Whether an event ends a region that does not cover its place: some pass unnoticed.
pub(crate) fn passes_unnoticed(event: &Event) -> bool {
    use racefuzz_trace::OpKind::{Finish, Join, Spawn};
    is_structure(event) && !matches!(event.kind, Spawn | Join | Finish)
}
