//! A run: blocks of iterations, handed to workers in chunks and merged in order.

use crate::confirm::{Caught, Found, confirm};
use crate::decision::decision;
use crate::guard::{Guard, guarded};
use crate::limits::{Limits, Reached};
use crate::options::{Observer, Options};
use crate::profile::{Profile, ProfileDelta};
use crate::replay::blocked_at;
use crate::schedule_runner::ScheduleRunner;
use crate::sight::Sight;
use crate::stats_collector::StatsCollector;
use crate::strategy::Samplers;
use crate::worker::{Chunk, Worker, sample};
use racefuzz_runtime::Record;
use racefuzz_trace::{FORMAT_VERSION, Failure, FailureKind, Outcome, RunReport, Stats, Warning};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the workers of a run share.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    pub(crate) program: &'a (dyn Fn() + Sync),
    pub(crate) observer: &'a dyn Observer,
    pub(crate) guard: &'a Guard,
    pub(crate) limits: &'a Limits,
    /// The lowest iteration known to fail, unless the run keeps going.
    pub(crate) lowest_failing: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) failing: AtomicU64,
    /// Executions may do without clocks and store histories: nothing has asked for them yet.
    pub(crate) light: AtomicBool,
    /// Something that racefuzz cannot see acted: no more is to be learned.
    unseen: AtomicBool,
}

impl Run<'_> {
    /// Whether the run is over before its time.
    pub(crate) fn is_cut(&self) -> bool {
        self.unseen.load(Ordering::Relaxed) || self.reached().is_some()
    }

    /// Nothing more is to be learned.
    pub(crate) fn give_up(&self) {
        self.unseen.store(true, Ordering::Relaxed);
    }

    /// The limit that was reached.
    pub(crate) fn reached(&self) -> Option<Reached> {
        self.limits.reached(|| self.observer.cancelled())
    }
}

/// Results, merged in the order of the iterations.
#[derive(Default)]
struct Merged {
    stats_collector: StatsCollector,
    deltas: Vec<ProfileDelta>,
    caught: Vec<Caught>,
    met: HashSet<u64>,
    left_over: bool,
    sight: Sight,
    values: Option<String>,
    /// The next iteration to be merged, and chunks that came before their time.
    next: u64,
    early: BTreeMap<u64, Chunk>,
}

impl Merged {
    fn offer(&mut self, chunk: Chunk, keep_going: bool) {
        self.early.insert(chunk.first, chunk);
        while let Some(chunk) = self.early.remove(&self.next) {
            if !keep_going && !self.caught.is_empty() {
                return;
            }
            self.merge(chunk);
        }
    }

    fn merge(&mut self, chunk: Chunk) {
        self.next = chunk.first + chunk.samples.len() as u64;
        for sample in &chunk.samples {
            self.stats_collector.add(sample);
        }
        self.deltas.extend(chunk.deltas);
        self.left_over |= chunk.left_over;
        self.sight.merge(chunk.sight);
        self.values = self.values.take().or(chunk.values);
        for caught in chunk.caught {
            if self.met.insert(caught.detected.identity) {
                self.caught.push(caught);
            }
        }
    }

    /// The run was cut: what lies behind a gap counts only if it failed, for a bug always wins.
    fn close(&mut self, keep_going: bool) {
        for (_, chunk) in std::mem::take(&mut self.early) {
            if keep_going || self.caught.is_empty() && !chunk.caught.is_empty() {
                self.merge(chunk);
            }
        }
    }
}

