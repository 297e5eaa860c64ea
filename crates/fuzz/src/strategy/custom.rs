//! Strategies that users bring.
//!
//! A strategy is a type that implements [`Strategy`]; [`register`] gives it a name, by which it can be asked for
//! wherever the names of built-in strategies can: in options, environment variables, on command lines. Reports
//! and the failures in them say that name. Tokens need none: they carry the choices themselves.
//!
//! A strategy is made anew for each iteration and draws from the iteration's own random numbers, so what an
//! iteration does depends on the seed and its number alone, whatever worker runs it.
//!
//! ```
//! use racefuzz_fuzz::custom::{self, Random, Strategy, ThreadChoice, ThreadId};
//! use racefuzz_fuzz::{Options, fuzz};
//!
//! /// Lets the youngest thread run, but for one choice in four.
//! #[derive(Default)]
//! struct Youngest;
//!
//! impl Strategy for Youngest {
//!     fn choose_thread(&mut self, choice: &ThreadChoice<'_>, random: &mut Random<'_>) -> ThreadId {
//!         match random.one_in(4) {
//!             true => choice.options[random.below(choice.options.len() as u32) as usize],
//!             false => choice.options[choice.options.len() - 1],
//!         }
//!     }
//! }
//!
//! let youngest = custom::register::<Youngest>("youngest");
//! let report = fuzz(&Options { strategy: youngest, iterations: 10, ..Options::default() }, &|| {}, &());
//! assert_eq!(report.strategy.to_string(), "youngest");
//! ```

use super::{Base, Sampler};
use crate::profile::{Profile, ProfileDelta};
use racefuzz_runtime::Explorer;
use racefuzz_trace::Strategy as Name;
use std::any::{Any, TypeId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

pub use racefuzz_runtime::{Alternatives, Op, ThreadChoice};
pub use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};

/// Decides what happens next in one execution, wherever it could go on in more than one way.
///
/// Nothing else than what the methods are given may decide: a strategy that looks at a clock, at an address or at
/// what earlier iterations did makes runs that cannot be had again.
pub trait Strategy {
    /// The iteration of this number begins.
    fn start(&mut self, iteration: u64, random: &mut Random<'_>) {
        let _ = (iteration, random);
    }

    /// The thread that goes on: one of [`ThreadChoice::options`]. Asked only where there are at least two.
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>, random: &mut Random<'_>) -> ThreadId;

    /// Which of the alternatives happens, below [`Alternatives::count`]: the store that a load reads, the value
    /// of a `nondet`, whether a wait ends for no reason. Unless this says otherwise, what the built-in
    /// strategies choose: see [`Random::alternative`].
    fn choose(&mut self, alternatives: Alternatives, random: &mut Random<'_>) -> u32 {
        random.alternative(alternatives)
    }

    /// Whether [`executed`](Self::executed) and [`spawned`](Self::spawned) are to be called. Asked when an
    /// execution begins.
    fn observes(&self) -> bool {
        false
    }

    /// A thread has executed an event.
    fn executed(&mut self, thread: ThreadId, op: &Op) {
        let _ = (thread, op);
    }

    /// A thread was created.
    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        let _ = (parent, child);
    }
}

/// The random numbers of one iteration: ChaCha8 seeded with the run's seed, on the stream of the iteration.
pub struct Random<'a>(&'a mut Base);

impl Random<'_> {
    /// Any number.
    pub fn word(&mut self) -> u32 {
        self.0.rng.word()
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound != 0, "no number is below 0");
        self.0.rng.below(bound)
    }

    /// True once in `n` times.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// One of the alternatives, as the built-in strategies choose: mostly up-to-date loads in some executions and
    /// old ones in others, at most one fault in an execution, any value.
    pub fn alternative(&mut self, alternatives: Alternatives) -> u32 {
        self.0.choose(alternatives)
    }
}

