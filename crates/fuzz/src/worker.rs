//! One worker: runs a stretch of iterations and keeps what is to be merged.

use crate::confirm::{Caught, Found};
use crate::driver::Run;
use crate::guard::{self, Pulse};
use crate::profile::{Profile, ProfileDelta};
use crate::recheck::{Difference, Executed, Order, compare, is_sampled};
use crate::replay::ReplayExplorer;
use crate::sight::Sight;
use crate::stats_collector::Sample;
use crate::strategy::{self, Insistent, Samplers};
use racefuzz_runtime::{Config, Ended, Record, Runner};
use racefuzz_trace::{Choice, Settings, Trace};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The results of consecutive iterations.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) samples: Vec<Sample>,
    pub(crate) deltas: Vec<ProfileDelta>,
    pub(crate) caught: Vec<Caught>,
    /// Some object had been used by an earlier execution.
    pub(crate) left_over: bool,
    /// What was seen of the program.
    pub(crate) sight: Sight,
    /// The first difference in a value between two executions of one schedule.
    pub(crate) values: Option<String>,
}

/// What an execution was before it was repeated.
struct First {
    choices: Vec<Choice>,
    log: Vec<u64>,
    /// The repetition, if that is what shows the failure.
    shown: Option<Trace>,
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
        let config = Config { light: run.light.load(Ordering::Relaxed), ..options.config(&options.settings) };
        let runner = Runner::new(config);
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
            self.pulse.at(iteration, profile.count_points);
            let insistence = strategy::insistence(self.run.options, iteration);
            self.runner.config_mut().insistence = insistence;
            let record = if self.is_repeated(iteration) { Record::Trace } else { Record::Choices };
            let mut ended = self.execute(iteration, profile, record);
            if ended.again {
                ended = self.execute(iteration, profile, record);
            }
            if let Some(delta) = self.samplers.delta() {
                chunk.deltas.push(delta);
            }
            if ended.counts_observed && !profile.count_points {
                chunk.deltas.push(ProfileDelta { count_points: true, ..ProfileDelta::default() });
            }
            chunk.left_over |= !ended.left_over.is_empty();
            if ended.stopped {
                break;
            }
            chunk.sight.look(self.runner.log(), ended.threads);
            let first = self.repeat(iteration, &mut ended, &mut chunk);
            self.fuel = self.fuel.saturating_sub(32 + ended.steps);
            let failed = ended.failure.is_some();
            chunk.samples.push(sample(&ended));
            if failed {
                let unseen = ended.unseen;
                self.caught(iteration, ended, first, profile.count_points, &mut chunk);
                if unseen {
                    self.run.give_up();
                    break;
                }
                if !self.run.options.keep_going {
                    self.run.lowest_failing.fetch_min(iteration, Ordering::Relaxed);
                    break;
                }
            }
        }
        if !self.runner.is_light() {
            self.run.light.store(false, Ordering::Relaxed);
        }
        self.pulse.set_active(false);
        chunk
    }

    /// Runs an iteration.
    fn execute(&mut self, iteration: u64, profile: &Arc<Profile>, record: Record) -> Ended {
        let sampler = self.samplers.start(iteration, profile);
        if self.runner.config_mut().insistence == 0 {
            return self.runner.run(self.run.program, sampler, record);
        }
        self.runner.run(self.run.program, &mut Insistent(sampler), record)
    }

    /// Whether an iteration that passes is executed twice.
    fn is_repeated(&self, iteration: u64) -> bool {
        let options = self.run.options;
        let is_sampled = is_sampled(iteration) || iteration + 1 == options.iterations;
        options.check_determinism || options.recheck && is_sampled
    }

    /// Repeats an execution that passed, if it is one of the sample or all are repeated. If it goes
    /// another way then, it has failed after all; returned is what it was.
    fn repeat(&mut self, iteration: u64, ended: &mut Ended, chunk: &mut Chunk) -> Option<First> {
        if ended.failure.is_some() || !self.is_repeated(iteration) {
            return None;
        }
        let first = Executed::new(ended, self.runner.log());
        let choices = self.runner.choices().to_vec();
        let mut again = || {
            let ended = self.runner.run(self.run.program, &mut ReplayExplorer::new(&choices), Record::Trace);
            (Executed::new(&ended, self.runner.log()), ended)
        };
        let (second, shown) = again();
        if shown.stopped {
            return None;
        }
        if shown.unseen {
            let (failure, trace) = (shown.failure, shown.trace);
            ended.failure = failure;
            return Some(First { choices, log: Vec::new(), shown: trace });
        }
        match compare(&first, &second, Order::Same, || again().0)? {
            Difference::Value(text) => {
                chunk.values.get_or_insert(text);
                None
            }
            Difference::Events(detected) => {
                ended.failure = Some(*detected);
                Some(First { choices, log: Vec::new(), shown: shown.trace })
            }
        }
    }

    #[cold]
    fn caught(
        &mut self,
        iteration: u64,
        ended: Ended,
        first: Option<First>,
        count_points: bool,
        chunk: &mut Chunk,
    ) {
        let Some(detected) = ended.failure else { return };
        self.run.failing.fetch_add(1, Ordering::Relaxed);
        if !self.met.insert(detected.identity) {
            return;
        }
        let options = self.run.options;
        // Where nobody had to, it is an execution like any other.
        let insistence = if ended.insisted { self.runner.config_mut().insistence } else { 0 };
        let First { choices, log, shown } = first.unwrap_or_else(|| First {
            choices: self.runner.choices().to_vec(),
            log: self.runner.log().to_vec(),
            shown: None,
        });
        chunk.caught.push(Caught {
            found: Found {
                iteration,
                found_by: strategy::at(options.strategy, iteration).name(),
                settings: Settings { insistence, ..options.settings.clone() },
            },
            detected,
            choices,
            log,
            left_over: ended.left_over,
            count_points,
            unseen: ended.unseen,
            shown,
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
        let goes_on = !run.is_cut();
        self.pulse.set_active(true);
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
