//! The memory models, axiom by axiom, as their papers write them.
//!
//! Notation: `po` program order (`sb` in the RC11 paper), `rf` reads-from, `mo` modification order,
//! `fr` (`rb` in the paper) from a read to the writes mo-after the one it read.
//!
//! All models here keep `po` and `rf` acyclic together, and every graph of a model stays one if
//! po∪rf-maximal events are taken away. So graphs can be built event by event along `po` and `rf`.

use crate::graph::{Graph, INITIAL};
use crate::machine::Kind;
use crate::program::Order;
use crate::relation::{Relation, bits};

/// A memory model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// Sequential consistency: po ∪ rf ∪ mo ∪ fr is acyclic.
    Sc,
    /// x86: SeqCst stores, read-modify-writes and SeqCst fences drain the store buffer, all else is plain.
    Tso,
    /// RC11 (Lahav et al., PLDI'17) with the release sequences of C++20.
    Rc11,
}

impl Model {
    /// Every model.
    pub const ALL: [Self; 3] = [Self::Sc, Self::Tso, Self::Rc11];

    /// Its name, also the key of its count in a litmus file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sc => "sc",
            Self::Tso => "tso",
            Self::Rc11 => "rc11",
        }
    }
}

/// The relations that all models are made of, and sets of events as bits.
struct Relations<'a> {
    graph: &'a Graph,
    po: Relation,
    rf: Relation,
    mo: Relation,
    fr: Relation,
    /// For each event the accesses of its location (none for a fence).
    same: Vec<u64>,
}

impl<'a> Relations<'a> {
    fn new(graph: &'a Graph) -> Self {
        let nodes = &graph.nodes;
        let empty = Relation::new(nodes.len());
        let (mut po, mut rf, mut mo, mut fr) = (empty.clone(), empty.clone(), empty.clone(), empty);
        let mut same = vec![0; nodes.len()];
        for (a, first) in nodes.iter().enumerate() {
            for (b, second) in nodes.iter().enumerate() {
                let initial = first.thread == INITIAL && second.thread != INITIAL;
                if initial
                    || first.thread == second.thread && first.index < second.index && first.thread != INITIAL
                {
                    po.add(a, b);
                }
                if first.event.kind != Kind::Fence && first.event.location == second.event.location {
                    same[a] |= 1 << b;
                }
            }
            if let Some(source) = first.rf {
                rf.add(source, a);
            }
        }
        for order in &graph.mo {
            for (place, &a) in order.iter().enumerate() {
                order[place + 1..].iter().for_each(|&b| mo.add(a, b));
            }
        }
        for (read, node) in nodes.iter().enumerate() {
            let Some(source) = node.rf else { continue };
            bits(mo.row(source)).filter(|&write| write != read).for_each(|write| fr.add(read, write));
        }
        Self { graph, po, rf, mo, fr, same }
    }

    fn set(&self, choose: impl Fn(usize) -> bool) -> u64 {
        (0..self.graph.nodes.len()).filter(|&node| choose(node)).fold(0, |set, node| set | 1 << node)
    }

    /// No write stands between a read-modify-write and the write it read.
    fn atomic(&self) -> bool {
        let between = self.fr.then(&self.mo);
        self.graph.nodes.iter().enumerate().all(|(rmw, node)| {
            // The write it read must be mo-before it, and no w with fr(rmw, w) and mo(w, rmw).
            node.event.kind != Kind::Rmw
                || node.rf.is_some_and(|rf| self.mo.has(rf, rmw)) && !between.has(rmw, rmw)
        })
    }

    /// The operations on locks, failing ones included, happen one after another:
    /// po ∪ rf ∪ mo ∪ fr is acyclic, the last two on locks only.
    fn locks(&self) -> bool {
        if self.graph.first_lock == self.graph.mo.len() {
            return true;
        }
        let lock = |a: usize| {
            let location = self.graph.nodes[a].event.location;
            self.graph.nodes[a].event.kind != Kind::Fence && location >= self.graph.first_lock
        };
        let order = self.mo.union(&self.fr).filter(|a| if lock(a) { u64::MAX } else { 0 });
        self.po.union(&self.rf).union(&order).acyclic()
    }

    fn sc(&self) -> bool {
        self.po.union(&self.rf).union(&self.mo).union(&self.fr).acyclic()
    }

