//! Operations on state words: what they would read is known before they happen, so their other ways
//! are kept before the one at the end of the word's order is executed.

use super::leaving::Next;
use super::*;
use crate::revisit::splits;

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
        let joins = self.joins(thread);
        let store = matches!(op.kind, OpKind::Store | OpKind::Print);
        let kind = if store { Kind::Write } else { Kind::Read };
        let event = Event { fresh: true, ..self.blank(thread, kind, loc, op.order, op.verb) };
        let mut next = Next::new(self, event, &joins, Clock::default());
        if store {
            for place in (floor + 1..=end).rev() {
                if !splits(&self.graph, loc, place) {
                    self.leave_way(&mut next, Way::Write { place: place as u32 });
                }
            }
            self.revisits(&mut next, Revisitor::Store);
            return;
        }
        for place in (floor..=end).rev() {
            let rf = self.graph.write_at(loc, place);
            let word = self.graph.word(loc, rf);
            if !test.holds(word) || is_old(rf) {
                continue;
            }
            if !only_reads.holds(word) {
                self.revisits(&mut next, Revisitor::Update { rf, value: 0 });
            } else if place < end {
                self.leave_way(&mut next, Way::Read { rf, order: op.order });
            }
        }
    }

    /// The write of an operation on a state word whose read is in the graph.
    pub(super) fn add_state_write(&mut self, thread: u32, read: Id, step: &Step<'_>, again: bool) -> Id {
        let mut write =
            self.blank(thread, Kind::Write, self.graph.event(read).loc, step.op.order, step.op.verb);
        write.rmw = true;
        let (loc, rf) = (write.loc, self.graph.event(read).rf);
        if again {
            let mut porf = write.porf.clone();
            porf.set(thread, write.po + 1);
            let write = Event { porf, fresh: true, ..write.clone() };
            let mut next = Next::new(self, write, &[], Clock::default());
            self.revisits(&mut next, Revisitor::UpdateRead);
        }
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(write, &[], place)
    }

    /// What an event on a state word turned out to be.
    pub(super) fn fill(&mut self, id: Id, step: &Step<'_>) {
        let before = self.in_graph(step.clock);
        let event = self.graph.event_mut(id);
        event.fresh = false;
        (event.time, event.site, event.before) = (step.time, step.site, before);
        event.value = step.after;
    }
}
