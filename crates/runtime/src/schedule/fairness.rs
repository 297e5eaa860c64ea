//! The tail of a long execution, which is scheduled fairly.
//!
//! An execution that reaches its step limit is reported as one that never ends. Cut off anywhere, it need
//! not be one: a schedule may let a thread wait for another and never run that other, and no program that
//! waits survives such a schedule. What makes a livelock is a *fair* execution without an end (M. Musuvathi,
//! S. Qadeer, "Fair stateless model checking", PLDI'08). So where a step limit is to be a verdict, strategies
//! are free in the first part of an execution only, the first eighth of the limit; whatever does not end there
//! goes on fairly, and a step limit is reached only behind a long fair tail:
//!
//! * *Threads.* One that is chosen less often than in one of some times the number of threads of the choices
//!   that it was an option of is owed for the others; when that exceeds a bound it has its turn, whatever
//!   the strategy says. That it could not go on in between, because of a lock that others keep taking, is no
//!   reason to forget it (strong fairness). Within the bound the strategy goes on to choose, so that a
//!   livelock of threads that step back for each other, which is one under some fair schedules only, is
//!   found where the strategy keeps to such a schedule.
//! * *Giving way.* A thread that waits is not offered before others have acted; in the tail that holds for a
//!   few steps.
//! * *Time.* A wait of a limited time ends when that is up in virtual time, though others can go on; in the
//!   second half of the limit it ends in any case, since somebody may spin for as long as it takes.
//! * *Memory.* A load reads the newest store, a store becomes the newest, nothing fails for no reason: what is
//!   written is seen in the end (O. Lahav, E. Namakonov, J. Oberhauser, A. Podkopaev, V. Vafeiadis, "Making
//!   weak memory models fair", OOPSLA'21).
//!
//! The bound, and the length of a turn, vary from one turn to the next over several orders of magnitude. Were
//! they constant, a loop whose length divides them could have its turn end where it stands in the way each
//! time; and a thread that was passed over may have much to do, or little.
//!
//! All of this is a function of the execution so far. The choices that are recorded are the explorer's, so a
//! schedule is as short as it is without, and a replay, which asks for the same, is overruled at the same
//! steps.

use crate::execution::{Execution, mix};
use racefuzz_trace::{Point, ThreadId};

/// The share of the step limit that strategies have for themselves: one in so many.
const FREE_SHARE: u32 = 8;
/// Steps of the tail after which those that gave way are offered again, and time is looked at.
const INTERVAL: u32 = 64;
/// A choice pays for so many times the number of options in which the thread was passed over.
const WORTH: u32 = 2;
/// The least bound of what a thread may be owed, and by what the greatest is smaller than the step limit.
const LEAST_BOUND: u32 = 8;
const GREATEST_BOUND_SHARE: u32 = 32;

/// Who was passed over in the tail of an execution, and whose turn it is therefore.
#[derive(Default)]
pub(crate) struct Fairness {
    /// The tail has begun.
    active: bool,
    /// For each thread the choices in which it was passed over and that were not paid for; of the present options,
    /// less `ahead`.
    owed: Vec<i64>,
    /// The threads that are passed over or chosen, as long as they are the same ones.
    options: Vec<ThreadId>,
    /// How often the enabled threads had changed when they became the options.
    version: u64,
    /// Choices among them since then: all were passed over in each of these that was not their own.
    ahead: i64,
    /// So many choices nobody can be owed what the bound says.
    quiet: i64,
    /// What a thread may be owed.
    bound: u32,
    /// How often the greatest bound is twice the least.
    doublings: u32,
    /// Turns so far.
    turns: u64,
    /// The thread whose turn it is, and its choices left.
    turn: Option<(ThreadId, u32)>,
}

impl Fairness {
    fn begin(&mut self, max_steps: u32) {
        let greatest = (max_steps / GREATEST_BOUND_SHARE).max(LEAST_BOUND);
        *self = Self {
            active: true,
            doublings: (greatest / LEAST_BOUND).ilog2(),
            owed: std::mem::take(&mut self.owed),
            options: std::mem::take(&mut self.options),
            ..Self::default()
        };
        self.owed.clear();
        self.options.clear();
        self.renew();
    }

    /// Draws the next bound, and the length of the turn that comes before it.
    fn renew(&mut self) -> u32 {
        self.turns += 1;
        let word = mix(self.turns, 0x7f4a_7c15);
        let least = LEAST_BOUND << ((word & 0xffff) as u32 % (self.doublings + 1));
        self.bound = least + (word >> 16 & 0xffff) as u32 % least;
        1 + (word >> 32) as u32 % self.bound
    }

