//! Threads take turns, with a quantum that grows from one iteration to the next.
//!
//! The scheduling of a plain operating system, as in the round-robin baseline of M. Musuvathi, S.
//! Qadeer, "Iterative context bounding", PLDI'07. Iteration i gives every thread i + 1 choices in a
//! row; nothing is drawn.

use super::Sampler;
use crate::profile::Profile;
use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct RoundRobin {
    quantum: u64,
    used: u64,
    last: ThreadId,
}

impl RoundRobin {
    pub(super) fn new() -> Self {
        Self { quantum: 1, used: 0, last: ThreadId::ROOT }
    }
}

impl Explorer for RoundRobin {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        if let Some(current) = choice.current.filter(|_| self.used < self.quantum) {
            self.used += 1;
            self.last = current;
            return current;
        }
        self.used = 1;
        // Also behind a thread that gave way or ended, or those with low numbers would starve others.
        let behind = choice.options.iter().find(|thread| **thread > self.last);
        self.last = behind.copied().unwrap_or(choice.options[0]);
        self.last
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }
}

impl Sampler for RoundRobin {
    fn start(&mut self, iteration: u64, _: &Arc<Profile>) {
        self.quantum = iteration + 1;
        self.used = 0;
        self.last = ThreadId::ROOT;
    }
}
