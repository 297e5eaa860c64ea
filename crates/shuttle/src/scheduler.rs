//! shuttle's schedulers, by name: each is a strategy of racefuzz with a number of iterations.

use racefuzz::{Schedule as Token, Strategy};
use std::io;
use std::path::Path;

/// How schedules are chosen. It cannot be implemented elsewhere.
pub trait Scheduler: sealed::Plan + std::fmt::Debug {}

/// What the schedulers come to.
pub(crate) mod sealed {
    use super::{Strategy, Token};

    #[derive(Clone, Debug)]
    pub struct Settings {
        pub(crate) strategy: Strategy,
        pub(crate) iterations: Option<u64>,
        pub(crate) seed: u64,
        pub(crate) depth: u32,
        /// Every execution is explored.
        pub(crate) all: bool,
        /// Every schedule is run twice.
        pub(crate) twice: bool,
        pub(crate) replay: Option<Token>,
    }

    pub trait Plan {
        fn settings(&self) -> Settings;
    }
}

use sealed::{Plan, Settings};

impl Settings {
    #[track_caller]
    fn new(strategy: Strategy, iterations: usize) -> Self {
        Self {
            strategy,
            iterations: Some(iterations as u64),
            seed: seed(),
            depth: 3,
            all: false,
            twice: false,
            replay: None,
        }
    }
}

/// `SHUTTLE_RANDOM_SEED`, or 0.
#[track_caller]
fn seed() -> u64 {
    let Ok(seed) = std::env::var("SHUTTLE_RANDOM_SEED") else { return 0 };
    let Ok(number) = seed.trim().parse() else { panic!("SHUTTLE_RANDOM_SEED={seed}: not a number") };
    number
}

macro_rules! schedulers {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Settings);

        impl Plan for $name {
            fn settings(&self) -> Settings {
                self.0.clone()
            }
        }

        impl Scheduler for $name {}
    )*};
}

schedulers! {
    /// A uniform choice at every step: `random`.
    RandomScheduler
    /// Random priorities with few changes: `pct`.
    PctScheduler
    /// Uniform over orders: `urw`.
    UrwRandomScheduler
    /// Turns: `round-robin`.
    RoundRobinScheduler
    /// Every execution, once per equivalence class.
    DfsScheduler
    /// One schedule again.
    ReplayScheduler
}

impl RandomScheduler {
    /// So many executions.
    #[track_caller]
    pub fn new(max_iterations: usize) -> Self {
        Self(Settings::new(Strategy::Random, max_iterations))
    }

    /// The same with a seed.
    #[track_caller]
    pub fn new_from_seed(seed: u64, max_iterations: usize) -> Self {
        Self(Settings { seed, ..Settings::new(Strategy::Random, max_iterations) })
    }
}

impl PctScheduler {
    /// So many executions, for bugs of a depth.
    #[track_caller]
    pub fn new(max_depth: usize, max_iterations: usize) -> Self {
        let depth = u32::try_from(max_depth).unwrap_or(u32::MAX);
        Self(Settings { depth, ..Settings::new(Strategy::Pct, max_iterations) })
    }

    /// The same with a seed.
    #[track_caller]
    pub fn new_from_seed(seed: u64, max_depth: usize, max_iterations: usize) -> Self {
        Self(Settings { seed, ..Self::new(max_depth, max_iterations).0 })
    }
}

impl UrwRandomScheduler {
    /// So many executions.
    #[track_caller]
    pub fn new(max_iterations: usize) -> Self {
        Self(Settings::new(Strategy::Urw, max_iterations))
    }

    /// The same with a seed.
    #[track_caller]
    pub fn new_from_seed(seed: u64, max_iterations: usize) -> Self {
        Self(Settings { seed, ..Self::new(max_iterations).0 })
    }
}

impl RoundRobinScheduler {
    /// So many executions.
    #[track_caller]
    pub fn new(max_iterations: usize) -> Self {
        Self(Settings::new(Strategy::RoundRobin, max_iterations))
    }
}

impl DfsScheduler {
    /// Every execution, or so many at most. Random values are values to explore, too: all of them.
    #[track_caller]
    pub fn new(max_iterations: Option<usize>, _allow_random_data: bool) -> Self {
        let iterations = max_iterations.map(|most| most as u64);
        Self(Settings { iterations, all: true, ..Settings::new(Strategy::Random, 0) })
    }
}

impl ReplayScheduler {
    /// The schedule of a token.
    ///
    /// # Panics
    /// If the text is no token of racefuzz's.
    #[track_caller]
    pub fn new_from_encoded(encoded_schedule: &str) -> Self {
        let token = encoded_schedule.trim();
        let schedule = token.parse::<Token>().unwrap_or_else(|error| panic!("{token}: {error}"));
        Self(Settings { replay: Some(schedule), ..Settings::new(Strategy::Random, 1) })
    }

    /// The schedule of a file with a token.
    ///
    /// # Errors
    /// If the file cannot be read.
    ///
    /// # Panics
    /// If its text is no token of racefuzz's.
    #[track_caller]
    pub fn new_from_file<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Ok(Self::new_from_encoded(&std::fs::read_to_string(path)?))
    }
}

/// Runs each schedule of another scheduler twice, to find nondeterminism that is not the schedule's.
#[derive(Clone, Debug)]
pub struct UncontrolledNondeterminismCheckScheduler<S>(S);

impl<S: Scheduler> UncontrolledNondeterminismCheckScheduler<S> {
    /// With the schedules of another.
    pub const fn new(scheduler: S) -> Self {
        Self(scheduler)
    }
}

impl<S: Scheduler> Plan for UncontrolledNondeterminismCheckScheduler<S> {
    fn settings(&self) -> Settings {
        Settings { twice: true, ..self.0.settings() }
    }
}

impl<S: Scheduler> Scheduler for UncontrolledNondeterminismCheckScheduler<S> {}
