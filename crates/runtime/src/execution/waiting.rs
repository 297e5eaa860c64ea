//! Which threads can go on, and what the others wait for.

use super::Execution;
use crate::thread::{Condition, ThreadState};
use racefuzz_trace::{ThreadId, Verb};

impl Execution {
    /// Whether the pending operation of a thread may happen.
    pub(crate) fn holds(&self, thread: u32) -> bool {
        match self.threads[thread as usize].pending.condition {
            Condition::Always => true,
            Condition::Word { object, test } => test.holds(self.objects[object as usize].value),
            Condition::KeptOut { object, .. } => self.objects[object as usize].value == 0,
            Condition::Finished(target) => self.threads[target as usize].state == ThreadState::Finished,
            Condition::Token => {
                self.threads[self.threads[thread as usize].origin.host as usize].waiting.token
            }
            Condition::NoToken => {
                !self.threads[self.threads[thread as usize].origin.host as usize].waiting.token
            }
            Condition::AllFinished => self.schedule.unfinished == 0,
            Condition::Elapsed => false,
        }
    }

    /// Brings a thread's place among the enabled ones in line with its condition.
    pub(crate) fn reconsider(&mut self, index: u32) {
        let holds = self.holds(index);
        let thread = &mut self.threads[index as usize];
        if holds != thread.waiting.blocked {
            return;
        }
        thread.waiting.blocked = !holds;
        let may_expire = thread.pending.deadline.is_some();
        let invisible = thread.pending.invisible;
        if holds {
            if let Condition::KeptOut { object, test } = self.threads[index as usize].pending.condition {
                // The writer has its turn now, or leaves it: from here on they compete.
                self.threads[index as usize].pending.condition = Condition::Word { object, test };
            }
            if invisible {
                self.schedule.disturb();
                self.schedule.ready.push(index);
            } else {
                self.enable(index);
            }
            if may_expire {
                self.schedule.timed.retain(|timed| *timed != index);
            }
        } else {
            let holder = self.holder(index);
            let steps = self.schedule.steps;
            self.threads[index as usize].waiting.blocked_at.get_or_insert((steps, holder));
            if may_expire {
                self.schedule.timed.push(index);
            }
            if !(may_expire && self.config.inject.timeout) {
                self.disable(index);
            }
        }
    }

    /// A thread has ended that this one waited for.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn joined(&mut self, joiner: u32) {
        let ended = self.current;
        let thread = &mut self.threads[joiner as usize];
        let waits = matches!(thread.pending.condition, Condition::Finished(target) if target == ended);
        if waits && thread.waiting.blocked {
            thread.waiting.blocked = false;
            self.schedule.disturb();
            self.schedule.ready.push(joiner);
        } else {
            self.reconsider(joiner);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn enable(&mut self, thread: u32) {
        if !std::mem::replace(&mut self.threads[thread as usize].waiting.listed, true) {
            self.list(thread);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn disable(&mut self, thread: u32) {
        if std::mem::replace(&mut self.threads[thread as usize].waiting.listed, false) {
            self.unlist(thread);
        }
    }

    /// [`enable`](Self::enable) of the running thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn enable_running(&mut self) {
        if !std::mem::replace(&mut self.running().waiting.listed, true) {
            self.list(self.current);
        }
    }

    /// [`disable`](Self::disable) of the running thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn disable_running(&mut self) {
        if std::mem::replace(&mut self.running().waiting.listed, false) {
            self.unlist(self.current);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn list(&mut self, thread: u32) {
        self.schedule.changes += 1;
        self.schedule.disturb();
        let enabled = &mut self.schedule.enabled;
        if enabled.last().is_none_or(|last| last.0 < thread) && enabled.len() < enabled.capacity() {
            enabled.push(ThreadId(thread));
        } else {
            self.list_among(thread);
        }
    }

    #[inline(never)]
    fn list_among(&mut self, thread: u32) {
        let enabled = &mut self.schedule.enabled;
        let place = match enabled.len() {
            0..=8 => enabled.iter().rposition(|other| other.0 < thread).map_or(0, |last| last + 1),
            _ => enabled.partition_point(|other| other.0 < thread),
        };
        enabled.insert(place, ThreadId(thread));
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn unlist(&mut self, thread: u32) {
        self.schedule.changes += 1;
        self.schedule.disturb();
        let enabled = &mut self.schedule.enabled;
        if enabled.last() == Some(&ThreadId(thread)) {
            enabled.pop();
        } else {
            self.unlist_among(thread);
        }
    }

    #[inline(never)]
    fn unlist_among(&mut self, thread: u32) {
        let enabled = &mut self.schedule.enabled;
        let place = match enabled.len() {
            0..=8 => enabled.iter().position(|other| other.0 == thread),
            _ => enabled.binary_search(&ThreadId(thread)).ok(),
        };
        if let Some(place) = place {
            enabled.remove(place);
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
        self.schedule.idle_rounds = 0;
        if self.schedule.yielded != 0 {
            self.wake_yielded(self.current, true);
        }
        if !self.running_with(object).1.waiters.is_empty() {
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
