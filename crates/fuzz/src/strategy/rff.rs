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
    /// The abstraction of each thread's pending event, once worked out: 0 while it is not.
    pending: PerThread<Abstract>,
    objects: PerObject,
    constraints: Vec<Constraint>,
    waited: u32,
    pairs: Vec<(Abstract, Abstract)>,
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
    fn band(&mut self, thread: ThreadId, op: &Op) -> u8 {
        if self.constraints.is_empty() || op.object >= PerObject::LIMIT {
            return 1;
        }
        let mut event = *self.pending.get(thread);
        if event == 0 {
            event = self.abstraction(thread, op);
            *self.pending.get(thread) = event;
        }
        let last = self.objects.get(op.object).written;
        let mut band = 1;
        for constraint in &self.constraints {
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
}

impl Explorer for Rff {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        self.priorities.renew(choice);
        let mut next = (0, 0, choice.options[0]);
        let mut waits = false;
        for thread in choice.options {
            let band = self.band(*thread, &choice.pending(*thread));
            waits |= band == 0;
            let priority = self.priorities.get(&mut self.base, choice, *thread);
            if (band, priority) > (next.0, next.1) {
                next = (band, priority, *thread);
            }
        }
        self.waited += u32::from(waits);
        if self.waited > 64 {
            self.constraints.clear();
        }
        self.priorities.chosen(choice, next.2);
        next.2
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        *self.pending.get(thread) = 0;
        if op.object >= PerObject::LIMIT || !is_step(op, self.base.profile.count_points) {
            return;
        }
        let event = self.abstraction(thread, op);
        let object = self.objects.get(op.object);
        if op.kind.reads() {
            self.pairs.push((event, object.written));
        }
        if op.kind.writes() {
            object.written = event;
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
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let corpus = &self.base.profile.corpus;
        // Counts go on being learned while they are cheap; news always.
        let news = self.pairs.iter().any(|pair| !corpus.knows(pair));
        if !(news && !corpus.is_full() || self.base.learning()) {
            return delta;
        }
        let reads = Reads { pairs: self.pairs.clone(), constraints: self.constraints.clone() };
        Some(ProfileDelta { reads: Some(reads), ..delta.unwrap_or_default() })
    }
}
