//! How the fuzzer chooses. Each strategy is one file on the runtime's `Explorer`.

pub mod custom;
mod delay;
mod insistent;
mod pct;
mod pos;
mod profile_cursor;
mod random;
mod rff;
mod round_robin;
mod surw;
mod urw;
mod value_choices;

use crate::iteration_rng::{BlockCache, IterationRng};
use crate::profile::{LEARNING, Profile, ProfileDelta};
use racefuzz_runtime::{Alternatives, Explorer, Op, ThreadChoice};
use racefuzz_trace::{Strategy, ThreadId};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use value_choices::ValueChoices;

pub(crate) use insistent::{Insistent, insistence};

/// An explorer whose executions are a function of the iteration and of what was learned before.
pub(crate) trait Sampler: Explorer {
    /// The next execution is this iteration.
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>);

    /// What the last execution taught.
    fn delta(&mut self) -> Option<ProfileDelta> {
        None
    }
}

/// The strategy that a portfolio follows in an iteration, otherwise the strategy itself.
///
/// The mix is by measurement: over 18 small programs with bugs of many kinds each strategy is far
/// behind on some (`pct` on deadlocks of many threads, `delay` and `random` where threads differ in
/// length), while this rotation stays within three times the best one on all of them but those that
/// one strategy alone finds. The first iteration is watched, so that the later ones know the
/// program.
pub(crate) fn at(strategy: Strategy, iteration: u64) -> Strategy {
    use Strategy::{Delay, Pct, Pos, Random, Rff, Surw, Urw};
    const MIX: [Strategy; 16] =
        [Urw, Delay, Pos, Surw, Random, Pct, Rff, Surw, Delay, Pos, Rff, Pct, Urw, Surw, Random, Rff];
    match strategy {
        Strategy::Portfolio => MIX[(iteration % MIX.len() as u64) as usize],
        other => other,
    }
}

/// A worker's samplers, made when they are first needed.
pub(crate) struct Samplers {
    strategy: Strategy,
    depth: u32,
    cache: Rc<RefCell<BlockCache>>,
    made: Vec<(Strategy, Box<dyn Sampler>)>,
    /// Which of them was started last.
    last: usize,
}

impl Samplers {
    pub(crate) fn new(strategy: Strategy, seed: u64, depth: u32) -> Self {
        let cache = Rc::new(RefCell::new(BlockCache::new(seed)));
        Self { strategy, depth, cache, made: Vec::new(), last: 0 }
    }

    /// The sampler of an iteration, ready to be run.
    pub(crate) fn start(&mut self, iteration: u64, profile: &Arc<Profile>) -> &mut dyn Sampler {
        let strategy = at(self.strategy, iteration);
        let index = match self.made.iter().position(|(known, _)| *known == strategy) {
            Some(index) => index,
            None => {
                let base = Base::new(Rc::clone(&self.cache));
                self.made.push((strategy, make(strategy, base, self.depth)));
                self.made.len() - 1
            }
        };
        self.last = index;
        let sampler = &mut *self.made[index].1;
        sampler.start(iteration, profile);
        sampler
    }

    /// What the last execution taught.
    pub(crate) fn delta(&mut self) -> Option<ProfileDelta> {
        self.made.get_mut(self.last)?.1.delta()
    }
}

fn make(strategy: Strategy, base: Base, depth: u32) -> Box<dyn Sampler> {
    match strategy {
        Strategy::Delay => Box::new(delay::Delay::new(base)),
        Strategy::Random | Strategy::Portfolio => Box::new(random::Random::new(base)),
        Strategy::Pct => Box::new(pct::Pct::new(base, depth)),
        Strategy::Pos => Box::new(pos::Pos::new(base)),
        Strategy::Urw => Box::new(urw::Urw::new(base)),
        Strategy::Surw => Box::new(surw::Surw::new(base)),
        Strategy::Rff => Box::new(rff::Rff::new(base)),
        Strategy::RoundRobin => Box::new(round_robin::RoundRobin::new()),
        Strategy::Custom(_) => Box::new(custom::Custom::new(base, strategy)),
    }
}

/// What every drawing strategy has: random numbers, the profile, the choices that are no threads.
pub(crate) struct Base {
    rng: IterationRng,
    value_choices: ValueChoices,
    profile: Arc<Profile>,
    iteration: u64,
    /// Choices of a thread in this execution, but for those that the runtime drew itself.
    choices: u32,
}

impl Base {
    fn new(cache: Rc<RefCell<BlockCache>>) -> Self {
        Self {
            rng: IterationRng::new(cache),
            value_choices: ValueChoices::default(),
            profile: Arc::default(),
            iteration: 0,
            choices: 0,
        }
    }

    /// Whether another profile holds from now on.
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) -> bool {
        self.rng.start(iteration);
        self.value_choices = ValueChoices::default();
        self.iteration = iteration;
        self.choices = 0;
        let renewed = !Arc::ptr_eq(&self.profile, profile);
        if renewed {
            self.profile = Arc::clone(profile);
        }
        renewed
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.value_choices.choose(&mut self.rng, self.profile.fault_points, alternatives)
    }

    fn learning(&self) -> bool {
        self.iteration < LEARNING
    }

    /// What is worth knowing although the execution was not watched.
    fn delta(&self) -> Option<ProfileDelta> {
        let choices = self.choices + self.rng.words().choices();
        let news =
            choices > self.profile.choices || self.value_choices.fault_points() > self.profile.fault_points;
        (self.learning() && news).then(|| ProfileDelta {
            choices,
            fault_points: self.value_choices.fault_points(),
            ..ProfileDelta::default()
        })
    }
}

/// Whether an executed event was one that threads wait to be chosen for.
#[inline]
fn is_step(op: &Op, count_points: bool) -> bool {
    use racefuzz_trace::{MemoryOrder, OpKind, Verb};
    match op.kind {
        OpKind::Spawn | OpKind::Join | OpKind::Finish | OpKind::Alloc | OpKind::Free => false,
        OpKind::Read | OpKind::Write => false,
        OpKind::Fence => op.order == MemoryOrder::SeqCst,
        OpKind::Rmw => count_points || !matches!(op.verb, Verb::RefClone | Verb::RefDrop),
        OpKind::Local => op.verb != Verb::Nondet,
        OpKind::Load | OpKind::Store | OpKind::Print => true,
    }
}

/// A value per thread, grown as threads appear.
struct PerThread<T>(Vec<T>);

impl<T: Clone + Default> PerThread<T> {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    fn get(&mut self, thread: ThreadId) -> &mut T {
        if thread.index() >= self.0.len() {
            self.grow(thread);
        }
        &mut self.0[thread.index()]
    }

    /// The values of the threads from the first to the last of these.
    #[inline]
    fn up_to(&mut self, options: &[ThreadId]) -> &mut [T] {
        if let Some(last) = options.last().filter(|last| last.index() >= self.0.len()) {
            self.grow(*last);
        }
        &mut self.0
    }

    #[cold]
    fn grow(&mut self, thread: ThreadId) {
        self.0.resize(thread.index() + 1, T::default());
    }
}

/// The option with the largest key; the first of equals.
#[inline]
fn best<K: PartialOrd>(choice: &ThreadChoice<'_>, mut key: impl FnMut(ThreadId) -> K) -> ThreadId {
    let mut best = choice.options[0];
    let mut largest = key(best);
    for thread in &choice.options[1..] {
        let key = key(*thread);
        if key > largest {
            (best, largest) = (*thread, key);
        }
    }
    best
}
