//! A whole exploration: units handed to workers, results merged in the order of the exploration.

use crate::explore::Item;
use crate::graph::Graph;
use crate::options::{Observer, Options, Progress};
use crate::probe;
use crate::show::{self, Shower};
use crate::spin::Loops;
use crate::unit::{Done, Failed, Worker};
use racefuzz_runtime::Config;
use racefuzz_trace::{Engine, FORMAT_VERSION, Failure, Outcome, Proof, RunReport, Stats, Strategy};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Executions of a unit.
const FUEL: u64 = 2_000;
/// Units that the rest of a unit is split into.
const PIECES: usize = 4;

/// A unit's place in the order of the exploration.
type Place = Vec<u32>;

enum Unit {
    Waiting(Vec<Item>),
    Taken,
    Done(Box<Done>),
}

/// Why an exploration ends before everything is explored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Cancelled,
    OutOfTime,
    Enough,
}

#[derive(Default)]
struct Merged {
    stats: Stats,
    relaxed: bool,
    failed: Vec<(Failed, u64)>,
    met: HashSet<u64>,
    diverged: Option<Graph>,
    counts_observed: bool,
    learned: Loops,
    blocked_at: Option<String>,
    cut: Option<Cut>,
    estimate: Option<(f64, f64)>,
}

/// What the workers share; looked at once per unit.
struct Shared<'a> {
    options: &'a Options,
    program: &'a (dyn Fn() + Sync),
    observer: &'a dyn Observer,
    config: Config,
    loops: Loops,
    deadline: Option<Instant>,
    state: Mutex<State>,
    changed: Condvar,
    over: AtomicBool,
}

struct State {
    units: BTreeMap<Place, Unit>,
    merged: Merged,
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Explores a program.
pub(crate) fn explore(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> RunReport {
    let fuzz = options.fuzz();
    racefuzz_fuzz::guarded(&fuzz, program, |guard| {
        let mut config = fuzz.config(&options.settings);
        let mut loops = Loops::default();
        loop {
            let merged = run(options, program, observer, &config, &loops, guard);
            // Now that it is known, clones and drops of counted references are events.
            let counts = merged.counts_observed && !std::mem::replace(&mut config.count_points, true);
            if loops.learn(&merged.learned) || counts {
                continue;
            }
            let shower = Shower { options, fuzz: &fuzz, program, config: &config, loops: &loops, guard };
            return conclude(options, merged, &shower);
        }
    })
}

fn run(
    options: &Options,
    program: &(dyn Fn() + Sync),
    observer: &dyn Observer,
    config: &Config,
    loops: &Loops,
    guard: &racefuzz_fuzz::Guard,
) -> Merged {
    let root = vec![Item { graph: Graph::new(), revisited: None }];
    let shared = Shared {
        options,
        program,
        observer,
        config: config.clone(),
        loops: loops.clone(),
        deadline: options.max_time.and_then(|time| Instant::now().checked_add(time)),
        state: Mutex::new(State {
            units: BTreeMap::from([(Place::new(), Unit::Waiting(root))]),
            merged: Merged::default(),
        }),
        changed: Condvar::new(),
        over: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for _ in 1..options.workers.max(1) {
            scope.spawn(|| {
                let _entered = guard.enter();
                work(&shared, guard);
            });
        }
        work(&shared, guard);
    });
    shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).merged
}

fn work(shared: &Shared<'_>, guard: &racefuzz_fuzz::Guard) {
    let mut worker = Worker::new(shared.config.clone(), &shared.loops, shared.options.keep_going);
    let pulse = guard.watch(worker.runner.heart());
    loop {
        let Some((place, items, fuel)) = take(shared) else { return };
        let start = shared.options.max_executions.map(|_| items.clone());
        pulse.set_active(true);
        let mut done = worker.explore(shared.program, items, fuel, u64::MAX);
        done.start = start;
        pulse.set_active(false);
        let is_first = place.is_empty();
        put(shared, &mut worker, place, done);
        if is_first && !shared.over.load(Ordering::Relaxed) && !shared.lock().units.is_empty() {
            pulse.set_active(true);
            estimate(shared, &mut worker);
            pulse.set_active(false);
        }
    }
}