    /// x86-TSO after Owens, Sarkar and Sewell, and Alglave's axioms: sc per location, and
    /// ppo ∪ implied fences ∪ rfe ∪ mo ∪ fr acyclic.
    fn tso(&self) -> bool {
        let per_location = self.po.filter(|a| self.same[a]).union(&self.rf).union(&self.mo).union(&self.fr);
        if !per_location.acyclic() {
            return false;
        }
        let nodes = &self.graph.nodes;
        let locked = |a: usize| nodes[a].event.locked;
        let plain_fence = self.set(|a| nodes[a].event.kind == Kind::Fence && !locked(a));
        let plain_write = |a: usize| nodes[a].event.kind == Kind::Write && !locked(a);
        let reads = self.set(|a| nodes[a].event.kind == Kind::Read && !locked(a));
        // All of program order but that from a plain write to a plain read; fences other than
        // SeqCst are nothing. Where a locked event stands between the two, the order runs through it.
        let preserved = self.po.filter(|a| match () {
            () if plain_fence >> a & 1 != 0 => 0,
            () if plain_write(a) => !(reads | plain_fence),
            () => !plain_fence,
        });
        let external = self.rf.filter(|a| self.set(|b| nodes[a].thread != nodes[b].thread));
        preserved.union(&external).union(&self.mo).union(&self.fr).acyclic()
    }

    /// Synchronises-with: from a release (or a release fence before a write) through the release
    /// sequence of the write, which is the chain of read-modify-writes behind it, to an acquire (or
    /// an acquire fence behind the read).
    fn synchronises(&self) -> Relation {
        let nodes = &self.graph.nodes;
        let mut sw = Relation::new(nodes.len());
        let fences = |releases: bool| {
            self.set(|a| {
                let event = &nodes[a].event;
                let order = event.order;
                event.kind == Kind::Fence && if releases { order.releases() } else { order.acquires() }
            })
        };
        let (release_fences, acquire_fences) = (fences(true), fences(false));
        for (read, node) in nodes.iter().enumerate() {
            let Some(source) = node.rf.filter(|_| node.event.order != Order::Na) else { continue };
            let mut targets = self.po.row(read) & acquire_fences;
            if node.event.order.acquires() {
                targets |= 1 << read;
            }
            let mut head = Some(source);
            while let Some(write) = head {
                let event = &nodes[write].event;
                head = nodes[write].rf;
                if event.order == Order::Na {
                    continue;
                }
                let before = self.set(|a| self.po.has(a, write)) & release_fences;
                let own = if event.order.releases() { 1 << write } else { 0 };
                for a in bits(before | own) {
                    bits(targets).for_each(|b| sw.add(a, b));
                }
            }
        }
        sw
    }

    fn rc11(&self) -> bool {
        let nodes = &self.graph.nodes;
        let hb = self.po.union(&self.synchronises()).closure();
        let eco = self.rf.union(&self.mo).union(&self.fr).closure();
        // COHERENCE: hb ; eco? is irreflexive.
        if !hb.irreflexive() || !hb.then(&eco).irreflexive() {
            return false;
        }
        // SC: psc = psc_base ∪ psc_F is acyclic.
        let sc = self.set(|a| nodes[a].event.order == Order::Sc);
        if sc == 0 {
            return true;
        }
        let sc_fence = sc & self.set(|a| nodes[a].event.kind == Kind::Fence);
        let elsewhere = self.po.filter(|a| !self.same[a]);
        let scb = self
            .po
            .union(&elsewhere.then(&hb).then(&elsewhere))
            .union(&hb.filter(|a| self.same[a]))
            .union(&self.mo)
            .union(&self.fr);
        let only = |set: u64| move |a: usize| if set >> a & 1 != 0 { u64::MAX } else { 0 };
        let hb_or_same = hb.or_same();
        let identity = Relation::new(nodes.len()).or_same();
        let left = identity.filter(only(sc)).union(&hb_or_same.filter(only(sc_fence)));
        let right = identity.filter(only(sc)).union(&hb_or_same.filter(|_| sc_fence));
        let base = left.then(&scb).then(&right);
        let fences = hb.union(&hb.then(&eco).then(&hb)).filter(only(sc_fence)).filter(|_| sc_fence);
        base.union(&fences).acyclic()
        // NO-THIN-AIR, po ∪ rf acyclic, holds by construction.
    }
}

/// Whether a graph is one of the model.
pub(crate) fn consistent(graph: &Graph, model: Model) -> bool {
    let relations = Relations::new(graph);
    relations.atomic()
        && relations.locks()
        && match model {
            Model::Sc => relations.sc(),
            Model::Tso => relations.tso(),
            Model::Rc11 => relations.rc11(),
        }
}
