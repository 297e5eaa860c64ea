//! Partial order sampling.
//!
//! X. Yuan, J. Yang, R. Gu, "Partial order aware concurrency sampling", CAV'18: every pending event
//! has a random priority; the highest goes first; the priorities of the events that race with it
//! are drawn anew, which evens out the partial orders.
//!
//! Deviations: the paper first runs events that no other thread's can race with, which takes
//! knowledge of the future; here only notes go first.

use super::{Base, PerThread, Sampler, best};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{ThreadId, Verb};
use std::sync::Arc;

pub(super) struct Pos {
    base: Base,
    priorities: Priorities,
}

/// The priorities of the pending events; shared with strategies that build on this one.
pub(super) struct Priorities {
    /// 0 while not drawn.
    drawn: PerThread<u32>,
    last: Option<(ThreadId, Op)>,
}

impl Priorities {
    pub(super) const fn new() -> Self {
        Self { drawn: PerThread::new(), last: None }
    }

    pub(super) fn clear(&mut self) {
        self.drawn.clear();
        self.last = None;
    }

    /// The priorities that the last event made void are drawn anew.
    #[inline]
    pub(super) fn renew(&mut self, choice: &ThreadChoice<'_>) {
        let Some((thread, op)) = self.last.take() else { return };
        let drawn = self.drawn.up_to(choice.options);
        if let Some(drawn) = drawn.get_mut(thread.index()) {
            *drawn = 0;
        }
        for other in choice.options {
            if choice.pending(*other).races_with(&op) {
                drawn[other.index()] = 0;
            }
        }
    }

    #[inline]
    pub(super) fn get(&mut self, base: &mut Base, choice: &ThreadChoice<'_>, thread: ThreadId) -> u32 {
        let drawn = self.drawn.get(thread);
        if *drawn == 0 {
            *drawn = match choice.pending(thread).verb {
                Verb::Note => u32::MAX,
                _ => base.rng.word().clamp(1, u32::MAX - 1),
            };
        }
        *drawn
    }

    #[inline]
    pub(super) fn chosen(&mut self, choice: &ThreadChoice<'_>, thread: ThreadId) {
        self.last = Some((thread, choice.pending(thread)));
    }
}

impl Pos {
    pub(super) fn new(base: Base) -> Self {
        Self { base, priorities: Priorities::new() }
    }
}

impl Explorer for Pos {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        self.priorities.renew(choice);
        let (base, priorities) = (&mut self.base, &mut self.priorities);
        let next = best(choice, |thread| priorities.get(base, choice, thread));
        self.priorities.chosen(choice, next);
        next
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }
}

impl Sampler for Pos {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.priorities.clear();
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        self.base.delta()
    }
}
