//! Running a program under many schedules.

use racefuzz::{Fuzzer, Inject, Outcome, Report, Schedule, Settings};
use racefuzz_report::{Command, DiskSources};
use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Runs the program under many schedules, with the settings of [`Builder::new`].
///
/// # Panics
/// With racefuzz's report, if a schedule fails.
#[track_caller]
pub fn model<F>(f: F)
where
    F: Fn() + Sync + Send + 'static,
{
    Builder::new().check(f);
}

/// How a model is run: loom's fields, of which each says what becomes of it here.
///
/// racefuzz's own settings come from the environment (see the [crate's page](crate)) and win.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Builder {
    /// No limit here: racefuzz runs as many threads as the program spawns.
    pub max_threads: usize,
    /// Raises the number of steps after which an execution counts as one that never ends (100,000),
    /// if it is larger. `LOOM_MAX_BRANCHES`.
    pub max_branches: usize,
    /// No more executions than these, if that is less than 2,000. `LOOM_MAX_PERMUTATIONS`.
    pub max_permutations: Option<usize>,
    /// The run ends after so long, and passes if it found nothing. `LOOM_MAX_DURATION`, in seconds.
    pub max_duration: Option<Duration>,
    /// Sampling needs no bound: schedules with more preemptions are tried too. The depth that the
    /// strategy `pct` aims at becomes one more than this. `LOOM_MAX_PREEMPTIONS`.
    pub preemption_bound: Option<usize>,
    /// Refused: [`check`](Self::check) panics if it is set. There is no exploration to go on with; a
    /// failing schedule is had again with its token. `LOOM_CHECKPOINT_FILE`.
    pub checkpoint_file: Option<PathBuf>,
    /// Without effect, as there is no checkpoint. `LOOM_CHECKPOINT_INTERVAL`.
    pub checkpoint_interval: usize,
    /// Without effect, as [`explore`](fn@crate::explore) and
    /// [`stop_exploring`](fn@crate::stop_exploring) are.
    pub expect_explicit_explore: bool,
    /// Without effect: reports always show places. `LOOM_LOCATION`.
    pub location: bool,
    /// Without effect: reports always show the steps of the failing execution. `LOOM_LOG`.
    pub log: bool,
}

impl Builder {
    /// Executions of a model, unless the environment or a field says otherwise.
    pub const DEFAULT_ITERATIONS: u64 = 2_000;

    /// loom's defaults, and what its environment variables say.
    ///
    /// # Panics
    /// If one of them has a value that is none.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            max_threads: crate::MAX_THREADS,
            max_branches: variable("LOOM_MAX_BRANCHES").unwrap_or(1_000),
            max_permutations: variable("LOOM_MAX_PERMUTATIONS"),
            max_duration: variable("LOOM_MAX_DURATION").map(Duration::from_secs),
            preemption_bound: variable("LOOM_MAX_PREEMPTIONS"),
            checkpoint_file: variable("LOOM_CHECKPOINT_FILE"),
            checkpoint_interval: variable("LOOM_CHECKPOINT_INTERVAL").unwrap_or(20_000),
            expect_explicit_explore: false,
            location: std::env::var_os("LOOM_LOCATION").is_some(),
            log: std::env::var_os("LOOM_LOG").is_some(),
        }
    }

    /// Sets [`checkpoint_file`](Self::checkpoint_file), which is refused.
    pub fn checkpoint_file(&mut self, file: &str) -> &mut Self {
        self.checkpoint_file = Some(file.into());
        self
    }

    /// Runs the program.
    ///
    /// # Panics
    /// With racefuzz's report, if a schedule fails; if a setting is none, or is refused.
    #[track_caller]
    pub fn check<F>(&self, f: F)
    where
        F: Fn() + Sync + Send + 'static,
    {
        let name = name();
        let fuzzer = self.fuzzer(&name);
        let report = match replayed(&name) {
            Some(schedule) => fuzzer.replay(&schedule, f).report,
            None => fuzzer.fuzz(f),
        };
        count(&report);
        match report.outcome() {
            Outcome::Passed => {}
            Outcome::Incomplete if self.max_duration.is_some() && report.executions() > 0 => {}
            Outcome::Failed | Outcome::Incomplete => panic!("\n{}", text(&report)),
        }
    }

    #[track_caller]
    fn fuzzer(&self, name: &str) -> Fuzzer {
        if let Some(file) = &self.checkpoint_file {
            panic!(
                "checkpoint_file ({}): racefuzz keeps no checkpoints; run a failing schedule again with \
                 RACEFUZZ_REPLAY and the token that its report shows",
                file.display()
            );
        }
        if let Some(mode) = variable::<String>("RACEFUZZ_MODE").filter(|mode| mode != "fuzz") {
            panic!("RACEFUZZ_MODE={mode}: a model can be run by `fuzz` only");
        }
        let most = self.max_permutations.map_or(Self::DEFAULT_ITERATIONS, |most| most.max(1) as u64);
        let steps = u32::try_from(self.max_branches).unwrap_or(u32::MAX);
        let mut fuzzer = Fuzzer::new()
            .name(name)
            .iterations(most.min(Self::DEFAULT_ITERATIONS))
            .max_steps(steps.max(Settings::DEFAULT_MAX_STEPS))
            .inject(Inject { timeout: true, ..Inject::default() });
        if let Some(bound) = self.preemption_bound {
            fuzzer = fuzzer.depth(u32::try_from(bound).unwrap_or(u32::MAX).saturating_add(1));
        }
        if let Some(longest) = self.max_duration {
            fuzzer = fuzzer.max_time(longest);
        }
        fuzzer.from_env().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Default for Builder {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

#[track_caller]
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    let Ok(parsed) = value.trim().parse() else { panic!("invalid value for `{name}`: {value}") };
    Some(parsed)
}

/// The test's name, which is that of its thread, and which of its models this is.
fn name() -> String {
    thread_local! {
        static MODELS: Cell<u32> = const { Cell::new(0) };
    }
    let model = MODELS.get() + 1;
    MODELS.set(model);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("model");
    if model == 1 { test.to_owned() } else { format!("{test}#{model}") }
}

/// The schedule that `RACEFUZZ_REPLAY` asks for, if it is one of this program.
#[track_caller]
fn replayed(program: &str) -> Option<Schedule> {
    let schedule: Schedule = variable("RACEFUZZ_REPLAY")?;
    (schedule.program == program).then_some(schedule)
}

/// Adds a line with the model's name and its executions to the file `RACEFUZZ_COUNT_FILE`.
fn count(report: &Report) {
    let Some(file) = std::env::var_os("RACEFUZZ_COUNT_FILE") else { return };
    let line = format!("{}\t{}\n", report.program, report.executions());
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("RACEFUZZ_COUNT_FILE={}: {error}", file.display());
    }
}

fn text(report: &Report) -> String {
    let next: Vec<Command> = report
        .failures()
        .iter()
        .take(1)
        .map(|failure| Command {
            label: "replay".to_owned(),
            line: format!(
                "RACEFUZZ_REPLAY='{}' cargo test {}",
                failure.schedule(),
                report.program.split('#').next().unwrap_or_default()
            ),
        })
        .collect();
    let mut style = racefuzz::Style::default();
    if let Some(width) = variable("RACEFUZZ_WIDTH") {
        style.width = width;
    }
    racefuzz::render_with(report, &DiskSources::new(), &style, &next)
}
