//! Where the locks of an overlay have been held, over all executions that were explored under it.
//!
//! What is proved is proved of these stretches. Whether a guard in the source is held over the same ones
//! is for those to judge who know the source; they need to know of every execution.

use crate::sites::by_thread;
use crate::steps::{is_added, is_step, is_turn};
use racefuzz_trace::{Edit, Event, OpKind, Overlay, Region, Site, Trace, Verb};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// First and last step of a stretch, and where it begins.
type Ends = (Site, Site, Site);

/// What was seen between those.
#[derive(Clone, Debug, Default)]
struct Inside {
    sites: BTreeSet<Site>,
    ends: BTreeSet<Site>,
    repeats: bool,
}

/// The stretches over which each lock of an overlay was held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches {
    /// By the number of the edit.
    found: BTreeMap<(usize, Ends), Inside>,
    outside: BTreeSet<Site>,
    /// A critical section is looked for as well, where what is wrong is what lies between two of them.
    sections: bool,
}

impl Stretches {
    /// Nothing yet; `sections` says whether critical sections are ends that people look for.
    pub(crate) fn new(sections: bool) -> Self {
        Self { sections, ..Self::default() }
    }

    /// Adds an execution under the overlay.
    pub(crate) fn add(&mut self, overlay: &Overlay, trace: &Trace) {
        let locks: Vec<_> = overlay.edits.iter().enumerate().filter_map(as_lock).collect();
        for events in by_thread(trace) {
            let mut open: Vec<Vec<usize>> = vec![Vec::new(); locks.len()];
            for at in events {
                let event = &trace.events[at];
                if is_added(trace, event) || crate::sites::passes_unnoticed(event) {
                    continue;
                }
                let site = trace.site(event.site);
                let structure = crate::steps::is_structure(event);
                let mut covered = false;
                for (number, (edit, sites, shared)) in locks.iter().enumerate() {
                    if !structure && (sites.contains(site) || shared.contains(site)) {
                        open[number].push(at);
                        covered = true;
                    } else {
                        self.close(*edit, trace, &std::mem::take(&mut open[number]));
                    }
                }
                // The end of a thread stands nowhere.
                if !covered && event.kind != OpKind::Finish && !self.outside.contains(site) {
                    self.outside.insert(site.clone());
                }
            }
            for (number, (edit, ..)) in locks.iter().enumerate() {
                self.close(*edit, trace, &open[number]);
            }
        }
    }

    fn close(&mut self, edit: usize, trace: &Trace, run: &[usize]) {
        let site = |at: &usize| trace.site(trace.events[*at].site).clone();
        // Locks of the program at the ends are no ends people look for.
        let looked_for =
            |event: &Event| is_looked_for(trace, event) || self.sections && is_turn(trace, event);
        let mut steps = run.iter().filter(|at| looked_for(&trace.events[**at]));
        let Some(first) = steps.next() else { return };
        let last = steps.next_back().unwrap_or(first);
        let inside = self.found.entry((edit, (site(first), site(last), site(&run[0])))).or_default();
        let mut passed = HashSet::new();
        for at in run {
            let event = &trace.events[*at];
            // Taking and giving back a lock stand at one place, as do the parts of a wait.
            let once = !event.verb.gives_lock();
            inside.repeats |= once && !passed.insert((event.site, event.verb));
            if !inside.sites.contains(trace.site(event.site)) {
                inside.sites.insert(site(at));
            }
        }
        inside.ends.extend(run.last().map(site));
    }

    /// The stretches as regions.
    pub(crate) fn regions(&self, overlay: &Overlay) -> Vec<Region> {
        let region = |((edit, ends), inside): (&(usize, Ends), &Inside)| {
            let Edit::Lock { lock, shared, .. } = &overlay.edits[*edit] else { return None };
            let (first, last, begins) = ends.clone();
            Some(Region {
                lock: lock.clone(),
                shared: inside.sites.iter().all(|site| shared.contains(site)),
                begins,
                first,
                last,
                ends: inside.ends.iter().cloned().collect(),
                sites: inside.sites.iter().cloned().collect(),
                repeats: inside.repeats,
            })
        };
        self.found.iter().filter_map(region).collect()
    }

    /// The places passed without any of the locks.
    pub(crate) fn outside(&self) -> Vec<Site> {
        self.outside.iter().cloned().collect()
    }
}

/// Whether a person would say that a region begins or ends with the event.
fn is_looked_for(trace: &Trace, event: &Event) -> bool {
    is_step(trace, event) || matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll | Verb::Unpark)
}

fn as_lock((number, edit): (usize, &Edit)) -> Option<(usize, &[Site], &[Site])> {
    match edit {
        Edit::Lock { sites, shared, .. } => Some((number, sites, shared)),
        _ => None,
    }
}
