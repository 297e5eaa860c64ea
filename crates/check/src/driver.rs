//! A whole exploration: units handed to workers, results merged in the order of the exploration.

use crate::frontier::{Frontier, Place};
use crate::keeper::{Keeper, Kept, Start, fingerprint};
use crate::merged::{Cut, Merged};
use crate::options::{Observer, Options};
use crate::probe;
use crate::sample;
use crate::show::Shower;
use crate::turns::{Places, Turns};
use crate::unit::{Done, Worker};
use crate::waiting::Loops;
use crate::work_item::WorkItem;
use racefuzz_fuzz::{Guard, Limits};
use racefuzz_runtime::Config;
use racefuzz_trace::RunReport;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Executions of a unit.
const FUEL: u64 = 2_000;
/// Executions between two looks at the clock.
const GLANCE: u64 = 32;

/// What the workers share; looked at once per unit.
struct Shared<'a> {
    options: &'a Options,
    program: &'a (dyn Fn() + Sync),
    observer: &'a dyn Observer,
    keeper: Option<&'a dyn Keeper>,
    config: Config,
    loops: Loops,
    places: Places,
    /// A number of the program, for the keeper.
    fingerprint: u64,
    limits: &'a Limits,
    /// Schedules are sampled if the exploration does not end soon.
    samples: bool,
    state: Mutex<State>,
    /// What was found in units that are to be explored again by whoever goes on.
    unkept: Mutex<Vec<Done>>,
    changed: Condvar,
    over: AtomicBool,
}

