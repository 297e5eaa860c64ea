//! Backward revisits: a write that is added is given to reads that were added before it.

use super::*;

/// How a write that comes next in its thread is to be added.
#[derive(Clone, Copy)]
pub(super) enum Comes<'a> {
    /// By itself, at any place in modification order.
    Alone,
    /// Right behind this read, the other half of its read-modify-write, which is not in the graph.
    With(&'a Event),
    /// Right behind its thread's last event, the read of its read-modify-write.
    Behind(&'a Event),
}

impl Explore {
    /// Every backward revisit that a write which comes next in its thread allows.
    ///
    /// `prefix` is the write's prefix; `write` has everything but its place.
    pub(super) fn revisits(&mut self, loc: u32, comes: Comes<'_>, write: &Event, prefix: &Clock) {
        let candidates: Vec<Id> = self.graph.loc(loc).reads.clone();
        for read in candidates.into_iter().rev() {
            let revisit = Revisit::new(&self.graph, read, prefix);
            if holds(prefix, self.graph.event(read))
                || !self.leaves_room(loc, comes, read, &revisit)
                || !revisit.is_maximal()
            {
                continue;
            }
            let spare = self.spare.pop().unwrap_or_default();
            let (mut graph, number) = Revisit::new(&self.graph, read, prefix).restricted(spare);
            let read = number[read as usize];
            // The read has no write now.
            graph.event_mut(read).rf = INIT;
            graph.locs[loc as usize].reads.retain(|other| *other != read);
            if self.settle(&mut graph, read) {
                self.revisit(graph, &number, read, comes, write);
            }
        }
    }

    /// Whether what a read-modify-write reads is read by no other one that stays.
    fn leaves_room(&self, loc: u32, comes: Comes<'_>, read: Id, revisit: &Revisit<'_>) -> bool {
        let Comes::With(reads) = comes else { return true };
        let consumer = self.graph.consumer(loc, reads.rf);
        consumer.is_none_or(|consumer| consumer == read || !revisit.keeps(consumer))
    }

    /// Adds the write to the restricted graph, at each place, and lets the read read it.
    fn revisit(&mut self, mut graph: Graph, number: &[Id], read: Id, comes: Comes<'_>, write: &Event) {
        let (mut write, loc) = (write.clone(), write.loc);
        let joins = self.fronts[write.thread as usize].joins.iter();
        let joins: SmallVec<[Id; 2]> = joins.map(|join| number[*join as usize]).collect();
        let reads = match comes {
            Comes::With(reads) => {
                let mut reads = Event { rmw: true, ..reads.clone() };
                if reads.rf != INIT {
                    reads.rf = number[reads.rf as usize];
                }
                self.refresh(&graph, &mut reads, &joins);
                graph.add(reads, &joins)
            }
            Comes::Behind(reads) => {
                let reads = graph.threads[reads.thread as usize][reads.po as usize];
                graph.event_mut(reads).rmw = true;
                reads
            }
            Comes::Alone => {
                self.refresh(&graph, &mut write, &joins);
                let stand = Stand { before: &write.before, ord: &write.ord };
                let floor = model::floor(self.model, &graph, loc, &stand);
                for place in (floor + 1..=graph.loc(loc).mo.len() + 1).rev() {
                    if !splits(&graph, loc, place) {
                        let mut graph = graph.clone();
                        let write = graph.add_write(write.clone(), &joins, place);
                        self.reread(graph, read, write);
                    }
                }
                return self.recycle(graph);
            }
        };
        let place = graph.place(loc, graph.event(reads).rf) + 1;
        self.refresh(&graph, &mut write, &[]);
        let write = graph.add_write(write, &[], place);
        self.reread(graph, read, write);
    }

    /// Recomputes the order of a graph that lost events; false where it has a cycle.
    fn settle(&self, graph: &mut Graph, read: Id) -> bool {
        // While the read has no write it is not in its location, and its prefix is what is before it.
        let porf = graph.porf_before(read);
        let event = graph.event_mut(read);
        let (thread, po) = (event.thread, event.po);
        event.porf = porf;
        event.porf.set(thread, po + 1);
        if !graph.ordered {
            return true;
        }
        if graph.order_is_stale(read) {
            return graph.reorder(Some(read));
        }
        graph.order_alone(read);
        true
    }

    /// The prefixes of an event that is about to be added to a graph which lost events.
    fn refresh(&self, graph: &Graph, event: &mut Event, joins: &[Id]) {
        if !graph.ordered {
            return;
        }
        event.ord.clear();
        if event.po > 0 {
            let before = graph.threads[event.thread as usize][event.po as usize - 1];
            event.ord.copy_from(&graph.event(before).ord);
        }
        for join in joins {
            event.ord.join(&graph.event(*join).ord);
        }
    }

    /// Lets a read that has no write read `write`.
    fn reread(&mut self, mut graph: Graph, read: Id, write: Id) {
        let loc = graph.event(read).loc;
        let (before, ord) = {
            let event = graph.event(read);
            // Of an ordered location `before` may tell of what was learned there.
            (event.before.clone(), event.ord.clone())
        };
        let place = graph.place(loc, write);
        if place < model::floor(self.model, &graph, loc, &Stand { before: &before, ord: &ord }) {
            return;
        }
        let event = graph.event_mut(read);
        event.rf = write;
        event.rmw = false;
        event.choice = 0;
        event.fresh = true;
        let at = graph.locs[loc as usize].reads.partition_point(|other| *other < read);
        graph.locs[loc as usize].reads.insert(at, read);
        let porf = graph.event(write).porf.clone();
        graph.event_mut(read).porf.join(&porf);
        if graph.ordered {
            // No cycle: the write behind this one is not before the read, see above, nor before the
            // write; and nothing is behind the read.
            let ord = graph.event(write).ord.clone();
            graph.event_mut(read).ord.join(&ord);
            graph.order_read(read);
        }
        self.later(graph, Some(read));
    }
}

/// Whether a place lies between a read-modify-write and what it reads.
pub(super) fn splits(graph: &Graph, loc: u32, place: usize) -> bool {
    graph.loc(loc).mo.get(place - 1).is_some_and(|next| graph.event(*next).rmw)
}
