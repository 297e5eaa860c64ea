//! Selectively uniform random walk.
//!
//! H. Zhao, D. Wolff, U. Mathur, A. Roychoudhury, "Selectively uniform concurrency testing",
//! ASPLOS'25. Each execution singles out one object, in proportion to its accesses, and makes the
//! orders of the accesses to it equally likely: the thread that is to access it next is drawn by
//! the accesses that each has left (those of children not yet spawned count in the parent, and at
//! the spawn the intention may pass to the child); a thread about to access it out of turn is held
//! back; all others walk at random. When nobody else can go, everybody is released and the
//! intention drawn anew.
//!
//! Deviations: an object is known again by where it was made; accesses behind a join count only
//! from then on; a thread holds at least half an access, since counts are averages.

use super::profile_cursor::ProfileCursor;
use super::{Base, Sampler};
use crate::profile::{Measure, ObjectKey, PART, Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Surw {
    base: Base,
    cursor: ProfileCursor,
    target: Option<(ObjectKey, Measure)>,
    intended: Option<ThreadId>,
    free: Vec<ThreadId>,
}

impl Surw {
    pub(super) fn new(base: Base) -> Self {
        Self { base, cursor: ProfileCursor::default(), target: None, intended: None, free: Vec::new() }
    }

    fn measure(&self) -> Measure {
        self.target.map_or(Measure::Steps, |(_, measure)| measure)
    }

    fn intend(&mut self) {
        self.intended = match self.cursor.all().sum::<u64>() {
            0 => None,
            sum => Some(ThreadId(self.base.rng.weighted_of(sum, self.cursor.all()) as u32)),
        };
    }
}

impl Explorer for Surw {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        self.free.clear();
        let target = self.target.map(|(key, _)| key);
        for thread in choice.options {
            let key = self.cursor.key(choice, choice.pending(*thread).object);
            let held = key.is_some() && key == target && self.intended != Some(*thread);
            if !held {
                self.free.push(*thread);
            }
        }
        if let [_, ..] = self.free[..] {
            return self.free[self.base.rng.below(self.free.len() as u32) as usize];
        }
        let cursor = &self.cursor;
        let weights = choice.options.iter().map(|thread| cursor.left(*thread).max(PART / 2));
        let next = choice.options[self.base.rng.weighted(weights)];
        self.intended = Some(next);
        next
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        let step = self.cursor.executed(&self.base.profile, thread, op);
        let Some((key, _)) = self.target else { return };
        if step && self.cursor.known_key(op.object) == Some(key) {
            self.cursor.spend(thread, PART);
            self.intend();
        }
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let (theirs, before) = self.cursor.spawned(&self.base.profile, parent, child);
        if self.target.is_some() && self.intended == Some(parent) && theirs > 0 {
            let pass = self.base.rng.below_u64(before.max(theirs)) < theirs;
            self.intended = Some(if pass { child } else { parent });
        }
    }
}

impl Sampler for Surw {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        if self.base.start(iteration, profile) {
            self.cursor.renew();
        }
        let weights = profile.objects.iter().map(|object| object.weight());
        self.target = match weights.clone().sum::<u64>() {
            0 => None,
            _ => {
                let index = self.base.rng.weighted(weights);
                Some((profile.objects[index].key, Measure::Accesses(index)))
            }
        };
        self.cursor.start(profile, self.measure(), self.base.learning());
        self.intended = None;
        if self.target.is_some() {
            self.intend();
        }
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        let mut delta = self.cursor.delta()?;
        delta.choices = self.base.choices;
        delta.fault_points = self.base.value_choices.fault_points();
        Some(delta)
    }
}
