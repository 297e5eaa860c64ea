//! What a run is asked to do.

use racefuzz_runtime::Config;
use racefuzz_trace::{Overlay, Schedule, Settings, Strategy};
use std::sync::Arc;
use std::time::Duration;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program's name, the first half of its tokens.
    pub program: String,
    /// Iteration `i` draws from ChaCha8 seeded with this, stream `i`.
    pub seed: u64,
    /// The number of executions.
    pub iterations: u64,
    /// How schedules are chosen.
    pub strategy: Strategy,
    /// The depth of bugs that `pct` aims at.
    pub depth: u32,
    /// Operating-system threads that run executions side by side; the report does not depend on it.
    pub workers: usize,
    /// Whether to run all iterations although one failed, and report each distinct failure.
    pub keep_going: bool,
    /// Whether failures are made as short as they will go before they are shown.
    pub minimise: bool,
    /// The program is a process of its own: see [`racefuzz_runtime::ops::process`].
    pub process: bool,
    /// The root thread of the program is a test harness.
    pub harness: bool,
    /// The settings of every execution.
    pub settings: Settings,
    /// Bytes of stack for each thread of the program.
    pub stack_size: usize,
    /// A limit on wall-clock time; a run that it ends without a bug is incomplete.
    pub max_time: Option<Duration>,
    /// A limit on the memory that the process takes during the run, in bytes; a run that it ends
    /// without a bug is incomplete.
    pub max_memory: Option<u64>,
    /// Folders that paths in traces are shown relative to.
    pub roots: Vec<String>,
    /// Schedules that are tried before the first iteration: those that failed earlier.
    pub first: Vec<Schedule>,
    /// Whether the run enumerates executions: then an iteration cannot be had again by its number.
    pub enumerates: bool,
    /// Whether every execution that passes is repeated, to find nondeterminism that is not the
    /// schedule's.
    pub check_determinism: bool,
    /// Whether some of the executions that pass are executed twice and compared: the first, the last,
    /// and those whose number is a power of two.
    pub recheck: bool,
    /// An execution that shows no event for so long fails: an endless loop in which nothing is
    /// instrumented, or a call that blocks.
    pub watchdog: Option<Duration>,
    /// Virtual edits that apply in every execution. They are no part of a schedule: whoever replays
    /// one applies them again.
    pub overlay: Option<Arc<Overlay>>,
}

impl Options {
    /// The default of [`Options::depth`].
    pub const DEFAULT_DEPTH: u32 = 3;
    /// The default of [`Options::watchdog`].
    pub const DEFAULT_WATCHDOG: Duration = Duration::from_secs(20);

    /// The default of [`Options::max_memory`]: 2 GiB.
    pub const DEFAULT_MAX_MEMORY: u64 = 2 << 30;

    /// The settings of the runtime.
    pub fn config(&self, settings: &Settings) -> Config {
        Config {
            fair_tail: true,
            process: self.process,
            harness: self.harness,
            stack_size: self.stack_size,
            roots: self.roots.clone(),
            overlay: self.overlay.clone(),
            ..Config::new(settings)
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: "program".to_owned(),
            seed: 0,
            iterations: 10_000,
            strategy: Strategy::default(),
            depth: Self::DEFAULT_DEPTH,
            workers: 1,
            keep_going: false,
            minimise: true,
            process: false,
            harness: false,
            settings: Settings::default(),
            stack_size: Config::DEFAULT_STACK_SIZE,
            max_time: None,
            max_memory: Some(Self::DEFAULT_MAX_MEMORY),
            roots: Vec::new(),
            first: Vec::new(),
            check_determinism: false,
            recheck: true,
            enumerates: false,
            watchdog: Some(Self::DEFAULT_WATCHDOG),
            overlay: None,
        }
    }
}

/// Watches a run, from any of its workers: progress bars, Ctrl-C.
pub trait Observer: Sync {
    /// About so many executions are done, and so many of them failed.
    fn progress(&self, done: u64, failing: u64) {
        let _ = (done, failing);
    }

    /// Whether to end the run. Asked often.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {}
