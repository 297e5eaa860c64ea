//! How time passes for programs that run unmodified.
//!
//! A test of such a program sleeps so that another thread goes first, or gives a wait a limit that is not
//! meant to be up. On a machine that is slow enough either may come out otherwise, but a test that fails only
//! then tells nobody anything. So a step takes next to no time, and time passes where nothing else happens: when
//! every thread waits, or when those that can run only spin. The wait, or sleep, whose time is up first ends
//! then, and so do those whose time is up at about the same moment: among these the order is the explorer's
//! choice.

use crate::execution::Execution;

/// Waits end together that end within so many nanoseconds: what they were stated apart.
const TOGETHER: u64 = 100_000;
/// Rounds in which everybody gave way and nobody changed anything, after which they are said to spin. Loops
/// that give way a few times before they wait for something make fewer.
const ROUNDS: u32 = 64;

impl Execution {
    /// The thread to run next, `None` if none can, in a program that is a process of its own.
    pub(crate) fn pick_in_process(&mut self) -> Option<u32> {
        if self.schedule.enabled.is_empty() || self.all_spin() {
            self.pass_time();
        }
        match self.schedule.enabled[..] {
            [] => None,
            [only] => Some(only.0),
            _ => Some(self.ask()),
        }
    }

    /// Whether all that can run has given way, again and again.
    fn all_spin(&mut self) -> bool {
        let schedule = &mut self.schedule;
        let threads = &self.threads;
        if schedule.yielded == 0
            || schedule.timed.is_empty()
            || !schedule.enabled.iter().all(|thread| threads[thread.index()].spinning.yielded)
        {
            return false;
        }
        schedule.idle_rounds += 1;
        schedule.idle_rounds > ROUNDS
    }

    /// Nanoseconds that a look at the clock takes: the more the longer nothing but looks happens, so that a loop
    /// which does nothing until some time ends soon.
    pub(crate) fn look_time(&mut self) -> u64 {
        /// Looks after which the next ones take twice the time, and how often that happens.
        const PATIENCE: u32 = 16;
        const DOUBLINGS: u32 = 10;
        let schedule = &mut self.schedule;
        schedule.looks = match schedule.looks {
            (steps, count) if steps == schedule.steps => (steps, count.saturating_add(1)),
            _ => (schedule.steps, 0),
        };
        1_000 << (schedule.looks.1 / PATIENCE).min(DOUBLINGS)
    }

    /// Time passes until the next wait ends.
    fn pass_time(&mut self) {
        self.schedule.idle_rounds = 0;
        let waiting = self.schedule.timed.iter().filter(|thread| !self.is_ending(**thread));
        let Some(first) = waiting.map(|thread| self.deadline_of(*thread)).min() else { return };
        self.schedule.advance_to(first);
        self.end_until(first.saturating_add(TOGETHER));
    }

    /// The waits end whose time was up while something else happened.
    pub(super) fn end_waits(&mut self) {
        if !self.schedule.timed.is_empty() {
            self.end_until(self.schedule.now());
        }
    }

    fn end_until(&mut self, time: u64) {
        for place in 0..self.schedule.timed.len() {
            let thread = self.schedule.timed[place];
            if !self.is_ending(thread) && self.deadline_of(thread) <= time {
                self.enable(thread);
            }
        }
    }

    /// Whether the wait of a thread may end.
    fn is_ending(&self, thread: u32) -> bool {
        self.threads[thread as usize].waiting.listed
    }

    fn deadline_of(&self, thread: u32) -> u64 {
        self.threads[thread as usize].pending.deadline.unwrap_or(u64::MAX)
    }
}
