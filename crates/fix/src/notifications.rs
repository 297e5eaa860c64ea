//! Notifications that come between a look and the wait that follows it: the lock is taken around them
//! under which the other one looks and goes to sleep.
//!
//! A condition variable remembers nothing. Who waits looks under a lock at what is to become true, and
//! gives that lock back only by going to sleep. So a notification under the same lock comes before the
//! look or behind the beginning of the wait, and never in between; that the flag itself is an atomic
//! makes no difference. What was stored before the notification is best done under the lock, too.

use crate::search::Search;
use crate::sites::{by_thread, passes_unnoticed};
use crate::steps::{is_step, with_held, writes};
use racefuzz_trace::{
    Edit, Event, FailureDetail, LockName, ObjectId, ObjectKind, Overlay, Site, Trace, Verb,
};
use std::collections::BTreeSet;

/// A lock of the program's, and stretches of places around notifications that go without it.
struct Unlocked {
    lock: Site,
    /// The notifications alone.
    narrow: BTreeSet<Site>,
    /// With the store before each of them.
    wide: BTreeSet<Site>,
}

impl Search<'_> {
    /// The lock that sleepers look under, taken around the notifications, and around the stores before
    /// them.
    pub(crate) fn locked_notifications(&self) -> Vec<Overlay> {
        let singles = self.single_locks();
        let mut found: Vec<Overlay> = Vec::new();
        for known in &self.known {
            let Some(FailureDetail::Deadlock { waiting, .. }) = &known.bad.detail else { continue };
            let trace = &known.bad.trace;
            for edge in waiting.iter().filter(|edge| matches!(edge.verb, Verb::Woken | Verb::Wait)) {
                let Some(condvar) = edge.object else { continue };
                let own = |event: &&Event| event.thread == edge.thread;
                let slept = trace.events.iter().rfind(|event| own(event) && event.verb == Verb::Wait);
                let Some(slept) = slept else { continue };
                let before = trace.events[..slept.step as usize].iter().filter(own);
                let lock = before.rev().find(|event| event.verb.takes_lock() && event.ok);
                let Some(lock) = lock.and_then(|event| event.object) else { continue };
                let created = trace.object(lock).created.map(|site| trace.site(site).clone());
                let Some(created) = created.filter(|created| singles.contains(created)) else { continue };
                let about = trace.object(condvar).created.map(|site| trace.site(site).clone());
                let unlocked = about.map(|condvar| self.unlocked(&created, &condvar));
                let Some(unlocked) = unlocked.filter(|unlocked| !unlocked.narrow.is_empty()) else {
                    continue;
                };
                for sites in [unlocked.wide, unlocked.narrow] {
                    let lock = LockName::Own(unlocked.lock.clone());
                    let edit = Edit::Lock { lock, sites: sites.into_iter().collect(), shared: Vec::new() };
                    let overlay = Overlay::from(vec![edit]);
                    if !found.contains(&overlay) {
                        found.push(overlay);
                    }
                }
            }
        }
        found
    }

    fn unlocked(&self, lock: &Site, condvar: &Site) -> Unlocked {
        let mut unlocked = Unlocked { lock: lock.clone(), narrow: BTreeSet::new(), wide: BTreeSet::new() };
        for trace in self.all_traces() {
            let created = |object: Option<ObjectId>| {
                object.and_then(|object| trace.object(object).created).map(|site| trace.site(site))
            };
            let mut bare = BTreeSet::new();
            with_held(trace, |event, held| {
                let notifies = matches!(event.verb, Verb::NotifyOne | Verb::NotifyAll);
                let without = !held.iter().any(|object| created(Some(*object)) == Some(lock));
                if notifies && without && created(event.object) == Some(condvar) {
                    bare.insert(event.step);
                }
            });
            for events in by_thread(trace) {
                for (at, _) in events.iter().enumerate().filter(|(_, at)| bare.contains(&(**at as u32))) {
                    let site = |at: &usize| trace.site(trace.events[*at].site).clone();
                    unlocked.narrow.insert(site(&events[at]));
                    let store = events[..at].iter().rposition(|at| is_step(trace, &trace.events[*at]));
                    let store = store.filter(|store| is_told(trace, &trace.events[events[*store]]));
                    let inside = &events[store.unwrap_or(at)..=at];
                    let seen = inside.iter().filter(|at| !passes_unnoticed(&trace.events[**at]));
                    unlocked.wide.extend(seen.map(site));
                }
            }
        }
        unlocked
    }

    /// Where the program takes a lock of its own that a repair holds at these places, unless somebody
    /// has it there already: who has a lock cannot take it again.
    pub(crate) fn taken_elsewhere(&self, created: &Site, places: &[Site]) -> Vec<Site> {
        let mut taken = BTreeSet::new();
        let mut has_it = false;
        for trace in self.all_traces() {
            let is_it = |object: ObjectId| {
                trace.object(object).created.is_some_and(|site| trace.site(site) == created)
            };
            with_held(trace, |event, held| {
                let here = places.contains(trace.site(event.site));
                has_it |=
                    here && (held.iter().any(|object| is_it(*object)) || event.object.is_some_and(is_it));
                let takes = matches!(event.verb, Verb::Lock | Verb::ReadLock | Verb::WriteLock);
                if takes && event.object.is_some_and(is_it) {
                    taken.insert(trace.site(event.site).clone());
                }
            });
        }
        if has_it { Vec::new() } else { taken.into_iter().collect() }
    }

    /// Where the program takes a lock of its own at one of these places.
    pub(crate) fn taken_inside(&self, created: &Site, places: &[Site]) -> Vec<Site> {
        let mut taken = BTreeSet::new();
        for trace in self.all_traces() {
            let is_it = |object: ObjectId| {
                trace.object(object).created.is_some_and(|site| trace.site(site) == created)
            };
            let events = trace.events.iter().filter(|event| event.verb.takes_lock());
            let here = events.filter(|event| event.object.is_some_and(is_it));
            taken.extend(
                here.map(|event| trace.site(event.site)).filter(|site| places.contains(site)).cloned(),
            );
        }
        taken.into_iter().collect()
    }
}

/// Whether an event changes something for others to see.
fn is_told(trace: &Trace, event: &Event) -> bool {
    let kind = event.object.map(|object| trace.object(object).kind);
    writes(event) && matches!(kind, Some(ObjectKind::Atomic | ObjectKind::Variable))
}
