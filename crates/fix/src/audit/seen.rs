//! What executions show without taking anything away: joins, nesting, accesses without a lock, and
//! orders in which locks are taken.

use crate::steps::{is_added, is_step, with_held, writes};
use racefuzz_trace::{Audited, Finding, ObjectId, ObjectKind, OpKind, Site, Subject, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// What each join orders: an access of the joined thread, and one behind the join that conflicts.
pub(super) fn joins(traces: &[Trace], audited: &mut Vec<Audited>) {
    let mut found: BTreeMap<Site, Option<(Site, Site)>> = BTreeMap::new();
    for trace in traces {
        for (at, join) in trace.events.iter().enumerate() {
            let (OpKind::Join, Some(target)) = (join.kind, join.other) else { continue };
            let entry = found.entry(trace.site(join.site).clone()).or_default();
            if entry.is_some() {
                continue;
            }
            let behind = trace.events[at + 1..].iter().filter(|event| event.thread == join.thread);
            *entry = behind.filter(|event| is_step(trace, event)).find_map(|later| {
                let earlier = trace.events[..at].iter().rev().find(|earlier| {
                    earlier.thread == target
                        && is_step(trace, earlier)
                        && earlier.object.is_some()
                        && earlier.object == later.object
                        && (writes(earlier) || writes(later))
                })?;
                Some((trace.site(earlier.site).clone(), trace.site(later.site).clone()))
            });
        }
    }
    for (site, orders) in found {
        let finding = match orders {
            Some((first, then)) => Finding::Orders { first, then },
            None => Finding::OrdersNothing,
        };
        audited.push(Audited { subject: Subject::Join(site), finding });
    }
}

fn created(trace: &Trace, object: ObjectId) -> Option<Site> {
    trace.object(object).created.map(|site| trace.site(site).clone())
}

pub(super) fn nested(traces: &[Trace]) -> Vec<(Site, Site)> {
    // For each lock those that were held every time it was taken.
    let mut outer: BTreeMap<Site, BTreeSet<Site>> = BTreeMap::new();
    for trace in traces {
        with_held(trace, |event, held| {
            let Some(inner) = event.object.filter(|_| event.verb.takes_lock()) else { return };
            let Some(inner) = created(trace, inner) else { return };
            let now: BTreeSet<Site> = held.iter().filter_map(|lock| created(trace, *lock)).collect();
            outer.entry(inner).and_modify(|always| always.retain(|lock| now.contains(lock))).or_insert(now);
        });
    }
    outer
        .into_iter()
        .flat_map(|(inner, outer)| outer.into_iter().map(move |lock| (inner.clone(), lock)))
        .collect()
}

pub(super) fn unprotected(traces: &[Trace]) -> Vec<(Site, Vec<Site>)> {
    struct Use {
        locks: BTreeSet<Site>,
        bare: BTreeSet<Site>,
        threads: BTreeSet<u32>,
        written: bool,
    }
    let mut uses: BTreeMap<Site, Use> = BTreeMap::new();
    for trace in traces {
        let mut alive = 0;
        with_held(trace, |event, held| {
            match event.kind {
                OpKind::Spawn => alive += 1,
                OpKind::Finish => alive -= 1,
                _ => {}
            }
            let Some(object) = event.object.filter(|_| is_step(trace, event) && !is_added(trace, event))
            else {
                return;
            };
            let plain = matches!(trace.object(object).kind, ObjectKind::Variable | ObjectKind::Cell);
            // What main does before and behind all threads needs no lock.
            if !plain || alive <= 0 {
                return;
            }
            let Some(place) = created(trace, object) else { return };
            let locks: BTreeSet<Site> = held.iter().filter_map(|lock| created(trace, *lock)).collect();
            let here = uses.entry(place).or_insert_with(|| Use {
                locks: locks.clone(),
                bare: BTreeSet::new(),
                threads: BTreeSet::new(),
                written: false,
            });
            here.locks.retain(|lock| locks.contains(lock));
            if locks.is_empty() {
                here.bare.insert(trace.site(event.site).clone());
            }
            here.threads.insert(event.thread.0);
            here.written |= writes(event);
        });
    }
    uses.into_iter()
        .filter(|(_, here)| here.locks.is_empty() && here.threads.len() > 1 && here.written)
        .map(|(place, here)| (place, here.bare.into_iter().collect()))
        .collect()
}

/// Circles in the orders in which locks are taken, each once, from its first lock.
pub(super) fn cycles(traces: &[Trace]) -> Vec<Vec<Site>> {
    let mut behind: BTreeMap<Site, BTreeSet<Site>> = BTreeMap::new();
    for trace in traces {
        with_held(trace, |event, held| {
            let Some(inner) = event.object.filter(|_| event.verb.takes_lock()) else { return };
            let Some(inner) = created(trace, inner) else { return };
            for lock in held.iter().filter_map(|lock| created(trace, *lock)) {
                behind.entry(lock).or_default().insert(inner.clone());
            }
        });
    }
    let mut found = Vec::new();
    for start in behind.keys() {
        let mut path = vec![start.clone()];
        circle(&behind, start, &mut path, &mut found);
    }
    found
}

fn circle(
    behind: &BTreeMap<Site, BTreeSet<Site>>,
    start: &Site,
    path: &mut Vec<Site>,
    found: &mut Vec<Vec<Site>>,
) {
    let last = path.last().cloned();
    for next in last.iter().filter_map(|last| behind.get(last)).flatten() {
        if next == start {
            found.push(path.clone());
        } else if next > start && !path.contains(next) {
            path.push(next.clone());
            circle(behind, start, path, found);
            path.pop();
        }
    }
}
