//! Fuzzing as a call.

use crate::env::{SettingError, read, read_memory, read_time};
use crate::expectations::observed;
use crate::setters::{execution_setters, memory_setter, program_setters};
use crate::show;
use racefuzz_fuzz::{Observer, Options, Replayed};
use racefuzz_report::DiskSources;
use racefuzz_trace::{MemoryModel, Outcome, RunReport, Schedule, Strategy};
use std::convert::Infallible;
use std::time::Duration;

/// Runs a program under many schedules.
///
/// The program is run again and again, so it must be deterministic apart from the schedule: no
/// clocks, no `HashMap` order, no state kept from one run to the next.
///
/// ```
/// use racefuzz::{Fuzzer, Outcome, Strategy, Var};
///
/// let report = Fuzzer::new().seed(1).iterations(50).strategy(Strategy::Pos).fuzz(|| {
///     let x = Var::new("x", 1);
///     assert_eq!(x.get(), 1);
/// });
/// assert_eq!(report.outcome(), Outcome::Passed);
/// assert_eq!(report.executions(), 50);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fuzzer does nothing until `fuzz` is called"]
pub struct Fuzzer {
    pub(crate) options: Options,
}

impl Fuzzer {
    /// Executions of [`Fuzzer::new`] and of tests, unless they say otherwise.
    pub const DEFAULT_ITERATIONS: u64 = 10_000;

    /// A fuzzer with the default settings: seed 0, 10,000 iterations, the portfolio of strategies,
    /// RC11, one worker; it stops at the first failing execution.
    pub fn new() -> Self {
        Self {
            options: Options {
                program: "program".to_owned(),
                iterations: Self::DEFAULT_ITERATIONS,
                roots: show::roots(),
                ..Options::default()
            },
        }
    }

    program_setters!();
    memory_setter!();
    execution_setters!();

    /// The seed; equal seeds give equal reports, on every machine and for any number of workers.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// The number of executions.
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.options.iterations = iterations;
        self
    }

    /// How schedules are chosen.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.options.strategy = strategy;
        self
    }

    /// The bug depth `pct` aims at: the number of ordering constraints that make the bug appear.
    pub fn depth(mut self, depth: u32) -> Self {
        self.options.depth = depth;
        self
    }

    /// Which values a load may return: `Sc` or `Rc11` (`Tso` is for exhaustive checking only).
    ///
    /// # Panics
    /// For `Tso`.
    pub fn memory_model(mut self, memory: MemoryModel) -> Self {
        assert!(
            memory != MemoryModel::Tso,
            "the fuzzer samples `sc` and `rc11`; `tso` is for exhaustive checking"
        );
        self.options.settings.memory = memory;
        self
    }

    /// How long an execution may go without a step before it fails (an endless loop in which nothing
    /// is instrumented, a call that blocks); `None` for ever.
    pub fn watchdog(mut self, patience: Option<Duration>) -> Self {
        self.options.watchdog = patience;
        self
    }

    /// Whether to repeat every execution that passes, and fail if it goes another way then: to find
    /// nondeterminism that is not the schedule's.
    pub fn check_determinism(mut self, check: bool) -> Self {
        self.options.check_determinism = check;
        self
    }

    /// Whether the first execution, the last one and a sample of the others are executed twice and
    /// compared, which finds state that survives an execution unseen. They are, unless this says no:
    /// for programs that count how often they are run.
    pub fn recheck(mut self, recheck: bool) -> Self {
        self.options.recheck = recheck;
        self
    }

    /// Schedules to try before the first iteration, such as those that failed earlier.
    pub fn first(mut self, schedules: Vec<Schedule>) -> Self {
        self.options.first = schedules;
        self
    }

    /// Takes settings from the environment variables `RACEFUZZ_SEED`, `_ITERATIONS`, `_STRATEGY`,
    /// `_MEMORY`, `_WORKERS`, `_MAX_STEPS`, `_DEPTH`, `_INJECT`, `_STACK_SIZE`, `_MAX_TIME` (in seconds, or
    /// such as `500ms` and `5m`) and `_MAX_MEMORY` (in bytes, or such as `512M` and `2G`).
    ///
    /// # Errors
    /// A variable with a value that is none.
    pub fn from_env(mut self) -> Result<Self, SettingError> {
        let options = &mut self.options;
        read("RACEFUZZ_SEED", &mut options.seed)?;
        read("RACEFUZZ_ITERATIONS", &mut options.iterations)?;
        read("RACEFUZZ_STRATEGY", &mut options.strategy)?;
        read("RACEFUZZ_MEMORY", &mut options.settings.memory)?;
        read("RACEFUZZ_WORKERS", &mut options.workers)?;
        read("RACEFUZZ_MAX_STEPS", &mut options.settings.max_steps)?;
        read("RACEFUZZ_DEPTH", &mut options.depth)?;
        read("RACEFUZZ_INJECT", &mut options.settings.inject)?;
        read("RACEFUZZ_STACK_SIZE", &mut options.stack_size)?;
        read_time(&mut options.max_time)?;
        read_memory(&mut options.max_memory)?;
        if options.settings.memory == MemoryModel::Tso {
            return Err(SettingError::new("RACEFUZZ_MEMORY", "tso", "the fuzzer samples `sc` and `rc11`"));
        }
        options.workers = options.workers.max(1);
        Ok(self)
    }

    /// Runs the program. Never panics on a bug: look at the report's outcome.
    #[track_caller]
    pub fn fuzz(&self, program: impl Fn() + Sync) -> RunReport {
        self.fuzz_observed(program, &Unobserved)
    }

    /// Runs the program, telling an observer how far it is; the observer may end the run.
    #[track_caller]
    pub fn fuzz_observed(&self, program: impl Fn() + Sync, observer: &dyn Observer) -> RunReport {
        show::before_the_end();
        show::refuse_nested();
        let (options, sources) = (&self.options, DiskSources::default());
        let ran = observed(program, &options.roots, &sources, |program| {
            Ok::<_, Infallible>(racefuzz_fuzz::fuzz(options, program, observer))
        });
        let Ok(report) = ran;
        report
    }

    /// Repeats one schedule, as far as the program still follows it. The schedule's own settings
    /// hold.
    pub fn replay(&self, schedule: &Schedule, program: impl Fn() + Sync) -> Replayed {
        racefuzz_fuzz::replay(schedule, &self.options, &program)
    }
}

impl Default for Fuzzer {
    fn default() -> Self {
        Self::new()
    }
}

struct Unobserved;

impl Observer for Unobserved {}

/// Runs the program under `iterations` schedules, for tests.
///
/// # Panics
/// With the rendered report, if a bug is found.
#[track_caller]
pub fn fuzz(iterations: u64, program: impl Fn() + Sync) {
    let report = Fuzzer::new().iterations(iterations).fuzz(program);
    if report.outcome == Outcome::Failed {
        show::fail_test(show::render(&report));
    }
}

/// Repeats the schedule of a token, for finding out why it fails.
///
/// # Panics
/// With the rendered report, if it fails; if the text is no token.
pub fn replay(token: &str, program: impl Fn() + Sync) {
    let schedule: Schedule =
        token.parse().unwrap_or_else(|error| show::fail_test(format!("{token}: {error}")));
    let fuzzer = Fuzzer::new().name(schedule.program.clone());
    let replayed = fuzzer.replay(&schedule, program);
    if replayed.report.outcome == Outcome::Failed {
        show::fail_test(show::render(&replayed.report));
    }
}