/// A strategy under its name.
#[derive(Clone, Copy)]
struct Registered {
    name: Name,
    kind: TypeId,
    make: fn() -> Box<dyn Strategy>,
}

static REGISTERED: Mutex<Vec<Registered>> = Mutex::new(Vec::new());

fn registered() -> std::sync::MutexGuard<'static, Vec<Registered>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a strategy its name. The same type may be registered under its name again.
///
/// # Panics
/// If the name is that of another strategy, or is none: lower-case letters, digits and `-`, a letter first.
pub fn register<S: Strategy + Default + 'static>(name: &'static str) -> Name {
    let (strategy, kind) = (Name::register(name), TypeId::of::<S>());
    let mut registered = registered();
    match registered.iter().find(|known| known.name == strategy) {
        Some(known) => assert!(known.kind == kind, "`{name}` is the name of another strategy"),
        None => registered.push(Registered { name: strategy, kind, make: || Box::new(S::default()) }),
    }
    strategy
}

/// Runs a strategy of a user's as an explorer. What it does wrong is not the program's failure: the run panics
/// when the execution has ended.
pub(super) struct Custom {
    base: Base,
    name: Name,
    make: fn() -> Box<dyn Strategy>,
    strategy: Box<dyn Strategy>,
    wrong: Option<String>,
}

impl Custom {
    /// # Panics
    /// If the strategy is known by its name only: a report of another process was read.
    pub(super) fn new(base: Base, name: Name) -> Self {
        let known = registered().iter().find(|known| known.name == name).copied();
        let Some(known) = known else { panic!("no strategy `{name}` was registered in this process") };
        Self { base, name, make: known.make, strategy: (known.make)(), wrong: None }
    }

    /// What the strategy says; nothing if it panics, or has done something wrong before.
    fn ask<R>(&mut self, ask: impl FnOnce(&mut dyn Strategy, &mut Random<'_>) -> R) -> Option<R> {
        if self.wrong.is_some() {
            return None;
        }
        let (strategy, random) = (&mut *self.strategy, &mut Random(&mut self.base));
        match catch_unwind(AssertUnwindSafe(|| ask(strategy, random))) {
            Ok(answer) => Some(answer),
            Err(payload) => {
                self.wrong = Some(format!("panicked: {}", text(&*payload)));
                None
            }
        }
    }
}

fn text(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a payload that is no text")
}

impl Explorer for Custom {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.base.choices += 1;
        let Some(chosen) = self.ask(|strategy, random| strategy.choose_thread(choice, random)) else {
            return choice.default_thread();
        };
        if choice.options.contains(&chosen) {
            return chosen;
        }
        let step = choice.step + 1;
        self.wrong = Some(format!("chose thread {} for step {step}, which cannot run then", chosen.0));
        choice.default_thread()
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        let Some(chosen) = self.ask(|strategy, random| strategy.choose(alternatives, random)) else {
            return 0;
        };
        if chosen < alternatives.count {
            return chosen;
        }
        self.wrong = Some(format!("chose alternative {chosen} of {}", alternatives.count));
        0
    }

    fn observes(&self) -> bool {
        self.strategy.observes()
    }

    fn executed(&mut self, thread: ThreadId, op: &Op) {
        self.ask(|strategy, _| strategy.executed(thread, op));
    }

    fn spawned(&mut self, parent: ThreadId, child: ThreadId) {
        self.ask(|strategy, _| strategy.spawned(parent, child));
    }
}

impl Sampler for Custom {
    fn start(&mut self, iteration: u64, profile: &Arc<Profile>) {
        self.base.start(iteration, profile);
        self.strategy = (self.make)();
        self.ask(|strategy, random| strategy.start(iteration, random));
    }

    fn delta(&mut self) -> Option<ProfileDelta> {
        if let Some(wrong) = &self.wrong {
            panic!("the strategy `{}` {wrong}", self.name);
        }
        self.base.delta()
    }
}
