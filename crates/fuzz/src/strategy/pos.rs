//! Partial order sampling.
//!
//! X. Yuan, J. Yang, R. Gu, "Partial order aware concurrency sampling", CAV'18: every pending event
//! has a random priority; the highest goes first; the priorities of the events that race with it
//! are drawn anew, which evens out the partial orders.
//!
//! Deviations: the paper first runs events that no other thread's can race with, which takes
//! knowledge of the future; here only notes go first.

use super::{Base, PerThread, Sampler};
use crate::iteration_rng::IterationRng;
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{MemoryOrder, OpKind, ThreadId, Verb};
use std::sync::Arc;

pub(super) struct Pos {
    base: Base,
    priorities: Priorities,
}

/// The priorities of the pending events; shared with strategies that build on this one.
pub(super) struct Priorities {
    /// 0 while not drawn.
    drawn: PerThread<u32>,
    /// The event chosen last; at first one that races with none.
    last: Op,
    last_thread: ThreadId,
}

/// An event that races with none.
pub(super) const NO_EVENT: Op = Op {
    kind: OpKind::Local,
    verb: Verb::Note,
    order: MemoryOrder::Plain,
    object: Op::NO_OBJECT,
    lock: false,
};

impl Priorities {
    pub(super) const fn new() -> Self {
        Self { drawn: PerThread::new(), last: NO_EVENT, last_thread: ThreadId::ROOT }
    }

    pub(super) fn clear(&mut self) {
        self.drawn.clear();
        (self.last, self.last_thread) = (NO_EVENT, ThreadId::ROOT);
    }

    /// The priorities of some threads' pending events, to be [asked for](Drawn::get) in this order: those that the last
    /// event made void are drawn anew.
    #[inline]
    pub(super) fn begin(&mut self, options: &[ThreadId]) -> Drawn<'_> {
        let drawn = self.drawn.up_to(options);
        if let Some(drawn) = drawn.get_mut(self.last_thread.index()) {
            *drawn = 0;
        }
        Drawn { drawn, last: &self.last }
    }

    /// The thread whose pending event has the highest priority.
    #[inline]
    pub(super) fn choose(&mut self, rng: &mut IterationRng, choice: &ThreadChoice<'_>) -> ThreadId {
        let mut drawn = self.begin(choice.options);
        let mut next = (0, choice.options[0], &NO_EVENT);
        for (thread, op) in choice.each() {
            let priority = drawn.get(rng, thread, op);
            if priority > next.0 {
                next = (priority, thread, op);
            }
        }
        self.chosen(next.1, next.2);
        next.1
    }

    #[inline]
    pub(super) fn chosen(&mut self, thread: ThreadId, op: &Op) {
        (self.last, self.last_thread) = (*op, thread);
    }
}

/// The priorities at one choice.
pub(super) struct Drawn<'a> {
    drawn: &'a mut [u32],
    last: &'a Op,
}

impl Drawn<'_> {
    /// The priority of a thread's pending event.
    #[inline]
    pub(super) fn get(&mut self, rng: &mut IterationRng, thread: ThreadId, op: &Op) -> u32 {
        let drawn = &mut self.drawn[thread.index()];
        if *drawn == 0 || op.races_with(self.last) {
            *drawn = match op.verb {
                Verb::Note => u32::MAX,
                _ => rng.word().clamp(1, u32::MAX - 1),
            };
        }
        *drawn
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
        self.priorities.choose(&mut self.base.rng, choice)
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
