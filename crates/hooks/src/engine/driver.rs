//! From a request to an answer: the executions of one process.

use super::border::settle;
use super::process::{self, Program};
use super::real::die;
use super::segments::Segments;
use super::{barriers, entries, exhaustive, heap, naming, repair, shadow, sites, stacks, state};
use crate::request::{Answer, Changeable, Check, Request};
use racefuzz_fuzz::{Options, fuzz, replay};
use racefuzz_trace::{Failure, FailureKind, FixReport, MemoryModel, Outcome, RunReport, Schedule, Settings};
use std::path::Path;

/// The request in the environment, if this process was started to answer one.
pub(crate) fn request() -> Option<Request> {
    let file = std::env::var_os(Request::VARIABLE)?;
    let text = std::fs::read_to_string(Path::new(&file));
    let text = text.unwrap_or_else(|error| die(&format!("{}: {error}", Path::new(&file).display())));
    Some(serde_json::from_str(&text).unwrap_or_else(|error| die(&format!("the request is none: {error}"))))
}

/// Answers it.
pub(crate) fn answer(request: &Request, program: Program) {
    settle();
    heap::prepare();
    stacks::prepare();
    process::set(program);
    state::with(|state| {
        state.threads.harness = request.harness;
        state.roots.clone_from(&request.roots);
        state.reads_stale = request.settings.memory != MemoryModel::Sc;
        state.rounds.limit(u64::from(request.settings.max_steps));
    });
    let explored =
        |settings: &Settings| settings.params.iter().any(|(name, _)| name == exhaustive::PARAMETER);
    if request.check.is_some() || explored(&request.settings) {
        exhaustive::switch_on();
    }
    let schedules = |tokens: &[String]| -> Vec<Schedule> {
        tokens.iter().filter_map(|token| token.parse().ok()).collect()
    };
    let options = Options {
        program: request.program.clone(),
        seed: request.seed,
        iterations: request.iterations,
        strategy: request.strategy,
        depth: request.depth.unwrap_or(Options::DEFAULT_DEPTH),
        settings: request.settings.clone(),
        keep_going: request.keep_going,
        max_time: request.max_time,
        max_memory: None,
        roots: request.roots.clone(),
        first: schedules(&request.first),
        process: true,
        harness: request.harness && !exhaustive::is_on(),
        ..Options::default()
    };
    let execute = || {
        prepare();
        process::execute();
    };
    let mut fix = None;
    let (mut report, diverged) = match request.replay.as_ref().map(|token| token.parse::<Schedule>()) {
        None => match request.check {
            Some(check) => {
                let (report, found) = explore(&options, check, request.fix.as_ref(), &execute);
                fix = found;
                (report, None)
            }
            None => (run(&options, &execute), None),
        },
        Some(Ok(schedule)) => {
            let replayed = replay(&schedule, &options, &execute);
            (replayed.report, replayed.diverged.map(|diverged| diverged.to_string()))
        }
        Some(Err(error)) => die(&error.to_string()),
    };
    for failure in report.failures.iter_mut().filter(|failure| failure.kind == FailureKind::StepLimit) {
        if let Some(told) = state::with(|state| state.rounds.told()) {
            failure.message = format!("{told}; {}", failure.message);
        }
    }
    naming::name(&mut report, request.harness && !exhaustive::is_on());
    let (output, threads, real) = state::with(|state| {
        (state.output.text(), has_threads(state, request.harness), state.real.map(str::to_owned))
    });
    let unseen = state::with(|state| state.unseen.clone());
    let answer = Answer { report, output, diverged, real, sees_all: false, threads, unseen, fix };
    let text = serde_json::to_string(&answer).unwrap_or_else(|error| die(&error.to_string()));
    if let Err(error) = std::fs::write(&request.answer, text) {
        die(&format!("{}: {error}", request.answer));
    }
}

/// Whether the program has had threads of its own, besides the root and, under a harness, the test.
fn has_threads(state: &state::State, harness: bool) -> bool {
    state.threads.most > if harness { 2 } else { 1 }
}

