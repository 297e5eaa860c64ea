//! Whether `psc` (see [`rc11`](super::rc11)) has a cycle, without computing it.
//!
//! This is asked for every step of an exploration of a program with SeqCst accesses, and most graphs
//! are larger than what is SeqCst in them. Each relation `psc` is made of can be decided for two
//! events at once, from their clocks and their places in modification order; so a depth-first search
//! over the SeqCst events is enough, given the ones that are behind each.
//!
//! Of the steps that `scb` takes, those of `mo ∪ fr` communicate, and the others are part of `hb`.
//! Where both ends may be extended by `hb`, as between fences, the latter therefore come to `hb`
//! alone; and of communication it is enough to know how old the oldest write is that is overwritten.

use crate::graph::{Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_trace::MemoryOrder;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    New,
    OnPath,
    Done,
}

struct Search<'a> {
    graph: &'a Graph,
    /// The place in modification order of each write, and of what each read reads.
    place: Vec<u32>,
    /// The SeqCst events.
    seq_cst: Vec<Id>,
    fences: Vec<Id>,
    /// For each SeqCst event the first one of its thread behind it that is at another location: what
    /// is behind a later one is behind it.
    next_elsewhere: Vec<Option<Id>>,
    /// And the last such before it, which knows what an earlier one knows.
    last_elsewhere: Vec<Option<Id>>,
}

