//! Places in the source before which it matters whether a thread is interrupted: which events depend on which.

use crate::graph::{Event, Graph, Id, Kind};
use racefuzz_runtime::Clock;
use racefuzz_trace::{MemoryOrder, Verb};
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// Places in the source before which it matters whether a thread is interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Places(BTreeSet<u64>);

impl Places {
    /// Adds a place.
    pub(crate) fn add(&mut self, site: u64) {
        self.0.insert(site);
    }

    /// Those that others do not know.
    pub(crate) fn unknown_to(mut self, others: &Self) -> Self {
        self.0.retain(|site| !others.holds(*site));
        self
    }

    /// Adds what others know; whether it was new.
    pub(crate) fn learn(&mut self, others: &Self) -> bool {
        let before = self.0.len();
        self.0.extend(&others.0);
        self.0.len() > before
    }

    pub(crate) fn holds(&self, site: u64) -> bool {
        self.0.contains(&site)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places of a graph's events that are not known yet, and matter. Threads that are stuck would have
    /// executed an event, too, had others not come first.
    pub(crate) fn new_ones(&self, graph: &Graph, stuck: &[Stuck]) -> Self {
        let mut new = Self::default();
        let mut ids: Vec<Id> = Vec::new();
        for (loc, number) in graph.locs.iter().zip(0..) {
            ids.clear();
            ids.extend(loc.mo.iter().chain(&loc.reads));
            if ids.iter().all(|id| self.holds(graph.event(*id).site)) {
                continue;
            }
            ids.sort_unstable();
            let mut later = Later::of(graph, loc.ordered);
            for id in ids.iter().rev() {
                let site = graph.event(*id).site;
                let keeps = |stuck: &Stuck| stuck.loc == number && stuck.depends_on(graph.event(*id));
                if !self.holds(site) && !new.holds(site) && (later.depends_on(*id) || stuck.iter().any(keeps))
                {
                    new.0.insert(site);
                }
                later.add(*id);
            }
        }
        new
    }
}

/// A thread that waits at the end of an execution for a word of an ordered location.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    pub(crate) thread: u32,
    pub(crate) loc: u32,
    /// What comes before its next event.
    pub(crate) prefix: Clock,
}

impl Stuck {
    /// Whether its next event depends on one that was executed, and does not come of it.
    fn depends_on(&self, event: &Event) -> bool {
        event.thread != self.thread && self.prefix.get(event.thread) <= event.po
    }
}

/// Events of a location, from the last on, and whether one of them depends on an earlier one and does not come
/// of it but by what it reads.
///
/// Of each thread and each kind of events the first one decides: what is in its prefix is in those of the
/// others.
struct Later<'a> {
    graph: &'a Graph,
    is_ordered: bool,
    /// For each thread and each [kind](Self::KINDS) the earliest event so far.
    first: Vec<[Option<Id>; Later::KINDS]>,
}

impl<'a> Later<'a> {
    const ANY: usize = 0;
    const WRITES: usize = 1;
    /// It could have been a read-modify-write.
    const UPDATES: usize = 2;
    const SEQ_CST: usize = 3;
    const SEQ_CST_WRITES: usize = 4;
    const KINDS: usize = 5;

    fn of(graph: &'a Graph, is_ordered: bool) -> Self {
        Self { graph, is_ordered, first: vec![[None; Self::KINDS]; graph.threads.len()] }
    }

    fn add(&mut self, id: Id) {
        let event = self.graph.event(id);
        let (writes, seq_cst) = (event.kind == Kind::Write, event.order == MemoryOrder::SeqCst);
        let is = [true, writes, event.verb != Verb::Load, seq_cst, seq_cst && writes];
        for (first, _) in self.first[event.thread as usize].iter_mut().zip(is).filter(|(_, is)| *is) {
            *first = Some(id);
        }
    }

    fn depends_on(&self, earlier: Id) -> bool {
        let event = self.graph.event(earlier);
        let writes = event.kind == Kind::Write;
        let mut kinds: SmallVec<[usize; 3]> = SmallVec::new();
        if self.is_ordered {
            kinds.push(if writes { Self::ANY } else { Self::WRITES });
        } else {
            if event.order == MemoryOrder::SeqCst {
                kinds.push(if writes { Self::SEQ_CST } else { Self::SEQ_CST_WRITES });
            }
            match writes {
                true if event.rmw => kinds.push(Self::UPDATES),
                true => {}
                false => kinds.push(Self::WRITES),
            }
        }
        self.first.iter().zip(0..).filter(|(_, thread)| *thread != event.thread).any(|(first, _)| {
            let mut later = kinds.iter().filter_map(|kind| first[*kind]);
            later.any(|later| !comes_before(self.graph, earlier, later))
        })
    }
}

/// Whether an event is in the prefix of what comes before the operation of a later one.
fn comes_before(graph: &Graph, earlier: Id, later: Id) -> bool {
    let second = graph.event(later);
    let operation = match second.kind == Kind::Write && second.rmw {
        // Its read.
        true => second.po - 1,
        false => second.po,
    };
    let read = graph.threads[second.thread as usize][operation as usize];
    let holds = |prefix: &Clock| prefix.get(graph.event(earlier).thread) > graph.event(earlier).po;
    let before = operation.checked_sub(1).map(|po| graph.threads[second.thread as usize][po as usize]);
    before.into_iter().chain(graph.joins_of(read)).any(|id| holds(&graph.event(id).porf))
}
