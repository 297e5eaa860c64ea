//! Uniform random walk.
//!
//! H. Zhao, D. Wolff, U. Mathur, A. Roychoudhury, "Selectively uniform concurrency testing",
//! ASPLOS'25: a thread is picked in proportion to the events it still has, as counted in earlier
//! executions, its future children's included. Every order of the events is equally likely if the
//! counts are right and nothing blocks; with locks there is no such claim.
//!
//! Deviation: events behind a join count only from then on, since they cannot come earlier.

use super::profile_cursor::ProfileCursor;
use super::{Base, Sampler};
use crate::profile::{Measure, Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Urw {
    base: Base,
    cursor: ProfileCursor,
}

impl Urw {
    pub(super) fn new(base: Base) -> Self {
        Self { base, cursor: ProfileCursor::default() }
    }
}

impl Explorer for Urw {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        if self.base.learning() {
            for thread in choice.options {
                let object = choice.pending(*thread).object;
                self.cursor.key(choice, object);
            }
        }
        self.cursor.draw(&mut self.base.rng, choice.options)
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        if self.cursor.executed(&self.base.profile, thread, op) {
            self.cursor.spend(thread);
        }
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        self.cursor.spawned(&self.base.profile, parent, child);
    }
}

impl Sampler for Urw {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        if self.base.start(iteration, profile) {
            self.cursor.renew();
        }
        self.cursor.start(profile, Measure::Steps, self.base.learning());
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        let mut delta = self.cursor.delta()?;
        delta.choices = self.base.choices;
        delta.fault_points = self.base.value_choices.fault_points();
        Some(delta)
    }
}
