//! Which events of an execution come before which: program order, reads-from, modification order and
//! what they imply, as a relation that may be cyclic where memory is weak.

use crate::steps::writes;
use crate::verifier::Bad;
use racefuzz_trace::{
    Event, FailureDetail, ObjectId, ObjectKind, OpKind, RacingAccess, ReadsFrom, Trace, Verb,
};
use std::collections::HashMap;

/// The transitive closure of an execution's edges.
pub(crate) struct Graph {
    words: usize,
    behind: Vec<u64>,
}

impl Graph {
    /// Who had a lock first says nothing about what the threads did to each other: only what they did
    /// under it does.
    pub(crate) fn of(bad: &Bad) -> Self {
        Self::made(bad, false)
    }

    /// The same, where nobody has seen what they did: each critical section is an access to what its lock
    /// guards.
    pub(crate) fn of_sections(bad: &Bad) -> Self {
        Self::made(bad, true)
    }

    fn made(bad: &Bad, sections: bool) -> Self {
        let trace = &bad.trace;
        let count = trace.events.len();
        let words = count.div_ceil(64).max(1);
        let mut graph = Self { words, behind: vec![0; words * count] };
        graph.program_order(trace);
        graph.objects(trace, sections);
        graph.unordered(bad, count);
        graph.close(count);
        graph
    }

    /// Two accesses that nothing orders are bad because they may come in the other order.
    fn unordered(&mut self, bad: &Bad, count: usize) {
        let (first, second) = match &bad.detail {
            Some(FailureDetail::DataRace { first, second, .. }) => (first, second),
            Some(FailureDetail::UseAfterFree { freed, used, .. }) => (used, freed),
            _ => return,
        };
        if let (Some(first), Some(second)) = (step(&bad.trace, first), step(&bad.trace, second))
            && first.max(second) < count
        {
            self.edge(first, second);
            self.edge(second, first);
        }
    }

    /// Whether one event comes before the other.
    pub(crate) fn before(&self, one: usize, other: usize) -> bool {
        self.behind[one * self.words + other / 64] >> (other % 64) & 1 == 1
    }

    fn edge(&mut self, from: usize, to: usize) {
        if from != to {
            self.behind[from * self.words + to / 64] |= 1 << (to % 64);
        }
    }

    fn program_order(&mut self, trace: &Trace) {
        let mut last: HashMap<u32, usize> = HashMap::new();
        let mut spawned: HashMap<u32, usize> = HashMap::new();
        for (at, event) in trace.events.iter().enumerate() {
            let me = event.thread.0;
            if let Some(before) = last.insert(me, at).or_else(|| spawned.get(&me).copied()) {
                self.edge(before, at);
            }
            match (event.kind, event.other) {
                (OpKind::Spawn, Some(child)) => {
                    spawned.insert(child.0, at);
                }
                (OpKind::Join, Some(target)) => {
                    if let Some(end) = last.get(&target.0) {
                        self.edge(*end, at);
                    }
                }
                _ => {}
            }
        }
    }

    fn objects(&mut self, trace: &Trace, sections: bool) {
        let mut of: HashMap<ObjectId, Vec<usize>> = HashMap::new();
        for (at, event) in trace.events.iter().enumerate() {
            if let Some(object) = event.object
                && !matches!(event.verb, Verb::RefClone | Verb::RefDrop)
                && (!is_lock(trace, object) || sections && begins_section(trace, event))
            {
                of.entry(object).or_default().push(at);
            }
        }
        for events in of.values() {
            let changes = |event: &Event| match event.verb.takes_lock() {
                true => !matches!(event.verb, Verb::ReadLock | Verb::TryReadLock),
                false => writes(event),
            };
            let stores: Vec<usize> =
                events.iter().copied().filter(|at| changes(&trace.events[*at])).collect();
            stores.windows(2).for_each(|pair| self.edge(pair[0], pair[1]));
            for at in events {
                let event = &trace.events[*at];
                if changes(event) && event.kind != OpKind::Rmw {
                    continue;
                }
                // The store it read, as a place among the stores; none for the initial value.
                let read = read_from(event, *at, &stores);
                if let Some(read) = read {
                    self.edge(stores[read], *at);
                }
                let next = read.map_or(0, |read| read + 1);
                if let Some(next) = stores.get(next) {
                    self.edge(*at, *next);
                }
            }
        }
    }

    fn close(&mut self, count: usize) {
        for middle in 0..count {
            let row: Vec<u64> = self.behind[middle * self.words..(middle + 1) * self.words].to_vec();
            for from in 0..count {
                if self.before(from, middle) {
                    let mine = &mut self.behind[from * self.words..(from + 1) * self.words];
                    mine.iter_mut().zip(&row).for_each(|(mine, theirs)| *mine |= theirs);
                }
            }
        }
    }
}

/// The event that an access was, if it is one: what fails may have happened no more.
pub(crate) fn step(trace: &Trace, access: &RacingAccess) -> Option<usize> {
    let is_it = |event: &Event| {
        (event.thread, event.site) == (access.thread, access.site) && event.verb == access.verb
    };
    access.step.map(|step| step as usize).or_else(|| trace.events.iter().rposition(is_it))
}

/// Whether a thread has taken a lock of the program's.
fn begins_section(trace: &Trace, event: &Event) -> bool {
    event.verb.takes_lock() && event.ok && !crate::steps::is_added(trace, event)
}

/// Whether an object is a lock.
fn is_lock(trace: &Trace, object: ObjectId) -> bool {
    matches!(trace.object(object).kind, ObjectKind::Mutex | ObjectKind::RwLock | ObjectKind::Added)
}

fn read_from(event: &Event, at: usize, stores: &[usize]) -> Option<usize> {
    match event.reads_from.filter(|_| !event.verb.takes_lock()) {
        Some(ReadsFrom::Initial) => None,
        Some(ReadsFrom::Step(step)) => stores.iter().position(|store| *store == step as usize),
        // Memory that is no atomic: the newest.
        None => stores.iter().rposition(|store| *store < at),
    }
}
