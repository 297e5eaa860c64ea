//! Loom's exploration of a program, again where it turns out to need more than was prepared.

use crate::backend::{Loom, Stop};
use crate::exceptions::Exception;
use crate::twins::Sizes;
use racefuzz_check::{Observer, Options, Progress};
use racefuzz_runtime::Session;
use racefuzz_trace::{
    Engine, Failure, FailureDetail, FailureKind, MemoryModel, Outcome, Proof, RunReport, Schedule, Stats,
    ThreadId, Trace,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Steps after which loom gives an execution up: its own default.
const MAX_BRANCHES: usize = 1_000;
/// Iterations between two reports of progress.
const STRIDE: u64 = 64;

/// What loom made of a program.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict and the counts. Its executions are loom's iterations, of which several may be one
    /// execution graph; a failure has no trace.
    pub report: RunReport,
    /// What loom lacks for this program, or may get wrong about it.
    pub exceptions: Vec<Exception>,
}

/// Explores a program with loom.
///
/// `Passed` is loom's word for it. It is a proof only where nothing that loom
/// [hides](Exception::hides) is among what the program met: the report says so in `proof` and
/// `stopped`.
pub fn check(options: &Options, program: &(dyn Fn() + Sync)) -> RunReport {
    check_watched(options, program, &()).report
}

/// The same, watched by an observer, and with the limitations that the program met.
pub fn check_watched(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> Checked {
    if options.settings.memory != MemoryModel::Rc11 {
        let stop = Stop::Refused(Exception::MemoryModel, Some(options.settings.memory.to_string()));
        return conclude(options, 0, Some(stop), Vec::new());
    }
    // What an execution that failed leaves in loom's own thread-local state stays with this thread.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("loom".to_owned());
        let running = thread.spawn_scoped(scope, || explore(options, program, observer));
        match running.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(checked)) => checked,
            Ok(Err(payload)) => std::panic::resume_unwind(payload),
            Err(error) => panic!("the system cannot make a thread: {error}"),
        }
    })
}

fn explore(options: &Options, program: &(dyn Fn() + Sync), observer: &dyn Observer) -> Checked {
    let started = Instant::now();
    let limits = |executions: u64| limit(options, observer, started, executions);
    let mut sizes = Sizes::default();
    let mut count_points = false;
    loop {
        let loom = Loom::new(sizes, options.stack_size, &limits);
        let (ended, panicked) = Session::run(&loom, &|| program(), count_points, || {
            let mut builder = loom::model::Builder::new();
            builder.max_branches = MAX_BRANCHES;
            // Everything the closure needs it finds through the session of this thread.
            let ended = catch_unwind(AssertUnwindSafe(|| builder.check(Session::iterate)));
            (ended, Session::untaken_panic())
        });
        let executions = loom.executions();
        let (stop, flags) = loom.conclude(ended, panicked);
        match stop {
            Some(Stop::Grow(sort)) => sizes.grow(sort),
            Some(Stop::CountReferences) => count_points = true,
            stop => return conclude(options, executions, stop, flags.into_iter().collect()),
        }
    }
}

/// Why to end before the next execution, if there is a reason.
fn limit(options: &Options, observer: &dyn Observer, started: Instant, executions: u64) -> Option<String> {
    if let Some(most) = options.max_executions.filter(|most| executions >= *most) {
        return Some(match most {
            1 => "the limit of one execution was reached".to_owned(),
            most => format!("the limit of {most} executions was reached"),
        });
    }
    if executions.is_multiple_of(STRIDE) {
        observer.progress(&Progress { executions, ..Progress::default() });
    }
    if observer.cancelled() {
        return Some("interrupted".to_owned());
    }
    let time = options.max_time.filter(|time| started.elapsed() >= *time)?;
    Some(format!("the time limit of {time:?} was reached"))
}

fn conclude(
    options: &Options,
    executions: u64,
    stop: Option<Stop>,
    mut exceptions: Vec<Exception>,
) -> Checked {
    let mut stats = Stats { executions, ..Stats::default() };
    let mut failures = Vec::new();
    let (outcome, mut stopped) = match stop {
        None => (Outcome::Passed, None),
        Some(Stop::Failed(kind, message)) => {
            stats.failing = 1;
            failures.push(failure(options, kind, message, executions.saturating_sub(1)));
            (Outcome::Failed, None)
        }
        Some(Stop::Refused(exception, more)) => {
            stats.executions = executions.saturating_sub(1);
            exceptions.retain(|flagged| *flagged != exception);
            exceptions.insert(0, exception);
            let more = more.map_or_else(String::new, |more| format!(": {more}"));
            (Outcome::Incomplete, Some(format!("{exception}{more}")))
        }
        Some(Stop::Cut(why)) => (Outcome::Incomplete, Some(why)),
        Some(Stop::Grow(_) | Stop::CountReferences) => unreachable!("then it is explored again"),
    };
    let matters = |exception: &&Exception| match outcome {
        Outcome::Passed => exception.hides(),
        Outcome::Failed => exception.invents(),
        Outcome::Incomplete => false,
    };
    let doubts: Vec<String> = exceptions.iter().filter(matters).map(ToString::to_string).collect();
    if !doubts.is_empty() {
        stopped = Some(doubts.join("; "));
    }
    let whole = outcome == Outcome::Passed && doubts.is_empty();
    let proof = Proof { engine: Engine::Loom, whole, relaxed: false, preemptions: None, sampled: 0 };
    let report = options.report((outcome, stopped), stats, failures, proof);
    Checked { report, exceptions }
}

/// Loom tells what went wrong, and not how it came to that.
fn failure(options: &Options, kind: FailureKind, message: String, iteration: u64) -> Failure {
    Failure {
        kind,
        message,
        thread: ThreadId::ROOT,
        step: 0,
        detail: FailureDetail::Panic { site: None, at_end: false },
        iteration,
        found_by: Failure::CHECKED.to_owned(),
        trace: Trace {
            memory: options.settings.memory,
            threads: Vec::new(),
            objects: Vec::new(),
            sites: Vec::new(),
            events: Vec::new(),
        },
        decision: None,
        schedule: Schedule {
            program: options.program.clone(),
            settings: options.settings.clone(),
            fingerprint: 0,
            choices: Vec::new(),
        },
    }
}
