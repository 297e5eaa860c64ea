//! Which events of a graph are in whatever is explored from it: see [the module above](super).

use crate::graph::{Event, Graph, INIT, Id, Kind};
use racefuzz_runtime::{Clock, Test};

/// A part of a graph, closed under what its events come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// For each thread how many of its first events.
    pub(super) events: Clock,
    /// What comes behind them.
    pub(super) later: Option<Later>,
}

/// One more operation, which does not wait, of a thread that has done all its events of a part.
#[derive(Clone, Debug)]
pub(super) struct Later {
    pub(super) thread: u32,
    /// How far each thread has to be before it.
    pub(super) needs: Clock,
}

impl Later {
    /// Whether it can be done where each thread is so far.
    pub(super) fn is_due(&self, done: &[u32]) -> bool {
        done.iter().zip(0..).all(|(done, thread)| *done >= self.needs.get(thread))
    }
}

/// What of a graph is in whatever is explored from it.
pub(super) struct Kept<'a> {
    graph: &'a Graph,
    /// Events that nothing takes back unless it comes of them.
    fixed: Vec<Id>,
    /// For each of these, and behind the last, the prefixes of it and all behind it.
    prefixes: Vec<Clock>,
    /// A read that was given another write, for which it may turn out to wait.
    unsure: Option<Id>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        let mut fixed: Vec<Id> = Vec::new();
        let mut unsure = None;
        let places = places(graph);
        // For each place of a location the oldest event among the writes behind it.
        let mut oldest_newer: Vec<Id> = Vec::new();
        for loc in &graph.locs {
            oldest_newer.clear();
            oldest_newer.resize(loc.mo.len() + 1, Id::MAX);
            for (at, write) in loc.mo.iter().enumerate().rev() {
                oldest_newer[at] = oldest_newer[at + 1].min(*write);
                if oldest_newer[at + 1] < *write {
                    fixed.push(*write);
                }
            }
            for read in &loc.reads {
                let rf = graph.event(*read).rf;
                if oldest_newer[if rf == INIT { 0 } else { places[rf as usize] }] < *read {
                    fixed.push(*read);
                }
                if rf != INIT && *read < rf {
                    match goes_on(graph.event(*read), graph.event(rf)) {
                        true => fixed.push(rf),
                        false => unsure = Some(*read),
                    }
                }
            }
        }
        fixed.extend((0..graph.len()).filter(|id| graph.event(*id).choice != 0));
        fixed.sort_unstable();
        fixed.dedup();
        let mut prefixes = vec![Clock::default(); fixed.len() + 1];
        for (at, id) in fixed.iter().enumerate().rev() {
            prefixes[at] = prefixes[at + 1].clone();
            prefixes[at].join(&graph.event(*id).porf);
        }
        Self { graph, fixed, prefixes, unsure }
    }

    /// What is never taken back.
    pub(super) fn settled(&self) -> Part {
        Part { events: self.prefixes[0].clone(), later: None }
    }

    /// What stays if no event of the graph is taken back.
    pub(super) fn all(&self) -> Part {
        self.without_unsure(self.graph.threads.iter().map(|events| events.len() as u32).collect(), 0)
    }

    /// The parts of which one stays if some of the graph is taken back: one for each read that may be the
    /// first to be given another write, but for those of which more stays than of others.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let threads = self.graph.threads.len();
        let mut done = vec![0; threads];
        let mut at = 0;
        // Since the last event that is fixed: of whom there was a read, and of whom one that comes behind
        // something before which the turn may be taken for nothing, or is such a thing.
        let mut seen = vec![[false; 2]; threads];
        let mut gives_way = vec![false; threads];
        (0..self.graph.len()).filter_map(move |id| {
            let event = self.graph.event(id);
            let thread = event.thread as usize;
            let is_fixed = self.fixed.get(at) == Some(&id);
            if is_fixed {
                at += 1;
                seen.fill([false; 2]);
                gives_way.fill(false);
            }
            let before = std::mem::replace(&mut done[thread], event.po + 1);
            gives_way[thread] |=
                event.yields || event.waits != Test::Always || self.graph.joins_of(id).next().is_some();
            if event.kind != Kind::Read || is_fixed || self.prefixes[at].get(event.thread) > event.po {
                return None;
            }
            let waits = gives_way[thread];
            if std::mem::replace(&mut seen[thread][usize::from(waits)], true) {
                return None;
            }
            let mut counts = done.clone();
            counts[thread] = before;
            let part = self.without_unsure(counts, at);
            let behind = part.events.get(event.thread) == event.po && !waits;
            let later = behind.then(|| Later { thread: event.thread, needs: self.prefixes[at].clone() });
            Some(Part { later, ..part })
        })
    }

    /// The first events of each thread, and what the events that are fixed from a place on come from. What
    /// may turn out to wait is no event.
    fn without_unsure(&self, mut counts: Vec<u32>, at: usize) -> Part {
        if let Some(read) = self.unsure {
            let event = self.graph.event(read);
            let count = &mut counts[event.thread as usize];
            *count = event.po.min(*count);
        }
        let mut events = self.prefixes[at].clone();
        for (count, thread) in counts.into_iter().zip(0..) {
            events.set(thread, count.max(events.get(thread)));
        }
        Part { events, later: None }
    }
}

/// The place of each write in modification order; 0 is the initial one's.
pub(super) fn places(graph: &Graph) -> Vec<usize> {
    let mut places = vec![0; graph.events.len()];
    for loc in &graph.locs {
        loc.mo.iter().enumerate().for_each(|(at, write)| places[*write as usize] = at + 1);
    }
    places
}

/// Whether a read surely goes on with this write.
fn goes_on(read: &Event, write: &Event) -> bool {
    read.waits == Test::Always || (write.time != 0 && read.waits.holds(write.value))
}
