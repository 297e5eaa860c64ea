//! Running a program by a scheduler, or by several.

use crate::config::{Config, FailurePersistence, MaxSteps};
use crate::scheduler::Scheduler;
use crate::scheduler::sealed::Settings;
use racefuzz::ported::{Mode, Ported};
use racefuzz::{Checker, FailureKind, Fuzzer, MemoryModel, Outcome, Report, Schedule};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Runs a program by a scheduler.
#[derive(Debug)]
pub struct Runner<S> {
    scheduler: S,
    config: Config,
}

impl<S: Scheduler> Runner<S> {
    /// With a scheduler and settings.
    pub const fn new(scheduler: S, config: Config) -> Self {
        Self { scheduler, config }
    }

    /// Runs the program; how many times.
    ///
    /// # Panics
    /// With racefuzz's report, if an execution fails.
    #[track_caller]
    pub fn run<F>(self, f: F) -> usize
    where
        F: Fn() + Send + Sync + 'static,
    {
        run(&self.scheduler.settings(), &self.config, &f)
    }
}

/// Runs a program by several schedulers, one after the other.
#[derive(Debug)]
pub struct PortfolioRunner {
    schedulers: Vec<Settings>,
    config: Config,
}

impl PortfolioRunner {
    /// With settings. (The first failure always ends the run: it is the one that is reported.)
    pub const fn new(_stop_on_first_failure: bool, config: Config) -> Self {
        Self { schedulers: Vec::new(), config }
    }

    /// Adds a scheduler.
    pub fn add(&mut self, scheduler: impl Scheduler + Send + 'static) {
        self.schedulers.push(scheduler.settings());
    }

    /// Runs the program by each of them.
    ///
    /// # Panics
    /// With racefuzz's report, if an execution fails.
    #[track_caller]
    pub fn run<F>(self, f: F)
    where
        F: Fn() + Send + Sync + 'static,
    {
        for scheduler in &self.schedulers {
            run(scheduler, &self.config, &f);
        }
    }
}

#[track_caller]
fn run(settings: &Settings, config: &Config, program: &(impl Fn() + Sync)) -> usize {
    let test = Ported::new();
    let fuzzer = fuzzer(settings, config);
    let report = match &settings.replay {
        Some(schedule) => fuzzer.replay(schedule, program).report,
        None => {
            let mode = if settings.all { Mode::Check } else { Mode::Fuzz };
            test.run(mode, fuzzer, checker(settings, config), program)
        }
    };
    let given_up = matches!(config.max_steps, MaxSteps::ContinueAfter(_));
    let failure =
        report.failures().iter().find(|failure| !given_up || failure.kind() != FailureKind::StepLimit);
    let limited = config.max_time.is_some() || settings.all && settings.iterations.is_some();
    let incomplete = report.outcome() == Outcome::Incomplete && !(limited && report.executions() > 0);
    if failure.is_some() || incomplete {
        let kept = failure.and_then(|failure| keep(&config.failure_persistence, failure.schedule()));
        let mut shown: Report = report.clone();
        shown.failures.retain(|other| !given_up || other.kind() != FailureKind::StepLimit);
        test.fail(test.text(&shown) + &kept.unwrap_or_default());
    }
    usize::try_from(report.executions()).unwrap_or(usize::MAX)
}

fn fuzzer(settings: &Settings, config: &Config) -> Fuzzer {
    // A test of shuttle's may count its iterations.
    let mut fuzzer = Fuzzer::new()
        .recheck(false)
        .memory_model(MemoryModel::Sc)
        .strategy(settings.strategy)
        .seed(settings.seed)
        .depth(settings.depth)
        .max_steps(match config.max_steps {
            MaxSteps::None => u32::MAX,
            MaxSteps::FailAfter(most) | MaxSteps::ContinueAfter(most) => {
                u32::try_from(most).unwrap_or(u32::MAX)
            }
        })
        .keep_going(matches!(config.max_steps, MaxSteps::ContinueAfter(_)))
        .check_determinism(settings.twice);
    if let Some(iterations) = settings.iterations {
        fuzzer = fuzzer.iterations(iterations);
    }
    if let Some(longest) = config.max_time {
        fuzzer = fuzzer.max_time(longest);
    }
    if config.stack_size > crate::Config::new().stack_size {
        fuzzer = fuzzer.stack_size(config.stack_size.max(256 * 1024));
    }
    fuzzer
}

fn checker(settings: &Settings, config: &Config) -> Checker {
    let mut checker = Checker::new();
    if let Some(most) = settings.iterations {
        checker = checker.max_executions(most);
    }
    if let Some(longest) = config.max_time {
        checker = checker.max_time(longest);
    }
    checker
}

/// Writes a failing schedule where the settings want it, and says where that is.
fn keep(persistence: &FailurePersistence, schedule: &Schedule) -> Option<String> {
    let FailurePersistence::File(folder) = persistence else { return None };
    let folder = folder.as_deref().unwrap_or(Path::new("."));
    Some(match write(folder, schedule) {
        Ok(file) => format!(
            "failing schedule persisted to file: {}\npass that path to `shuttle::replay_from_file` to \
             replay the failure\n",
            file.display()
        ),
        Err(error) => format!("failed to persist schedule to a file in {}: {error}\n", folder.display()),
    })
}

/// The first free `scheduleNNN.txt`.
fn write(folder: &Path, schedule: &Schedule) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let path = folder.join(format!("schedule{number:03}.txt"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                write!(file, "{schedule}")?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}