/// Runs the program under many schedules.
///
/// The report depends on the options and the program only, not on the number of workers, unless the
/// observer or the clock ends the run.
pub fn fuzz(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> RunReport {
    #[cfg(feature = "tracing")]
    let _span = tracing::info_span!(
        "fuzz",
        program = options.program,
        seed = options.seed,
        strategy = options.strategy.name(),
        iterations = options.iterations,
    )
    .entered();
    let limits = Limits::new(options.max_time, options.max_memory);
    let over = || limits.looked_at(|| observer.cancelled());
    let report = guarded(options, program, &over, |guard| {
        let run = Run {
            options,
            program,
            observer,
            guard,
            limits: &limits,
            lowest_failing: AtomicU64::new(u64::MAX),
            done: AtomicU64::new(0),
            failing: AtomicU64::new(0),
            light: AtomicBool::new(true),
            unseen: AtomicBool::new(false),
        };
        drive(&run)
    });
    #[cfg(feature = "tracing")]
    for failure in &report.failures {
        tracing::info!(iteration = failure.iteration, kind = %failure.kind, "{}", failure.message);
    }
    #[cfg(feature = "tracing")]
    tracing::info!(executions = report.stats.executions, outcome = ?report.outcome, "run ended");
    report
}

fn drive(run: &Run<'_>) -> RunReport {
    let options = run.options;
    let mut merged = Merged::default();
    try_first(run, &mut merged);
    let mut profile = Arc::new(Profile::default());
    let mut worker = Worker::new(run);
    let over = |merged: &Merged| !options.keep_going && !merged.caught.is_empty() || run.is_cut();
    let mut start = 0;
    while start < options.iterations && !over(&merged) {
        let end = (start * 2).max(1).min(options.iterations);
        merged = block(run, &mut worker, start..end, &profile, merged);
        if !merged.deltas.is_empty() {
            let profile = Arc::make_mut(&mut profile);
            merged.deltas.drain(..).for_each(|delta| profile.learn(&delta));
        }
        start = end;
    }
    run.observer.progress(run.done.load(Ordering::Relaxed), run.failing.load(Ordering::Relaxed));
    conclude(run, merged)
}

/// Runs the iterations of a block, all with the same profile.
fn block(
    run: &Run<'_>,
    worker: &mut Worker<'_, '_>,
    iterations: Range<u64>,
    profile: &Arc<Profile>,
    mut merged: Merged,
) -> Merged {
    /// Below this, starting threads costs more than it gains.
    const WORTH_SHARING: u64 = 32;
    const CHUNK: u64 = 512;

    let Range { start, end } = iterations;
    merged.next = start;
    let workers = run.options.workers.max(1) as u64;
    let chunk = ((end - start) / (workers * 4)).clamp(1, CHUNK);
    let next = AtomicU64::new(start);
    let shared = Mutex::new(merged);
    let work = |worker: &mut Worker<'_, '_>| {
        loop {
            let from = next.fetch_add(chunk, Ordering::Relaxed);
            let lowest = run.lowest_failing.load(Ordering::Relaxed);
            if from >= end || from > lowest || run.is_cut() {
                return;
            }
            let chunk = worker.chunk(from..(from + chunk).min(end), profile);
            run.done.fetch_add(chunk.samples.len() as u64, Ordering::Relaxed);
            shared.lock().unwrap_or_else(PoisonError::into_inner).offer(chunk, run.options.keep_going);
        }
    };
    // A program that keeps objects from one execution to the next cannot run twice at a time.
    let alone = shared.lock().unwrap_or_else(PoisonError::into_inner).left_over;
    if workers == 1 || alone || end - start < WORTH_SHARING {
        work(worker);
    } else {
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(|| {
                    let _entered = run.guard.enter();
                    work(&mut Worker::new(run));
                });
            }
            work(worker);
        });
    }
    let mut merged = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if run.is_cut() {
        merged.close(run.options.keep_going);
    }
    merged.early.clear();
    #[cfg(feature = "tracing")]
    {
        let (failures, deltas) = (merged.caught.len(), merged.deltas.len());
        tracing::debug!(from = start, to = merged.next, failures, deltas, "iterations");
    }
    merged
}