/// Runs the program once, and, if it has several threads or has failed before, as often as is asked for.
fn run(options: &Options, execute: &(dyn Fn() + Sync)) -> RunReport {
    /// An execution of so many steps is not recorded to be compared with another.
    const LONG: u64 = 50_000;
    let first = Options { iterations: 1, recheck: false, first: Vec::new(), ..options.clone() };
    let report = fuzz(&first, execute, &());
    let alone = state::with(|state| !has_threads(state, options.harness));
    let endless = report.outcome == Outcome::Incomplete
        || report.failures.iter().any(|failure| failure.kind == FailureKind::StepLimit);
    if options.first.is_empty() && (alone || endless) {
        return report;
    }
    let recheck = options.recheck && report.stats.steps <= LONG;
    fuzz(&Options { recheck, ..options.clone() }, execute, &())
}

/// Explores every execution of the program, and searches for repairs where one fails and that is asked for.
fn explore(
    options: &Options,
    check: Check,
    changeable: Option<&Changeable>,
    execute: &(dyn Fn() + Sync),
) -> (RunReport, Option<FixReport>) {
    struct Ends;
    impl racefuzz_check::Observer for Ends {
        fn cancelled(&self) -> bool {
            exhaustive::is_over()
        }
    }
    let asked = options.settings.clone();
    let mut settings = asked.clone();
    settings.params.push((exhaustive::PARAMETER.to_owned(), "1".to_owned()));
    settings.inject.spurious = true;
    let options = racefuzz_check::Options {
        program: options.program.clone(),
        settings,
        max_executions: check.max_executions,
        preemptions: check.preemptions,
        max_time: options.max_time,
        keep_going: options.keep_going,
        roots: options.roots.clone(),
        watchdog: options.max_time.map(|time| time.saturating_mul(2).max(Options::DEFAULT_WATCHDOG)),
        process: true,
        ..racefuzz_check::Options::default()
    };
    let mut report = racefuzz_check::check(&options, execute, &Ends);
    // What fails only where a sleep is no longer than anything else is no bug of an ordinary test yet.
    let timed = exhaustive::is_timed() && !asked.inject.timeout;
    let needs_time = |failure: &Failure| !failure.is_replayable() || failure.schedule.settings.inject.timeout;
    if timed && !report.failures.is_empty() && report.failures.iter().all(needs_time) {
        report.failures.clear();
        let why = "time: it may fail if a sleep, or a wait of limited time, ends while others could go on (see \
                   --inject timeout)";
        exhaustive::note(why.to_owned());
    }
    if report.outcome == Outcome::Passed {
        report.warnings.push(racefuzz_trace::Warning::CompiledLibrary);
    }
    let _ = exhaustive::why_over();
    let unseen = state::with(|state| state.unseen.clone());
    // An execution that was ended for that differs from the same one that was not.
    let differs = |failure: &Failure| failure.kind == FailureKind::Nondeterminism;
    if !unseen.is_empty() && report.failures.iter().all(differs) {
        report.failures.clear();
        // How many were explored until then depends on how soon it ended.
        report.stats = racefuzz_trace::Stats::default();
        report.outcome = Outcome::Incomplete;
        report.stopped = Some(unseen.join("; "));
        report.proof = report.proof.map(|proof| racefuzz_trace::Proof { whole: false, ..proof });
    }
    let fix = changeable.map(|changeable| repair::search(&options, &report, changeable, execute));
    (report, fix)
}

/// Keeps the state of the process, the first time: when everything that the host starts beside is there.
fn prepare() {
    let segments = state::with(|state| {
        let first = state.segments.is_none();
        first.then(|| {
            settle();
            let segments = state.segments.insert(Segments::keep());
            (segments.base, segments.writable)
        })
    });
    if let Some((base, writable)) = segments {
        sites::prepare(base, writable);
        shadow::prepare(writable);
        barriers::prepare();
        match exhaustive::is_on() {
            true => exhaustive::prepare(),
            false => entries::prepare(),
        }
    }
}
