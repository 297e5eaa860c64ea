//! The direct predecessors of an event in `psc`, as far as they are not before one another: for each
//! relation and each thread the last one.

use super::{Node, Order, Part};
use crate::graph::{Event, Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_trace::MemoryOrder;

impl Order {
    /// `mo ∪ fr` to a write: all that it, or an older write, overwrites.
    pub(super) fn before_write(&self, write: Id, before: &mut Vec<Node>) {
        before.push(Node::new(write, Part::Accesses));
        if self.index.has_fences {
            before.push(Node::new(write, Part::Fences));
        }
    }

    /// `([SC] ∪ [F_sc];hb?) ; scb` to an access, but for `mo ∪ fr`: `po`, `po|≠loc;hb;po|≠loc`,
    /// `hb|loc`; and from fences whatever happens before the event before it in its thread, or before
    /// an access of its location that happens before it.
    pub(super) fn before_access(&self, graph: &Graph, event: &Event, before: &mut Vec<Node>) {
        let index = &self.index;
        let earlier = &graph.threads[event.thread as usize][..event.po as usize];
        let own = index.seq_cst_among(earlier, earlier.len());
        if own > 0 {
            before.push(Node::new(earlier[own - 1], Part::Event));
        }
        // What has never been executed knows nothing yet.
        let executed = earlier.iter().rposition(|id| graph.event(*id).time != 0).map_or(0, |last| last + 1);
        let last = executed.checked_sub(1).map(|last| earlier[last]);
        let same_run = last.is_some_and(|last| event.loc != NOWHERE && graph.event(last).loc == event.loc);
        let elsewhere = if same_run { index.before_run(earlier, executed) } else { executed };
        let elsewhere = elsewhere.checked_sub(1).map(|last| earlier[last]);
        for (thread, events) in graph.threads.iter().enumerate() {
            if thread as u32 == event.thread || events.is_empty() {
                continue;
            }
            let mut count = 0;
            if let Some(elsewhere) = elsewhere {
                let known = known(graph, graph.event(elsewhere), thread);
                count = index.seq_cst_among(events, index.before_run(events, known));
            }
            if index.has_fences
                && let Some(last) = last
            {
                count = count.max(index.fences_among(events, known(graph, graph.event(last), thread)));
            }
            let here = |known: usize| {
                let seq_cst = |known| index.seq_cst_among(events, known);
                let mut known = seq_cst(known);
                while known > count && graph.event(events[known - 1]).loc != event.loc {
                    known = seq_cst(known - 1);
                }
                known
            };
            count = count.max(here(known(graph, event, thread)));
            if count > 0 {
                before.push(Node::new(events[count - 1], Part::Event));
            }
        }
        if index.has_fences && event.loc != NOWHERE {
            self.fences_before_known(graph, event, before);
        }
    }

    /// The fences that happen before an access of the event's location that happens before it.
    fn fences_before_known(&self, graph: &Graph, event: &Event, before: &mut Vec<Node>) {
        for (thread, events) in graph.threads.iter().enumerate() {
            if thread as u32 == event.thread {
                continue;
            }
            let known = known(graph, event, thread);
            let here = events[..known].iter().rposition(|id| graph.event(*id).loc == event.loc);
            if let Some(here) = here {
                self.fences_that_happen_before(graph, graph.event(events[here]), before);
            }
        }
    }

    /// The last fence of each thread that happens before an event.
    pub(super) fn fences_that_happen_before(&self, graph: &Graph, event: &Event, before: &mut Vec<Node>) {
        for (thread, events) in graph.threads.iter().enumerate() {
            let fences = self.index.fences_among(events, known(graph, event, thread));
            if fences > 0 {
                before.push(Node::new(events[fences - 1], Part::Event));
            }
        }
    }

    pub(super) fn fences_before(&self, graph: &Graph, id: Id, before: &mut Vec<Node>) {
        if self.index.has_fences {
            self.fences_that_happen_before(graph, graph.event(id), before);
        }
    }

    /// `[SC] ; scb ; hb?` and `[F_sc] ; (hb ∪ hb;eco;hb)` to a fence.
    pub(super) fn before_fence(&self, graph: &Graph, event: &Event, before: &mut Vec<Node>) {
        let index = &self.index;
        for (thread, events) in graph.threads.iter().enumerate() {
            let known = known(graph, event, thread);
            let Some(last) = known.checked_sub(1).map(|last| events[last]) else { continue };
            // Any event behind an access in its thread may be the one that happens before the fence;
            // what is behind the last known one is the fence itself, or is not known.
            let own = thread as u32 == event.thread;
            let mut count = index.seq_cst_among(events, if own { known } else { known - 1 });
            count = count.max(index.fences_among(events, known));
            let access = graph.event(last);
            if !own
                && access.order == MemoryOrder::SeqCst
                && access.loc != NOWHERE
                && self.meets_again(graph, access, event)
            {
                count = known;
            }
            if count > 0 {
                before.push(Node::new(events[count - 1], Part::Event));
            }
        }
        for loc in &graph.locs {
            let knows = |id: &Id| knows(graph, event, graph.event(*id));
            let write = loc.mo.iter().rposition(&knows).map_or(0, |last| last + 1);
            let read = loc.reads.iter().filter(|read| knows(read)).map(|read| index.place(*read)).max();
            if write > 0 {
                before.push(Node::new(loc.mo[write - 1], Part::Accesses));
            }
            let newest = write.max(read.unwrap_or(0));
            if newest > 0 {
                before.push(Node::new(loc.mo[newest - 1], Part::Fences));
                if read == Some(newest) {
                    // `rf`: what happens before the write that is read.
                    self.fences_that_happen_before(graph, graph.event(loc.mo[newest - 1]), before);
                }
            }
        }
    }

    /// `hb|loc;hb`: an access happens before another one of its location that happens before the fence.
    fn meets_again(&self, graph: &Graph, access: &Event, fence: &Event) -> bool {
        graph.threads.iter().enumerate().any(|(thread, events)| {
            let mut known = events[..known(graph, fence, thread)].iter().rev();
            let here = known.find(|id| graph.event(**id).loc == access.loc);
            here.is_some_and(|here| {
                let other = graph.event(*here);
                (other.thread, other.po) != (access.thread, access.po) && knows(graph, other, access)
            })
        })
    }

    /// The SeqCst accesses that a write is behind by `mo ∪ fr` but not another one before it.
    pub(super) fn overwritten_accesses(&self, graph: &Graph, write: Id, before: &mut Vec<Node>) {
        let (loc, place) = (graph.event(write).loc, self.index.place(write));
        let is_seq_cst = |id: Id| graph.event(id).order == MemoryOrder::SeqCst;
        let older = graph.write_at(loc, place - 1);
        if older != INIT {
            before.push(Node::new(older, Part::Accesses));
            if is_seq_cst(older) {
                before.push(Node::new(older, Part::Event));
            }
        }
        for read in self.index.readers(graph, loc, place - 1) {
            // A read-modify-write is one event in the theory, and is not overwritten by itself; its
            // write is overwritten wherever its read is.
            if is_seq_cst(read) && !self.has_write(graph, read) {
                before.push(Node::new(read, Part::Event));
            }
        }
    }

    /// The fences that happen before something that a write overwrites but no other one before it.
    pub(super) fn overwritten_fences(&self, graph: &Graph, write: Id, before: &mut Vec<Node>) {
        let (loc, place) = (graph.event(write).loc, self.index.place(write));
        let older = graph.write_at(loc, place - 1);
        if older != INIT {
            before.push(Node::new(older, Part::Fences));
            self.fences_before(graph, older, before);
        }
        if self.index.has_fences {
            for read in self.index.readers(graph, loc, place - 1) {
                if !self.has_write(graph, read) {
                    self.fences_before(graph, read, before);
                }
            }
        }
    }

    fn has_write(&self, graph: &Graph, read: Id) -> bool {
        let event = graph.event(read);
        event.rmw && graph.threads[event.thread as usize].len() > event.po as usize + 1
    }

    /// The place behind which writes overwrite what an access read or wrote: `mo ∪ fr`.
    pub(super) fn overwritten_from(&self, graph: &Graph, id: Id) -> usize {
        let read = graph.event(id).kind == Kind::Read;
        self.index.place(id) + usize::from(read && self.has_write(graph, id))
    }
}

/// How many events of a thread happen before an event.
fn known(graph: &Graph, event: &Event, thread: usize) -> usize {
    if thread as u32 == event.thread {
        return event.po as usize;
    }
    let mut known = event.before.get(thread as u32);
    if event.kind == Kind::Read && event.order.acquires() && event.rf != INIT {
        known = known.max(graph.event(event.rf).release.get(thread as u32));
    }
    if known == 0 {
        return 0;
    }
    // What has never been executed has no time, and is looked at again when it has.
    graph.threads[thread].partition_point(|id| {
        let time = graph.event(*id).time;
        time != 0 && time <= known
    })
}

/// Whether `other` happens before `event`.
pub(super) fn knows(graph: &Graph, event: &Event, other: &Event) -> bool {
    if other.thread == event.thread {
        return other.po < event.po;
    }
    let learned = || {
        let acquires = event.kind == Kind::Read && event.order.acquires() && event.rf != INIT;
        acquires && graph.event(event.rf).release.knows(other.thread, other.time)
    };
    other.time != 0 && (event.before.knows(other.thread, other.time) || learned())
}
