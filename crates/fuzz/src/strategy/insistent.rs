//! Executions in which threads that wait by trying again insist on it.
//!
//! A thread that tries again and again what only others can make succeed gives way to them, or strategies would
//! spend most of their steps in loops that wait. But many such loops have a bound: a lock is tried so many times
//! before its thread goes to sleep, an index looked at before an error is returned. What comes behind the last
//! round is never executed if others act between any two of them. So in a small share of the executions, whatever
//! the strategy, each thread goes on for a number of rounds before it gives way, without an interruption.
//! How many follows a distribution with a long tail: most bounds are small, and most waits have none.

use super::Sampler;
use crate::options::Options;
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{Strategy, ThreadId};

/// One execution in so many.
const SHARE: u64 = 32;

/// For how many rounds threads insist in an iteration ([`Settings::insistence`](racefuzz_trace::Settings)), 0 in
/// most of them. The first one is watched, so that others know the program; a user's own strategy, and the one that
/// takes turns, are not interfered with.
pub(crate) fn insistence(options: &Options, iteration: u64) -> u32 {
    let word = mixed(options.seed, iteration);
    let is_drawn = !matches!(options.strategy, Strategy::RoundRobin | Strategy::Custom(_));
    if iteration == 0 || !is_drawn || !word.is_multiple_of(SHARE) {
        return options.settings.insistence;
    }
    match word / SHARE % 8 {
        0..4 => 8,
        4 | 5 => 32,
        6 => 128,
        _ => 1_024,
    }
}

/// SplitMix64's finalizer of both.
fn mixed(seed: u64, iteration: u64) -> u64 {
    let mut z = (seed ^ 0x1d8e_4e27_c47d_124f).wrapping_add(iteration.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A strategy that has no choice while the running thread insists.
pub(crate) struct Insistent<'a>(pub(crate) &'a mut dyn Sampler);

impl Explorer for Insistent<'_> {
    fn begin(&mut self) {
        self.0.begin();
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        match choice.current.filter(|current| choice.insists(*current)) {
            Some(current) => current,
            None => self.0.choose_thread(choice),
        }
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.0.choose(alternatives)
    }

    fn observes(&self) -> bool {
        self.0.observes()
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        self.0.executed(thread, op);
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        self.0.spawned(parent, child);
    }

    fn end(&mut self) {
        self.0.end();
    }
}
