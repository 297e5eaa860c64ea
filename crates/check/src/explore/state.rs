//! Operations on state words: what they would read is known before they happen, so their other ways
//! are kept before the one at the end of the word's order is executed.

use super::backward::{Comes, splits};
use super::*;

impl Explore {
    /// The other ways of an operation on an ordered location that comes next in `thread`: it stands
    /// at the end of the location's order, or waits there.
    pub(super) fn other_places(
        &mut self,
        thread: u32,
        loc: u32,
        op: &Op,
        test: Test,
        only_reads: Test,
        since: Option<u32>,
    ) {
        let ord = self.fronts[thread as usize].ord.clone();
        let floor = model::floor(self.model, &self.graph, loc, &Stand { before: &self.empty, ord: &ord });
        let end = self.graph.loc(loc).mo.len();
        let is_old = |write: Id| since.is_some_and(|since| write == INIT || write < since);
        if matches!(op.kind, OpKind::Store | OpKind::Print) {
            let mut write = self.blank(thread, Kind::Write, loc, op.order, op.verb);
            write.fresh = true;
            let joins = self.joins(thread);
            for place in (floor + 1..=end).rev() {
                if !splits(&self.graph, loc, place) {
                    let mut graph = self.copy();
                    graph.add_write(write.clone(), &joins, place);
                    self.later(graph, None);
                }
            }
            let mut prefix = write.porf.clone();
            prefix.set(thread, write.po + 1);
            self.revisits(loc, Comes::Alone, &write, &prefix);
            return;
        }
        for place in (floor..=end).rev() {
            let write = self.graph.write_at(loc, place);
            let word = self.graph.word(loc, write);
            if !test.holds(word) || is_old(write) {
                continue;
            }
            let mut read = self.blank(thread, Kind::Read, loc, op.order, op.verb);
            read.rf = write;
            read.fresh = true;
            if only_reads.holds(word) {
                if place < end {
                    let mut graph = self.copy();
                    graph.add(read, &self.joins(thread));
                    self.later(graph, None);
                }
                continue;
            }
            let mut prefix = read.porf.clone();
            if write != INIT {
                prefix.join(&self.graph.event(write).porf);
            }
            prefix.set(thread, read.po + 2);
            let mut writes = self.blank(thread, Kind::Write, loc, op.order, op.verb);
            (writes.po, writes.rmw, writes.fresh) = (read.po + 1, true, true);
            writes.porf = prefix.clone();
            self.revisits(loc, Comes::With(&read), &writes, &prefix);
        }
    }

    /// The write of an operation on a state word whose read is in the graph.
    pub(super) fn add_state_write(&mut self, thread: u32, read: Id, step: &Step<'_>, again: bool) -> Id {
        let mut write =
            self.blank(thread, Kind::Write, self.graph.event(read).loc, step.op.order, step.op.verb);
        write.rmw = true;
        let (loc, rf) = (write.loc, self.graph.event(read).rf);
        if again {
            let reads = self.graph.event(read).clone();
            let mut prefix = write.porf.clone();
            prefix.set(thread, write.po + 1);
            let write = Event { porf: prefix.clone(), fresh: true, ..write.clone() };
            self.revisits(loc, Comes::Behind(&reads), &write, &prefix);
        }
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(write, &[], place)
    }

    /// What an event on a state word turned out to be.
    pub(super) fn fill(&mut self, id: Id, step: &Step<'_>) {
        let event = self.graph.event_mut(id);
        event.fresh = false;
        event.time = step.time;
        event.before.copy_from(step.clock);
        event.value = step.after;
    }
}
