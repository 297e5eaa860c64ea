//! Audits: each piece of synchronisation is taken away, and what remains is explored.

mod seen;

use crate::advice::{AsItIs, thread_name};
use crate::graph_engine::Graphs;
use crate::options::{Limit, Observer, Options};
use crate::plan::{fix_with, unrepeatable};
use crate::search::{Search, Tried};
use crate::steps::is_step;
use crate::verifier::Bad;
use racefuzz_trace::{
    AuditReport, Audited, Certainty, Edit, Event, FORMAT_VERSION, Finding, FixKind, FixReport, LockName,
    MemoryOrder, ObjectId, OpKind, Overlay, Site, SiteId, Subject, Told, Trace, Verb, Verdict,
};
use seen::{cycles, joins, nested, unprotected};
use std::collections::{BTreeMap, BTreeSet};

/// Audits the synchronisation of the program.
pub fn audit(options: &Options, program: &(dyn Fn() + Sync)) -> AuditReport {
    audit_watched(options, program, &())
}

/// The same, watched.
pub fn audit_watched(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> AuditReport {
    let limits = options.limits();
    let limit = Limit::new(&limits, observer);
    let graphs = || Box::new(Graphs::new(program, options.check(), limit));
    let mut search = Search::new(options, program, graphs(), limit);
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
        stopped: None,
    };
    if let Some(failure) = unrepeatable(&search) {
        // Looking again may not show it again.
        report.failure = Some(failure);
        report.executions = search.executions;
        return report;
    }
    let sampled = if seen.failing > 0 || !seen.complete { search.sample() } else { (None, 0) };
    if seen.failing > 0 || sampled.0.is_some() {
        let fixes = fix_with(options, program, graphs(), limit);
        report.audited = held_too_little(&fixes);
        report.failure = fixes.failure;
        report.executions = search.executions + fixes.executions;
        report.stopped = fixes.stopped;
        return report;
    }
    let certainty = if seen.complete { Certainty::Verified } else { Certainty::Sampled };
    let executions = seen.executions + sampled.1;
    report.holds = Some(Verdict { certainty, memory: search.memory(), executions });
    locks(&mut search, &mut report.audited);
    orderings(&mut search, &mut report.audited);
    joins(&search.traces, &mut report.audited);
    report.executions = search.executions;
    report.stopped = limit.words();
    report
}

/// What a failing program's own locks would have to be held over.
fn held_too_little(fixes: &FixReport) -> Vec<Audited> {
    let Some(failure) = &fixes.failure else { return Vec::new() };
    let own = fixes.fixes.iter().filter(|fix| fix.kind == FixKind::OwnLock);
    let regions = own.flat_map(|fix| &fix.regions).filter(|region| region.first != region.last);
    let mut audited = Vec::new();
    for region in regions {
        let LockName::Own(lock) = &region.lock else { continue };
        let as_it_is = AsItIs::of(&failure.trace, &region.sites, lock);
        let (first, last) = (region.first.clone(), region.last.clone());
        let finding = match as_it_is.without.is_empty() {
            true => Finding::GivenBackBetween { first, last },
            false => Finding::NotTaken { first, last, threads: as_it_is.without },
        };
        audited.push(Audited { subject: Subject::Lock(lock.clone()), finding });
    }
    audited
}

/// The places where locks are taken by calls of the program, by where the locks are created. (A wait
/// on a condition variable takes its lock again; that is no guard of its own.)
fn guards(traces: &[Trace]) -> BTreeMap<Site, BTreeSet<Site>> {
    let mut guards: BTreeMap<Site, BTreeSet<Site>> = BTreeMap::new();
    for trace in traces {
        let waits = trace.events.iter().filter(|event| event.verb == Verb::Wait);
        let waits: BTreeSet<SiteId> = waits.map(|event| event.site).collect();
        for event in trace.events.iter().filter(|event| event.verb.takes_lock()) {
            let created = event.object.and_then(|object| trace.object(object).created);
            if let Some(created) = created {
                let entry = guards.entry(trace.site(created).clone()).or_default();
                if !waits.contains(&event.site) {
                    entry.insert(trace.site(event.site).clone());
                }
            }
        }
    }
    guards
}

