//! One worker: runs a stretch of iterations and keeps what is to be merged.

use crate::confirm::{Caught, Found};
use crate::driver::{Cut, Run};
use crate::guard::{self, Pulse};
use crate::profile::{Lesson, Profile};
use crate::replay::Follow;
use crate::strategy::{self, Samplers};
use crate::tally::Sample;
use racefuzz_runtime::{Detected, Ended, Record, Runner};
use racefuzz_trace::{Choice, FailureKind, ThreadId};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The results of consecutive iterations.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) samples: Vec<Sample>,
    pub(crate) lessons: Vec<Lesson>,
    pub(crate) caught: Vec<Caught>,
    /// Some object had been used by an earlier execution.
    pub(crate) left_over: bool,
}

pub(crate) struct Worker<'r, 'a> {
    run: &'r Run<'a>,
    runner: Runner,
    samplers: Samplers,
    pulse: Arc<Pulse>,
    /// Failures this worker has met; its iterations ascend, so it met their first ones.
    met: HashSet<u64>,
    /// Work left until the clock is looked at.
    fuel: u32,
}

impl<'r, 'a> Worker<'r, 'a> {
    const FUEL: u32 = 20_000;

    pub(crate) fn new(run: &'r Run<'a>) -> Self {
        let options = run.options;
        let runner = Runner::new(options.config(&options.settings));
        let pulse = run.guard.watch(runner.heart());
        let samplers = Samplers::new(options.strategy, options.seed, options.depth);
        Self { run, runner, samplers, pulse, met: HashSet::new(), fuel: Self::FUEL }
    }

    /// Runs these iterations, or fewer: up to a failure, unless the run keeps going, or to its end.
    pub(crate) fn chunk(&mut self, iterations: Range<u64>, profile: &Arc<Profile>) -> Chunk {
        let mut chunk = Chunk { first: iterations.start, ..Chunk::default() };
        chunk.samples.reserve((iterations.end - iterations.start) as usize);
        self.runner.config_mut().count_points = profile.count_points;
        self.pulse.set_active(true);
        for iteration in iterations {
            if self.run.lowest_failing.load(Ordering::Relaxed) < iteration || !self.fuelled() {
                break;
            }
            guard::at(iteration, profile.count_points);
            let sampler = self.samplers.start(iteration, profile);
            let mut ended = self.runner.run(self.run.program, sampler, Record::Choices);
            if let Some(lesson) = sampler.lesson() {
                chunk.lessons.push(lesson);
            }
            if ended.counts_observed && !profile.count_points {
                chunk.lessons.push(Lesson { count_points: true, ..Lesson::default() });
            }
            chunk.left_over |= !ended.left_over.is_empty();
            let first = self.repeat(&mut ended);
            self.fuel = self.fuel.saturating_sub(32 + ended.steps);
            let failed = ended.failure.is_some();
            chunk.samples.push(sample(&ended));
            if failed {
                self.caught(iteration, ended, first, profile.count_points, &mut chunk);
                if !self.run.options.keep_going {
                    self.run.lowest_failing.fetch_min(iteration, Ordering::Relaxed);
                    break;
                }
            }
        }
        self.pulse.set_active(false);
        chunk
    }

    /// Repeats an execution that passed, if that is asked for. If it goes another way then, it has
    /// failed after all; returned are the choices and the log it had.
    fn repeat(&mut self, ended: &mut Ended) -> Option<(Vec<Choice>, Vec<u64>)> {
        if !self.run.options.check_determinism || ended.failure.is_some() {
            return None;
        }
        let (choices, log) = (self.runner.choices().to_vec(), self.runner.log().to_vec());
        let again = self.runner.run(self.run.program, &mut Follow::new(&choices), Record::Choices);
        if again.failure.is_none() && log == self.runner.log() {
            return None;
        }
        ended.failure = Some(Detected {
            kind: FailureKind::Nondeterminism,
            message: "the program behaves differently under the same schedule".to_owned(),
            thread: ThreadId::ROOT,
            step: ended.steps,
            identity: 0,
            detail: None,
        });
        Some((choices, log))
    }

    #[cold]
    fn caught(
        &mut self,
        iteration: u64,
        ended: Ended,
        first: Option<(Vec<Choice>, Vec<u64>)>,
        count_points: bool,
        chunk: &mut Chunk,
    ) {
        let Some(detected) = ended.failure else { return };
        self.run.failing.fetch_add(1, Ordering::Relaxed);
        if !self.met.insert(detected.identity) {
            return;
        }
        let options = self.run.options;
        let (choices, log) =
            first.unwrap_or_else(|| (self.runner.choices().to_vec(), self.runner.log().to_vec()));
        chunk.caught.push(Caught {
            found: Found {
                iteration,
                found_by: strategy::at(options.strategy, iteration).name(),
                settings: options.settings.clone(),
            },
            detected,
            choices,
            log,
            left_over: ended.left_over,
            count_points,
        });
    }

    /// Whether to go on; now and then tells the observer and looks at the clock.
    #[inline]
    fn fuelled(&mut self) -> bool {
        self.fuel > 0 || self.refuel()
    }

    #[cold]
    fn refuel(&mut self) -> bool {
        let run = self.run;
        self.fuel = Self::FUEL;
        // The observer may take its time.
        self.pulse.set_active(false);
        run.observer.progress(run.done.load(Ordering::Relaxed), run.failing.load(Ordering::Relaxed));
        if run.observer.cancelled() {
            run.cut(Cut::Cancelled);
        } else if run.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            run.cut(Cut::OutOfTime);
        }
        self.pulse.set_active(true);
        let goes_on = run.is_cut().is_none();
        if !goes_on {
            self.fuel = 0;
        }
        goes_on
    }
}

pub(crate) fn sample(ended: &Ended) -> Sample {
    Sample {
        class: ended.class,
        outcome: match &ended.failure {
            Some(detected) => detected.identity.rotate_left(1) ^ 1,
            None => ended.output,
        },
        steps: ended.steps,
        abandoned: ended.abandoned.try_into().unwrap_or(u16::MAX),
        failed: ended.failure.is_some(),
        blocked_at: ended.blocked_at.filter(|_| ended.failure.is_none()),
    }
}
