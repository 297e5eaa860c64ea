//! Units handed to workers, results merged in the order of the exploration.

use super::shared::{Shared, State};
use super::watched;
use crate::frontier::Place;
use crate::merged::{Cut, Merged};
use crate::probe;
use crate::sample;
use crate::turns::Turns;
use crate::unit::Worker;
use crate::work_item::WorkItem;
use racefuzz_fuzz::Guard;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Executions of a unit.
const FUEL: u64 = 2_000;
/// Executions between two looks at the clock.
const GLANCE: u64 = 32;

/// Explores what is left, with all workers, until it is over or pauses.
pub(super) fn run(shared: &Shared<'_>, worker: &mut Worker, guard: &Guard) {
    // Unwritable files are noticed before, not after a long run.
    shared.keep(&shared.lock(), worker, true);
    // The first unit and the probes alone, so that what they find depends on nobody else.
    let (is_new, is_estimated) = {
        let mut state = shared.lock();
        worker.begins_with(&state.examined);
        // What was handed in when an earlier exploration was over already.
        merge(shared, worker, &mut state);
        (state.merged.stats.steps == 0, state.merged.estimate.is_some())
    };
    if !is_estimated {
        watched(guard, worker, |worker| {
            if is_new {
                step(shared, worker);
                let examined = worker.examined();
                worker.begins_with(&examined);
                shared.lock().examined = examined;
            }
            let goes_on = || !shared.is_over() && !shared.lock().frontier.is_empty();
            if is_new && goes_on() && shared.samples {
                sample(shared);
            }
            // The graphs within a bound are no tree.
            if goes_on() && shared.options.preemptions.is_none() {
                estimate(shared, worker);
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
                worker.begins_with(&shared.lock().examined);
                watched(guard, &mut worker, |worker| while step(shared, worker) {});
            });
        }
        watched(guard, worker, |worker| while step(shared, worker) {});
    });
    let state = shared.lock();
    if state.merged.cut.is_some() {
        shared.keep(&state, worker, true);
    }
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
    let ran = done.executions + done.blocked + done.met_again;
    let ran = shared.ran.fetch_add(ran, Ordering::Relaxed) + ran;
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
            None if shared.patience.pauses(ran, state.merged.stats.executions) => {
                shared.paused.store(true, Ordering::Relaxed);
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
            let left = shared.most().map(|most| left(most, &state.merged));
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
    let (options, most) = (shared.options, shared.most());
    while !shared.is_over() {
        let Some(mut done) = state.frontier.next_done() else { return };
        let mut beyond = false;
        if let Some(left) = most.map(|most| left(most, &state.merged))
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
        let learned = learned | state.merged.learns_from_others();
        state.merged.counts_observed |= observed;
        let failed = !state.merged.failed.is_empty() && !options.keep_going;
        let enough = most.is_some_and(|most| left(most, &state.merged) == 0);
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
    } else if !shared.patience.allows(probed.mean + probed.error) {
        state.merged.cut = Some(Cut::Enough);
        shared.over.store(true, Ordering::Relaxed);
    }
}
