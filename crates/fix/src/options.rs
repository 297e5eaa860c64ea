//! What a search is asked to do.

use racefuzz_fuzz::{Limits, Reached};
use racefuzz_runtime::Config;
use racefuzz_trace::{Settings, Site};
use std::time::Duration;

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
    /// A limit on the memory that the process takes meanwhile, in bytes; 2 GiB by default.
    pub max_memory: Option<u64>,
    /// Folders that paths are shown relative to.
    pub roots: Vec<String>,
    /// Bytes of stack for each thread of the program.
    pub stack_size: usize,
    /// The program is a process of its own: see [`racefuzz_runtime::ops::process`].
    pub process: bool,
    /// The program's accesses to memory are no events, all but those that are made so.
    pub hidden: Option<HiddenAccesses>,
    /// Whether objects are known by where the program makes them. Where they are not, no change is about them: not
    /// to a lock of the program's, nor to one atomic of several.
    pub knows_origins: bool,
    /// Whether the source of a place may be changed.
    pub may_change: fn(&Site) -> bool,
    /// Whether an atomic access or fence at a place stands there in the source, and not in what is called there.
    pub is_written: fn(&Site) -> bool,
}

impl Options {
    /// How the program is explored.
    pub fn check(&self) -> racefuzz_check::Options {
        racefuzz_check::Options {
            program: self.program.clone(),
            settings: self.settings.clone(),
            stack_size: self.stack_size,
            roots: self.roots.clone(),
            process: self.process,
            // That of the search as a whole holds.
            max_memory: None,
            ..racefuzz_check::Options::default()
        }
    }

    /// The limits of a search, from now on.
    pub fn limits(&self) -> Limits {
        Limits::new(self.max_time, self.max_memory)
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            stack_size: self.stack_size,
            roots: self.roots.clone(),
            process: self.process,
            ..Config::new(&self.settings)
        }
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
            max_memory: Some(racefuzz_fuzz::Options::DEFAULT_MAX_MEMORY),
            roots: Vec::new(),
            stack_size: Config::DEFAULT_STACK_SIZE,
            process: false,
            hidden: None,
            knows_origins: true,
            may_change: |_| true,
            is_written: |_| true,
        }
    }
}

/// Accesses to memory that are no events.
#[derive(Clone, Copy, Debug)]
pub struct HiddenAccesses {
    /// Makes those at a place events; whether they were none.
    pub watch: fn(&Site) -> bool,
    /// Makes all of them events, and does without failing where they race; or those at such places only again.
    pub watch_all: fn(bool),
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
    limits: Option<&'a Limits>,
    observer: &'a dyn Observer,
}

impl Default for Limit<'_> {
    fn default() -> Self {
        Self { limits: None, observer: &() }
    }
}

impl<'a> Limit<'a> {
    /// Limits that hold from now on, and whoever watches.
    pub fn new(limits: &'a Limits, observer: &'a dyn Observer) -> Self {
        Self { limits: Some(limits), observer }
    }

    /// Why to stop, if it is time. Looks at the clock and not at the memory.
    pub fn reached(&self) -> Option<Reached> {
        let cancelled = || self.observer.cancelled();
        match self.limits {
            Some(limits) => limits.reached(cancelled),
            None => cancelled().then_some(Reached::Cancelled),
        }
    }

    /// The same, and looks at the memory.
    pub fn looked_at(&self) -> Option<Reached> {
        self.limits
            .and_then(|limits| limits.looked_at(|| self.observer.cancelled()))
            .or_else(|| self.reached())
    }

    /// Why the search stopped, as a report says it.
    pub fn words(&self) -> Option<String> {
        let reached = self.reached()?;
        Some(self.limits.map_or_else(|| "interrupted".to_owned(), |limits| limits.words(reached)))
    }
}

impl Limit<'_> {
    pub(crate) fn progress(&self, progress: Progress) {
        self.observer.progress(progress);
    }
}

impl racefuzz_fuzz::Observer for Limit<'_> {
    fn cancelled(&self) -> bool {
        self.looked_at().is_some()
    }
}
