//! From a graph whose execution fails to a failure that can be shown and replayed.

use crate::graph::Graph;
use crate::options::Options;
use crate::realise::Realise;
use crate::unit::Worker;
use crate::waiting::Loops;
use crate::work_item::WorkItem;
use racefuzz_fuzz::{Guard, Origin, shrink};
use racefuzz_runtime::{Config, Detected, Record, Runner};
use racefuzz_trace::{Failure, FailureDetail, FailureKind, MemoryModel, Schedule, Trace};

/// What it takes to run a program once more.
pub(crate) struct Shower<'a> {
    pub(crate) options: &'a Options,
    pub(crate) fuzz: &'a racefuzz_fuzz::Options,
    pub(crate) program: &'a (dyn Fn() + Sync),
    pub(crate) config: &'a Config,
    pub(crate) loops: &'a Loops,
    pub(crate) guard: &'a Guard,
}

const FOUND_BY: &str = Failure::CHECKED;

/// The failure, as a schedule of the runtime where the graph has one.
pub(crate) fn failure(shower: &Shower<'_>, graph: Graph, detected: Detected, index: u64) -> Failure {
    realised(shower, &graph, &detected, index).unwrap_or_else(|| recorded(shower, graph, detected, index))
}

/// The execution on the runtime's own memory, made as short as it will go.
fn realised(shower: &Shower<'_>, graph: &Graph, detected: &Detected, index: u64) -> Option<Failure> {
    if shower.config.memory == MemoryModel::Tso {
        return None;
    }
    let mut config = shower.config.clone();
    // Where a wait times out, a schedule gives its thread the turn.
    config.inject.timeout = true;
    let mut fuzz = shower.fuzz.clone();
    fuzz.settings.inject = config.inject;
    let mut runner = Runner::new(config);
    let pulse = shower.guard.watch(runner.heart());
    pulse.set_active(true);
    let ended = runner.run(shower.program, &mut Realise::new(graph), Record::Choices);
    pulse.set_active(false);
    let same = ended.failure.is_some_and(|found| found.identity == detected.identity);
    let origin = Origin { found_by: FOUND_BY, iteration: index, count_points: shower.config.count_points };
    same.then(|| shrink(&fuzz, shower.program, shower.guard, runner.choices(), origin)).flatten()
}

/// The execution as the graph has it. Its schedule is empty: no choices of the runtime lead there.
fn recorded(shower: &Shower<'_>, graph: Graph, detected: Detected, index: u64) -> Failure {
    let mut worker = Worker::new(shower.config.clone(), shower.loops, false);
    let ended = worker.record(shower.program, WorkItem::of(graph, None));
    let trace = ended.trace.unwrap_or_else(|| unreachable!("it was recorded"));
    fail(shower, ended.failure.unwrap_or(detected), trace, index)
}

pub(crate) fn fail(shower: &Shower<'_>, detected: Detected, trace: Trace, index: u64) -> Failure {
    let schedule = Schedule {
        program: shower.options.program.clone(),
        settings: shower.options.settings.clone(),
        fingerprint: 0,
        choices: Vec::new(),
    };
    Failure {
        kind: detected.kind,
        message: detected.message,
        thread: detected.thread,
        step: detected.step,
        detail: detected.detail.unwrap_or(FailureDetail::Panic { site: None, at_end: false }),
        iteration: index,
        found_by: FOUND_BY.to_owned(),
        trace,
        schedule,
    }
}

/// The program did not do again what it had done before.
pub(crate) fn diverged(shower: &Shower<'_>, graph: Graph, index: u64) -> Failure {
    let mut worker = Worker::new(shower.config.clone(), shower.loops, false);
    let ended = worker.record(shower.program, WorkItem::of(graph, None));
    let trace = ended.trace.unwrap_or_else(|| unreachable!("it was recorded"));
    let step = trace.events.len() as u32;
    let message = "the program behaves differently when the same events are repeated: it depends on \
                   something besides its schedule"
        .to_owned();
    let detected = Detected {
        kind: FailureKind::Nondeterminism,
        message,
        thread: racefuzz_trace::ThreadId::ROOT,
        step,
        identity: 0,
        detail: Some(FailureDetail::Nondeterminism {
            step,
            expected: "the event that was there before".to_owned(),
            found: "another one".to_owned(),
            left_over: ended.left_over,
            kept: false,
            unrepeated: None,
        }),
    };
    fail(shower, detected, trace, index)
}
