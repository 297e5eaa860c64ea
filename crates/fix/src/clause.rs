//! What a bad execution says: at least one of these stretches must not be interrupted there.
//!
//! In a bad execution a stretch of one thread and a stretch of another are interleaved: something of
//! the first comes before something of the second in the execution's order, and the other way round.
//! In the simplest case the second stretch is one event `f` that comes between two events of the
//! first. A lock over both stretches forbids the execution: whichever comes first under the lock, one
//! of the two orders is broken. Each such pair is one way to forbid it, and one of them must be taken:
//! a clause. (The candidates of Černý et al., CAV'14, and of the root causes of linearizability
//! violations, CAV'20.)

use crate::graph::{Graph, step};
use crate::sites::{Sites, by_thread};
use crate::steps::{is_step, is_turn};
use crate::verifier::Bad;
use racefuzz_trace::{Event, FailureDetail, RacingAccess, Trace};
use std::collections::BTreeSet;

/// Sets of places; putting all places of one of them under one lock forbids the execution.
pub(crate) type Clause = Vec<BTreeSet<usize>>;

/// The clause of a bad execution, smallest sets first, the order of events that it is read off, and whether
/// critical sections count as steps in it: they do where no steps are interleaved, as what is inside of locks may
/// be. (Who sleeps for good has missed something, which no lock brings back.)
pub(crate) fn clause(bad: &Bad, sites: &mut Sites) -> (Clause, Graph, bool) {
    let graph = Graph::of(bad);
    let clause = ways(bad, &graph, is_step, sites);
    let asleep = matches!(bad.detail, Some(FailureDetail::Deadlock { .. }));
    if !clause.is_empty() || asleep {
        return (clause, graph, false);
    }
    let (clause, graph) = clause_of_sections(bad, sites);
    let says = !clause.is_empty();
    (clause, graph, says)
}

/// The same where critical sections count as steps.
pub(crate) fn clause_of_sections(bad: &Bad, sites: &mut Sites) -> (Clause, Graph) {
    let graph = Graph::of_sections(bad);
    (ways(bad, &graph, is_turn, sites), graph)
}

fn ways(bad: &Bad, graph: &Graph, counts: fn(&Trace, &Event) -> bool, sites: &mut Sites) -> Clause {
    let trace = &bad.trace;
    let mut ways: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    match &bad.detail {
        Some(FailureDetail::DataRace { first, second, .. }) => {
            ways.insert(BTreeSet::from([
                sites.number(trace.site(first.site)),
                sites.number(trace.site(second.site)),
            ]));
        }
        Some(FailureDetail::UseAfterFree { freed, used, .. }) => {
            ways.extend(used_too_late(trace, graph, sites, freed, used));
        }
        _ => {}
    }
    let threads = by_thread(trace);
    let own: Vec<Vec<usize>> = threads
        .iter()
        .map(|events| events.iter().copied().filter(|at| counts(trace, &trace.events[*at])).collect())
        .collect();
    for (thread, events) in threads.iter().enumerate() {
        let stretch = |from: usize, to: usize| -> Vec<usize> {
            events.iter().copied().filter(|at| (from..=to).contains(at)).collect()
        };
        for (other, steps) in own.iter().enumerate().filter(|(other, _)| *other != thread) {
            for f in steps {
                let Some((from, to)) = interrupted(graph, &own[thread], *f) else { continue };
                let mut way = sites.between(trace, &stretch(from, to));
                way.insert(sites.number(trace.site(trace.events[*f].site)));
                ways.insert(way);
            }
            // Each pair of threads once.
            if other < thread {
                continue;
            }
            for ((from, to), (first, last)) in interleaved(graph, &own[thread], steps) {
                let theirs = threads[other].iter().copied().filter(|at| (first..=last).contains(at));
                let theirs: Vec<usize> = theirs.collect();
                let mut way = sites.between(trace, &stretch(from, to));
                way.extend(sites.between(trace, &theirs));
                ways.insert(way);
            }
        }
    }
    minimal(ways)
}