/// The first unit that nobody works at. Waits while there might be another one.
fn take(shared: &Shared<'_>) -> Option<(Place, Vec<Item>, u64)> {
    let mut state = shared.lock();
    loop {
        if shared.over.load(Ordering::Relaxed) {
            return None;
        }
        let next = state.units.iter_mut().find(|(_, unit)| matches!(unit, Unit::Waiting(_)));
        if let Some((place, unit)) = next {
            let Unit::Waiting(items) = std::mem::replace(unit, Unit::Taken) else {
                unreachable!("just seen")
            };
            let place = place.clone();
            // Alone, the worker can stop exactly where it is told to.
            let left = shared.options.max_executions.map(|most| most - state.merged.stats.executions);
            let alone = shared.options.workers <= 1;
            let fuel = left.filter(|_| alone).map_or(FUEL, |left| left.clamp(1, FUEL));
            return Some((place, items, fuel));
        }
        if state.units.is_empty() {
            return None;
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Hands in what a unit came to, and merges what is next in order.
fn put(shared: &Shared<'_>, worker: &mut Worker, place: Place, mut done: Done) {
    let rest = std::mem::take(&mut done.rest);
    let mut state = shared.lock();
    if !rest.is_empty() {
        // The last graph is the next: pieces from the end come first.
        let size = rest.len().div_ceil(PIECES);
        let mut rest = rest;
        let mut piece = 0;
        while !rest.is_empty() {
            let items = rest.split_off(rest.len().saturating_sub(size));
            let mut place = place.clone();
            place.push(piece);
            state.units.insert(place, Unit::Waiting(items));
            piece += 1;
        }
    }
    state.units.insert(place, Unit::Done(Box::new(done)));
    while let Some(entry) = state.units.first_entry().filter(|entry| matches!(entry.get(), Unit::Done(_))) {
        let Unit::Done(done) = entry.remove() else { unreachable!("just seen") };
        merge(shared, worker, &mut state, *done);
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
    }
    shared.observer.progress(&progress(&state.merged));
    let cut = if shared.observer.cancelled() {
        Some(Cut::Cancelled)
    } else if shared.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        Some(Cut::OutOfTime)
    } else {
        None
    };
    if let (Some(cut), false) = (cut, shared.over.load(Ordering::Relaxed) || state.units.is_empty()) {
        state.merged.cut = Some(cut);
        // A bug found always wins, wherever it was found.
        let found: Vec<Place> = state.units.keys().cloned().collect();
        for place in found {
            if let Some(Unit::Done(done)) = state.units.remove(&place)
                && !done.failed.is_empty()
            {
                add(&mut state.merged, *done);
            }
        }
        shared.over.store(true, Ordering::Relaxed);
    }
    shared.changed.notify_all();
}

fn progress(merged: &Merged) -> Progress {
    Progress {
        executions: merged.stats.executions,
        blocked: merged.stats.blocked,
        failing: merged.stats.failing,
        estimate: merged.estimate,
    }
}

fn add(merged: &mut Merged, done: Done) {
    let before = merged.stats.executions;
    merged.stats.executions += done.executions;
    merged.stats.classes += done.executions;
    merged.stats.blocked += done.blocked;
    merged.stats.failing += done.failing;
    merged.stats.steps += done.steps;
    merged.stats.abandoned += done.abandoned;
    merged.relaxed |= done.relaxed;
    for failed in done.failed {
        if merged.met.insert(failed.detected.identity) {
            let index = before + failed.before;
            merged.failed.push((failed, index));
        }
    }
    merged.diverged = merged.diverged.take().or(done.diverged);
    merged.blocked_at = merged.blocked_at.take().or(done.blocked_at);
}

fn merge(shared: &Shared<'_>, worker: &mut Worker, state: &mut State, mut done: Done) {
    let options = shared.options;
    let mut beyond = false;
    if let Some(most) = options.max_executions {
        let left = most - state.merged.stats.executions;
        if done.executions > left
            && let Some(start) = done.start.take()
        {
            // Explored beyond the limit: again, up to it.
            done = worker.explore(shared.program, start, u64::MAX, left);
            beyond = true;
        }
    }
    let observed = done.counts_observed && !shared.config.count_points;
    let diverged = done.diverged.is_some();
    let learned = state.merged.learned.learn(&done.learned);
    add(&mut state.merged, done);
    state.merged.counts_observed |= observed;
    let failed = !state.merged.failed.is_empty() && !options.keep_going;
    let enough = options.max_executions.is_some_and(|most| state.merged.stats.executions >= most);
    if enough && !failed && (beyond || !state.units.is_empty()) {
        state.merged.cut = Some(Cut::Enough);
    }
    if failed || observed || learned || diverged || state.merged.cut.is_some() {
        shared.over.store(true, Ordering::Relaxed);
    }
}

/// Once the first unit is done and more is left: how much may that be?
fn estimate(shared: &Shared<'_>, worker: &mut Worker) {
    let probed = probe::probe(worker, shared.program);
    let mut state = shared.lock();
    state.merged.estimate = Some((probed.mean, probed.error));
    if shared.options.keep_going {
        return;
    }
    // A probe that meets a bug has found it.
    if let Some(failed) = probed.failed
        && state.merged.failed.is_empty()
        && !shared.over.swap(true, Ordering::Relaxed)
    {
        let index = state.merged.stats.executions;
        state.merged.stats.executions += 1;
        state.merged.stats.failing += 1;
        state.merged.failed.push((failed, index));
        shared.changed.notify_all();
    }
}

fn conclude(options: &Options, merged: Merged, shower: &Shower<'_>) -> RunReport {
    let mut failures: Vec<Failure> = merged
        .failed
        .into_iter()
        .map(|(failed, index)| show::failure(shower, failed.graph, failed.detected, index))
        .collect();
    let diverged = merged.diverged.is_some();
    if let Some(graph) = merged.diverged {
        failures.push(show::diverged(shower, graph, merged.stats.executions));
    }
    let mut stats = merged.stats;
    stats.outcomes = 0;
    let cut = merged.cut.map(|cut| match cut {
        Cut::Cancelled => "interrupted".to_owned(),
        Cut::OutOfTime => match options.max_time {
            Some(time) => format!("the time limit of {time:?} was reached"),
            None => "out of time".to_owned(),
        },
        Cut::Enough => match options.max_executions {
            Some(1) => "the limit of one execution was reached".to_owned(),
            Some(most) => format!("the limit of {most} executions was reached"),
            None => "enough".to_owned(),
        },
    });
    let finished = cut.is_none() && !diverged;
    let (outcome, stopped) = match cut {
        cut if !failures.is_empty() => (Outcome::Failed, cut),
        Some(why) => (Outcome::Incomplete, Some(why)),
        None if stats.executions > 0 => (Outcome::Passed, None),
        None => {
            let at = merged.blocked_at.map_or_else(String::new, |site| format!(" at {site}"));
            (Outcome::Incomplete, Some(format!("every execution blocks{at}")))
        }
    };
    let explored = finished && (failures.is_empty() || options.keep_going);
    let whole = explored && stats.executions > 0;
    RunReport {
        version: FORMAT_VERSION,
        program: options.program.clone(),
        outcome,
        seed: 0,
        strategy: Strategy::default(),
        settings: options.settings.clone(),
        iterations: 0,
        stats,
        failures,
        stopped,
        proof: Some(Proof { engine: Engine::Graph, whole, relaxed: merged.relaxed }),
    }
}
