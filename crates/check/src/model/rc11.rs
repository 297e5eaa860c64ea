//! RC11: Lahav, Vafeiadis, Kang, Hur & Dreyer, *Repairing Sequential Consistency in C/C++11*,
//! PLDI'17, with the release sequences of C++20 (through read-modify-writes only).
//!
//! * coherence: `hb ; eco?` is irreflexive, where `eco = (rf ∪ mo ∪ fr)+`;
//! * atomicity: a read-modify-write is right behind what it reads;
//! * `psc` is acyclic, where `psc = psc_base ∪ psc_F`,
//!   `psc_base = ([SC] ∪ [F_sc];hb?) ; scb ; ([SC] ∪ hb?;[F_sc])`,
//!   `scb = po ∪ po|≠loc;hb;po|≠loc ∪ hb|loc ∪ mo ∪ fr`,
//!   `psc_F = [F_sc] ; (hb ∪ hb;eco;hb) ; [F_sc]`;
//! * `po ∪ rf` is acyclic.

use crate::graph::{Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_runtime::Clock;
use racefuzz_trace::MemoryOrder;

/// Coherence of an access that nothing follows: it must not read, or go before, a write older than
/// one that happens before it, or that an event before it has read.
pub(super) fn floor(graph: &Graph, loc: u32, before: &Clock) -> usize {
    let knows = |id: Id| {
        let event = graph.event(id);
        before.knows(event.thread, event.time)
    };
    let is_known = |write: &Id| knows(*write) || graph.readers(loc, *write).any(knows);
    graph.loc(loc).mo.iter().rposition(is_known).map_or(0, |at| at + 1)
}

/// A relation as rows of bits.
#[derive(Clone)]
struct Relation {
    words: usize,
    bits: Vec<u64>,
}

impl Relation {
    fn new(count: usize) -> Self {
        let words = count.div_ceil(64).max(1);
        Self { words, bits: vec![0; count * words] }
    }

    fn set(&mut self, from: usize, to: usize) {
        self.bits[from * self.words + to / 64] |= 1 << (to % 64);
    }

    fn has(&self, from: usize, to: usize) -> bool {
        self.bits[from * self.words + to / 64] & 1 << (to % 64) != 0
    }

    fn row(&self, from: usize) -> &[u64] {
        &self.bits[from * self.words..(from + 1) * self.words]
    }

    fn add_row(&mut self, to: usize, row: &[u64]) {
        for (mine, theirs) in self.bits[to * self.words..(to + 1) * self.words].iter_mut().zip(row) {
            *mine |= theirs;
        }
    }

    /// The transitive closure (Warshall).
    fn close(&mut self, count: usize) {
        for middle in 0..count {
            let row = self.row(middle).to_vec();
            for from in 0..count {
                if self.has(from, middle) {
                    self.add_row(from, &row);
                }
            }
        }
    }

    fn then(&self, other: &Self, count: usize) -> Self {
        let mut result = Self::new(count);
        for from in 0..count {
            for middle in (0..count).filter(|middle| self.has(from, *middle)) {
                result.add_row(from, other.row(middle));
            }
        }
        result
    }

    fn union(&mut self, other: &Self) {
        for (mine, theirs) in self.bits.iter_mut().zip(&other.bits) {
            *mine |= theirs;
        }
    }
}

/// Whether `psc` has no cycle, by its definition: what [`psc`](super::psc) is held against.
#[cfg(test)]
pub(super) fn psc_is_acyclic(graph: &Graph) -> bool {
    let psc = psc_of(graph);
    !(0..graph.events.len()).any(|at| psc.has(at, at))
}

/// For each event those that `psc` puts before it.
pub(super) fn before_in_psc(graph: &Graph) -> Vec<Vec<Id>> {
    let (psc, count) = (psc_of(graph), graph.events.len());
    (0..count).map(|to| (0..count as Id).filter(|from| psc.has(*from as usize, to)).collect()).collect()
}

/// The transitive closure of `psc`.
fn psc_of(graph: &Graph) -> Relation {
    let count = graph.events.len();
    let same_loc =
        |a: usize, b: usize| graph.events[a].loc != NOWHERE && graph.events[a].loc == graph.events[b].loc;
    let (mut hb, mut po) = (Relation::new(count), Relation::new(count));
    for to in 0..count {
        let clock = graph.hb(to as Id);
        let event = &graph.events[to];
        for from in 0..count {
            let other = &graph.events[from];
            let in_order = other.thread == event.thread && other.po < event.po;
            if in_order {
                po.set(from, to);
            }
            // The two events of a read-modify-write have one time.
            // What has never been executed has no time, and is looked at again when it has.
            if from != to
                && other.time != 0
                && clock.knows(other.thread, other.time)
                && (other.thread != event.thread || in_order)
            {
                hb.set(from, to);
            }
        }
    }
    let (mut mo, mut rf, mut fr) = (Relation::new(count), Relation::new(count), Relation::new(count));
    for (at, event) in graph.events.iter().enumerate() {
        if event.kind != Kind::Read {
            continue;
        }
        if event.rf != INIT {
            rf.set(event.rf as usize, at);
        }
        for newer in &graph.loc(event.loc).mo[graph.place(event.loc, event.rf)..] {
            // A read-modify-write is one event in the theory: it is not before its own write.
            if !(event.rmw
                && graph.events[*newer as usize].thread == event.thread
                && graph.events[*newer as usize].po == event.po + 1)
            {
                fr.set(at, *newer as usize);
            }
        }
    }
    for loc in &graph.locs {
        for (at, older) in loc.mo.iter().enumerate() {
            loc.mo[at + 1..].iter().for_each(|newer| mo.set(*older as usize, *newer as usize));
        }
    }
    let scb = scb(&po, &hb, &mo, &fr, same_loc, count);
    let mut eco = rf;
    eco.union(&mo);
    eco.union(&fr);
    psc(graph, &hb, &scb, eco, count)
}

fn scb(
    po: &Relation,
    hb: &Relation,
    mo: &Relation,
    fr: &Relation,
    same_loc: impl Fn(usize, usize) -> bool,
    count: usize,
) -> Relation {
    let mut elsewhere = Relation::new(count);
    let mut scb = po.clone();
    for from in 0..count {
        for to in 0..count {
            if po.has(from, to) && !same_loc(from, to) {
                elsewhere.set(from, to);
            }
            if hb.has(from, to) && same_loc(from, to) {
                scb.set(from, to);
            }
        }
    }
    scb.union(&elsewhere.then(hb, count).then(&elsewhere, count));
    scb.union(mo);
    scb.union(fr);
    scb
}

/// The transitive closure of `psc`.
fn psc(graph: &Graph, hb: &Relation, scb: &Relation, mut eco: Relation, count: usize) -> Relation {
    let sc = |at: usize| graph.events[at].order == MemoryOrder::SeqCst;
    let fence = |at: usize| graph.events[at].kind == Kind::Fence;
    // From what an event may stand for on the left and on the right of `scb`.
    let (mut left, mut right) = (Relation::new(count), Relation::new(count));
    for at in 0..count {
        if sc(at) {
            left.set(at, at);
            right.set(at, at);
        }
        for other in (0..count).filter(|_| fence(at)) {
            if hb.has(at, other) {
                left.set(at, other);
            }
            if hb.has(other, at) {
                right.set(other, at);
            }
        }
    }
    let mut psc = left.then(scb, count).then(&right, count);
    eco.close(count);
    let mut between = hb.then(&eco, count).then(hb, count);
    between.union(hb);
    for from in (0..count).filter(|at| fence(*at)) {
        for to in (0..count).filter(|at| fence(*at) && between.has(from, *at)) {
            psc.set(from, to);
        }
    }
    psc.close(count);
    psc
}
