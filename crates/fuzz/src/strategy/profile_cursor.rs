//! Follows an execution, thread by thread: what each has done and is still expected to do.

use super::is_step;
use crate::iteration_rng::IterationRng;
use crate::profile::{Measure, ObjectKey, PART, Profile, ProfileDelta, Stretch, ThreadSeen, Weights};
use racefuzz_runtime::{Op, ThreadChoice};
use racefuzz_trace::{OpKind, ThreadId};
use std::sync::Arc;

/// The walk of one execution through the profile.
#[derive(Default)]
pub(super) struct ProfileCursor {
    threads: Vec<ThreadCursor>,
    /// What each thread and those it will spawn have left up to its next join, in parts of an event.
    left: Vec<u64>,
    /// All of that together.
    sum: u64,
    /// Keys of the objects by number, as far as they were seen before a choice.
    keys: Vec<Option<ObjectKey>>,
    delta: Option<ProfileDelta>,
    measure: Option<Measure>,
    weights: Arc<Weights>,
    /// The weights worked out for the present profile.
    known: Vec<(Measure, Arc<Weights>)>,
}

#[derive(Clone, Default)]
struct ThreadCursor {
    node: Option<usize>,
    segment: usize,
    children: usize,
}

impl ProfileCursor {
    /// Objects that are told apart, the first of an execution.
    const OBJECTS: usize = 512;

    /// Measures of which the weights are kept.
    const KNOWN: usize = 32;

    /// Another profile holds from now on.
    pub(super) fn renew(&mut self) {
        self.known.clear();
        self.measure = None;
    }

    fn weigh(&mut self, profile: &Profile, measure: Measure) {
        if self.measure == Some(measure) {
            return;
        }
        self.measure = Some(measure);
        if let Some((_, weights)) = self.known.iter().find(|(known, _)| *known == measure) {
            self.weights = Arc::clone(weights);
            return;
        }
        self.weights = Arc::new(profile.weights(measure));
        self.known.truncate(Self::KNOWN - 1);
        self.known.push((measure, Arc::clone(&self.weights)));
    }

    pub(super) fn start(&mut self, profile: &Profile, measure: Measure, learning: bool) {
        self.weigh(profile, measure);
        self.threads.clear();
        self.left.clear();
        self.keys.clear();
        let left = self.weights.get(Some(0), 0);
        self.threads.push(ThreadCursor { node: Some(0), ..ThreadCursor::default() });
        self.left.push(left);
        self.sum = left;
        self.delta = learning.then(|| ProfileDelta {
            threads: vec![ThreadSeen { stretches: vec![Stretch::default()], ..ThreadSeen::default() }],
            ..ProfileDelta::default()
        });
    }

    /// One of some threads, in proportion to what each has left, but at least half an event.
    #[inline]
    pub(super) fn draw(&self, rng: &mut IterationRng, options: &[ThreadId]) -> ThreadId {
        let left = |thread: ThreadId| self.left.get(thread.index()).copied().unwrap_or(0).max(PART / 2);
        let mut drawn = rng.below_u64(options.iter().map(|thread| left(*thread)).sum());
        for thread in options {
            match drawn.checked_sub(left(*thread)) {
                Some(rest) => drawn = rest,
                None => return *thread,
            }
        }
        options[0]
    }

    /// One of all threads, in proportion to what each has left; `None` if that is nothing.
    #[inline]
    pub(super) fn draw_any(&self, rng: &mut IterationRng) -> Option<ThreadId> {
        let sum = Some(self.sum).filter(|sum| *sum != 0)?;
        Some(ThreadId(rng.weighted_of(sum, self.left.iter().copied()) as u32))
    }

    /// A thread has executed an event of what it had left.
    #[inline]
    pub(super) fn spend(&mut self, thread: ThreadId) {
        if let Some(left) = self.left.get_mut(thread.index()) {
            let spent = PART.min(*left);
            *left -= spent;
            self.sum -= spent;
        }
    }

    /// The key of an object that a pending operation names.
    #[inline]
    pub(super) fn key(&mut self, choice: &ThreadChoice<'_>, object: u32) -> Option<ObjectKey> {
        match self.keys.get(object as usize) {
            Some(Some(known)) => Some(*known),
            _ => self.find_key(choice, object),
        }
    }

    #[cold]
    fn find_key(&mut self, choice: &ThreadChoice<'_>, object: u32) -> Option<ObjectKey> {
        let index = object as usize;
        if index >= Self::OBJECTS {
            return None;
        }
        let created = choice.created(object)?;
        if index >= self.keys.len() {
            self.keys.resize(index + 1, None);
        }
        let nth = self.keys.iter().flatten().filter(|key| key.created == created).count() as u32;
        self.keys[index] = Some(ObjectKey { created, nth });
        self.keys[index]
    }

    /// Whether the event was a step.
    #[inline]
    pub(super) fn executed(&mut self, profile: &Profile, thread: ThreadId, op: &Op) -> bool {
        let is_step = is_step(op, profile.count_points);
        if op.kind == OpKind::Join {
            self.joined(thread);
        } else if is_step && self.delta.is_some() {
            self.learn(thread, op);
        }
        is_step
    }

    fn joined(&mut self, thread: ThreadId) {
        if let Some(walker) = self.threads.get_mut(thread.index()) {
            walker.segment += 1;
            let left = self.weights.get(walker.node, walker.segment);
            self.sum += left;
            self.sum -= std::mem::replace(&mut self.left[thread.index()], left);
        }
        if let Some(delta) = &mut self.delta {
            delta.threads[thread.index()].stretches.push(Stretch::default());
        }
    }

    #[cold]
    #[inline(never)]
    fn learn(&mut self, thread: ThreadId, op: &Op) {
        let delta = self.delta.as_mut();
        let stretch = delta.and_then(|delta| delta.threads[thread.index()].stretches.last_mut());
        let Some(stretch) = stretch else { return };
        stretch.steps += 1;
        if (op.object as usize) < Self::OBJECTS {
            match stretch.touched.iter_mut().find(|(object, _)| *object == op.object) {
                Some((_, count)) => *count += 1,
                None => stretch.touched.push((op.object, 1)),
            }
        }
    }

    /// What the child takes over of what its parent had left: (child, parent before).
    pub(super) fn spawned(&mut self, profile: &Profile, parent: ThreadId, child: ThreadId) -> (u64, u64) {
        let spawner = &mut self.threads[parent.index()];
        let nth = spawner.children;
        spawner.children += 1;
        let node = profile.child(spawner.node, nth);
        let left = self.weights.get(node, 0);
        let before = self.left[parent.index()];
        self.left[parent.index()] = before.saturating_sub(left);
        debug_assert_eq!(child.index(), self.threads.len());
        self.threads.push(ThreadCursor { node, ..ThreadCursor::default() });
        self.left.push(left);
        self.sum += left - before.min(left);
        if let Some(delta) = &mut self.delta {
            if let Some(stretch) = delta.threads[parent.index()].stretches.last_mut() {
                stretch.spawned.push(nth);
            }
            delta.threads.push(ThreadSeen {
                parent: Some((parent.index(), nth)),
                stretches: vec![Stretch::default()],
            });
        }
        (left, before)
    }

    pub(super) fn delta(&mut self) -> Option<ProfileDelta> {
        let mut delta = self.delta.take()?;
        delta.objects.clone_from(&self.keys);
        Some(delta)
    }
}
