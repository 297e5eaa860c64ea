//! What a search is asked to do.

use racefuzz_runtime::Config;
use racefuzz_trace::Settings;
use std::time::{Duration, Instant};

/// What a search is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program's name.
    pub program: String,
    /// The settings of every execution.
    pub settings: Settings,
    /// Seed of the executions that are sampled.
    pub seed: u64,
    /// Executions after which an overlay's exploration is given up; then executions are sampled.
    pub budget: u64,
    /// Executions that are sampled then.
    pub samples: u64,
    /// Overlays that are tried for one kind of repair.
    pub tries: u64,
    /// Locks that a placement may add.
    pub locks: usize,
    /// A limit on wall-clock time.
    pub max_time: Option<Duration>,
    /// Folders that paths are shown relative to.
    pub roots: Vec<String>,
    /// Bytes of stack for each thread of the program.
    pub stack_size: usize,
}

impl Options {
    pub(crate) fn check(&self) -> racefuzz_check::Options {
        racefuzz_check::Options {
            program: self.program.clone(),
            settings: self.settings.clone(),
            stack_size: self.stack_size,
            roots: self.roots.clone(),
            ..racefuzz_check::Options::default()
        }
    }

    pub(crate) fn config(&self) -> Config {
        Config { stack_size: self.stack_size, roots: self.roots.clone(), ..Config::new(&self.settings) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: "program".to_owned(),
            settings: Settings { max_steps: 5_000, ..Settings::default() },
            seed: 0,
            budget: 4_000,
            samples: 2_000,
            tries: 200,
            locks: 3,
            max_time: None,
            roots: Vec::new(),
            stack_size: Config::DEFAULT_STACK_SIZE,
        }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Changes tried.
    pub tried: u64,
    /// Executions of all of them.
    pub executions: u64,
}

/// Watches a search, and may end it.
pub trait Observer: Sync {
    /// So much is done.
    fn progress(&self, progress: Progress) {
        let _ = progress;
    }

    /// Whether to end. Asked often.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {}

/// What may end a search before its end.
#[derive(Clone, Copy)]
pub struct Limit<'a> {
    deadline: Option<Instant>,
    observer: &'a dyn Observer,
}

impl Default for Limit<'_> {
    fn default() -> Self {
        Self { deadline: None, observer: &() }
    }
}

impl<'a> Limit<'a> {
    /// The time that the options allow, from now on, and whoever watches.
    pub fn new(options: &Options, observer: &'a dyn Observer) -> Self {
        Self { deadline: options.max_time.and_then(|time| Instant::now().checked_add(time)), observer }
    }

    /// Why to stop, if it is time.
    pub fn reached(&self) -> Option<&'static str> {
        if self.observer.cancelled() {
            return Some("interrupted");
        }
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late.then_some("the time limit was reached")
    }
}

impl Limit<'_> {
    pub(crate) fn progress(&self, progress: Progress) {
        self.observer.progress(progress);
    }
}

impl racefuzz_fuzz::Observer for Limit<'_> {
    fn cancelled(&self) -> bool {
        self.reached().is_some()
    }
}