/// How far it is.
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct State {
    pub(crate) frontier: Frontier,
    pub(crate) merged: Merged,
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many explore side by side. Within a bound it is one, which knows where it has been.
    fn workers(&self) -> usize {
        if self.options.preemptions.is_some() { 1 } else { self.options.workers.max(1) }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn cut(&self) -> Option<Cut> {
        self.limits.reached(|| self.observer.cancelled()).map(Cut::Limit)
    }

    fn keep(&self, state: &State, worker: &mut Worker, finally: bool) {
        if let Some(keeper) = self.keeper
            && (finally || keeper.is_due())
        {
            let count_points = self.config.count_points;
            let (fingerprint, loops) = (self.fingerprint, &self.loops);
            let turns = worker.turns().map(|turns| &*turns);
            keeper.keep(&Kept { fingerprint, count_points, loops, turns, state });
        }
    }
}

/// The program is not the one that an exploration was begun with.
#[derive(Debug)]
pub(crate) struct Changed;

/// Explores a program, from where an earlier exploration ended or from the start.
///
/// # Errors
/// If the program is another one than the earlier exploration's.
pub(crate) fn explore(
    options: &Options,
    program: &(dyn Fn() + Sync),
    observer: &dyn Observer,
    keeper: Option<&dyn Keeper>,
    start: Option<Start>,
) -> Result<RunReport, Changed> {
    let fuzz = options.fuzz();
    let limits = Limits::new(options.max_time, options.max_memory);
    let over = || limits.looked_at(|| observer.cancelled());
    racefuzz_fuzz::guarded(&fuzz, program, &over, |guard| {
        let mut config = fuzz.config(&options.settings);
        let (mut loops, mut places) = (Loops::default(), Places::default());
        let mut begun = start;
        let mut sampled = 0;
        if let Some(start) = &begun {
            config.count_points = start.count_points;
            (loops, places) = (start.loops.clone(), start.places.clone());
        }
        loop {
            let mut worker =
                Worker::new(config.clone(), &loops, options.keep_going).bounded(options.preemptions, &places);
            if let Some(turns) = keeper.and_then(|_| worker.turns()) {
                let seen = begun.as_mut().map_or_else(Vec::new, |start| std::mem::take(&mut start.seen));
                *turns = std::mem::take(turns).kept(seen);
            }
            let fingerprint = match keeper {
                // What has to end at once is still kept under the number of the program.
                Some(_) => watched(guard, &mut worker, |worker| fingerprint(worker, program))
                    .or_else(|| fingerprint(&mut Worker::new(config.clone(), &loops, false), program))
                    .unwrap_or(0),
                None => 0,
            };
            if begun.as_ref().is_some_and(|start| start.fingerprint != fingerprint) {
                return Err(Changed);
            }
            let fresh = || State { frontier: Frontier::whole(), merged: Merged::default() };
            let shared = Shared {
                options,
                program,
                observer,
                keeper,
                config: config.clone(),
                loops: loops.clone(),
                places: places.clone(),
                fingerprint,
                limits: &limits,
                samples: sampled == 0 && sample::is_wanted(options),
                state: Mutex::new(begun.take().map_or_else(fresh, |start| start.state)),
                unkept: Mutex::default(),
                changed: Condvar::new(),
                over: AtomicBool::new(false),
            };
            let mut merged = run(shared, worker, guard);
            sampled = sampled.max(merged.sampled);
            merged.sampled = sampled;
            // Now that it is known, clones and drops of counted references are events.
            let counts = merged.counts_observed && !std::mem::replace(&mut config.count_points, true);
            if loops.learn(&merged.learned) | places.learn(&merged.places) | counts {
                continue;
            }
            if loops.are_taken_back() && sampled == 0 && merged.is_proof() {
                let is_over = || limits.reached(|| observer.cancelled()).is_some();
                merged.sampled_failure = sample::besides(options, program, &is_over, &merged.stats);
            }
            let shower = Shower { options, fuzz: &fuzz, program, config: &config, loops: &loops, guard };
            return Ok(merged.conclude(options, &limits, &shower));
        }
    })
}

/// Runs executions under the eyes of the watchdog.
pub(crate) fn watched<R>(guard: &Guard, worker: &mut Worker, run: impl FnOnce(&mut Worker) -> R) -> R {
    let pulse = guard.watch(worker.runner.heart());
    pulse.set_active(true);
    worker.pulse = Some(Arc::clone(&pulse));
    let result = run(worker);
    worker.pulse = None;
    pulse.set_active(false);
    result
}

fn run(shared: Shared<'_>, mut worker: Worker, guard: &Guard) -> Merged {
    // Unwritable files are noticed before, not after a long run.
    shared.keep(&shared.lock(), &mut worker, true);
    // The first unit and the probes alone, so that what they find depends on nobody else.
    let (is_new, is_estimated) = {
        let mut state = shared.lock();
        // What was handed in when an earlier exploration was over already.
        merge(&shared, &mut worker, &mut state);
        (state.merged.stats.steps == 0, state.merged.estimate.is_some())
    };
    if !is_estimated {
        watched(guard, &mut worker, |worker| {
            if is_new {
                step(&shared, worker);
            }
            let goes_on = || !shared.is_over() && !shared.lock().frontier.is_empty();
            if is_new && goes_on() && shared.samples {
                sample(&shared);
            }
            // The graphs within a bound are no tree.
            if goes_on() && shared.options.preemptions.is_none() {
                estimate(&shared, worker);
            }
        });
    }
    std::thread::scope(|scope| {
        let is_left = !shared.is_over() && !shared.lock().frontier.is_empty();
        for _ in 1..if is_left { shared.workers() } else { 1 } {
            scope.spawn(|| {
                let _entered = guard.enter();
                let mut worker = Worker::new(shared.config.clone(), &shared.loops, shared.options.keep_going)
                    .bounded(shared.options.preemptions, &shared.places);
                watched(guard, &mut worker, |worker| while step(&shared, worker) {});
            });
        }
        watched(guard, &mut worker, |worker| while step(&shared, worker) {});
    });
    let state = shared.lock();
    if state.merged.cut.is_some() {
        shared.keep(&state, &mut worker, true);
    }
    drop(state);
    let State { mut merged, frontier } = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if matches!(merged.cut, Some(Cut::Limit(_))) {
        // A bug found always wins, wherever it was found.
        let unkept = shared.unkept.into_inner().unwrap_or_else(PoisonError::into_inner);
        frontier
            .into_done()
            .chain(unkept)
            .filter(|done| !done.failed.is_empty())
            .for_each(|done| merged.add(done));
    }
    merged
}

/// Explores one unit; whether there was one.
fn step(shared: &Shared<'_>, worker: &mut Worker) -> bool {
    let Some((place, items, fuel)) = take(shared) else { return false };
    let mut looked = 0;
    let mut stop = |executions: u64| {
        if executions < looked + GLANCE {
            return false;
        }
        looked = executions;
        shared.is_over() || shared.cut().is_some()
    };
    let done = worker.explore(shared.program, items, fuel, u64::MAX, &mut stop);
    let mut state = shared.lock();
    if done.stopped
        && let Some(cut) = shared.cut()
    {
        state.merged.cut = Some(cut);
        shared.over.store(true, Ordering::Relaxed);
        if shared.keeper.is_some() {
            // The execution that was stopped is to be had again: the unit counts as unexplored.
            worker.turns().into_iter().for_each(Turns::unsettle);
            shared.unkept.lock().unwrap_or_else(PoisonError::into_inner).push(done);
            shared.changed.notify_all();
            return false;
        }
    }
    worker.turns().into_iter().for_each(Turns::settle);
    state.frontier.hand_in(place, done);
    merge(shared, worker, &mut state);
    shared.observer.progress(&state.merged.progress());
    if !shared.is_over() && !state.frontier.is_empty() {
        match shared.cut() {
            Some(cut) => {
                state.merged.cut = Some(cut);
                shared.over.store(true, Ordering::Relaxed);
            }
            None => shared.keep(&state, worker, false),
        }
    }
    shared.changed.notify_all();
    true
}

/// The first unit that nobody works at, and how many executions to explore of it. Waits while there
/// might be another one.
fn take(shared: &Shared<'_>) -> Option<(Place, Vec<WorkItem>, u64)> {
    let mut state = shared.lock();
    loop {
        if shared.is_over() {
            return None;
        }
        if let Some((place, items)) = state.frontier.take() {
            // Alone, the worker can stop exactly where it is told to.
            let left = shared.options.max_executions.map(|most| left(most, &state.merged));
            let alone = shared.workers() <= 1;
            let fuel = left.filter(|_| alone).map_or(FUEL, |left| left.clamp(1, FUEL));
            return Some((place, items, fuel));
        }
        if state.frontier.is_empty() {
            return None;
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn left(most: u64, merged: &Merged) -> u64 {
    most.saturating_sub(merged.stats.executions)
}

/// Merges what is next in order, as far as it is done.
fn merge(shared: &Shared<'_>, worker: &mut Worker, state: &mut State) {
    let options = shared.options;
    while !shared.is_over() {
        let Some(mut done) = state.frontier.next_done() else { return };
        let mut beyond = false;
        if let Some(left) = options.max_executions.map(|most| left(most, &state.merged))
            && done.executions > left
        {
            // Explored beyond the limit: again, up to it.
            let start = std::mem::take(&mut done.start);
            done = worker.explore(shared.program, start, u64::MAX, left, &mut |_| false);
            beyond = true;
        }
        let observed = done.counts_observed && !shared.config.count_points;
        let learned = state.merged.learned.learn(&done.learned) | state.merged.places.learn(&done.places);
        state.merged.add(done);
        state.merged.counts_observed |= observed;
        let failed = !state.merged.failed.is_empty() && !options.keep_going;
        let enough = options.max_executions.is_some_and(|most| left(most, &state.merged) == 0);
        if enough && !failed && (beyond || !state.frontier.is_empty()) {
            state.merged.cut = Some(Cut::Enough);
        }
        if failed || observed || learned || state.merged.has_diverged() || state.merged.cut.is_some() {
            shared.over.store(true, Ordering::Relaxed);
        }
    }
}

/// Once the first unit is done and more is left: is there a bug that many schedules show?
fn sample(shared: &Shared<'_>) {
    let steps = {
        let stats = &shared.lock().merged.stats;
        stats.steps / (stats.executions + stats.blocked).max(1)
    };
    let (sampled, failure) =
        sample::sample(shared.options, shared.program, &|| shared.cut().is_some(), steps);
    let mut state = shared.lock();
    state.merged.sampled = sampled;
    if let Some(failure) = failure {
        state.merged.sampled_failure = Some(failure);
        shared.over.store(true, Ordering::Relaxed);
    }
}

/// Once the first unit is done and more is left: how much may that be?
fn estimate(shared: &Shared<'_>, worker: &mut Worker) {
    let probed = probe::probe(worker, shared.program);
    let mut state = shared.lock();
    state.merged.estimate = Some((probed.mean, probed.error));
    // A probe that meets a bug has found it.
    if let Some(failed) = probed.failed.filter(|_| !shared.options.keep_going) {
        state.merged.add_probed(failed);
        shared.over.store(true, Ordering::Relaxed);
    }
}
