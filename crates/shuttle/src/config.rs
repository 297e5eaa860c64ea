//! The settings of a run, with what becomes of each.

use std::path::PathBuf;
use std::time::Duration;

/// How a program is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of stack for each thread, if that is more than racefuzz's default.
    pub stack_size: usize,
    /// Where a failing schedule goes, apart from the report.
    pub failure_persistence: FailurePersistence,
    /// Steps after which an execution counts as one that never ends.
    pub max_steps: MaxSteps,
    /// The run ends after so long, and passes if it found nothing.
    pub max_time: Option<Duration>,
    /// Without effect: there is nothing to warn of.
    pub silence_warnings: bool,
    /// Without effect: no spans are made.
    pub record_steps_in_span: bool,
    /// Without effect: a failed execution is always unwound, thread by thread.
    pub ungraceful_shutdown_config: UngracefulShutdownConfig,
}

impl Config {
    /// shuttle's defaults.
    pub fn new() -> Self {
        Self {
            stack_size: 0xf000,
            failure_persistence: FailurePersistence::Print,
            max_steps: MaxSteps::FailAfter(1_000_000),
            max_time: None,
            silence_warnings: false,
            record_steps_in_span: false,
            ungraceful_shutdown_config: UngracefulShutdownConfig::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a failing schedule goes. The report shows its token in each case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePersistence {
    /// Nowhere else.
    None,
    /// Nowhere else.
    Print,
    /// To a file `scheduleNNN.txt` in this folder, or the current one, for
    /// [`replay_from_file`](crate::replay_from_file).
    File(Option<PathBuf>),
}

/// How many steps an execution may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaxSteps {
    /// Any number.
    None,
    /// The test fails after so many.
    FailAfter(usize),
    /// An execution that has so many is given up, and the next one begins.
    ContinueAfter(usize),
}

/// Without effect.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct UngracefulShutdownConfig {
    /// Without effect.
    pub immediately_return_on_panic: bool,
    /// Without effect.
    pub continuation_function_behavior: ContinuationFunctionBehavior,
}

/// Without effect.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum ContinuationFunctionBehavior {
    /// Without effect.
    Drop,
    /// Without effect.
    #[default]
    Leak,
}
