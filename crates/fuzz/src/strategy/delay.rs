//! Every step sleeps a random virtual time; the thread that wakes first is next.
//!
//! The technique of putting random sleeps between the steps of threads, as stress tests do (O.
//! Edelstein et al., "Multithreaded Java program testing", ConTest, IBM Systems Journal 2002), with
//! a virtual clock instead of a real one: no time passes, and the same seed gives the same order.
//!
//! Threads advance at similar speeds, which a random walk does not guarantee. In every fourth
//! execution each thread has a pace of its own, up to 16 times slower than another's.

use super::{Base, PerThread, Sampler};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Delay {
    base: Base,
    now: u64,
    sleepers: PerThread<Sleeper>,
}

#[derive(Clone, Default)]
struct Sleeper {
    /// When the pending step happens; 0 while that is not drawn.
    wakes: u64,
    /// How many times slower than the quickest; 0 while that is not drawn.
    pace: u64,
}

impl Delay {
    pub(super) fn new(base: Base) -> Self {
        Self { base, now: 0, sleepers: PerThread::new() }
    }
}

impl Explorer for Delay {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        let uneven = self.base.iteration % 4 == 3;
        let mut next = (u64::MAX, choice.options[0]);
        let sleepers = self.sleepers.up_to(choice.options);
        for thread in choice.options {
            let sleeper = &mut sleepers[thread.index()];
            if sleeper.wakes == 0 {
                if sleeper.pace == 0 {
                    sleeper.pace = if uneven { 1 << self.base.rng.below(5) } else { 1 };
                }
                sleeper.wakes = self.now + 1 + u64::from(self.base.rng.word()) * sleeper.pace;
            }
            if sleeper.wakes < next.0 {
                next = (sleeper.wakes, *thread);
            }
        }
        self.now = self.now.max(next.0);
        sleepers[next.1.index()].wakes = 0;
        next.1
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }
}

impl Sampler for Delay {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.now = 0;
        self.sleepers.clear();
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        self.base.delta()
    }
}
