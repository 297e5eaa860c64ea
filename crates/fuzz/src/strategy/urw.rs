//! Uniform random walk.
//!
//! H. Zhao, D. Wolff, U. Mathur, A. Roychoudhury, "Selectively uniform concurrency testing",
//! ASPLOS'25: a thread is picked in proportion to the events it still has, as counted in earlier
//! executions, its future children's included. Every order of the events is equally likely if the
//! counts are right and nothing blocks; with locks there is no such claim.
//!
//! Deviation: events behind a join count only from then on, since they cannot come earlier.

use super::walk::Walk;
use super::{Base, Sampler};
use crate::profile::{Lesson, Measure, PART, Profile};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Urw {
    base: Base,
    walk: Walk,
}

impl Urw {
    pub(super) fn new(base: Base) -> Self {
        Self { base, walk: Walk::default() }
    }
}

impl Explorer for Urw {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        if self.base.learning() {
            for thread in choice.options {
                let object = choice.pending(*thread).object;
                self.walk.key(choice, object);
            }
        }
        let walk = &self.walk;
        let weights = choice.options.iter().map(|thread| walk.left(*thread).max(PART / 2));
        choice.options[self.base.draws.weighted(weights)]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        if self.walk.executed(&self.base.profile, thread, op) {
            self.walk.spend(thread, PART);
        }
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        self.walk.spawned(&self.base.profile, parent, child);
    }
}

impl Sampler for Urw {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        if self.base.start(iteration, profile) {
            self.walk.renew();
        }
        self.walk.start(profile, Measure::Steps, self.base.learning());
    }

    fn lesson(&mut self) -> Option<Lesson> {
        let mut lesson = self.walk.lesson()?;
        lesson.choices = self.base.choices;
        lesson.fault_points = self.base.sides.fault_points();
        Some(lesson)
    }
}
