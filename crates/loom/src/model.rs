//! Running a program in every way it can go, or under many schedules.

use racefuzz::ported::{Mode, Ported};
use racefuzz::{Checker, Fuzzer, Inject, Outcome, Settings};
use std::path::PathBuf;
use std::time::Duration;

/// loom's default of [`Builder::max_branches`].
const LOOM_BRANCHES: usize = 1_000;

/// Runs the program in every way it can go, with the settings of [`Builder::new`]; with
/// `RACEFUZZ_MODE=fuzz`, under some thousand schedules.
///
/// # Panics
/// With racefuzz's report, if an execution fails.
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
    /// The number of steps after which an execution counts as one that never ends, if it is below
    /// loom's default of 1,000 or above racefuzz's of 100,000, which holds in between.
    /// `LOOM_MAX_BRANCHES`.
    pub max_branches: usize,
    /// No more executions than these, and when sampling no more than 2,000. The run passes if it
    /// found nothing; what it then says on stderr is `no bug in`, not `verified`.
    /// `LOOM_MAX_PERMUTATIONS`.
    pub max_permutations: Option<usize>,
    /// The run ends after so long, and passes likewise. `LOOM_MAX_DURATION`, in seconds.
    pub max_duration: Option<Duration>,
    /// Every class of executions that has a schedule with at most so many preemptions is explored, and
    /// no other one is counted. As in loom, a thread is not preempted where it waits, has ended, or has
    /// just yielded. What a run that passes says on stderr is `verified up to N preemptions`. When sampling, the depth that the strategy `pct` aims at becomes one more than this.
    /// `LOOM_MAX_PREEMPTIONS`.
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
    /// Executions of a model that is sampled, unless the environment or a field says otherwise.
    pub const DEFAULT_ITERATIONS: u64 = 2_000;

    /// loom's defaults, and what its environment variables say.
    ///
    /// # Panics
    /// If one of them has a value that is none.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            max_threads: crate::MAX_THREADS,
            max_branches: variable("LOOM_MAX_BRANCHES").unwrap_or(LOOM_BRANCHES),
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

    /// Runs the program. Nothing but this builder's limits and bound ends an exploration before
    /// everything is explored; one that takes long says so on stderr.
    ///
    /// # Panics
    /// With racefuzz's report, if an execution fails, or if every one blocks; if a setting is none, or
    /// is refused.
    #[track_caller]
    pub fn check<F>(&self, f: F)
    where
        F: Fn() + Sync + Send + 'static,
    {
        let test = Ported::new();
        let limited = self.max_duration.is_some() || self.max_permutations.is_some();
        let report = test.run(Mode::Check, self.fuzzer(), self.checker(), f);
        match report.outcome() {
            Outcome::Passed if self.preemption_bound.is_some() => eprint!("{}", test.text(&report)),
            Outcome::Passed => {}
            // As loom, which stops there without a word; but what is no proof should not look like one.
            Outcome::Incomplete if limited && report.executions() > 0 => eprint!("{}", test.text(&report)),
            Outcome::Failed | Outcome::Incomplete => test.fail(test.text(&report)),
        }
    }

    #[track_caller]
    fn fuzzer(&self) -> Fuzzer {
        if let Some(file) = &self.checkpoint_file {
            panic!(
                "checkpoint_file ({}): racefuzz keeps no checkpoints; run a failing schedule again with \
                 RACEFUZZ_REPLAY and the token that its report shows",
                file.display()
            );
        }
        let most = self.max_permutations.map_or(Self::DEFAULT_ITERATIONS, |most| most.max(1) as u64);
        let steps = u32::try_from(self.max_branches).unwrap_or(u32::MAX);
        let least = if self.max_branches < LOOM_BRANCHES { 0 } else { Settings::DEFAULT_MAX_STEPS };
        let mut fuzzer = Fuzzer::new()
            .recheck(false)
            .iterations(most.min(Self::DEFAULT_ITERATIONS))
            .max_steps(steps.max(least))
            .inject(Inject { timeout: true, ..Inject::default() });
        if let Some(bound) = self.preemption_bound {
            fuzzer = fuzzer.depth(u32::try_from(bound).unwrap_or(u32::MAX).saturating_add(1));
        }
        if let Some(longest) = self.max_duration {
            fuzzer = fuzzer.max_time(longest);
        }
        fuzzer
    }

    fn checker(&self) -> Checker {
        let mut checker = Checker::new();
        if let Some(most) = self.max_permutations {
            checker = checker.max_executions(most.max(1) as u64);
        }
        if let Some(longest) = self.max_duration {
            checker = checker.max_time(longest);
        }
        if let Some(bound) = self.preemption_bound {
            checker = checker.preemptions(u32::try_from(bound).unwrap_or(u32::MAX));
        }
        checker
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
