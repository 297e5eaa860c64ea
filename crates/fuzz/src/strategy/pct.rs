//! Probabilistic concurrency testing.
//!
//! S. Burckhardt, P. Kothari, M. Musuvathi, S. Nagarakatte, "A randomized scheduler with
//! probabilistic guarantees of finding bugs", ASPLOS'10: a bug of depth d in a program of n threads
//! and k steps is found with probability at least 1/(n k^(d-1)).
//!
//! Deviations: only steps where at least two threads may go on are counted and can be change
//! points; k is the most of them in any execution so far; a new thread draws its priority when it
//! is first seen; a thread that gives way (a yield, a spin) drops to the lowest priority, or loops
//! that wait for another thread would never end.

use super::{Base, PerThread, Sampler, best};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Pct {
    base: Base,
    depth: u32,
    /// The numbers of the choices at which the running thread drops, the i-th to priority i.
    changes: Vec<u32>,
    /// Above the depth as drawn, 1 to depth - 1 after a change, negative after giving way; 0 while
    /// not drawn.
    priorities: PerThread<i64>,
    lowest: i64,
    last: Option<ThreadId>,
}

impl Pct {
    /// Choices expected in an execution when nothing is known.
    const CHOICES: u32 = 32;

    pub(super) fn new(base: Base, depth: u32) -> Self {
        let depth = depth.max(1);
        Self { base, depth, changes: Vec::new(), priorities: PerThread::new(), lowest: 0, last: None }
    }

    fn priority(&mut self, thread: ThreadId) -> i64 {
        let priority = self.priorities.get(thread);
        if *priority == 0 {
            *priority = i64::from(self.base.rng.word()) + i64::from(self.depth);
        }
        *priority
    }
}

impl Explorer for Pct {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        if self.base.choices == 0 {
            let expected = match self.base.profile.choices {
                0 => Self::CHOICES,
                most => most,
            };
            self.changes.extend((1..self.depth).map(|_| 1 + self.base.rng.below(expected)));
        }
        self.base.choices += 1;
        if let Some(last) = self.last.filter(|last| choice.yielded(*last)) {
            self.lowest -= 1;
            *self.priorities.get(last) = self.lowest;
        }
        let mut next = best(choice, |thread| self.priority(thread));
        for index in 0..self.changes.len() {
            if self.changes[index] == self.base.choices {
                *self.priorities.get(next) = index as i64 + 1;
                next = best(choice, |thread| self.priority(thread));
            }
        }
        self.last = Some(next);
        next
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }
}

impl Sampler for Pct {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.changes.clear();
        self.priorities.clear();
        self.lowest = 0;
        self.last = None;
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        self.base.delta()
    }
}
