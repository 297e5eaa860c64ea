//! Events of an execution: how they are counted, and what they mean to threads that gave way.

use super::{Execution, Now};
use crate::explorer::Op;
use crate::object::WriteRef;
use crate::record::Recorder;
use crate::site::Site;
use crate::thread::Thread;
use racefuzz_trace::{Event, ObjectId, OpKind, ThreadId};

/// A thread that gave way more often than this, and nothing changed, has spun for long.
pub(super) const PATIENCE: u32 = 16;

/// Whether an event of this kind changes something that a thread which gave way may wait for. What an access to an
/// object changes is seen where it happens.
const fn changes(kind: OpKind) -> bool {
    use OpKind::{Alloc, Finish, Free, Print, Spawn, Write};
    matches!(kind, Alloc | Finish | Free | Print | Spawn | Write)
}

impl Execution {
    /// Counts an event of the current thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn event(&mut self, op: &Op) -> Now {
        let me = self.current;
        let thread = self.running();
        thread.time += 1;
        let time = thread.time;
        let event = thread.event_at(time);
        if self.order.has_clocks {
            self.running().know_time(me);
        }
        self.schedule.count();
        if self.schedule.yielded != 0 {
            self.wake_yielded(me, changes(op.kind));
        }
        if self.driver.observes {
            self.observed(*op);
        }
        Now { thread: me, time, write: WriteRef { event, step: self.schedule.steps } }
    }

    /// Counts an event of the running thread, which is returned: [`event`](Self::event) of a lean execution. The
    /// pointer is good until something else is done with the execution than adding to its order.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn count_lean(&mut self, op: &Op) -> *mut Thread {
        self.schedule.count();
        if (self.schedule.yielded != 0) | self.driver.observes {
            self.tell(*op);
        }
        let thread = self.running();
        thread.time += 1;
        thread
    }

    /// Those that gave way, and the explorer, learn of an event. Takes the operation by value, so that it need not be
    /// in memory where nobody does.
    #[inline(never)]
    fn tell(&mut self, op: Op) {
        if self.schedule.yielded != 0 {
            self.wake_yielded(self.current, changes(op.kind));
        }
        if self.driver.observes {
            self.observed(op);
        }
    }

    /// Takes the operation by value, so that it need not be in memory where nobody observes it.
    #[inline(never)]
    pub(crate) fn observed(&mut self, op: Op) {
        // SAFETY: the explorer outlives the execution and is not otherwise borrowed while the
        // runtime runs (see `Runner::run`).
        unsafe { (*self.driver.explorer).executed(ThreadId(self.current), &op) };
    }

    /// Another thread has acted: those that gave way are offered again. Those that have spun for
    /// long only if it `changed` something: two threads that spin would otherwise offer each other
    /// for ever, and a strategy without fairness of its own would never take the one they wait for
    /// (as in fair stateless model checking: Musuvathi & Qadeer, PLDI'08).
    #[cold]
    pub(crate) fn wake_yielded(&mut self, me: u32, changed: bool) {
        for (index, thread) in self.threads[..self.schedule.thread_count].iter_mut().enumerate() {
            if thread.spinning.yielded && index as u32 != me && (changed || thread.spinning.spins <= PATIENCE)
            {
                thread.spinning.yielded = false;
                self.schedule.yielded -= 1;
                if changed {
                    thread.spinning.spins = 0;
                }
            }
        }
    }

    /// Whether the current thread, whose schedule is a graph's, has just given way here more than once, and still
    /// does; that event is counted then. Loops that back off do so hundreds of times a round.
    pub(crate) fn gives_way_still(&mut self, op: &Op, site: Site) -> bool {
        let thread = self.running();
        let spinning = &mut thread.spinning;
        let again = spinning.last_yield == site.number() && spinning.yielded_at == thread.time;
        spinning.yields = if again { spinning.yields + 1 } else { 0 };
        // The second one in a row is the first that has it give way: see `give_way_again`.
        let (still, time) = (spinning.yields > 1, thread.time + 1);
        spinning.yielded_at = time;
        if still {
            thread.time = time;
            let me = self.current;
            if self.order.has_clocks {
                self.running().know_time(me);
                self.running().clock.prepare(me, time + 1);
            }
            self.schedule.count();
            self.record(op, site, |_, _| {});
        }
        still
    }

    /// The current thread gives way at a place, if that is where it did so last. Who does so once need not wait for
    /// anybody: it may well be the next.
    pub(crate) fn give_way_again(&mut self, site: Site) {
        let last = &mut self.running().spinning.last_yield;
        let again = std::mem::replace(last, site.number()) == site.number();
        // Who insists does so from the first round on.
        if again || self.config.insistence > 0 {
            self.give_way();
        }
    }

    /// Whether the current thread goes on, although it should give way.
    #[cold]
    fn insists(&mut self) -> bool {
        /// A round with more events is taken for other things that were done meanwhile.
        const LONGEST_ROUND: u32 = 16;
        let most = self.config.insistence;
        let thread = self.running();
        let (time, last) = (thread.time, &mut thread.spinning.insistence);
        if last.rounds == most {
            last.until = 0;
            return false;
        }
        let round = time - last.since;
        if round == 0 && last.until > time {
            // A load that repeats, and the hint behind it.
            return true;
        }
        let round = if (1..=LONGEST_ROUND).contains(&round) { round } else { 1 };
        (last.rounds, last.since, last.until) = (last.rounds + 1, time, time + round);
        self.outcome.insisted = true;
        true
    }

    /// The current thread gives way: it is not offered until another has acted.
    pub(crate) fn give_way(&mut self) {
        // What was explored says who goes on; it knows no such courtesy.
        if self.config.explored || self.config.insistence > 0 && self.insists() {
            return;
        }
        let thread = &mut self.threads[self.current as usize];
        if !thread.spinning.yielded {
            thread.spinning.yielded = true;
            thread.spinning.spins = thread.spinning.spins.saturating_add(1);
            self.schedule.yielded += 1;
            self.schedule.disturb();
        }
    }

    /// The event has happened: it is logged, and the thread's clock is made ready for the next one, which a
    /// processor is slow to read as a whole if a part of it was just written.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn complete(&mut self, now: &Now, op: &Op, value: u64) {
        if self.order.has_clocks {
            self.running().clock.prepare(now.thread, now.time + 1);
        }
        self.log(now, op, value);
    }

    /// Logs the event for comparison with a replay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn log(&mut self, now: &Now, op: &Op, value: u64) {
        self.order.log(now.thread, op, value);
    }

    /// An edge of the execution graph.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn edge(&mut self, kind: u64, from: WriteRef, to: WriteRef) {
        self.order.edge(kind, from, to);
    }

    /// Records an event, if this execution is recorded.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn record(&mut self, op: &Op, site: Site, fill: impl FnOnce(&mut Recorder, &mut Event)) {
        if self.recorder.is_some() {
            let Some((recorder, mut event)) = self.recorded(*op, site) else { return };
            fill(recorder, &mut event);
            recorder.event(event);
        }
    }

    /// What is recorded of every event.
    #[cold]
    #[inline(never)]
    fn recorded(&mut self, op: Op, site: Site) -> Option<(&mut Recorder, Event)> {
        let me = self.current;
        let waited = self.threads[me as usize].waiting.blocked_at.take();
        let recorder = self.recorder.as_mut()?;
        let event = Event {
            step: 0,
            thread: ThreadId(me),
            kind: op.kind,
            verb: op.verb,
            order: op.order,
            object: (op.object < self.storage.object_count as u32).then_some(ObjectId(op.object)),
            site: recorder.site(site),
            implied: false,
            read: None,
            wrote: None,
            ok: true,
            reads_from: None,
            newer: None,
            waited: waited
                .map(|(since, holder)| racefuzz_trace::Waiting { since, holder: holder.map(ThreadId) }),
            other: None,
            text: None,
        };
        Some((recorder, event))
    }
}
