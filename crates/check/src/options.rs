//! What an exploration is asked to do, and who watches it.

use racefuzz_runtime::{Config, Detected};
use racefuzz_trace::{
    FORMAT_VERSION, Failure, Outcome, Overlay, Proof, RunReport, Settings, Stats, Strategy, Trace,
};
use std::sync::Arc;
use std::time::Duration;

/// What an exploration is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program's name, the first half of its tokens.
    pub program: String,
    /// The settings of every execution.
    pub settings: Settings,
    /// Complete executions after which it ends without an answer.
    pub max_executions: Option<u64>,
    /// Only executions with at most so many preemptions are explored, all of them, where the engine
    /// has such a bound: see [`Proof::preemptions`]. Schedules are explored then, by one worker, and a hash of
    /// each state is kept: some 40 bytes for each step at which another thread could go on. Where nearly all
    /// schedules lead to what was seen before, all executions are explored instead if they are not too many;
    /// the proof is one without a bound then.
    pub preemptions: Option<u32>,
    /// Wall-clock time after which it ends without an answer.
    pub max_time: Option<Duration>,
    /// Bytes of memory, taken by the process meanwhile, after which it ends without an answer.
    pub max_memory: Option<u64>,
    /// Operating-system threads that explore side by side; the report does not depend on it. Within a bound on
    /// preemptions it is one.
    pub workers: usize,
    /// Whether to explore everything although something failed, and report each distinct failure.
    pub keep_going: bool,
    /// Bytes of stack for each thread of the program.
    pub stack_size: usize,
    /// Folders that paths in traces are shown relative to.
    pub roots: Vec<String>,
    /// An execution that shows no event for so long fails.
    pub watchdog: Option<Duration>,
    /// Whether failures are made as short as they will go before they are shown.
    pub minimise: bool,
    /// Virtual edits that apply in every execution.
    pub overlay: Option<Arc<Overlay>>,
    /// The program is a process of its own: see [`racefuzz_runtime::ops::process`].
    pub process: bool,
}

impl Options {
    /// The report of an exploration that was asked for so.
    pub fn report(
        &self,
        (outcome, stopped): (Outcome, Option<String>),
        stats: Stats,
        failures: Vec<Failure>,
        proof: Proof,
    ) -> RunReport {
        RunReport {
            version: FORMAT_VERSION,
            program: self.program.clone(),
            outcome,
            seed: 0,
            strategy: Strategy::default(),
            settings: self.settings.clone(),
            iterations: 0,
            stats,
            failures,
            stopped,
            warnings: Vec::new(),
            proof: Some(proof),
            expectations: Vec::new(),
        }
    }

    pub(crate) fn fuzz(&self) -> racefuzz_fuzz::Options {
        racefuzz_fuzz::Options {
            program: self.program.clone(),
            settings: self.settings.clone(),
            iterations: 0,
            minimise: self.minimise,
            stack_size: self.stack_size,
            roots: self.roots.clone(),
            watchdog: self.watchdog,
            enumerates: true,
            overlay: self.overlay.clone(),
            process: self.process,
            ..racefuzz_fuzz::Options::default()
        }
    }
}

impl Default for Options {
    /// RC11, no limits, one worker; spurious wake-ups happen, as they may anywhere.
    fn default() -> Self {
        let mut settings = Settings::default();
        settings.inject.spurious = true;
        Self {
            program: "program".to_owned(),
            settings,
            max_executions: None,
            preemptions: None,
            max_time: None,
            max_memory: Some(racefuzz_fuzz::Options::DEFAULT_MAX_MEMORY),
            workers: 1,
            keep_going: false,
            stack_size: Config::DEFAULT_STACK_SIZE,
            roots: Vec::new(),
            watchdog: Some(racefuzz_fuzz::Options::DEFAULT_WATCHDOG),
            minimise: true,
            overlay: None,
            process: false,
        }
    }
}

/// How far an exploration is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Complete executions so far.
    pub executions: u64,
    /// Blocked ones.
    pub blocked: u64,
    /// Failing ones.
    pub failing: u64,
    /// Executions in all, as estimated, and the standard error of that.
    pub estimate: Option<(f64, f64)>,
}

/// Watches an exploration, from any of its workers.
pub trait Observer: Sync {
    /// So much is done.
    fn progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// Whether to end. Asked often.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {}

/// One complete execution, as [`visit`](crate::visit) shows it.
pub struct Visited<'a> {
    /// What happened, step by step.
    pub trace: &'a Trace,
    /// What went wrong, if anything did.
    pub failure: Option<&'a Detected>,
    /// How often the exploration had begun anew, with what it had learned: what it showed before that may be
    /// shown once more, or be none of its executions.
    pub begun_anew: u32,
}
