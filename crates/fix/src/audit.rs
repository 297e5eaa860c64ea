//! Audits: each piece of synchronisation is taken away, and what remains is explored.

use crate::graph_engine::Graphs;
use crate::options::Options;
use crate::plan::fix_with;
use crate::search::{Search, Tried};
use crate::steps::{before_oracles, is_added, is_step, with_held, writes};
use crate::verifier::Bad;
use racefuzz_trace::{
    AuditReport, Audited, Certainty, Edit, Event, FORMAT_VERSION, Finding, FixKind, LockName, MemoryOrder,
    ObjectId, ObjectKind, OpKind, Overlay, Site, Subject, Trace, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Audits the synchronisation of the program.
pub fn audit(options: &Options, program: &(dyn Fn() + Sync)) -> AuditReport {
    let deadline = options.max_time.and_then(|time| Instant::now().checked_add(time));
    let graphs = || Box::new(Graphs::new(program, options.check(), deadline));
    let mut search = Search::new(options, program, graphs(), deadline);
    let seen = search.look();
    let mut report = AuditReport {
        version: FORMAT_VERSION,
        program: options.program.clone(),
        settings: options.settings.clone(),
        failure: None,
        holds: None,
        audited: Vec::new(),
        nested: nested(&search.traces),
        unprotected: unprotected(&search.traces),
        cycles: cycles(&search.traces),
        parallelism: seen.spans.parallelism(),
        one_output: seen.one_output(),
        executions: 0,
    };
    let sampled = if seen.failing > 0 || !seen.complete { search.sample() } else { (None, 0) };
    if seen.failing > 0 || sampled.0.is_some() {
        let fixes = fix_with(options, program, graphs(), deadline);
        report.audited = given_back(&fixes);
        report.failure = fixes.failure;
        report.executions = search.executions + fixes.executions;
        return report;
    }
    let certainty = if seen.complete { Certainty::Verified } else { Certainty::Sampled };
    let executions = seen.executions + sampled.1;
    report.holds = Some(Verdict { certainty, memory: search.memory(), executions });
    locks(&mut search, &mut report.audited);
    orderings(&mut search, &mut report.audited);
    joins(&search.traces, &mut report.audited);
    report.executions = search.executions;
    report
}

/// What a failing program's own locks would have to be held over.
fn given_back(fixes: &racefuzz_trace::FixReport) -> Vec<Audited> {
    let own = fixes.fixes.iter().filter(|fix| fix.kind == FixKind::OwnLock);
    let regions = own.flat_map(|fix| &fix.regions).filter(|region| region.first != region.last);
    regions
        .filter_map(|region| match &region.lock {
            LockName::Own(lock) => Some(Audited {
                subject: Subject::Lock(lock.clone()),
                finding: Finding::GivenBackBetween { first: region.first.clone(), last: region.last.clone() },
            }),
            _ => None,
        })
        .collect()
}

fn locks(search: &mut Search<'_>, audited: &mut Vec<Audited>) {
    let mut guards: BTreeMap<Site, BTreeSet<Site>> = BTreeMap::new();
    for trace in &search.traces {
        for event in trace.events.iter().filter(|event| event.verb.takes_lock()) {
            let created = event.object.and_then(|object| trace.object(object).created);
            if let Some(created) = created {
                let taken = trace.site(event.site).clone();
                guards.entry(trace.site(created).clone()).or_default().insert(taken);
            }
        }
    }
    for (created, taken) in guards {
        let drop = |guards: Vec<Site>| Overlay::from(vec![Edit::Drop { created: created.clone(), guards }]);
        let finding = without(search, &drop(Vec::new()));
        let needed = matches!(finding, Finding::Needed { .. });
        audited.push(Audited { subject: Subject::Lock(created.clone()), finding });
        if needed && taken.len() > 1 {
            for taken in taken {
                let finding = without(search, &drop(vec![taken.clone()]));
                audited.push(Audited { subject: Subject::Guard { lock: created.clone(), taken }, finding });
            }
        }
    }
}

fn without(search: &mut Search<'_>, overlay: &Overlay) -> Finding {
    match search.try_overlay(overlay) {
        Tried::Good(measured) => Finding::NotNeeded(measured.verdict),
        Tried::Bad(bad) => needed(&bad),
    }
}

fn needed(bad: &Bad) -> Finding {
    let trace = &bad.trace;
    let told = |event: &Event| {
        let thread = trace.thread(event.thread);
        let name = match (&thread.name, event.thread.0) {
            (Some(name), _) => name.clone(),
            (None, 0) => "main".to_owned(),
            (None, number) => format!("thread {number}"),
        };
        let object = event.object.and_then(|object| trace.object(object).name.as_deref());
        let value = event.wrote.as_ref().or(event.read.as_ref()).map(|value| format!(" {value}"));
        let text = event.text.as_ref().map(|text| format!(" {text}"));
        let value = value.or(text).unwrap_or_default();
        (
            format!("{name}: {} {}{value}", event.verb.word(), object.unwrap_or("")),
            trace.site(event.site).clone(),
        )
    };
    let steps = before_oracles(trace).iter().filter(|event| is_step(trace, event));
    Finding::Needed { fails: bad.message.clone(), schedule: steps.map(told).collect() }
}

/// Weakens each ordering as far as it goes.
fn orderings(search: &mut Search<'_>, audited: &mut Vec<Audited>) {
    use MemoryOrder::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    for (site, (kind, order)) in search.accesses() {
        let weaker: &[MemoryOrder] = match (kind, order) {
            (OpKind::Fence, SeqCst) => &[Acquire, Release, AcqRel],
            (OpKind::Fence, AcqRel) => &[Acquire, Release],
            (OpKind::Fence, _) | (_, Relaxed | MemoryOrder::Plain) => &[],
            (OpKind::Load, SeqCst) => &[Relaxed, Acquire],
            (OpKind::Store, SeqCst) => &[Relaxed, Release],
            (_, SeqCst) => &[Relaxed, Acquire, Release, AcqRel],
            (_, AcqRel) => &[Relaxed, Acquire, Release],
            (_, Acquire | Release) => &[Relaxed],
        };
        for (at, weak) in weaker.iter().enumerate() {
            let overlay = Overlay::from(vec![Edit::Order { site: site.clone(), order: *weak }]);
            let finding = without(search, &overlay);
            let enough = matches!(finding, Finding::NotNeeded(_));
            if enough || at + 1 == weaker.len() {
                let subject = Subject::Ordering { site: site.clone(), order, weaker: *weak };
                audited.push(Audited { subject, finding });
                break;
            }
        }
    }
}

/// What each join orders: an access of the joined thread, and one behind the join that conflicts.
fn joins(traces: &[Trace], audited: &mut Vec<Audited>) {
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

fn nested(traces: &[Trace]) -> Vec<(Site, Site)> {
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

fn unprotected(traces: &[Trace]) -> Vec<(Site, Vec<Site>)> {
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
fn cycles(traces: &[Trace]) -> Vec<Vec<Site>> {
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
