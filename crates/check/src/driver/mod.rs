//! A whole exploration: begun anew with what was learned, without the bound on preemptions where that is cheaper.

mod shared;
mod units;

pub(crate) use shared::State;

use crate::frontier::Frontier;
use crate::keeper::{Keeper, Start, fingerprint};
use crate::merged::Merged;
use crate::options::{Observer, Options};
use crate::sample;
use crate::show::Shower;
use crate::turns::Places;
use crate::unit::Worker;
use crate::waiting::Loops;
use racefuzz_fuzz::{Guard, Limits};
use racefuzz_trace::{Outcome, RunReport};
use shared::{Patience, Shared};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};
use units::run;

/// Executions within a bound on preemptions, complete or not, after which it is tried to do without it; each
/// time that was in vain, four times as many.
const LONG: u64 = 20_000;
const LONGER: u64 = 4;
/// All executions are few enough for that if they are no more than so many for each that was run within the
/// bound: one of a graph that nobody had been at takes a fraction of what it takes to come to states that others
/// have explored.
const FEW: u64 = 100;

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
        let watch = Watch { limits: &limits, observer, guard };
        // Whoever goes on from a checkpoint is to do what was begun.
        let patience = match options.preemptions {
            Some(_) if keeper.is_none() => Patience::Pauses(LONG),
            _ => Patience::Endless,
        };
        explore_watched(options, program, &watch, keeper, start, (patience, 0))
    })
}

/// Who watches an exploration.
#[derive(Clone, Copy)]
struct Watch<'a> {
    limits: &'a Limits,
    observer: &'a dyn Observer,
    guard: &'a Guard,
}

fn explore_watched(
    options: &Options,
    program: &(dyn Fn() + Sync),
    watch: &Watch<'_>,
    keeper: Option<&dyn Keeper>,
    start: Option<Start>,
    (mut patience, mut sampled): (Patience, u64),
) -> Result<RunReport, Changed> {
    let Watch { limits, observer, guard } = *watch;
    let fuzz = options.fuzz();
    let mut config = fuzz.config(&options.settings);
    let (mut loops, mut places) = (Loops::default(), Places::default());
    let mut begun = start;
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
        let fresh =
            || State { frontier: Frontier::whole(), merged: Merged::default(), examined: BTreeMap::new() };
        let mut shared = Shared {
            options,
            program,
            observer,
            keeper,
            config: config.clone(),
            loops: loops.clone(),
            places: places.clone(),
            fingerprint,
            limits,
            samples: sampled == 0 && sample::is_wanted(options),
            patience,
            state: Mutex::new(begun.take().map_or_else(fresh, |start| start.state)),
            unkept: Mutex::default(),
            changed: Condvar::new(),
            over: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            ran: AtomicU64::new(0),
        };
        run(&shared, &mut worker, guard);
        while let Some(ran) = shared.has_paused() {
            let sampled = sampled.max(shared.lock().merged.sampled);
            let report = explore_all(options, program, watch, (Patience::Few(FEW * ran), sampled))?;
            let is_proof = report.proof.as_ref().is_some_and(|proof| proof.whole);
            if report.stopped.is_none() && (is_proof || report.outcome() == Outcome::Failed) {
                return Ok(report);
            }
            patience = Patience::Pauses(LONGER * ran);
            shared.patience = patience;
            run(&shared, &mut worker, guard);
        }
        let mut merged = shared.into_merged();
        sampled = sampled.max(merged.sampled);
        merged.sampled = sampled;
        // Now that it is known, clones and drops of counted references are events.
        let counts = merged.counts_observed && !std::mem::replace(&mut config.count_points, true);
        if loops.learn(&merged.learned) | places.learn(&merged.places) | counts {
            loops.learn(&merged.in_passing);
            continue;
        }
        loops.learn(&merged.in_passing);
        if loops.are_taken_back() && sampled == 0 && merged.is_proof() {
            let is_over = || limits.reached(|| observer.cancelled()).is_some();
            merged.sampled_failure = sample::besides(options, program, &is_over, &merged.stats);
        }
        let shower = Shower { options, fuzz: &fuzz, program, config: &config, loops: &loops, guard };
        return Ok(merged.conclude(options, limits, &shower));
    }
}

/// Explores a program without the bound on preemptions that it is asked for, as long as its executions seem to
/// be few. Where most schedules lead to states that others have explored, the bound costs more than it saves: three
/// preemptions among some hundred events lead to the same graph in thousands of ways.
fn explore_all(
    options: &Options,
    program: &(dyn Fn() + Sync),
    watch: &Watch<'_>,
    patience: (Patience, u64),
) -> Result<RunReport, Changed> {
    let options = Options { preemptions: None, ..options.clone() };
    explore_watched(&options, program, watch, None, None, patience)
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
