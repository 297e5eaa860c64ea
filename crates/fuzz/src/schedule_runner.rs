//! Running chosen schedules one at a time: for replays, confirmation and minimising.

use crate::guard::{Guard, Pulse};
use crate::options::Options;
use crate::replay::{Divergence, ReplayExplorer};
use racefuzz_runtime::{Ended, Explorer, Heartbeat, Record, Runner};
use racefuzz_trace::{Choice, Settings};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A runner for single executions.
pub(crate) struct ScheduleRunner<'a> {
    runner: Runner,
    program: &'a (dyn Fn() + Sync),
    pulse: Option<Arc<Pulse>>,
    /// When no more is to be looked for.
    until: Option<Instant>,
}

impl<'a> ScheduleRunner<'a> {
    pub(crate) fn new(
        options: &Options,
        settings: &Settings,
        program: &'a (dyn Fn() + Sync),
        guard: Option<&Guard>,
    ) -> Self {
        let runner = Runner::new(options.config(settings));
        let pulse = guard.map(|guard| guard.watch_unlimited(runner.heart()));
        Self { runner, program, pulse, until: None }
    }

    /// After so much time nothing more is to be looked for. Steps bound what a search takes, but those of
    /// a program that runs unmodified may be any distance apart.
    pub(crate) fn limit(&mut self, time: Duration) {
        self.until = Instant::now().checked_add(time);
    }

    /// Whether that time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether reference counts are scheduling points from now on.
    pub(crate) fn count_points(&mut self, points: bool) {
        self.runner.config_mut().count_points = points;
    }

    /// The runner's signs of life.
    pub(crate) fn heart(&self) -> Arc<Heartbeat> {
        self.runner.heart()
    }

    /// Whether what runs next is known to hang.
    pub(crate) fn set_hurry(&self, hurry: bool) {
        if let Some(pulse) = &self.pulse {
            pulse.set_hurry(hurry);
        }
    }

    pub(crate) fn explore(&mut self, explorer: &mut dyn Explorer, record: Record) -> Ended {
        if let Some(pulse) = &self.pulse {
            pulse.set_active(true);
        }
        let ended = self.runner.run(self.program, explorer, record);
        if let Some(pulse) = &self.pulse {
            pulse.set_active(false);
        }
        ended
    }

    pub(crate) fn run(&mut self, choices: &[Choice], record: Record) -> (Ended, Option<Divergence>) {
        let mut follow = ReplayExplorer::new(choices);
        let ended = self.explore(&mut follow, record);
        (ended, follow.diverged)
    }

    /// The choices of the last execution.
    pub(crate) fn choices(&self) -> &[Choice] {
        self.runner.choices()
    }

    /// The log of the last execution.
    pub(crate) fn log(&self) -> &[u64] {
        self.runner.log()
    }
}