    /// The thread that runs where the explorer has chosen `asked` among the options, which are all enabled threads
    /// and are the same as at the last choice if those have [changed](super::Schedule) so often since the execution
    /// began; or, if that is not said, any.
    #[inline]
    pub(crate) fn overrule(
        &mut self,
        options: &[ThreadId],
        version: Option<u64>,
        asked: ThreadId,
    ) -> ThreadId {
        if self.active { self.decide(options, version, asked) } else { asked }
    }

    fn decide(&mut self, options: &[ThreadId], version: Option<u64>, asked: ThreadId) -> ThreadId {
        if self.options.is_empty() || version != Some(self.version) {
            self.choose_among(options, version);
        }
        let chosen = self.whose_turn(options).unwrap_or(asked);
        let worth = i64::from(WORTH) * options.len() as i64;
        let owed = self.owed[chosen.index()] + self.ahead;
        self.ahead += 1;
        self.quiet -= 1;
        // It is not passed over.
        self.owed[chosen.index()] = (owed - worth).max(0) - self.ahead;
        chosen
    }

    /// Others are the options from now on.
    fn choose_among(&mut self, options: &[ThreadId], version: Option<u64>) {
        for option in self.options.drain(..) {
            self.owed[option.index()] += self.ahead;
        }
        let most = options.last().map_or(0, |thread| thread.index() + 1);
        if most > self.owed.len() {
            self.owed.resize(most, 0);
        }
        self.options.extend_from_slice(options);
        // One that does not come.
        self.version = version.unwrap_or(u64::MAX);
        (self.ahead, self.quiet) = (0, 0);
    }

    /// The thread whose turn it is, if it is anybody's.
    fn whose_turn(&mut self, options: &[ThreadId]) -> Option<ThreadId> {
        if let Some((thread, left)) = self.turn.take()
            && left > 0
            && options.binary_search(&thread).is_ok()
        {
            self.turn = Some((thread, left - 1));
            return Some(thread);
        }
        if self.quiet > 0 {
            return None;
        }
        let first = *options.iter().max_by_key(|thread| self.owed[thread.index()])?;
        let missing = i64::from(self.bound) - (self.owed[first.index()] + self.ahead);
        if missing > 0 {
            // A choice adds one at most.
            self.quiet = missing;
            return None;
        }
        self.turn = Some((first, self.renew()));
        Some(first)
    }

    /// What happens where the explorer has chosen `asked` among alternatives that are no threads.
    #[inline]
    pub(crate) fn alternative(&self, point: Point, asked: u32) -> u32 {
        let unfair = matches!(point, Point::Store | Point::Place | Point::Spurious | Point::Timeout);
        if self.active && unfair { 0 } else { asked }
    }
}

impl Execution {
    /// An execution begins: the steps up to which nothing but their number is looked at, and what they take.
    pub(crate) fn begin_unfairly(&mut self) {
        self.schedule.fairness.active = false;
        self.schedule.chooses_freely = self.driver.memory.is_none();
        let has_tail = self.config.fair_tail && !self.config.explored && self.driver.memory.is_none();
        self.schedule.step_time = self.config.step_time();
        self.schedule.unlooked = self.config.max_steps / if has_tail { FREE_SHARE } else { 1 };
    }

    /// That number is reached: whether it is the limit.
    #[cold]
    pub(crate) fn looks_at_steps(&mut self) -> bool {
        if self.schedule.steps >= self.config.max_steps || self.heartbeat.stops() {
            return true;
        }
        if !self.schedule.fairness.active {
            self.schedule.fairness.begin(self.config.max_steps);
            self.schedule.chooses_freely = false;
            self.look_around();
        }
        self.schedule.disturb();
        self.schedule.look_at = 0;
        self.schedule.unlooked = self.config.max_steps.min(self.schedule.steps + INTERVAL);
        for thread in &mut self.threads[..self.schedule.thread_count] {
            thread.spinning.yielded = false;
        }
        self.schedule.yielded = 0;
        self.expire_wait();
        false
    }

    /// The wait that is to end first may end, if its time is up or nothing else seems to happen.
    fn expire_wait(&mut self) {
        let deadline = |thread: &u32| (self.threads[*thread as usize].pending.deadline, *thread);
        let Some(first) = self.schedule.timed.iter().copied().min_by_key(deadline) else { return };
        let deadline = self.threads[first as usize].pending.deadline.unwrap_or(0);
        if deadline <= self.schedule.now() || self.schedule.steps >= self.config.max_steps / 2 {
            self.schedule.advance_to(deadline);
            self.enable(first);
        }
    }
}
