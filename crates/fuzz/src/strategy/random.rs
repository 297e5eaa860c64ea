//! A uniform choice among the enabled threads at every step.
//!
//! The naive random walk, the baseline of the literature (see P. Thomson, A. Donaldson, A. Betts,
//! "Concurrency testing using controlled schedulers", TOPC'16).

use super::{Base, Sampler};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice, Words};
use racefuzz_trace::ThreadId;
use std::rc::Rc;
use std::sync::Arc;

pub(super) struct Random {
    base: Base,
}

impl Random {
    pub(super) fn new(base: Base) -> Self {
        Self { base }
    }
}

impl Explorer for Random {
    #[inline]
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        choice.options[self.base.rng.below(choice.options.len() as u32) as usize]
    }

    fn uniform(&self) -> Option<Rc<Words>> {
        Some(Rc::clone(self.base.rng.words()))
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }
}

impl Sampler for Random {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        self.base.delta()
    }
}
