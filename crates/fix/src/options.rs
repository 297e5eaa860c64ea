//! What a search is asked to do.

use racefuzz_runtime::Config;
use racefuzz_trace::Settings;
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