/// Whether `psc` has no cycle.
pub(super) fn is_acyclic(graph: &Graph) -> bool {
    !Search::new(graph).has_cycle()
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut place = vec![0; graph.events.len()];
        for loc in &graph.locs {
            for (at, write) in loc.mo.iter().enumerate() {
                place[*write as usize] = at as u32 + 1;
            }
        }
        for (id, event) in graph.events.iter().enumerate() {
            if event.kind == Kind::Read && event.rf != INIT {
                place[id] = place[event.rf as usize];
            }
        }
        let ids = || 0..graph.len();
        let mut search = Self {
            graph,
            next_elsewhere: vec![None; place.len()],
            last_elsewhere: vec![None; place.len()],
            place,
            seq_cst: ids().filter(|id| graph.event(*id).order == MemoryOrder::SeqCst).collect(),
            fences: ids().filter(|id| graph.event(*id).kind == Kind::Fence).collect(),
        };
        for id in &search.seq_cst {
            let event = graph.event(*id);
            let (earlier, later) = graph.threads[event.thread as usize].split_at(event.po as usize);
            let elsewhere = |other: &&Id| event.loc == NOWHERE || event.loc != graph.event(**other).loc;
            // What has never been executed knows nothing yet.
            let executed = |other: &&Id| graph.event(**other).time != 0;
            search.next_elsewhere[*id as usize] = later[1..].iter().find(elsewhere).copied();
            search.last_elsewhere[*id as usize] =
                earlier.iter().rev().filter(executed).find(elsewhere).copied();
        }
        search
    }

    fn has_cycle(&self) -> bool {
        let mut colours = vec![Colour::New; self.graph.events.len()];
        // An event, and whether the search leaves it.
        let mut stack: Vec<(Id, bool)> = Vec::new();
        let mut next = Vec::new();
        for root in &self.seq_cst {
            stack.push((*root, false));
            while let Some((at, leaves)) = stack.pop() {
                if leaves {
                    colours[at as usize] = Colour::Done;
                    continue;
                }
                if colours[at as usize] != Colour::New {
                    continue;
                }
                colours[at as usize] = Colour::OnPath;
                stack.push((at, true));
                next.clear();
                match self.graph.event(at).kind {
                    Kind::Fence => self.behind_fence(at, &mut next),
                    _ => self.behind_access(at, &mut next),
                }
                for other in next.drain(..) {
                    match colours[other as usize] {
                        Colour::OnPath => return true,
                        Colour::New => stack.push((other, false)),
                        Colour::Done => {}
                    }
                }
            }
        }
        false
    }

    /// `[SC]; scb; ([SC] ∪ hb?;[F_sc])` from an access.
    fn behind_access(&self, id: Id, next: &mut Vec<Id>) {
        next.extend(self.seq_cst.iter().copied().filter(|to| self.scb_in_hb(id, *to)));
        let at = self.overwrites_from(id);
        for other in self.at_location(self.graph.event(id).loc) {
            let overwrites = self.graph.event(other).kind == Kind::Write && self.place[other as usize] > at;
            if overwrites && self.is_seq_cst(other) {
                next.push(other);
            }
            if overwrites || self.hb(id, other) {
                next.extend(self.fences_behind(other));
            }
        }
        // What is behind any later event of the thread is behind the next.
        if let Some(later) = self.next_in_thread(id) {
            next.extend(self.fences_behind(later));
        }
    }

    /// The same from a fence, with `hb?` in front, and `psc_F`.
    fn behind_fence(&self, fence: Id, next: &mut Vec<Id>) {
        next.extend(self.seq_cst.iter().copied().filter(|to| self.is_behind_fence(fence, *to)));
        // Per location: how old a write is known, and how old what is overwritten.
        let mut known = vec![u32::MAX; self.graph.locs.len()];
        let mut oldest = known.clone();
        for (id, event) in self.graph.events.iter().enumerate() {
            if event.loc == NOWHERE || !self.hb(fence, id as Id) {
                continue;
            }
            let loc = event.loc as usize;
            oldest[loc] = oldest[loc].min(self.overwrites_from(id as Id));
            if event.kind == Kind::Write {
                known[loc] = known[loc].min(self.place[id]);
            }
        }
        for (id, event) in self.graph.events.iter().enumerate() {
            if event.loc == NOWHERE {
                continue;
            }
            let (id, loc, place) = (id as Id, event.loc as usize, self.place[id]);
            let write = event.kind == Kind::Write;
            if write && place > oldest[loc] && self.is_seq_cst(id) {
                next.push(id);
            }
            // `eco` leads to the reads of a write, too.
            if place > oldest[loc] || (!write && place >= known[loc]) {
                next.extend(self.fences_behind(id));
            }
        }
    }

    /// `[F_sc]; hb?; (scb without mo and fr); [SC]`: all that happens before the event behind it in its
    /// thread, or at its own location.
    fn is_behind_fence(&self, fence: Id, to: Id) -> bool {
        let event = self.graph.event(to);
        let thread = &self.graph.threads[event.thread as usize];
        // What has never been executed knows nothing yet.
        let executed = |id: &&Id| self.graph.event(**id).time != 0;
        let last = thread[..event.po as usize].iter().rev().find(executed);
        if last.is_some_and(|last| *last == fence || self.hb(fence, *last)) {
            return true;
        }
        self.hb(fence, to)
            && (event.kind == Kind::Fence
                || self.at_location(event.loc).any(|other| self.hb(fence, other) && self.hb(other, to)))
    }

    /// `po ∪ po|≠loc;hb;po|≠loc ∪ hb|loc`.
    fn scb_in_hb(&self, from: Id, to: Id) -> bool {
        if self.po(from, to) || (self.same_location(from, to) && self.hb(from, to)) {
            return true;
        }
        match (self.next_elsewhere[from as usize], self.last_elsewhere[to as usize]) {
            (Some(next), Some(last)) => self.hb(next, last),
            _ => false,
        }
    }

    /// The place behind which writes overwrite what an access read or wrote: `mo ∪ fr`. A
    /// read-modify-write is one event in the theory, and is not overwritten by itself.
    fn overwrites_from(&self, id: Id) -> u32 {
        let event = self.graph.event(id);
        let own_write = event.kind == Kind::Read && event.rmw && self.next_in_thread(id).is_some();
        self.place[id as usize] + u32::from(own_write)
    }

    fn fences_behind(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.fences.iter().copied().filter(move |fence| id == *fence || self.hb(id, *fence))
    }

    fn at_location(&self, loc: u32) -> impl Iterator<Item = Id> + '_ {
        let loc = (loc != NOWHERE).then(|| self.graph.loc(loc));
        loc.into_iter().flat_map(|loc| loc.mo.iter().chain(&loc.reads).copied())
    }

    fn next_in_thread(&self, id: Id) -> Option<Id> {
        let event = self.graph.event(id);
        self.graph.threads[event.thread as usize].get(event.po as usize + 1).copied()
    }

    fn is_seq_cst(&self, id: Id) -> bool {
        self.graph.event(id).order == MemoryOrder::SeqCst
    }

    fn same_location(&self, a: Id, b: Id) -> bool {
        let loc = self.graph.event(a).loc;
        loc != NOWHERE && loc == self.graph.event(b).loc
    }

    fn po(&self, from: Id, to: Id) -> bool {
        let (from, to) = (self.graph.event(from), self.graph.event(to));
        from.thread == to.thread && from.po < to.po
    }

    fn hb(&self, from: Id, to: Id) -> bool {
        let (other, event) = (self.graph.event(from), self.graph.event(to));
        // What has never been executed has no time.
        if from == to || other.time == 0 {
            return false;
        }
        let read = event.kind == Kind::Read && event.order.acquires() && event.rf != INIT;
        let learns = || read && self.graph.event(event.rf).release.knows(other.thread, other.time);
        if other.thread == event.thread {
            // The two events of a read-modify-write have one time.
            other.po < event.po && (other.time <= event.time || learns())
        } else {
            event.before.knows(other.thread, other.time) || learns()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_acyclic;
    use crate::explore::Explore;
    use crate::graph::{Graph, INIT, Kind};
    use crate::model::rc11;
    use crate::options::Options;
    use crate::work_item::WorkItem;
    use racefuzz_primitives::sync::Arc;
    use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering::*, fence};
    use racefuzz_primitives::thread;
    use racefuzz_runtime::{Record, Runner};

    /// Every graph of the program, and what becomes of it when the last reads of its threads read
    /// other writes.
    fn graphs(program: &dyn Fn(), look: &mut dyn FnMut(&Graph)) {
        let config = Options::default().fuzz().config(&Options::default().settings);
        let (mut explore, mut runner) = (Explore::new(config.memory), Runner::new(config));
        explore.later.push(WorkItem::root());
        while explore.load_next() {
            runner.run(program, &mut explore, Record::Choices);
            let mut all = vec![explore.graph.clone()];
            for read in explore.graph.threads.iter().filter_map(|thread| thread.last().copied()) {
                if explore.graph.event(read).kind != Kind::Read {
                    continue;
                }
                for mut other in std::mem::take(&mut all) {
                    for write in other.loc(other.event(read).loc).mo.clone().into_iter().chain([INIT]) {
                        other.event_mut(read).rf = write;
                        all.push(other.clone());
                    }
                }
            }
            all.iter().for_each(&mut *look);
            explore.seal();
        }
    }

    type Body = fn(&[AtomicUsize; 2]);

    fn run(bodies: [Body; 2]) {
        let shared = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let threads = bodies.map(|body| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || body(&shared))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn the_search_finds_a_cycle_where_the_definition_has_one() {
        let programs: [[Body; 2]; 5] = [
            // Store buffering, by accesses, by fences, and by one of each.
            [|x| sb(x, 0, SeqCst, false), |x| sb(x, 1, SeqCst, false)],
            [|x| sb(x, 0, Relaxed, true), |x| sb(x, 1, Release, true)],
            [|x| sb(x, 0, SeqCst, true), |x| sb(x, 1, SeqCst, false)],
            [|x| rmw(x, 0), |x| rmw(x, 1)],
            [|x| sb(x, 0, SeqCst, true), |x| rmw(x, 1)],
        ];
        let (mut cyclic, mut acyclic) = (0, 0);
        for bodies in programs {
            graphs(&|| run(bodies), &mut |graph| {
                let psc = rc11::psc_is_acyclic(graph);
                assert_eq!(is_acyclic(graph), psc, "{graph:?}");
                *if psc { &mut acyclic } else { &mut cyclic } += 1;
            });
        }
        assert!(cyclic > 20 && acyclic > 20, "{cyclic} cyclic, {acyclic} acyclic");
    }

    fn sb(x: &[AtomicUsize; 2], mine: usize, store: std::sync::atomic::Ordering, fenced: bool) {
        x[mine].store(1 + mine, store);
        if fenced {
            fence(SeqCst);
        }
        x[1 - mine].store(3 + mine, Relaxed);
        if fenced {
            fence(SeqCst);
        }
        x[mine].store(5 + mine, store);
        x[1 - mine].load(if store == SeqCst { SeqCst } else { Relaxed });
    }

    fn rmw(x: &[AtomicUsize; 2], mine: usize) {
        x[mine].fetch_add(1, SeqCst);
        fence(SeqCst);
        x[1 - mine].fetch_add(1, AcqRel);
        x[mine].load(Acquire);
    }
}
