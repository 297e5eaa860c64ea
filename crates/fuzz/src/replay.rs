//! Following a given sequence of choices.

use crate::confirm::Found;
use crate::decision::decision;
use crate::driver::report;
use crate::guard::{self, guarded};
use crate::log::fingerprint;
use crate::options::Options;
use crate::schedule_runner::ScheduleRunner;
use racefuzz_runtime::{Alternatives, Ended, Explorer, Record, ThreadChoice};
use racefuzz_trace::{Choice, Outcome, Point, RunReport, Schedule, Stats, ThreadId, Trace};
use std::fmt;

/// Where a program no longer follows a schedule: it has changed since that was recorded, or other
/// settings hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The choice that does not fit, counted from 0; `None` if every choice fits and yet the steps
    /// are others.
    pub choice: Option<usize>,
    /// The steps executed before.
    pub step: u32,
    /// What the schedule says.
    pub expected: String,
    /// What the program asked instead.
    pub found: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { choice, step, expected, found } = self;
        write!(f, "the program has changed since this schedule was recorded: ")?;
        match choice {
            Some(choice) => {
                write!(f, "after {step} steps, at choice {}, the schedule has {expected}", choice + 1)?;
                write!(f, " where the program has {found}")
            }
            None => write!(f, "it follows the choices, but {found} instead of {expected}"),
        }
    }
}

/// The result of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The one execution.
    pub report: RunReport,
    /// Where the program left the schedule, if it did.
    pub diverged: Option<Divergence>,
}

/// Takes the given choices as far as they fit, then defaults.
pub(crate) struct ReplayExplorer<'a> {
    choices: &'a [Choice],
    at: usize,
    step: u32,
    pub(crate) diverged: Option<Divergence>,
}

impl<'a> ReplayExplorer<'a> {
    pub(crate) const fn new(choices: &'a [Choice]) -> Self {
        Self { choices, at: 0, step: 0, diverged: None }
    }

    fn next(&mut self, point: Point, count: u32) -> u32 {
        let Some(choice) = self.choices.get(self.at) else { return 0 };
        self.at += 1;
        // A token does not keep what a default was a choice of.
        if choice.is_default() || choice.point() == point && choice.index() < count {
            return choice.index();
        }
        if self.diverged.is_none() {
            let expected = if choice.point() == point {
                format!("number {} of the alternatives", choice.index() + 1)
            } else {
                words(choice.point()).to_owned()
            };
            let found = if choice.point() == point {
                format!("{count} ({})", words(point))
            } else {
                words(point).to_owned()
            };
            self.diverged = Some(Divergence { choice: Some(self.at - 1), step: self.step, expected, found });
        }
        0
    }
}

fn words(point: Point) -> &'static str {
    match point {
        Point::Thread => "a choice of a thread",
        Point::Store => "a choice of the store that a load reads",
        Point::Place => "a choice of a store's place in the modification order",
        Point::Value => "a choice of a value",
        Point::Spurious => "a chance of a spurious wake-up, or of a reader kept out",
        Point::Timeout => "a chance of a timeout",
        Point::Fault => "a chance of a fault",
        Point::Reuse => "a chance of freed memory given out again",
    }
}

impl Explorer for ReplayExplorer<'_> {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        self.step = choice.step;
        let index = self.next(Point::Thread, choice.options.len() as u32);
        nth(choice, index)
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.next(alternatives.point, alternatives.count)
    }
}

/// The option with this index as schedules count: first the default, then the others in order.
pub(crate) fn nth(choice: &ThreadChoice<'_>, index: u32) -> ThreadId {
    let default = choice.default_thread();
    match index.checked_sub(1) {
        None => default,
        Some(among) => {
            let mut others = choice.options.iter().filter(|thread| **thread != default);
            others.nth(among as usize).copied().unwrap_or(default)
        }
    }
}

/// Repeats one schedule, as far as the program still follows it, and records what happens. The
/// schedule's own settings hold; nothing is minimised.
pub fn replay(schedule: &Schedule, options: &Options, program: &(dyn Fn() + Sync)) -> Replayed {
    let (program_name, settings) = (schedule.program.clone(), schedule.settings.clone());
    let options = &Options { program: program_name, settings, iterations: 1, ..options.clone() };
    guarded(options, program, &|| None, |guard| {
        let mut runner = ScheduleRunner::new(options, &schedule.settings, program, Some(guard));
        guard::at(0, false);
        let (mut ended, mut diverged) = runner.run(&schedule.choices, Record::Trace);
        let prints = |ended: &Ended| ended.trace.as_ref().map_or(0, fingerprint);
        if ended.counts_observed && prints(&ended) != schedule.fingerprint {
            // It may have been recorded when this was known.
            runner.count_points(true);
            guard::at(0, true);
            let again = runner.run(&schedule.choices, Record::Trace);
            if prints(&again.0) == schedule.fingerprint || again.0.failure.is_some() {
                (ended, diverged) = again;
            }
        }
        if diverged.is_none() && prints(&ended) != schedule.fingerprint {
            diverged = Some(Divergence {
                choice: None,
                step: ended.steps,
                expected: "the steps recorded".to_owned(),
                found: "executes other steps".to_owned(),
            });
        }
        Replayed { report: replay_report(schedule, options, &mut runner, ended), diverged }
    })
}

fn replay_report(
    schedule: &Schedule,
    options: &Options,
    runner: &mut ScheduleRunner<'_>,
    ended: Ended,
) -> RunReport {
    let complete = u64::from(!ended.blocked);
    let stats = Stats {
        executions: complete,
        blocked: u64::from(ended.blocked),
        failing: u64::from(ended.failure.is_some()),
        classes: complete,
        singletons: complete,
        outcomes: complete,
        steps: ended.steps.into(),
        abandoned: ended.abandoned.into(),
    };
    let trace = ended.trace.unwrap_or_else(|| unreachable!("a replay is recorded"));
    let (outcome, stopped) = match (&ended.failure, ended.blocked) {
        (Some(_), _) => (Outcome::Failed, None),
        (None, false) => (Outcome::Passed, None),
        (None, true) => (Outcome::Incomplete, Some(blocked_at(&trace, false))),
    };
    let found = Found { iteration: 0, found_by: "replay", settings: schedule.settings.clone() };
    let mut failure =
        ended.failure.map(|detected| found.failure(&schedule.program, detected, trace, runner.choices()));
    if let Some(failure) = &mut failure {
        failure.decision = decision(runner, options, failure);
    }
    report(options, outcome, stats, failure.into_iter().collect(), stopped)
}

/// Why an execution was blocked.
pub(crate) fn blocked_at(trace: &Trace, at_several: bool) -> String {
    let first = if at_several { ", the first" } else { "" };
    match trace.events.last() {
        Some(event) => {
            format!("every execution blocks{first} at {} ({})", trace.site(event.site), event.verb.word())
        }
        None => "every execution blocks".to_owned(),
    }
}
