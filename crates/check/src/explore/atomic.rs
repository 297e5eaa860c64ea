//! Atomic accesses that come next: the newest way is taken, every other consistent one is kept.

use super::backward::{Comes, splits};
use super::*;

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
        let mut read = self.blank(thread, Kind::Read, loc, access.order, access.verb);
        read.time = access.time;
        read.before = access.clock.clone();
        let stand = Stand { before: access.clock, ord: &read.ord };
        let floor = model::floor(self.model, &self.graph, loc, &stand);
        let end = self.graph.loc(loc).mo.len();
        let mut chosen = None;
        let joins = self.joins(thread);
        // A loop is tried by giving it what it had before, which may not be the newest.
        let again = self.trial.and_then(|_| self.last_read_of(thread, loc));
        if let Some(rf) = again.filter(|rf| f.is_none_or(|f| f(self.graph.word(loc, *rf)).is_none())) {
            let order = if f.is_some() { failure } else { access.order };
            return self.graph.add(Event { rf, order, ..read }, &joins);
        }
        // Read-modify-writes that would push another one away exist only together with a revisit.
        for place in (floor..=end).rev() {
            let rf = self.graph.write_at(loc, place);
            let wrote = f.and_then(|f| f(self.graph.word(loc, rf)));
            let mut read = Event { rf, ..read.clone() };
            let Some(value) = wrote else {
                if f.is_some() {
                    read.order = failure;
                }
                if chosen.is_none() && self.agrees(&read) {
                    chosen = Some(read);
                } else {
                    let mut graph = self.copy();
                    graph.add(read, &joins);
                    self.later(graph, None);
                }
                continue;
            };
            let consumed = self.graph.consumer(loc, rf).is_some();
            if chosen.is_none() && !consumed && self.agrees(&read) {
                // Its write is added, with its revisits, when the operation goes on.
                chosen = Some(read);
                continue;
            }
            let write = self.write_of(&read, access, value);
            if !consumed {
                let mut graph = self.copy();
                graph.add(Event { rmw: true, ..read.clone() }, &joins);
                graph.add_write(write.clone(), &[], place + 1);
                self.later(graph, None);
            }
            let prefix = write.porf.clone();
            self.revisits(loc, Comes::With(&read), &write, &prefix);
        }
        let read = chosen.unwrap_or_else(|| unreachable!("the newest write can be read"));
        self.graph.add(read, &joins)
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

    /// The write of a read-modify-write that comes next, with its whole prefix.
    pub(super) fn write_of(&self, read: &Event, access: &Access<'_>, value: u64) -> Event {
        let mut porf = read.porf.clone();
        let mut before = access.clock.clone();
        let mut release = Clock::default();
        if read.rf != INIT {
            let source = self.graph.event(read.rf);
            porf.join(&source.porf);
            release.copy_from(&source.release);
            if access.order.acquires() {
                before.join(&source.release);
            }
        }
        porf.set(read.thread, read.po + 2);
        release.join(if access.order.releases() { &before } else { access.release_fence });
        Event {
            po: read.po + 1,
            kind: Kind::Write,
            order: access.order,
            rf: INIT,
            rmw: true,
            value,
            before,
            release,
            porf,
            ord: read.ord.clone(),
            ..read.clone()
        }
    }

    pub(super) fn add_store(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let loc = self.loc_or_new(access.object, access.initial, false);
        let mut write = self.blank(thread, Kind::Write, loc, access.order, access.verb);
        write.time = access.time;
        write.value = value;
        write.before = access.clock.clone();
        write.release =
            if access.order.releases() { access.clock.clone() } else { access.release_fence.clone() };
        let floor =
            model::floor(self.model, &self.graph, loc, &Stand { before: access.clock, ord: &write.ord });
        let end = self.graph.loc(loc).mo.len();
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
        self.graph.add_write(write, &joins, end + 1)
    }

    /// The write of the read-modify-write whose read is the thread's last event.
    pub(super) fn add_rmw_write(&mut self, thread: u32, access: &Access<'_>, value: u64) -> Id {
        let read = self.last_event(thread).unwrap_or_else(|| unreachable!("it has just read"));
        let (loc, rf) = (self.graph.event(read).loc, self.graph.event(read).rf);
        // `access.clock` is that after the read.
        let write = self.write_of(&self.graph.event(read).clone(), access, value);
        let mut write = Event { ord: self.fronts[thread as usize].ord.clone(), ..write };
        write.time = access.time;
        let reads = self.graph.event(read).clone();
        let prefix = write.porf.clone();
        self.revisits(loc, Comes::Behind(&reads), &write, &prefix);
        self.graph.event_mut(read).rmw = true;
        let place = self.graph.place(loc, rf) + 1;
        self.graph.add_write(write, &[], place)
    }
}
