//! A lock placement: for each lock the places where it is held.

use crate::clause::runs;
use crate::graph::Graph;
use crate::sites::Sites;
use crate::steps::{is_step, writes};
use racefuzz_trace::{Edit, LockName, OpKind, Overlay, Trace};
use std::collections::BTreeSet;

/// For each lock its places; the order has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Placement {
    pub(crate) locks: Vec<BTreeSet<usize>>,
}

impl Placement {
    pub(crate) fn one(places: BTreeSet<usize>) -> Self {
        Self { locks: vec![places] }
    }

    /// The number of places, each counted once for every lock.
    pub(crate) fn size(&self) -> usize {
        self.locks.iter().map(BTreeSet::len).sum()
    }

    /// Whether every lock of this one is held wherever one of the other's is, and not more widely.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.locks.iter().all(|mine| other.locks.iter().any(|theirs| mine.is_subset(theirs)))
    }

    pub(crate) fn overlay(&self, sites: &Sites) -> Overlay {
        let edits = (0u32..).zip(&self.locks).map(|(number, places)| Edit::Lock {
            lock: LockName::New(number),
            sites: places.iter().map(|place| sites.site(*place).clone()).collect(),
            shared: Vec::new(),
        });
        edits.collect::<Vec<_>>().into()
    }

    /// The same with the places shared that lie only in stretches that read; `None` if no stretch does.
    pub(crate) fn with_readers(&self, traces: &[Trace], sites: &Sites) -> Option<Overlay> {
        let mut some = false;
        let edits = (0u32..).zip(&self.locks).map(|(number, places)| {
            let mut writing = BTreeSet::new();
            for trace in traces {
                for run in runs(trace, sites, places).iter().flatten() {
                    if run.iter().any(|at| changes(trace, *at)) {
                        let places = run.iter().map(|at| trace.site(trace.events[*at].site));
                        writing.extend(places.filter_map(|site| sites.known(site)));
                    }
                }
            }
            let (write, read): (Vec<usize>, Vec<usize>) =
                places.iter().partition(|place| writing.contains(place));
            some |= !read.is_empty() && !write.is_empty();
            let list = |places: Vec<usize>| places.iter().map(|place| sites.site(*place).clone()).collect();
            Edit::Lock { lock: LockName::New(number), sites: list(write), shared: list(read) }
        });
        let edits: Vec<Edit> = edits.collect();
        some.then(|| edits.into())
    }

    /// The placements that also cover these places with one lock: one of those there are, or one more.
    pub(crate) fn extended(&self, places: &BTreeSet<usize>, most: usize) -> Vec<Self> {
        let mut all = Vec::new();
        for number in 0..self.locks.len() {
            let mut larger = self.clone();
            larger.locks[number].extend(places);
            all.push(larger.tidy());
        }
        if self.locks.len() < most {
            let mut larger = self.clone();
            larger.locks.push(places.clone());
            all.push(larger.tidy());
        }
        all
    }

    /// Without locks that another one makes superfluous.
    fn tidy(mut self) -> Self {
        self.locks.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        let mut kept: Vec<BTreeSet<usize>> = Vec::new();
        for places in self.locks {
            if !kept.iter().any(|larger| places.is_subset(larger)) {
                kept.push(places);
            }
        }
        kept.sort();
        Self { locks: kept }
    }

    /// Whether the placement forbids an execution and all that differ only in the order of events
    /// that do not depend on each other: some stretch under a lock is interrupted by another.
    pub(crate) fn forbids(&self, trace: &Trace, graph: &Graph, sites: &Sites) -> bool {
        self.locks.iter().any(|places| {
            let runs = runs(trace, sites, places);
            let all: Vec<(usize, &Vec<usize>)> = runs
                .iter()
                .enumerate()
                .flat_map(|(thread, runs)| runs.iter().map(move |run| (thread, run)))
                .collect();
            all.iter().enumerate().any(|(index, (thread, one))| {
                all[index + 1..].iter().any(|(other_thread, other)| {
                    thread != other_thread && before(graph, one, other) && before(graph, other, one)
                })
            })
        })
    }
}

/// Whether an event is one that a reader must not perform.
fn changes(trace: &Trace, at: usize) -> bool {
    let event = &trace.events[at];
    is_step(trace, event) && (writes(event) || matches!(event.kind, OpKind::Print | OpKind::Rmw))
}

/// Whether some event of one stretch comes before some event of the other.
fn before(graph: &Graph, one: &[usize], other: &[usize]) -> bool {
    one.iter().any(|a| other.iter().any(|b| graph.before(*a, *b)))
}
