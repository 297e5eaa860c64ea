//! How threads of lean executions begin and end: [`spawning`](super::spawning), where nothing is on but the program.
//!
//! Most threads have neither a name nor a stack of their own, and leave no local values; nobody keeps clocks, records,
//! or holds an overlay against what they do. What is left is done without asking for the rest.

use super::spawning::{FINISH, SPAWN};
use crate::deadlock;
use crate::execution::{Execution, NOBODY, mix};
use crate::site::Site;
use crate::thread::ThreadState;
use racefuzz_trace::ThreadId;

impl Execution {
    /// Makes the entry of a thread without options whose coroutine has this stack and is ready.
    #[inline(never)]
    pub(super) fn add_lean_thread(&mut self, stack: (usize, usize), site: Site) {
        let (parent, child) = (self.current, self.schedule.thread_count as u32);
        if child as usize >= self.threads.len() {
            self.add_entry(site);
        }
        self.count_lean(&SPAWN);
        let insists = self.config.insistence > 0;
        let spawner = self.running();
        spawner.origin.children += 1;
        let path = mix(spawner.path.wrapping_add(1), u64::from(spawner.origin.children));
        // SAFETY: there are more entries than threads.
        let thread = unsafe { self.threads.get_unchecked_mut(child as usize) };
        thread.reuse(site);
        thread.path = path;
        thread.spinning.insistence.insists = insists;
        thread.origin.parent = Some(parent);
        thread.origin.spawned_at = Some(site);
        thread.origin.host = child;
        (thread.coroutine.stack, thread.coroutine.live) = (stack, true);
        self.schedule.thread_count += 1;
        self.schedule.unfinished += 1;
        self.coroutines.live += 1;
        self.order.log(parent, &SPAWN, u64::from(child));
        self.schedule.disturb();
        self.schedule.ready.push(child);
        if self.driver.observes {
            // SAFETY: see `Execution::observed`.
            unsafe { (*self.driver.explorer).spawned(ThreadId(parent), ThreadId(child)) };
        }
    }

    /// Whether the current thread, whose body is done, leaves local values.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn leaves_locals(&mut self) -> bool {
        let locals = &self.running().locals;
        locals.is_droppable() || !locals.is_unused()
    }

    /// The current thread ends, and it is found out who goes on.
    #[inline(never)]
    pub(super) fn end_lean(&mut self) {
        let me = self.current;
        let thread = self.count_lean(&FINISH);
        self.order.log(me, &FINISH, 0);
        // SAFETY: nothing else was done with the execution.
        unsafe { (*thread).state = ThreadState::Finished };
        self.disable_running();
        self.schedule.unfinished -= 1;
        self.release_joiners();
        if self.schedule.unfinished == 0 && me != 0 && self.threads[0].waiting.blocked {
            self.reconsider(0);
        }
        let next = self.pick().unwrap_or_else(|| {
            deadlock::nobody_can_run(self);
            NOBODY
        });
        self.run_next(next);
    }

    /// Those that wait for the end of the current thread may go on.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn release_joiners(&mut self) {
        let Some(joiner) = self.running().waiting.joiners.get(0) else { return };
        self.joined(joiner);
        let mut place = 1;
        while let Some(joiner) = self.running().waiting.joiners.get(place) {
            self.joined(joiner);
            place += 1;
        }
    }
}
