//! What a bad execution says: at least one of these stretches must not be interrupted there.
//!
//! In a bad execution some event `f` of one thread comes between two events of another, after the
//! first and before the second in the execution's order. A lock over the stretch from the first to
//! the second, and over `f`, forbids the execution: whichever comes first under the lock, one of the
//! two orders is broken. Each such pair is one way to forbid it, and one of them must be taken: a
//! clause. (The candidates of Černý et al., CAV'14, and of the root causes of linearizability
//! violations, CAV'20.)

use crate::graph::Graph;
use crate::sites::{Sites, by_thread};
use crate::steps::is_step;
use crate::verifier::Bad;
use racefuzz_trace::{FailureDetail, Trace};
use std::collections::BTreeSet;

/// Sets of places; putting all places of one of them under one lock forbids the execution.
pub(crate) type Clause = Vec<BTreeSet<usize>>;

/// The clause of a bad execution, smallest sets first.
pub(crate) fn clause(bad: &Bad, graph: &Graph, sites: &mut Sites) -> Clause {
    let trace = &bad.trace;
    let mut ways: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    if let Some(FailureDetail::DataRace { first, second, .. }) = &bad.detail {
        ways.insert(BTreeSet::from([
            sites.number(trace.site(first.site)),
            sites.number(trace.site(second.site)),
        ]));
    }
    let threads = by_thread(trace);
    let steps: Vec<usize> = (0..trace.events.len()).filter(|at| is_step(trace, &trace.events[*at])).collect();
    for (thread, events) in threads.iter().enumerate() {
        let own: Vec<usize> =
            events.iter().copied().filter(|at| is_step(trace, &trace.events[*at])).collect();
        for f in steps.iter().copied().filter(|f| trace.events[*f].thread.index() != thread) {
            let Some((from, to)) = interrupted(graph, &own, f) else { continue };
            let stretch: Vec<usize> = events.iter().copied().filter(|at| (from..=to).contains(at)).collect();
            let mut way = sites.between(trace, &stretch);
            way.insert(sites.number(trace.site(trace.events[f].site)));
            ways.insert(way);
        }
    }
    minimal(ways)
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