/// Tries the schedules that failed earlier.
fn try_first(run: &Run<'_>, merged: &mut Merged) {
    for schedule in &run.options.first {
        if !merged.caught.is_empty() && !run.options.keep_going {
            return;
        }
        let mut runner = ScheduleRunner::new(run.options, &schedule.settings, run.program, Some(run.guard));
        let (mut ended, _) = runner.run(&schedule.choices, Record::Choices);
        let mut count_points = false;
        if ended.failure.is_none() && ended.counts_observed {
            count_points = true;
            runner.count_points(true);
            (ended, _) = runner.run(&schedule.choices, Record::Choices);
        }
        merged.stats_collector.add(&sample(&ended));
        run.done.fetch_add(1, Ordering::Relaxed);
        if let Some(detected) = ended.failure {
            run.failing.fetch_add(1, Ordering::Relaxed);
            if merged.met.insert(detected.identity) {
                merged.caught.push(Caught {
                    found: Found {
                        iteration: 0,
                        found_by: "regression",
                        settings: schedule.settings.clone(),
                    },
                    detected,
                    choices: runner.choices().to_vec(),
                    log: runner.log().to_vec(),
                    left_over: ended.left_over,
                    unseen: ended.unseen,
                    shown: None,
                    count_points,
                });
            }
        }
    }
}

/// What looking for a shorter execution, and for what decided it, may take of an unmodified program.
const TIME_TO_EXPLAIN: Duration = Duration::from_secs(20);

/// Confirms and minimises the failures, and says what came out.
fn conclude(run: &Run<'_>, merged: Merged) -> RunReport {
    let options = run.options;
    let mut failures: Vec<Failure> = Vec::new();
    let Merged { stats_collector, caught, sight, values, .. } = merged;
    for caught in caught {
        let settings = &caught.found.settings;
        let mut runner = ScheduleRunner::new(options, settings, run.program, Some(run.guard));
        if options.process {
            runner.limit(TIME_TO_EXPLAIN);
        }
        let mut failure = confirm(&mut runner, options, caught);
        if failures.is_empty() {
            failure.decision = decision(&mut runner, options, &failure);
        }
        // One report that the program is not deterministic is enough.
        let again = failure.kind == FailureKind::Nondeterminism
            && failures.iter().any(|known| known.kind == FailureKind::Nondeterminism);
        if !again {
            failures.push(failure);
        }
    }
    let stats = stats_collector.stats();
    let cut = run.reached().map(|reached| run.limits.words(reached));
    let (outcome, stopped) = match cut {
        stopped if !failures.is_empty() => (Outcome::Failed, stopped),
        Some(why) => (Outcome::Incomplete, Some(why)),
        None if stats.executions > 0 => (Outcome::Passed, None),
        None if stats.blocked > 0 => {
            (Outcome::Incomplete, Some(where_blocked(run, stats_collector.blocks_at_several())))
        }
        None => (Outcome::Incomplete, Some("no execution was asked for".to_owned())),
    };
    let mut report = report(options, outcome, stats, failures, stopped);
    report.warnings.extend(sight.warning());
    report.warnings.extend(values.map(|first| Warning::ValuesDiffer { first }));
    report
}

/// Repeats the first iteration, which is blocked, to see where.
fn where_blocked(run: &Run<'_>, at_several: bool) -> String {
    let options = run.options;
    let mut runner = ScheduleRunner::new(options, &options.settings, run.program, Some(run.guard));
    let mut samplers = Samplers::new(options.strategy, options.seed, options.depth);
    let ended = runner.explore(samplers.start(0, &Arc::default()), Record::Trace);
    ended.trace.as_ref().map_or_else(String::new, |trace| blocked_at(trace, at_several))
}

pub(crate) fn report(
    options: &Options,
    outcome: Outcome,
    stats: Stats,
    failures: Vec<Failure>,
    stopped: Option<String>,
) -> RunReport {
    RunReport {
        version: FORMAT_VERSION,
        program: options.program.clone(),
        outcome,
        seed: options.seed,
        strategy: options.strategy,
        settings: options.settings.clone(),
        iterations: options.iterations,
        stats,
        failures,
        stopped,
        warnings: Vec::new(),
        proof: None,
        expectations: Vec::new(),
    }
}
