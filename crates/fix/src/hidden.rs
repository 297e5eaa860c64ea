//! Accesses to memory that are no events: which of them lie under a lock.
//!
//! A guard that is typed in for a region is held over all that lies between the region's events, and over nothing behind
//! the last of them. So is the lock of an overlay: an access ends a region, unless it is one that comes between two of
//! the region's events in some execution that was looked at. For that the program is explored once with all accesses as
//! events.

use crate::clause::runs;
use crate::search::{Search, Seen};
use crate::sites::{by_thread, passes_unnoticed};
use crate::verifier::{Go, Task};
use racefuzz_trace::{Edit, Event, OpKind, Overlay, Site, Trace, Verb};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Where accesses lie between two events of a thread that come one behind the other, by the places of those.
type Between = BTreeMap<(Site, Site), BTreeSet<Site>>;

/// Executions that are looked at for accesses.
const MOST: usize = 64;

/// What is known of accesses that are no events.
#[derive(Default)]
pub(crate) struct Hidden {
    /// Where some have raced, which are no events yet.
    races: BTreeSet<Site>,
    /// Where they are events.
    watched: BTreeSet<Site>,
    looked_at: Option<Looked>,
}

/// What was seen of the program as it is with all accesses as events, beyond races too.
struct Looked {
    between: Between,
    /// The executions without those accesses.
    traces: Vec<Trace>,
}

impl Hidden {
    /// Accesses at a place race.
    pub(crate) fn race(&mut self, site: &Site) {
        if !self.watched.contains(site) {
            self.races.insert(site.clone());
        }
    }
}

impl Search<'_> {
    /// Makes accesses events that have raced, and explores the program anew if there are such.
    pub(crate) fn look_again(&mut self) -> Option<Seen> {
        let hidden = self.options.hidden?;
        let races = std::mem::take(&mut self.hidden.races);
        let new = races.iter().filter(|site| (hidden.watch)(site)).count();
        self.hidden.watched.extend(races);
        if new == 0 {
            return None;
        }
        self.hidden.looked_at = None;
        self.forget();
        Some(self.look())
    }

    /// An overlay with the accesses that its regions extend over, where that has to be said.
    pub(crate) fn with_accesses<'o>(&mut self, overlay: &'o Overlay) -> Cow<'o, Overlay> {
        let locks = |edit: &Edit| matches!(edit, Edit::Lock { .. });
        if self.options.hidden.is_none() || !overlay.edits.iter().any(locks) {
            return Cow::Borrowed(overlay);
        }
        self.look_at_accesses();
        let mut whole = overlay.clone();
        for (region, edit) in (0..).zip(&overlay.edits) {
            let Edit::Lock { sites, shared, .. } = edit else { continue };
            let through = self.inside(sites.iter().chain(shared));
            let edit = |(after, accesses): (Site, BTreeSet<Site>)| Edit::Through {
                region,
                after,
                accesses: accesses.into_iter().collect(),
            };
            whole.edits.extend(through.into_iter().map(edit));
        }
        Cow::Owned(whole)
    }

    /// The accesses behind each event at one of these places and before another one of them.
    fn inside<'s>(&self, places: impl Iterator<Item = &'s Site>) -> BTreeMap<Site, BTreeSet<Site>> {
        let mut inside: BTreeMap<Site, BTreeSet<Site>> = BTreeMap::new();
        let Some(Looked { between, traces }) = &self.hidden.looked_at else { return inside };
        let covered: BTreeSet<usize> = places.filter_map(|site| self.sites.known(site)).collect();
        for trace in self.all_traces().chain(traces) {
            for run in runs(trace, &self.sites, &covered).iter().flatten() {
                for pair in run.windows(2) {
                    let [from, to] = [pair[0], pair[1]].map(|at| trace.site(trace.events[at].site).clone());
                    if let Some(accesses) = between.get(&(from.clone(), to)) {
                        inside.entry(from).or_default().extend(accesses.iter().cloned());
                    }
                }
            }
        }
        inside
    }

    /// Explores the program as it is with all accesses as events, if that was not done yet, and learns its places.
    pub(crate) fn look_at_accesses(&mut self) {
        let Some(hidden) = self.options.hidden.filter(|_| self.hidden.looked_at.is_none()) else { return };
        let none = Overlay::default();
        let task = Task { overlay: &none, memory: self.memory(), budget: MOST as u64 };
        let watched = self.hidden.watched.clone();
        let mut looked = Looked { between: Between::new(), traces: Vec::new() };
        (hidden.watch_all)(true);
        let explored = self.verifier.explore(task, &mut |ended| {
            looked.learn(ended.trace, &watched);
            if looked.traces.len() == MOST { Go::Stop } else { Go::On }
        });
        (hidden.watch_all)(false);
        self.executions += explored.executions;
        looked.traces.iter().for_each(|trace| self.sites.learn(trace));
        self.hidden.looked_at = Some(looked);
    }
}

impl Looked {
    /// Learns from an execution in which all accesses are events, and not only those at some places.
    fn learn(&mut self, trace: &Trace, watched: &BTreeSet<Site>) {
        let is_hidden = |event: &Event| {
            event.kind == OpKind::Local
                && matches!(event.verb, Verb::CellRead | Verb::CellWrite)
                && !watched.contains(trace.site(event.site))
        };
        for events in by_thread(trace) {
            let mut last = None;
            let mut passed = BTreeSet::new();
            for event in events.iter().map(|at| &trace.events[*at]) {
                let site = trace.site(event.site);
                if is_hidden(event) {
                    passed.insert(site.clone());
                } else if !passes_unnoticed(event) {
                    let passed = std::mem::take(&mut passed);
                    if let Some(last) = last.replace(site).filter(|_| !passed.is_empty()) {
                        self.between.entry((last.clone(), site.clone())).or_default().extend(passed);
                    }
                }
            }
        }
        let mut without = trace.clone();
        without.events.retain(|event| !is_hidden(event));
        self.traces.push(without);
    }
}
