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

use super::pos::{NO_EVENT, Priorities};
use super::{Base, PerThread, Sampler, is_step};
use crate::corpus::{Abstract, Constraint, PerObject, Reads, hash};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::ThreadId;
use std::sync::Arc;

pub(super) struct Rff {
    base: Base,
    priorities: Priorities,
    test_case: TestCase,
    waited: u32,
    pairs: Vec<(Abstract, Abstract)>,
}

/// What an execution is to do, and what it has done so far.
struct TestCase {
    threads: PerThread<Known>,
    objects: PerObject,
    constraints: Vec<Constraint>,
}

/// What is known of a thread.
#[derive(Clone, Copy, Default)]
struct Known {
    /// A hash of its place in the tree of spawns.
    path: u32,
    /// Threads that it has spawned.
    children: u32,
    pending: Pending,
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
            test_case: TestCase {
                threads: PerThread::new(),
                objects: PerObject::default(),
                constraints: Vec::new(),
            },
            waited: 0,
            pairs: Vec::new(),
        }
    }
}

/// An event of a thread whose path this is, which has touched the object so often before.
#[inline]
fn abstraction(path: u32, object: u32, times: u32) -> Abstract {
    hash(path, object << 2 | times.min(3))
}

impl TestCase {
    /// 0 what would break a constraint, 2 what a constraint asks for, 1 the rest.
    #[inline]
    fn band(&mut self, thread: ThreadId, op: &Op) -> u8 {
        if op.object >= PerObject::LIMIT {
            return 1;
        }
        let known = self.threads.get(thread);
        let object = self.objects.get(op.object);
        if known.pending.event == 0 {
            let event = abstraction(known.path, op.object, object.times(thread));
            known.pending = look_at(&self.constraints, event, op);
        }
        if known.pending.is_constrained {
            return band_among(&self.constraints, known.pending.event, object.written, op);
        }
        // It may still overwrite what is to be read.
        let awaited = |written| self.constraints.iter().any(|known| known.write == written && known.holds);
        let breaks = op.kind.writes() && *object.is_awaited.get_or_insert_with(|| awaited(object.written));
        u8::from(!breaks)
    }
}

/// Works out what there is to know of a pending event: once, as far as that does not depend on others.
fn look_at(constraints: &[Constraint], event: Abstract, op: &Op) -> Pending {
    let is_constrained = constraints.iter().any(|constraint| {
        constraint.read == event && op.kind.reads()
            || constraint.write == event && op.kind.writes() && constraint.holds
    });
    Pending { event, object: op.object, is_constrained }
}

/// The [band](TestCase::band) of an event that would come when `last` is the last write of its object.
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
        if self.test_case.constraints.is_empty() {
            return self.priorities.choose(&mut self.base.rng, choice);
        }
        let mut drawn = self.priorities.begin(choice.options);
        // The band counts before the priority.
        let mut next = (0, choice.options[0], &NO_EVENT);
        let mut waits = false;
        for (thread, op) in choice.each() {
            let band = self.test_case.band(thread, op);
            waits |= band == 0;
            let priority = drawn.get(&mut self.base.rng, thread, op);
            let key = u64::from(band) << 32 | u64::from(priority);
            if key > next.0 {
                next = (key, thread, op);
            }
        }
        self.waited += u32::from(waits);
        if self.waited > 64 {
            self.test_case.constraints.clear();
        }
        self.priorities.chosen(next.1, next.2);
        next.1
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.base.choose(alternatives)
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        let known = self.test_case.threads.get(thread);
        let pending = std::mem::take(&mut known.pending);
        if op.object >= PerObject::LIMIT || !is_step(op, self.base.profile.count_points) {
            return;
        }
        let object = self.test_case.objects.get(op.object);
        let times = object.touch(thread);
        // The event that was pending, mostly.
        let event = match pending.event {
            event if event != 0 && pending.object == op.object => event,
            _ => abstraction(known.path, op.object, times),
        };
        if op.kind.reads() {
            self.pairs.push((event, object.written));
        }
        if op.kind.writes() {
            (object.written, object.is_awaited) = (event, None);
        }
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let spawner = self.test_case.threads.get(parent);
        spawner.children += 1;
        let path = hash(spawner.path, spawner.children);
        let known = self.test_case.threads.get(child);
        (known.path, known.children) = (path, 0);
    }
}

impl Sampler for Rff {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.priorities.clear();
        self.test_case.threads.clear();
        self.test_case.objects.clear();
        self.waited = 0;
        self.pairs.clear();
        profile.corpus.mutated(&mut self.base.rng, &mut self.test_case.constraints);
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
        let reads = Reads { pairs: self.pairs.clone(), constraints: self.test_case.constraints.clone() };
        Some(ProfileDelta { reads: Some(reads), ..delta.unwrap_or_default() })
    }
}
