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
use crate::profile::{Measure, ObjectKey, Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Surw {
    base: Base,
    cursor: ProfileCursor,
    target: Option<(ObjectKey, Measure)>,
    /// What is known of the objects, by number.
    targets: Vec<Met>,
    intended: Option<ThreadId>,
    free: Vec<ThreadId>,
}

/// Whether an object is the one singled out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// No choice was made by what is pending on it.
    NotYet,
    Target,
    Other,
}

impl Surw {
    pub(super) fn new(base: Base) -> Self {
        Self {
            base,
            cursor: ProfileCursor::default(),
            target: None,
            targets: Vec::new(),
            intended: None,
            free: Vec::new(),
        }
    }

    /// Whether an object that a pending operation names is the one singled out.
    #[inline]
    fn is_target(&mut self, choice: &ThreadChoice<'_>, object: u32) -> bool {
        match self.targets.get(object as usize) {
            Some(Met::Target) => true,
            Some(Met::Other) => false,
            Some(Met::NotYet) | None => self.meet(choice, object),
        }
    }

    #[cold]
    fn meet(&mut self, choice: &ThreadChoice<'_>, object: u32) -> bool {
        let Some(key) = self.cursor.key(choice, object) else { return false };
        let is_target = self.target.is_some_and(|(target, _)| target == key);
        let index = object as usize;
        if self.targets.len() <= index {
            self.targets.resize(index + 1, Met::NotYet);
        }
        self.targets[index] = if is_target { Met::Target } else { Met::Other };
        is_target
    }

    fn measure(&self) -> Measure {
        self.target.map_or(Measure::Steps, |(_, measure)| measure)
    }

    fn intend(&mut self) {
        self.intended = self.cursor.draw_any(&mut self.base.rng);
    }
}

impl Explorer for Surw {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        self.free.clear();
        for (thread, op) in choice.each() {
            let held = self.is_target(choice, op.object) && self.intended != Some(thread);
            if !held {
                self.free.push(thread);
            }
        }
        if let [_, ..] = self.free[..] {
            return self.free[self.base.rng.below(self.free.len() as u32) as usize];
        }
        let next = self.cursor.draw(&mut self.base.rng, choice.options);
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
        let met = self.targets.get(op.object as usize);
        if step && met == Some(&Met::Target) {
            self.cursor.spend(thread);
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
        self.targets.clear();
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
