//! Which threads can go on, and what the others wait for.

use super::Execution;
use crate::thread::{Condition, Status};
use racefuzz_trace::{ThreadId, Verb};

impl Execution {
    /// Whether the pending operation of a thread may happen.
    pub(crate) fn holds(&self, thread: u32) -> bool {
        match self.threads[thread as usize].pending.condition {
            Condition::Always => true,
            Condition::Word { object, test } => test.holds(self.objects[object as usize].value),
            Condition::KeptOut { object, .. } => self.objects[object as usize].value == 0,
            Condition::Finished(target) => self.threads[target as usize].status == Status::Finished,
            Condition::Token => self.threads[self.threads[thread as usize].host as usize].token,
            Condition::NoToken => !self.threads[self.threads[thread as usize].host as usize].token,
            Condition::AllFinished => self.unfinished == 0,
        }
    }

    /// Brings a thread's place among the enabled ones in line with its condition.
    pub(crate) fn reconsider(&mut self, index: u32) {
        let holds = self.holds(index);
        let thread = &mut self.threads[index as usize];
        if holds != thread.blocked {
            return;
        }
        thread.blocked = !holds;
        let may_expire = thread.pending.deadline.is_some();
        let invisible = thread.pending.invisible;
        if holds {
            if let Condition::KeptOut { object, test } = self.threads[index as usize].pending.condition {
                // The writer has its turn now, or leaves it: from here on they compete.
                self.threads[index as usize].pending.condition = Condition::Word { object, test };
            }
            if invisible {
                self.ready.push(index);
            } else {
                self.enable(index);
            }
            if may_expire {
                self.timed.retain(|timed| *timed != index);
            }
        } else {
            let holder = self.holder(index);
            let steps = self.steps;
            self.threads[index as usize].blocked_at.get_or_insert((steps, holder));
            if may_expire {
                self.timed.push(index);
            }
            if !(may_expire && self.config.inject.timeout) {
                self.disable(index);
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn enable(&mut self, thread: u32) {
        let listed = &mut self.threads[thread as usize].listed;
        if !*listed {
            *listed = true;
            let place = self.enabled.partition_point(|other| other.0 < thread);
            self.enabled.insert(place, ThreadId(thread));
        }
    }

    pub(crate) fn disable(&mut self, thread: u32) {
        let listed = &mut self.threads[thread as usize].listed;
        if *listed {
            *listed = false;
            let place = self.enabled.partition_point(|other| other.0 < thread);
            self.enabled.remove(place);
        }
    }

    /// The thread in the way of a blocked one.
    fn holder(&self, thread: u32) -> Option<u32> {
        match self.threads[thread as usize].pending.condition {
            Condition::Word { object, .. } => {
                self.objects[object as usize].holders.first().map(|(holder, _)| *holder)
            }
            Condition::KeptOut { object, .. } => self.waiting_writer(thread, object),
            Condition::Finished(target) => Some(target),
            _ => None,
        }
    }

    /// A thread other than `reader` that waits to write-lock an object.
    pub(crate) fn waiting_writer(&self, reader: u32, object: u32) -> Option<u32> {
        let waits = |waiter: &&u32| {
            let pending = &self.threads[**waiter as usize].pending;
            **waiter != reader && pending.op.verb == Verb::WriteLock
        };
        self.objects[object as usize].waiters.iter().find(waits).copied()
    }

    /// The word of an object changed: those who wait for it may go on, or may no longer.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn touched(&mut self, object: u32) {
        if self.yielded != 0 {
            self.wake_yielded(self.current, true);
        }
        if !self.objects[object as usize].waiters.is_empty() {
            self.reconsider_waiters(object);
        }
    }

    #[inline(never)]
    fn reconsider_waiters(&mut self, object: u32) {
        for position in 0..self.objects[object as usize].waiters.len() {
            let waiter = self.objects[object as usize].waiters[position];
            self.reconsider(waiter);
        }
    }
}