fn locks(search: &mut Search<'_>, audited: &mut Vec<Audited>) {
    let drop = |created: &Site, guards: Vec<Site>| Edit::Drop { created: created.clone(), guards };
    let mut not_needed = Vec::new();
    for (created, taken) in guards(&search.traces) {
        let Some(finding) = without(search, &vec![drop(&created, Vec::new())].into()) else { return };
        let needed = matches!(finding, Finding::Needed { .. });
        audited.push(Audited { subject: Subject::Lock(created.clone()), finding });
        if !needed {
            not_needed.push(created);
            continue;
        }
        let several = taken.len() > 1;
        for taken in taken {
            let subject = Subject::Guard { lock: created.clone(), taken: taken.clone() };
            let mut guard_needed = true;
            if several {
                let edit = drop(&created, vec![taken.clone()]);
                let Some(finding) = without(search, &vec![edit].into()) else { return };
                guard_needed = matches!(finding, Finding::Needed { .. });
                audited.push(Audited { subject: subject.clone(), finding });
            }
            if guard_needed && let Some(finding) = ends_earlier(search, &created, &taken) {
                audited.push(Audited { subject, finding });
            }
        }
    }
    if not_needed.len() > 1 {
        // Each of them may be what makes the others superfluous.
        let all: Vec<Edit> = not_needed.iter().map(|created| drop(created, Vec::new())).collect();
        let finding = without(search, &all.into());
        let subject = Subject::Locks(not_needed);
        audited.extend(finding.map(|finding| Audited { subject, finding }));
    }
}

/// Whether guards taken at a place may end before some of the steps under them.
fn ends_earlier(search: &mut Search<'_>, created: &Site, taken: &Site) -> Option<Finding> {
    let mut found = None;
    for before in steps_under(&search.traces, created, taken).into_iter().rev() {
        let edit = Edit::LetGo {
            created: created.clone(),
            guards: vec![taken.clone()],
            before: before.clone(),
            used: true,
        };
        match search.try_overlay(&vec![edit].into()) {
            Tried::Good(measured) => found = Some(Finding::TooLong { before, verdict: measured.verdict }),
            Tried::Bad(_) | Tried::Unknown => break,
        }
    }
    found
}

/// The places of steps under the guards taken at a place, in the order in which a thread gets there.
fn steps_under(traces: &[Trace], created: &Site, taken: &Site) -> Vec<Site> {
    let mut places: Vec<Site> = Vec::new();
    for trace in traces {
        // Per thread the lock it took there and still holds.
        let mut under: Vec<Option<ObjectId>> = vec![None; trace.threads.len()];
        for event in &trace.events {
            let Some(object) = event.object else { continue };
            let here = &mut under[event.thread.index()];
            let is_it = trace.object(object).created.is_some_and(|site| trace.site(site) == created);
            if event.verb.takes_lock() && is_it && event.ok && trace.site(event.site) == taken {
                *here = Some(object);
            } else if event.verb.gives_lock() && *here == Some(object) {
                *here = None;
            } else if here.is_some() && is_step(trace, event) && !places.contains(trace.site(event.site)) {
                places.push(trace.site(event.site).clone());
            }
        }
    }
    places
}

/// What an overlay that takes something away shows; nothing if the search ended before.
fn without(search: &mut Search<'_>, overlay: &Overlay) -> Option<Finding> {
    match search.try_overlay(overlay) {
        Tried::Good(measured) => Some(Finding::NotNeeded(measured.verdict)),
        Tried::Bad(bad) => Some(needed(&bad)),
        Tried::Unknown => None,
    }
}

fn needed(bad: &Bad) -> Finding {
    let trace = &bad.trace;
    let told = |event: &Event| {
        let object = event.object.map(|object| trace.object(object));
        let value = event.wrote.as_ref().or(event.read.as_ref()).map(ToString::to_string);
        Told {
            thread: thread_name(trace, event.thread),
            verb: event.verb,
            object: object.and_then(|object| object.name.as_deref().map(str::to_owned)),
            created: object.and_then(|object| object.created).map(|site| trace.site(site).clone()),
            value: value.or_else(|| event.text.as_ref().map(ToString::to_string)).unwrap_or_default(),
            site: trace.site(event.site).clone(),
        }
    };
    let steps = trace.events.iter().take(bad.step as usize).filter(|event| is_step(trace, event));
    Finding::Needed { fails: bad.in_short(), schedule: steps.map(told).collect() }
}

/// Weakens each ordering as far as it goes.
fn orderings(search: &mut Search<'_>, audited: &mut Vec<Audited>) {
    use MemoryOrder::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    for (access, (kind, order)) in search.accesses().into_iter().filter(|(access, _)| !access.failure) {
        let site = access.site;
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
            let Some(finding) = without(search, &overlay) else { return };
            let enough = matches!(finding, Finding::NotNeeded(_));
            if enough || at + 1 == weaker.len() {
                let subject = Subject::Ordering { site: site.clone(), order, weaker: *weak };
                audited.push(Audited { subject, finding });
                break;
            }
        }
    }
}
