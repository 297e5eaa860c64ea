//! Reads-from feedback.
//!
//! D. Wolff, Z. Shi, G. Duck, U. Mathur, A. Roychoudhury, "Greybox fuzzing for concurrency
//! testing", ASPLOS'24: a test case is a set of constraints "this read takes its value from that
//! write" or "does not"; executions that show a new pair are kept, those with rare pairs are
//! mutated first; partial order sampling decides, within bands: what would break a constraint waits
//! (avoid), what one asks for goes first (desired).
//!
//! Deviations: an event is known again by its thread's place in the tree of spawns, its object and
//! how often the thread has touched that object (up to three times); a read counts as one of the
//! last write executed; constraints are given up in an execution that has waited on them 64 times.

use super::{Base, PerThread, Sampler, is_step, pos::Priorities};
use crate::corpus::{Abstract, Constraint, PerObject, Reads, hash};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Rff {
    base: Base,
    priorities: Priorities,
    paths: PerThread<(u32, u32)>,
    pending: PerThread<Pending>,
    objects: PerObject,
    constraints: Vec<Constraint>,
    waited: u32,
    pairs: Vec<(Abstract, Abstract)>,
}

/// What is known of a thread's pending event: nothing while `event` is 0.
#[derive(Clone, Copy, Default)]
struct Pending {
    event: Abstract,
    object: u32,
    /// Some constraint is about this event, and not only about the write that it would overwrite.
    is_constrained: bool,
}

impl Rff {
    pub(super) fn new(base: Base) -> Self {
        Self {
            base,
            priorities: Priorities::new(),
            paths: PerThread::new(),
            pending: PerThread::new(),
            objects: PerObject::default(),
            constraints: Vec::new(),
            waited: 0,
            pairs: Vec::new(),
        }
    }

    fn abstraction(&mut self, thread: ThreadId, op: &Op) -> Abstract {
        let touched = &self.objects.get(op.object).touched;
        let times = touched.iter().find(|known| known.0 == thread).map_or(0, |known| known.1.min(3));
        hash(self.paths.get(thread).0, op.object << 2 | times)
    }

    /// 0 what would break a constraint, 2 what a constraint asks for, 1 the rest.
    #[inline]
    fn band(&mut self, thread: ThreadId, op: &Op) -> u8 {
        if self.constraints.is_empty() || op.object >= PerObject::LIMIT {
            return 1;
        }
        if self.pending.get(thread).event == 0 {
            self.look_at(thread, op);
        }
        let Pending { event, is_constrained, .. } = *self.pending.get(thread);
        let object = self.objects.get(op.object);
        let constraints = &self.constraints;
        if is_constrained {
            return band_among(constraints, event, object.written, op);
        }
        // It may still overwrite what is to be read.
        let awaited = |written| constraints.iter().any(|known| known.write == written && known.holds);
        let breaks = op.kind.writes() && *object.is_awaited.get_or_insert_with(|| awaited(object.written));
        u8::from(!breaks)
    }

    /// Works out what there is to know of a pending event: once, as far as that does not depend on others.
    #[cold]
    fn look_at(&mut self, thread: ThreadId, op: &Op) {
        let event = self.abstraction(thread, op);
        let is_constrained = self.constraints.iter().any(|constraint| {
            constraint.read == event && op.kind.reads()
                || constraint.write == event && op.kind.writes() && constraint.holds
        });
        *self.pending.get(thread) = Pending { event, object: op.object, is_constrained };
    }
}

/// The [band](Rff::band) of an event that would come when `last` is the last write of its object.
fn band_among(constraints: &[Constraint], event: Abstract, last: Abstract, op: &Op) -> u8 {
    let mut band = 1;
    for constraint in constraints {
        if constraint.read == event && op.kind.reads() {
            match (constraint.write == last) == constraint.holds {
                true => band = band.max(1 + u8::from(constraint.holds)),
                false => return 0,
            }
        } else if constraint.write == event && op.kind.writes() && constraint.holds {
            band = 2;
        } else if constraint.write == last && constraint.holds && op.kind.writes() {
            // It would overwrite what is still to be read.
            return 0;
        }
    }
    band
}

impl Explorer for Rff {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        self.priorities.renew(choice);
        // The band counts before the priority.
        let mut next = (0, choice.options[0]);
        let mut waits = false;
        for thread in choice.options {
            let band = self.band(*thread, &choice.pending(*thread));
            waits |= band == 0;
            let priority = self.priorities.get(&mut self.base, choice, *thread);
            let key = u64::from(band) << 32 | u64::from(priority);
            if key > next.0 {
                next = (key, *thread);
            }
        }
        self.waited += u32::from(waits);
        if self.waited > 64 {
            self.constraints.clear();
        }
        self.priorities.chosen(choice, next.1);
        next.1
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        let pending = std::mem::take(self.pending.get(thread));
        if op.object >= PerObject::LIMIT || !is_step(op, self.base.profile.count_points) {
            return;
        }
        // The event that was pending, mostly.
        let event = match pending.event {
            known if known != 0 && pending.object == op.object => known,
            _ => self.abstraction(thread, op),
        };
        let object = self.objects.get(op.object);
        if op.kind.reads() {
            self.pairs.push((event, object.written));
        }
        if op.kind.writes() {
            (object.written, object.is_awaited) = (event, None);
        }
        object.touch(thread);
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let path = self.paths.get(parent);
        path.1 += 1;
        let path = hash(path.0, path.1);
        *self.paths.get(child) = (path, 0);
    }
}

impl Sampler for Rff {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.priorities.clear();
        self.paths.clear();
        self.pending.clear();
        self.objects.clear();
        self.waited = 0;
        self.pairs.clear();
        profile.corpus.mutated(&mut self.base.rng, &mut self.constraints);
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        let delta = self.base.delta();
        let corpus = &self.base.profile.corpus;
        // Counts go on being learned while they are cheap; news always.
        let is_news = || !corpus.is_full() && self.pairs.iter().any(|pair| !corpus.knows(pair));
        if !self.base.learning() && !is_news() {
            return delta;
        }
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let reads = Reads { pairs: self.pairs.clone(), constraints: self.constraints.clone() };
        Some(ProfileDelta { reads: Some(reads), ..delta.unwrap_or_default() })
    }
}