/// The stretches that end with the use of what was gone, or of what nothing kept from being released:
/// each with what came in between, of the thread that released it. A use of what was gone is no event,
/// because it did not happen.
fn used_too_late(
    trace: &Trace,
    graph: &Graph,
    sites: &mut Sites,
    freed: &RacingAccess,
    used: &RacingAccess,
) -> Vec<BTreeSet<usize>> {
    let (me, other) = (used.thread.index(), freed.thread.index());
    let threads = by_thread(trace);
    if me == other || me >= threads.len() || other >= threads.len() {
        return Vec::new();
    }
    let steps = |of: usize| {
        let all = threads[of].iter().copied().filter(|at| is_step(trace, &trace.events[*at]));
        all.collect::<Vec<_>>()
    };
    let at = |access: &RacingAccess| step(trace, access).unwrap_or(usize::MAX);
    let (until, end) = (at(freed), at(used));
    let mine = steps(me);
    let between = steps(other).into_iter().filter(|f| *f < until);
    between
        .filter_map(|f| {
            let from = mine.iter().copied().rfind(|at| *at < end && graph.before(*at, f))?;
            let stretch = threads[me].iter().copied().filter(|at| (from..=end).contains(at));
            let stretch: Vec<usize> = stretch.collect();
            let mut way = sites.between(trace, &stretch);
            way.insert(sites.number(trace.site(used.site)));
            way.insert(sites.number(trace.site(trace.events[f].site)));
            Some(way)
        })
        .collect()
}

/// The shortest stretches of two threads that are interleaved, where neither is one event.
fn interleaved(graph: &Graph, mine: &[usize], theirs: &[usize]) -> Vec<((usize, usize), (usize, usize))> {
    let mut found = Vec::new();
    for (at, from) in mine.iter().enumerate() {
        let Some(last) = theirs.iter().position(|other| graph.before(*from, *other)) else { continue };
        for to in &mine[at + 1..] {
            let first = theirs.iter().rposition(|other| graph.before(*other, *to));
            match first {
                Some(first) if first < last => found.push(((*from, *to), (theirs[first], theirs[last]))),
                // One event of theirs comes in between, and does for all that follow.
                Some(_) => break,
                None => {}
            }
        }
    }
    found
}

/// The shortest stretch of a thread that `f` interrupts.
fn interrupted(graph: &Graph, own: &[usize], f: usize) -> Option<(usize, usize)> {
    let before = own.iter().rposition(|at| graph.before(*at, f))?;
    let behind = own.iter().position(|at| graph.before(f, *at))?;
    (before != behind || graph.before(f, f)).then(|| {
        let (from, to) = (before.min(behind), before.max(behind));
        (own[from], own[to])
    })
}

/// Those that contain no other one.
fn minimal(ways: BTreeSet<BTreeSet<usize>>) -> Clause {
    let mut sorted: Vec<_> = ways.into_iter().collect();
    sorted.sort_by_key(BTreeSet::len);
    let mut kept: Clause = Vec::new();
    for way in sorted {
        if !kept.iter().any(|smaller| smaller.is_subset(&way)) {
            kept.push(way);
        }
    }
    kept
}

/// The stretches of a trace that a set of places covers, as event indices, per thread.
pub(crate) fn runs(trace: &Trace, sites: &Sites, covered: &BTreeSet<usize>) -> Vec<Vec<Vec<usize>>> {
    by_thread(trace)
        .iter()
        .map(|events| {
            let mut runs: Vec<Vec<usize>> = Vec::new();
            let mut open = false;
            for at in events {
                let event = &trace.events[*at];
                let inside = sites.known(trace.site(event.site)).is_some_and(|site| covered.contains(&site))
                    && !crate::steps::is_structure(event);
                if inside {
                    if !open {
                        runs.push(Vec::new());
                    }
                    runs.last_mut().expect("one was begun").push(*at);
                    open = true;
                } else if !crate::sites::passes_unnoticed(event) {
                    open = false;
                }
            }
            runs
        })
        .collect()
}
