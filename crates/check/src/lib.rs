//! Floor 3, the checking side: explores every execution graph of a program, each exactly once.
//!
//! In go a program and [`Options`]; out comes a [`RunReport`] that says
//! `Passed` only if every graph that the memory model allows was explored. A graph is an execution
//! up to the order of events that do not depend on each other: program order, reads-from and
//! modification order.
//!
//! The algorithm is TruSt (Kokologiannakis, Marmanis, Gladstein & Vafeiadis, POPL'22): `explore`
//! adds events, a read for each consistent write, a write for each place in modification order and
//! for each earlier read that it may still give its value to (`revisit`). `model` holds what the
//! memory models allow. Each graph is one execution of the program, from its start; `unit` explores
//! a stretch of them, `driver` shares them among workers, `realise` turns a graph that fails into a
//! schedule that the sampling side can replay and minimise.
//!
//! Where it differs from the paper: operations on state words (locks, channels, `Var`) are totally
//! ordered, as the runtime's memory for them is real; a thread that waits for a word is revisited in
//! place (CAV'23); what an operation on a state word would read is known before it happens, so it is
//! executed only where its graph has it.
//!
//! ```
//! use racefuzz_check::{Options, check};
//! use racefuzz_runtime::{Site, ops};
//! use racefuzz_trace::Outcome;
//!
//! let program = || assert!(ops::choose(10, Site::caller()).unwrap() < 10);
//! let report = check(&Options::default(), &program, &());
//! assert_eq!(report.outcome(), Outcome::Passed);
//! assert_eq!(report.executions(), 10);
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "checkpoint")]
mod checkpoint;
mod driver;
mod explore;
mod frontier;
mod graph;
mod keeper;
mod kept_out;
mod linearize;
mod merged;
mod model;
mod options;
mod probe;
mod realise;
mod recheck;
mod revisit;
mod sample;
mod show;
mod turns;
mod unit;
mod waiting;
mod work_item;

#[cfg(feature = "checkpoint")]
pub use checkpoint::{CheckpointError, check_with_checkpoint};
pub use options::{Observer, Options, Progress, Visited};

use racefuzz_trace::RunReport;

/// Explores every execution graph of a program, or as many as the options allow.
///
/// The report depends on the options and the program only, not on the number of workers, unless the
/// observer or the clock ends the exploration.
pub fn check(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> RunReport {
    #[cfg(feature = "tracing")]
    let _span = span(options).entered();
    let report = driver::explore(options, program, observer, None, None)
        .unwrap_or_else(|_| unreachable!("there was nothing to go on from"));
    #[cfg(feature = "tracing")]
    tracing::info!(
        executions = report.stats.executions,
        blocked = report.stats.blocked,
        outcome = ?report.outcome,
        "exploration ended"
    );
    report
}

/// What an exploration logs as its span.
#[cfg(feature = "tracing")]
fn span(options: &Options) -> tracing::Span {
    let edits = options.overlay.as_ref().map_or(0, |overlay| overlay.edits.len());
    let memory = options.settings.memory.name();
    tracing::info_span!("check", program = options.program, memory, preemptions = options.preemptions, edits)
}

/// How an exploration by [`visit`] ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Complete executions, failing ones included.
    pub executions: u64,
    /// Blocked ones.
    pub blocked: u64,
    /// Failing ones.
    pub failing: u64,
    /// Whether everything was explored.
    pub whole: bool,
}

/// Explores a program and shows each complete execution, with its trace, one for each graph; goes on
/// after failures until `show` says no. On the calling thread. Nobody watches: a program that hangs,
/// hangs.
pub fn visit(options: &Options, program: &dyn Fn(), show: &mut dyn FnMut(&Visited<'_>) -> bool) -> Counts {
    visit_guarded(options, program, None, show)
}

/// As [`visit`], watched: ends within an execution when a limit of the options is reached, or when
/// `cancelled` says so; one that hangs fails.
pub fn visit_watched(
    options: &Options,
    program: &(dyn Fn() + Sync),
    cancelled: &(dyn Fn() -> bool + Sync),
    show: &mut dyn FnMut(&Visited<'_>) -> bool,
) -> Counts {
    let limits = racefuzz_fuzz::Limits::new(options.max_time, options.max_memory);
    let over = || limits.looked_at(cancelled);
    racefuzz_fuzz::guarded_here(&options.fuzz(), program, &over, |guard| {
        visit_guarded(options, program, Some(guard), show)
    })
}

fn visit_guarded(
    options: &Options,
    program: &dyn Fn(),
    guard: Option<&racefuzz_fuzz::Guard>,
    show: &mut dyn FnMut(&Visited<'_>) -> bool,
) -> Counts {
    #[cfg(feature = "tracing")]
    let _span = span(options).entered();
    let mut config = options.fuzz().config(&options.settings);
    let (mut loops, mut places) = (waiting::Loops::default(), turns::Places::default());
    let mut begun_anew = 0;
    loop {
        let mut worker =
            unit::Worker::new(config.clone(), &loops, true).bounded(options.preemptions, &places);
        let mut run = |worker: &mut unit::Worker| {
            worker.visit(program, &mut |ended, done| {
                let failure = ended.failure.as_ref();
                let wanted =
                    ended.trace.as_ref().is_some_and(|trace| show(&Visited { trace, failure, begun_anew }));
                wanted && options.max_executions.is_none_or(|most| done.executions < most)
            })
        };
        let done = match guard {
            Some(guard) => driver::watched(guard, &mut worker, run),
            None => run(&mut worker),
        };
        let counts = done.counts_observed && !std::mem::replace(&mut config.count_points, true);
        if loops.learn(&done.learned) | places.learn(&done.places) | counts {
            #[cfg(feature = "tracing")]
            tracing::debug!(executions = done.executions, counts, "begins anew with what was learned");
            begun_anew += 1;
            loops.learn(&done.in_passing);
            continue;
        }
        if let Some(found) = &done.unrepeatable {
            show(&Visited { trace: &found.trace, failure: Some(&found.detected), begun_anew });
        }
        let whole = done.rest.is_empty() && done.diverged.is_none();
        let whole =
            whole && done.unrepeatable.is_none() && !done.stopped && !(done.bounded || done.rounds_cut);
        let unit::Done { executions, blocked, failing, .. } = done;
        return Counts { executions, blocked, failing, whole };
    }
}
