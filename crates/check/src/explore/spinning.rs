//! Threads that repeat themselves.

use super::*;

impl Explore {
    /// A thread has repeated itself since it had executed `before` events: whether it waits.
    pub(super) fn waits(&mut self, thread: u32, site: u64, before: u32) -> bool {
        if let Some(trial) = &mut self.trial {
            self.stopped |= trial.goes_on(site);
            return self.stopped;
        }
        let endless = self.loops.is_endless(site);
        if endless.is_none() {
            self.trial = Some(Trial::new(thread, site));
        }
        if endless == Some(true) {
            let front = self.front(thread);
            front.spinning = Some((before, front.done));
        }
        endless == Some(true)
    }

    /// Whether an event of a loop finds what the same event of the round before found: it reads the
    /// same write; or, a read-modify-write that writes what it reads, what that one left.
    ///
    /// A lock that is taken and given back in each round says nothing by itself, whoever held it in
    /// between: with that round left out the others do the same. What it guards may have changed
    /// unseen, so such a round may be one that would have ended the loop; it then did so one round
    /// earlier in another graph, and [`finds_newest`](Self::finds_newest) keeps it from being taken
    /// for a failure.
    pub(super) fn reads_nothing_new(&self, now: Id, earlier: Id) -> bool {
        let (event, before) = (self.graph.event(now), self.graph.event(earlier));
        if (event.kind, event.loc, event.rmw) != (before.kind, before.loc, before.rmw) {
            return false;
        }
        let lock = event.verb.takes_lock() || event.verb.gives_lock();
        match event.kind {
            Kind::Read if !event.rmw => event.rf == before.rf,
            Kind::Read | Kind::Write if lock => event.verb == before.verb,
            // Read and write of one operation stand side by side in program order.
            Kind::Read => event.rf == self.next_in_thread(earlier),
            Kind::Write => {
                event.rmw && event.value == before.value && {
                    let read = self.graph.threads[event.thread as usize][event.po as usize - 1];
                    let rf = self.graph.event(read).rf;
                    self.graph.word(event.loc, rf) == event.value
                }
            }
            Kind::Fence => true,
            Kind::Choice => false,
        }
    }

    /// Whether the event, the last of its kind in a loop that repeats itself, finds the newest write
    /// when it comes again: a read-modify-write finds what its own thread left.
    pub(super) fn finds_newest(&self, id: Id) -> bool {
        let event = self.graph.event(id);
        let found = if event.rmw { self.own_newest(event.thread, event.loc) } else { event.rf };
        event.kind != Kind::Read || self.graph.newest(event.loc) == found
    }

    /// The last write of a thread to a location.
    fn own_newest(&self, thread: u32, loc: u32) -> Id {
        let events = self.graph.threads[thread as usize].iter().copied();
        let writes = |id: &Id| self.graph.event(*id).kind == Kind::Write && self.graph.event(*id).loc == loc;
        events.rev().find(writes).unwrap_or(INIT)
    }

    /// What a thread read when it last read a location.
    pub(super) fn last_read_of(&self, thread: u32, loc: u32) -> Option<Id> {
        let mut events = self.graph.threads[thread as usize].iter().rev().map(|id| self.graph.event(*id));
        let last = events.find(|event| event.loc == loc)?;
        (last.kind == Kind::Read).then_some(last.rf)
    }

    pub(super) fn next_in_thread(&self, id: Id) -> Id {
        let event = self.graph.event(id);
        self.graph.threads[event.thread as usize].get(event.po as usize + 1).copied().unwrap_or(INIT)
    }
}
