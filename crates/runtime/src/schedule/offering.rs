//! Stating what a thread will do next: who runs then, and what becomes of the statement.

use super::{ALONE_LIMIT, AT_ONCE};
use crate::deadlock;
use crate::execution::{Execution, NOBODY};
use crate::explorer::Op;
use crate::site::Site;
use crate::thread::{Condition, Pending, ThreadState};

impl Execution {
    /// [`offer_plain`](Self::offer_plain) behind a call: for all but the most common operations.
    #[inline(never)]
    pub(super) fn offer(&mut self, op: Op, site: Site) -> u32 {
        self.offer_plain(self.current, op, site)
    }

    /// Notes that the current thread, `me`, will execute `op`, which waits for nothing, and finds out who is
    /// next; `NOBODY` if the execution has ended. Compiled into the operation, whose constant parts are then
    /// written where they belong instead of being passed on.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn offer_plain(&mut self, me: u32, op: Op, site: Site) -> u32 {
        self.heartbeat.beat(site);
        let thread = self.running();
        invariant!(thread.pending.is_plain(), "an operation was not settled");
        invariant!(!thread.waiting.timed_out && !thread.waiting.blocked, "an operation was not settled");
        (thread.pending.op, thread.pending.site) = (op, site);
        thread.spinning.alone += 1;
        let calm = self.schedule.steps < self.schedule.calm_until;
        if calm && !std::thread::panicking() { self.ask_for_any(me) } else { self.offer_carefully() }
    }

    /// [`offer_plain`](Self::offer_plain), where more has to be looked at than who may run.
    #[inline(never)]
    fn offer_carefully(&mut self) -> u32 {
        let me = self.current;
        if self.config.process {
            self.end_waits();
        }
        let several = self.schedule.enabled.len() > 1;
        let thread = self.running();
        // It is alone as long as it could not have been.
        thread.spinning.alone -= u32::from(!several);
        let unwinding = thread.panicking | std::thread::panicking();
        if (thread.spinning.alone > ALONE_LIMIT) | unwinding {
            self.offer_at_last();
        }
        self.enable_running();
        if self.is_spent() {
            deadlock::step_limit(self);
            return NOBODY;
        }
        let schedule = &self.schedule;
        if schedule.yielded == 0
            && schedule.enabled.len() > 1
            && schedule.ready.is_empty()
            && schedule.chooses_freely
        {
            self.calm_down();
            return self.ask_for_any(me);
        }
        self.pick().unwrap_or_else(|| {
            deadlock::nobody_can_run(self);
            NOBODY
        })
    }

    /// For some steps there is nothing to be looked at when one is stated, unless something happens. The
    /// running thread is enabled.
    fn calm_down(&mut self) {
        /// Steps after which it is asked whether the execution is to stop.
        const INTERVAL: u32 = 64;
        if self.schedule.unwinding_seen {
            return;
        }
        // A thread states no more operations than it has events.
        let left = (ALONE_LIMIT - self.running().spinning.alone).min(INTERVAL);
        self.schedule.calm_until = self.schedule.unlooked.min(self.schedule.steps + left);
    }

    /// The running thread unwinds, perhaps, or has run alone for long.
    #[cold]
    fn offer_at_last(&mut self) {
        let me = self.current;
        if self.threads[me as usize].panicking | std::thread::panicking() {
            self.unwinds();
        }
        self.enable(me);
        if self.threads[me as usize].spinning.alone > ALONE_LIMIT {
            self.threads[me as usize].spinning.alone = 0;
            self.give_way();
        }
    }

    /// The same for an operation under a condition, or one that is no choice; `AT_ONCE` if the thread
    /// may go on without having been chosen.
    #[inline(never)]
    pub(super) fn offer_awaiting(&mut self, pending: &Pending) -> u32 {
        self.heartbeat.beat(pending.site);
        let me = self.current;
        if std::thread::panicking() || self.threads[me as usize].panicking {
            self.unwinds();
        }
        if self.state(pending) && pending.invisible {
            self.settle(me);
            return AT_ONCE;
        }
        if self.is_spent() {
            deadlock::step_limit(self);
            return NOBODY;
        }
        self.pick().unwrap_or_else(|| {
            deadlock::nobody_can_run(self);
            NOBODY
        })
    }

    /// [`offer_awaiting`](Self::offer_awaiting) for the end of a thread, which comes without a choice and is
    /// waited for without a limit.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn offer_end_of(&mut self, target: u32, op: Op, site: Site) -> u32 {
        self.heartbeat.beat(site);
        let me = self.current;
        let ended = self.threads[target as usize].state == ThreadState::Finished;
        let thread = self.running();
        (thread.pending.op, thread.pending.site) = (op, site);
        if thread.panicking | std::thread::panicking() {
            self.unwinds();
        }
        if ended {
            if self.schedule.yielded != 0 {
                self.settle(me);
            }
            return AT_ONCE;
        }
        self.threads[target as usize].waiting.joiners.push(me);
        let steps = self.schedule.steps;
        let thread = self.running();
        (thread.pending.condition, thread.pending.invisible) = (Condition::Finished(target), true);
        thread.waiting.blocked = true;
        thread.waiting.blocked_at.get_or_insert((steps, Some(target)));
        self.disable_running();
        if self.is_spent() {
            deadlock::step_limit(self);
            return NOBODY;
        }
        self.pick().unwrap_or_else(|| {
            deadlock::nobody_can_run(self);
            NOBODY
        })
    }

    /// Notes what the current thread will do; whether it may do so now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn state(&mut self, pending: &Pending) -> bool {
        let me = self.current;
        let steps = self.schedule.steps;
        let thread = &mut self.threads[me as usize];
        thread.pending = *pending;
        thread.waiting.timed_out = false;
        thread.waiting.blocked = false;
        match pending.condition {
            Condition::Always => {}
            Condition::Word { object, .. } | Condition::KeptOut { object, .. } => {
                self.objects[object as usize].waiters.push(me);
            }
            Condition::Finished(target) => self.threads[target as usize].waiting.joiners.push(me),
            Condition::Token | Condition::NoToken | Condition::AllFinished | Condition::Elapsed => {}
        }
        if self.holds(me) {
            if !pending.invisible {
                self.enable(me);
            }
            return true;
        }
        if pending.deadline.is_some() && self.config.inject.timeout {
            self.enable(me);
        } else {
            self.disable(me);
        }
        self.reconsider(me);
        invariant!(self.threads[me as usize].waiting.blocked_at.is_none_or(|(since, _)| since <= steps));
        false
    }

    /// [`settle`](Self::settle) of an operation that waits for nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn settle_plain(&mut self, me: u32) {
        let thread = &mut self.threads[me as usize];
        if thread.spinning.yielded {
            thread.spinning.yielded = false;
            self.schedule.yielded -= 1;
        }
    }

    /// The current thread's pending operation is about to happen.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn settle(&mut self, me: u32) {
        let thread = &mut self.threads[me as usize];
        if thread.spinning.yielded {
            thread.spinning.yielded = false;
            self.schedule.yielded -= 1;
        }
        let thread = &mut self.threads[me as usize];
        if matches!(thread.pending.condition, Condition::Always) {
            thread.pending.settle();
            return;
        }
        if thread.waiting.blocked {
            // Chosen although the condition does not hold: its wait ends by timeout.
            thread.waiting.timed_out = true;
            thread.waiting.blocked = false;
            if self.config.process {
                let deadline = thread.pending.deadline.unwrap_or(0);
                self.schedule.advance_to(deadline);
            }
        }
        let thread = &self.threads[me as usize];
        if thread.pending.deadline.is_some() {
            self.schedule.timed.retain(|timed| *timed != me);
        }
        if let Condition::Word { object, .. } | Condition::KeptOut { object, .. } =
            self.threads[me as usize].pending.condition
        {
            self.objects[object as usize].waiters.retain(|waiter| *waiter != me);
        }
        let pending = &mut self.threads[me as usize].pending;
        // The root states nothing more but what its end asks for, and stands in this until then.
        if !matches!(pending.condition, Condition::AllFinished) {
            pending.settle();
        }
    }
}
