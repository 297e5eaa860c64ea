//! What the program has already: its own locks, notifications, and loads that could be one step with
//! their stores.

use crate::search::Search;
use crate::sites::by_thread;
use crate::steps::is_step;
use racefuzz_trace::{
    Edit, FailureDetail, LockName, ObjectKind, OpKind, Overlay, Site, ThreadEnd, ThreadId, Trace, Verb,
};
use std::collections::{BTreeMap, BTreeSet};

impl Search<'_> {
    pub(crate) fn all_traces(&self) -> impl Iterator<Item = &Trace> {
        self.traces.iter().chain(self.known.iter().map(|known| &known.bad.trace))
    }

    /// Where the program creates a lock, if that place creates one only.
    pub(crate) fn single_locks(&self) -> Vec<Site> {
        let mut most: BTreeMap<Site, usize> = BTreeMap::new();
        for trace in self.all_traces() {
            let mut here: BTreeMap<&Site, usize> = BTreeMap::new();
            for object in &trace.objects {
                if let (ObjectKind::Mutex | ObjectKind::RwLock, Some(created)) = (object.kind, object.created)
                {
                    *here.entry(trace.site(created)).or_default() += 1;
                }
            }
            for (site, count) in here {
                let entry = most.entry(site.clone()).or_default();
                *entry = (*entry).max(count);
            }
        }
        most.into_iter().filter(|(_, count)| *count == 1).map(|(site, _)| site).collect()
    }

    /// Places of which several objects are created, with the objects' accesses among these places.
    pub(crate) fn many_at(&self, places: &BTreeSet<usize>) -> Option<Site> {
        for trace in self.all_traces() {
            let mut objects: BTreeMap<&Site, BTreeSet<u32>> = BTreeMap::new();
            for event in &trace.events {
                let Some(object) = event.object else { continue };
                let here =
                    self.sites.known(trace.site(event.site)).is_some_and(|site| places.contains(&site));
                let kind = trace.object(object).kind;
                let data = matches!(kind, ObjectKind::Variable | ObjectKind::Atomic | ObjectKind::Cell);
                if let (true, true, Some(created)) = (here, data, trace.object(object).created) {
                    objects.entry(trace.site(created)).or_default().insert(object.0);
                }
            }
            if let Some((site, _)) = objects.iter().find(|(_, objects)| objects.len() > 1) {
                return Some((*site).clone());
            }
        }
        None
    }

    /// A load and the store of the same thing that follows it in its thread, with nothing shared in
    /// between: what one read-modify-write could do. As an overlay: a lock beside the thing, over both.
    pub(crate) fn one_steps(&self) -> Vec<(Overlay, Site, Site)> {
        let mut pairs: BTreeMap<(Site, Site), (Site, BTreeSet<Site>)> = BTreeMap::new();
        let mut others: BTreeSet<Site> = BTreeSet::new();
        for trace in self.all_traces() {
            for events in by_thread(trace) {
                for (at, index) in events.iter().enumerate() {
                    let event = &trace.events[*index];
                    let (OpKind::Load, Some(object)) = (event.kind, event.object) else { continue };
                    let kind = trace.object(object).kind;
                    if !matches!(kind, ObjectKind::Variable | ObjectKind::Atomic) {
                        continue;
                    }
                    let between =
                        events[at + 1..].iter().take_while(|next| trace.events[**next].kind == OpKind::Local);
                    let between: Vec<usize> = between.copied().collect();
                    let Some(next) = events.get(at + 1 + between.len()) else { continue };
                    let store = &trace.events[*next];
                    let Some(created) = trace.object(object).created else { continue };
                    if store.kind != OpKind::Store || store.object != Some(object) {
                        continue;
                    }
                    let key = (trace.site(event.site).clone(), trace.site(store.site).clone());
                    let entry =
                        pairs.entry(key).or_insert_with(|| (trace.site(created).clone(), BTreeSet::new()));
                    let inside = between.iter().chain([index, next]);
                    entry.1.extend(inside.map(|at| trace.site(trace.events[*at].site).clone()));
                }
            }
        }
        // Another store that comes between would not be one of these steps.
        for trace in self.all_traces() {
            for event in trace.events.iter().filter(|event| event.kind.writes()) {
                if let Some(created) = event.object.and_then(|object| trace.object(object).created) {
                    let (site, created) = (trace.site(event.site), trace.site(created));
                    if !pairs.iter().any(|((_, store), (of, _))| store == site && of == created) {
                        others.insert(created.clone());
                    }
                }
            }
        }
        pairs
            .into_iter()
            .filter(|(_, (created, _))| !others.contains(created))
            .map(|((load, store), (created, sites))| {
                let lock = LockName::Beside(0, created);
                let edit = Edit::Lock { lock, sites: sites.into_iter().collect(), shared: Vec::new() };
                (vec![edit].into(), load, store)
            })
            .collect()
    }

    /// Pairs of places where a second lock is taken while the first is held, among those that a
    /// deadlock is about.
    pub(crate) fn nested_locks(&self) -> Vec<(Site, Site, Vec<Site>)> {
        let mut pairs = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, cycle }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            let mut created: BTreeSet<Site> = BTreeSet::new();
            for edge in waiting.iter().filter(|edge| cycle.len() > 1 && cycle.contains(&edge.thread)) {
                let place = edge.object.and_then(|object| trace.object(object).created);
                created.extend(place.map(|place| trace.site(place).clone()));
            }
            let nested = waiting.iter().filter(|edge| edge.verb.takes_lock());
            for edge in nested.filter(|edge| cycle.len() > 1 && cycle.contains(&edge.thread)) {
                // That of one lock alone can be no other.
                let others = waiting.iter().filter(|other| other.object != edge.object);
                let held = others.flat_map(|other| &other.holders).find(|(holder, _)| *holder == edge.thread);
                if let Some((_, Some(first))) = held {
                    let (first, second) = (trace.site(*first).clone(), trace.site(edge.site).clone());
                    let pair = (first, second, created.iter().cloned().collect());
                    if !pairs.contains(&pair) {
                        pairs.push(pair);
                    }
                }
            }
        }
        pairs
    }

    /// Where one waiting thread is woken.
    pub(crate) fn notifications(&self) -> BTreeSet<Site> {
        self.all_traces()
            .flat_map(|trace| {
                let one = trace.events.iter().filter(|event| event.verb == Verb::NotifyOne);
                one.map(|event| trace.site(event.site).clone())
            })
            .collect()
    }

    /// A lock that a thread holds, and waits for all the same: given back before it is taken again.
    pub(crate) fn taken_twice(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, cycle }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            let stuck = waiting.iter().filter(|edge| cycle.contains(&edge.thread));
            for edge in stuck {
                // A reader may be kept out by a writer that waits for what the reader has: then it says so.
                let same = waiting.iter().filter(|other| other.object == edge.object);
                let mine = same.flat_map(|other| &other.holders).find(|(holder, _)| *holder == edge.thread);
                let created = edge.object.and_then(|object| trace.object(object).created);
                let (Some((_, Some(taken))), Some(created)) = (mine, created) else { continue };
                let edit = Edit::LetGo {
                    created: trace.site(created).clone(),
                    guards: vec![trace.site(*taken).clone()],
                    before: trace.site(edge.site).clone(),
                    used: false,
                };
                if !edits.contains(&edit) {
                    edits.push(edit);
                }
            }
        }
        edits
    }

    /// Locks that threads wait for although who held them has ended.
    pub(crate) fn left_behind(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, .. }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            for edge in waiting {
                let ended = |holder: &ThreadId| trace.thread(*holder).end == ThreadEnd::Finished;
                let gone = edge.holders.iter().find(|(holder, _)| ended(holder));
                let created = edge.object.and_then(|object| trace.object(object).created);
                let (Some((_, Some(taken))), Some(created)) = (gone, created) else { continue };
                let edit = Edit::GiveBack {
                    created: trace.site(created).clone(),
                    guards: vec![trace.site(*taken).clone()],
                };
                if !edits.contains(&edit) {
                    edits.push(edit);
                }
            }
        }
        edits
    }

    /// Where tasks give way in bad executions, between two steps of theirs: the steps, too.
    pub(crate) fn yields(&self) -> Vec<(Site, Site, Site)> {
        let mut found = Vec::new();
        for known in &self.known {
            let trace = &known.bad.trace;
            for events in by_thread(trace) {
                for (at, index) in events.iter().enumerate() {
                    let event = &trace.events[*index];
                    if event.verb != Verb::Await || event.implied || !trace.thread(event.thread).task {
                        continue;
                    }
                    let step = |at: &&usize| is_step(trace, &trace.events[**at]);
                    let before = events[..at].iter().rev().find(step);
                    let behind = events[at + 1..].iter().find(step);
                    let (Some(before), Some(behind)) = (before, behind) else { continue };
                    let site = |at: usize| trace.site(trace.events[at].site).clone();
                    let found_here = (site(*index), site(*before), site(*behind));
                    if !found.contains(&found_here) {
                        found.push(found_here);
                    }
                }
            }
        }
        found
    }
}
