//! Atomic accesses that come next: the newest way is taken, every other consistent one is left for later.

use super::leaving::Next;
use super::*;
use crate::revisit::splits;
use crate::work_item::write_behind;

impl Explore {
    /// Adds a load, or the read of a read-modify-write `f`, that comes next in its thread.
    pub(super) fn add_read(
        &mut self,
        thread: u32,
        access: &Access<'_>,
        failure: MemoryOrder,
        f: Option<&dyn Fn(u64) -> Option<u64>>,
    ) -> Id {
        let loc = self.loc_or_new(access.object, access.initial, false);
        self.looks_at(access, loc);
        let mut read = self.blank(thread, Kind::Read, loc, access.order, access.verb);
        (read.time, read.site) = (access.time, access.site);
        read.before = self.in_graph(access.clock);
        let stand = Stand { before: &read.before, ord: &read.ord };
        let floor = model::floor(self.model, &self.graph, loc, &stand);
        let end = self.graph.loc(loc).mo.len();
        let joins = self.joins(thread);
        let (mut chosen, wished) = (None, self.reads_older_quietly(thread, access));
        let mut older = wished;
        let mut next = Next::new(self, read, &joins, self.in_graph(access.release_fence));
        // Read-modify-writes that would push another one away exist only together with a revisit.
        for place in (floor..=end).rev() {
            let rf = self.graph.write_at(loc, place);
            let word = |write| self.graph.word(loc, write);
            let wrote = f.and_then(|f| f(word(rf)));
            // What wrote what was there is passed over with it.
            let passes = |(chosen, _)| older > 0 && word(chosen) != word(rf);
            let takes = chosen.is_none_or(passes);
            let Some(value) = wrote else {
                let order = if f.is_some() { failure } else { access.order };
                if takes && self.agrees(&Event { rf, order, ..next.event().clone() }) {
                    older -= u32::from(chosen.replace((rf, order)).is_some());
                } else {
                    self.leave_way(&mut next, Way::Read { rf, order });
                }
                continue;
            };
            let consumed = self.graph.consumer(loc, rf).is_some();
            let order = access.order;
            if takes && !consumed && self.agrees(&Event { rf, order, ..next.event().clone() }) {
                // Its write is added, with its revisits, when the operation goes on.
                older -= u32::from(chosen.replace((rf, order)).is_some());
                continue;
            }
            if !consumed {
                self.leave_way(&mut next, Way::Update { rf, value });
            }
            self.revisits(&mut next, Revisitor::Update { rf, value });
        }
        let (rf, order) = chosen.unwrap_or_else(|| unreachable!("the newest write can be read"));
        self.note_older_read(thread, wished - older);
        self.graph.add(Event { rf, order, ..next.into_event() }, &joins)
    }

    /// Whether the graph is consistent with this read. A read of the newest write is before nothing
    /// yet, so there is no cycle through it (and each model forbids cycles only).
    pub(super) fn agrees(&self, read: &Event) -> bool {
        if read.rf == self.graph.newest(read.loc) || !model::looks_at_wholes(self.model, &self.graph) {
            return true;
        }
        let mut graph = self.graph.clone();
        graph.add(read.clone(), &self.joins(read.thread));
        model::is_consistent(self.model, &graph)
    }

    pub(super) fn add_store(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let loc = self.loc_or_new(access.object, access.initial, false);
        let mut write = self.blank(thread, Kind::Write, loc, access.order, access.verb);
        (write.time, write.site) = (access.time, access.site);
        write.value = value;
        write.before = self.in_graph(access.clock);
        write.release = self.published(access);
        let stand = Stand { before: &write.before, ord: &write.ord };
        let floor = model::floor(self.model, &self.graph, loc, &stand);
        let end = self.graph.loc(loc).mo.len();
        let joins = self.joins(thread);
        let mut next = Next::new(self, write, &joins, Clock::default());
        for place in (floor + 1..=end).rev() {
            if !splits(&self.graph, loc, place) {
                self.leave_way(&mut next, Way::Write { place: place as u32 });
            }
        }
        self.revisits(&mut next, Revisitor::Store);
        self.graph.add_write(next.into_event(), &joins, end + 1)
    }

    /// The write of the read-modify-write whose read is the thread's last event.
    pub(super) fn add_rmw_write(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let read = self.last_event(thread).unwrap_or_else(|| unreachable!("it has just read"));
        let (loc, rf) = (self.graph.event(read).loc, self.graph.event(read).rf);
        let mut write = self.write_of(read, access, value);
        if self.graph.ordered {
            write.ord = self.fronts[thread as usize].ord.clone();
        }
        let mut next = Next::new(self, write, &[], Clock::default());
        self.revisits(&mut next, Revisitor::UpdateRead);
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(next.into_event(), &[], place)
    }

    /// The write behind `read`, told with what its thread knows after the read.
    pub(super) fn write_of(&self, read: Id, access: &Access<'_>, value: u64) -> Event {
        let (clock, fence) = (self.in_graph(access.clock), self.in_graph(access.release_fence));
        let mut write =
            write_behind(&self.graph, self.graph.event(read), &clock, &fence, access.order, value);
        (write.time, write.site, write.readers) = (access.time, access.site, 0);
        write
    }

    /// What a store publishes.
    pub(super) fn published(&self, access: &Access<'_>) -> Clock {
        self.in_graph(if access.order.releases() { access.clock } else { access.release_fence })
    }
}
