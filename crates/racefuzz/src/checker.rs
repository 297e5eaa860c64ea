//! Proving as a call.

use crate::env::{SettingError, read, read_memory, read_optional, read_time};
use crate::expectations::observed;
use crate::setters::{execution_setters, memory_setter, program_setters};
use crate::show;
use racefuzz_check::{Observer, Options};
use racefuzz_report::DiskSources;
use racefuzz_trace::{Engine, MemoryModel, Outcome, RunReport};
use std::convert::Infallible;
use std::sync::OnceLock;

/// How an engine that is not part of this library explores a program.
pub type Engineer = fn(&Options, &(dyn Fn() + Sync), &dyn Observer) -> RunReport;

static LOOM: OnceLock<Engineer> = OnceLock::new();

/// Provides [`Engine::Loom`], once for the process; the first caller wins. The library does without
/// it, so that it depends on little: the command line brings it.
pub fn provide_loom(explore: Engineer) {
    let _ = LOOM.set(explore);
}

/// Explores every execution of a program that a memory model allows, one for each equivalence class.
///
/// The program is run again and again, so it must be deterministic apart from the schedule: no
/// clocks, no `HashMap` order, no state kept from one run to the next.
///
/// ```
/// use racefuzz::sync::{Arc, Mutex};
/// use racefuzz::{Checker, Outcome, thread};
///
/// let report = Checker::new().check(|| {
///     let count = Arc::new(Mutex::new(0));
///     let other = Arc::clone(&count);
///     let thread = thread::spawn(move || *other.lock().unwrap() += 1);
///     *count.lock().unwrap() += 1;
///     thread.join().unwrap();
///     assert_eq!(*count.lock().unwrap(), 2);
/// });
/// assert_eq!(report.outcome(), Outcome::Passed);
/// assert_eq!(report.executions(), 2); // whoever comes first
/// ```
#[derive(Clone, Debug)]
#[must_use = "a checker does nothing until `check` is called"]
pub struct Checker {
    pub(crate) options: Options,
    pub(crate) engine: Engine,
}

impl Checker {
    /// A checker with the default settings: the graph engine under RC11, no limits, one worker; it
    /// stops at the first failing execution.
    pub fn new() -> Self {
        let options = Options { roots: show::roots(), ..Options::default() };
        Self { options, engine: Engine::Graph }
    }

    program_setters!();
    memory_setter!();
    execution_setters!();

    /// Which executions are possible.
    pub fn memory_model(mut self, memory: MemoryModel) -> Self {
        self.options.settings.memory = memory;
        self
    }

    /// What explores: [`Engine::Graph`], or [`Engine::Loom`] where that is
    /// [provided](crate::provide_loom).
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// How long an execution may go without a step before it fails (an endless loop in which nothing
    /// is instrumented, a call that blocks); `None` for ever.
    pub fn watchdog(mut self, patience: Option<std::time::Duration>) -> Self {
        self.options.watchdog = patience;
        self
    }

    /// Complete executions after which the exploration ends; without a bug it is then `Incomplete`.
    pub fn max_executions(mut self, most: u64) -> Self {
        self.options.max_executions = Some(most);
        self
    }

    /// Explores only the executions that need at most so many preemptions, every class of them; without
    /// a bug the program is then verified up to that bound ([`Proof::preemptions`]). A preemption takes
    /// the turn from a thread that could go on, and has not just given way. A bug that is met on the way
    /// is one, also beyond the bound. Where nearly all schedules lead to what was seen before, all executions
    /// are explored instead if they are not too many; the program is then verified without a bound.
    ///
    /// [`Proof::preemptions`]: racefuzz_trace::Proof::preemptions
    pub fn preemptions(mut self, most: u32) -> Self {
        self.options.preemptions = Some(most);
        self
    }

    /// Takes settings from the environment variables `RACEFUZZ_MEMORY`, `_WORKERS`, `_MAX_STEPS`,
    /// `_STACK_SIZE`, `_MAX_EXECUTIONS`, `_PREEMPTIONS`, `_MAX_TIME` (in seconds, or such as `500ms` and
    /// `5m`) and `_MAX_MEMORY` (in bytes, or such as `512M` and `2G`).
    ///
    /// # Errors
    /// A variable with a value that is none.
    pub fn from_env(mut self) -> Result<Self, SettingError> {
        let options = &mut self.options;
        read("RACEFUZZ_MEMORY", &mut options.settings.memory)?;
        read("RACEFUZZ_WORKERS", &mut options.workers)?;
        read("RACEFUZZ_MAX_STEPS", &mut options.settings.max_steps)?;
        read("RACEFUZZ_STACK_SIZE", &mut options.stack_size)?;
        read_optional("RACEFUZZ_MAX_EXECUTIONS", &mut options.max_executions)?;
        read_optional("RACEFUZZ_PREEMPTIONS", &mut options.preemptions)?;
        read_time(&mut options.max_time)?;
        read_memory(&mut options.max_memory)?;
        options.workers = options.workers.max(1);
        Ok(self)
    }

    /// Explores the program. Never panics because of a bug in it.
    ///
    /// # Panics
    /// If the engine is one that cannot be had here.
    #[track_caller]
    pub fn check(&self, program: impl Fn() + Sync) -> RunReport {
        self.check_watched(program, &())
    }

    /// The same, watched by an observer.
    ///
    /// # Panics
    /// As [`Checker::check`].
    #[track_caller]
    pub fn check_watched(&self, program: impl Fn() + Sync, observer: &dyn Observer) -> RunReport {
        show::before_the_end();
        show::refuse_nested();
        let (options, sources) = (&self.options, DiskSources::default());
        let ran = observed(program, &options.roots, &sources, |program| {
            Ok::<_, Infallible>(match (self.engine, LOOM.get()) {
                (Engine::Graph, _) => racefuzz_check::check(options, program, observer),
                (Engine::Loom, Some(explore)) => explore(options, program, observer),
                (engine, _) => panic!("the engine `{engine}` is not part of this library"),
            })
        });
        let Ok(report) = ran;
        report
    }

    /// The same with the graph engine, which keeps in a file what is left to explore, and goes on
    /// from there if the file exists: for explorations that take longer than a process may. It is
    /// removed when everything is explored. Limits on executions hold for all of them together,
    /// limits on time for this call.
    ///
    /// # Errors
    /// If the file cannot be read or written, or belongs to another program or to other settings.
    #[cfg(feature = "checkpoint")]
    pub fn check_with_checkpoint(
        &self,
        program: impl Fn() + Sync,
        observer: &dyn Observer,
        file: &std::path::Path,
    ) -> Result<RunReport, racefuzz_check::CheckpointError> {
        let (options, sources) = (&self.options, DiskSources::default());
        observed(program, &options.roots, &sources, |program| {
            racefuzz_check::check_with_checkpoint(options, program, observer, file)
        })
    }

    /// What an engine is asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

/// Proves a program: for tests.
///
/// # Panics
/// With the rendered report, unless every execution passes.
#[track_caller]
pub fn check(program: impl Fn() + Sync) {
    let report = Checker::new().check(program);
    if report.outcome != Outcome::Passed {
        show::fail_test(show::render(&report));
    }
}
