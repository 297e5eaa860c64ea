//! From a graph whose execution fails to a failure that can be shown and replayed.

use crate::explore::Departure;
use crate::graph::{Graph, Id};
use crate::linearize;
use crate::options::Options;
use crate::realise::Realise;
use crate::unit::Worker;
use crate::waiting::Loops;
use crate::work_item::WorkItem;
use racefuzz_fuzz::{Guard, Origin, shrink};
use racefuzz_runtime::{Alternatives, Config, Detected, Ended, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{
    Failure, FailureDetail, FailureKind, MemoryModel, OpKind, Point, Schedule, Settings, ThreadId, Trace,
};

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

/// The failure, as a schedule of the runtime if there is one.
///
/// The plainest execution is shown that fails so: one without weak memory, if a few random ones have it;
/// else the graph's own, as short as it will go if the runtime's own memory has it, else as it is.
pub(crate) fn failure(shower: &Shower<'_>, graph: Graph, detected: Detected, index: u64) -> Failure {
    plain(shower, &detected, index)
        .or_else(|| in_some_order(shower, &graph, &detected, index))
        .or_else(|| released_early(shower, &detected, index))
        .unwrap_or_else(|| recorded(shower, graph, detected, index))
}

/// The graph's execution on the runtime's memory: on its own if possible, else as one that is explored;
/// in the order that is read most easily, or, where memory is released too early (which is no event of a
/// graph), in one that has the use behind it.
fn in_some_order(shower: &Shower<'_>, graph: &Graph, detected: &Detected, index: u64) -> Option<Failure> {
    /// Orders that are tried.
    const ORDERS: usize = 200;
    let order = linearize::order(graph, None);
    let plain = [false, true]
        .into_iter()
        .find_map(|explored| realised(shower, graph, order.clone(), detected, index, explored));
    if plain.is_some() || detected.kind != FailureKind::UseAfterFree {
        return plain;
    }
    let events = graph.threads.iter().flat_map(|events| events.iter().rev()).take(ORDERS);
    let orders: Vec<Vec<Id>> = events.map(|from| linearize::order(graph, Some(*from))).collect();
    [false, true].into_iter().find_map(|explored| {
        let realised = |order: &Vec<Id>| realised(shower, graph, order.clone(), detected, index, explored);
        orders.iter().find_map(realised)
    })
}

/// Whether one failure is shown for another: that memory is released too early is seen at the release or at the
/// use.
fn shows(found: &Detected, detected: &Detected) -> bool {
    found.identity == detected.identity
        || found.kind == detected.kind && detected.kind == FailureKind::UseAfterFree
}

/// The same failure in a sequentially consistent execution.
fn plain(shower: &Shower<'_>, detected: &Detected, index: u64) -> Option<Failure> {
    let memory = shower.fuzz.settings.memory;
    let other = memory != MemoryModel::Sc && detected.kind != FailureKind::StepLimit;
    let same = |found: &Detected| found.identity == detected.identity;
    other.then(|| walked(shower, MemoryModel::Sc, index, &same)).flatten()
}

/// A use of what is gone, where in the graph's own execution the use leads to the release, so that no order of
/// it has the use behind: what the two have to do with each other is the same in others.
fn released_early(shower: &Shower<'_>, detected: &Detected, index: u64) -> Option<Failure> {
    let early = detected.kind == FailureKind::UseAfterFree;
    // The runtime's memory knows no store buffers.
    let memory = match shower.config.memory {
        MemoryModel::Tso => MemoryModel::Sc,
        memory => memory,
    };
    early.then(|| walked(shower, memory, index, &|found| shows(found, detected))).flatten()
}

/// A failure that random executions come to.
fn walked(
    shower: &Shower<'_>,
    memory: MemoryModel,
    index: u64,
    wanted: &dyn Fn(&Detected) -> bool,
) -> Option<Failure> {
    /// Executions that are tried: a bug that needs no weak memory most often needs few.
    const TRIES: u32 = 300;
    /// Steps that are taken in all of them: a second or so.
    const STEPS: u32 = 1_000_000;
    let settings = Settings { memory, ..shower.fuzz.settings.clone() };
    let config = Config { memory, ..shower.config.clone() };
    let mut runner = Runner::new(config);
    let pulse = shower.guard.watch(runner.heart());
    let mut walk = Walk(0x9e37_79b9_7f4a_7c15);
    let (mut found, mut steps) = (false, 0);
    for _ in 0..TRIES {
        pulse.set_active(true);
        let ended = runner.run(shower.program, &mut walk, Record::Choices);
        pulse.set_active(false);
        steps += ended.steps;
        found = ended.failure.is_some_and(|failure| wanted(&failure));
        if found || steps > STEPS {
            break;
        }
    }
    let fuzz = racefuzz_fuzz::Options { settings, ..shower.fuzz.clone() };
    let origin = Origin { found_by: FOUND_BY, iteration: index, count_points: shower.config.count_points };
    found.then(|| shrink(&fuzz, shower.program, shower.guard, runner.choices(), origin)).flatten()
}

/// A random walk over schedules.
struct Walk(u64);

impl Walk {
    fn below(&mut self, count: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(count)) >> 64) as u32
    }
}

impl Explorer for Walk {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.below(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        match alternatives.point {
            Point::Spurious | Point::Timeout | Point::Fault if self.below(4) > 0 => 0,
            _ => self.below(alternatives.count),
        }
    }
}

/// The graph's execution on the runtime's memory: on its own, made as short as it will go, or, if it is
/// taken to be `explored`, on one that lets every store be read.
fn realised(
    shower: &Shower<'_>,
    graph: &Graph,
    order: Vec<Id>,
    detected: &Detected,
    index: u64,
    explored: bool,
) -> Option<Failure> {
    if shower.config.memory == MemoryModel::Tso && !explored {
        return None;
    }
    let mut config = shower.config.clone();
    // Where a wait times out, a schedule gives its thread the turn.
    config.inject.timeout = true;
    config.explored = explored;
    if detected.kind == FailureKind::StepLimit {
        // That it never ends may have been found long before the limit, which can be any number.
        config.max_steps = config.max_steps.min(detected.step.max(Settings::DEFAULT_MAX_STEPS));
    }
    let mut fuzz = shower.fuzz.clone();
    fuzz.settings.max_steps = config.max_steps;
    fuzz.settings.inject = config.inject;
    fuzz.settings.explored = explored;
    // With any store to choose from, a shorter execution may be one that no memory model has.
    let minimise = fuzz.minimise && !explored;
    let mut runner = Runner::new(config);
    let pulse = shower.guard.watch_unlimited(runner.heart());
    pulse.set_active(true);
    let ended = runner.run(shower.program, &mut Realise::new(graph, order), Record::Choices);
    pulse.set_active(false);
    ended.failure.as_ref().filter(|found| shows(found, detected))?;
    let origin = Origin { found_by: FOUND_BY, iteration: index, count_points: shower.config.count_points };
    let mut shown = |minimise: bool| {
        fuzz.minimise = minimise;
        shrink(&fuzz, shower.program, shower.guard, runner.choices(), origin)
    };
    let whole = shown(false)?;
    let short = if minimise { shown(true) } else { None };
    // Fewer switches may leave more accesses that do not know of the newest store; of a read-modify-write
    // that reads an old value nobody understands how it can be one step.
    let weak = |failure: &Failure| -> usize {
        let weak = failure.trace.events.iter().filter(|event| event.newer.is_some());
        weak.map(|event| if event.kind == OpKind::Rmw && event.ok { 4 } else { 1 }).sum()
    };
    Some(match short {
        Some(short) if weak(&short) <= weak(&whole) => short,
        _ => whole,
    })
}

/// The execution as the checker ran it. Its schedule is empty: no choices of the runtime lead there. If the
/// program does not do again what it did, that is what is shown.
fn recorded(shower: &Shower<'_>, graph: Graph, detected: Detected, index: u64) -> Failure {
    let mut worker = Worker::new(shower.config.clone(), shower.loops, false);
    let ended = worker.record(shower.program, WorkItem::of(graph, None));
    if let Some(departure) = worker.departure() {
        let first = format!("{}: {}", detected.kind, detected.message);
        return unlike_before(shower, departure.clone(), ended, Some(first), index);
    }
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
        decision: None,
    }
}

/// The program did not do again what it had done before.
pub(crate) fn diverged(shower: &Shower<'_>, graph: Graph, index: u64) -> Failure {
    let mut worker = Worker::new(shower.config.clone(), shower.loops, false);
    let ended = worker.record(shower.program, WorkItem::of(graph, None));
    let departure = worker.departure().cloned().unwrap_or_else(|| Departure {
        expected: "what it did before and does once more".to_owned(),
        found: "something else".to_owned(),
        happened: false,
    });
    unlike_before(shower, departure, ended, None, index)
}

/// The program left the events that it was to repeat, perhaps those of a failure that it showed before.
fn unlike_before(
    shower: &Shower<'_>,
    departure: Departure,
    ended: Ended,
    unrepeated: Option<String>,
    index: u64,
) -> Failure {
    let trace = ended.trace.unwrap_or_else(|| unreachable!("it was recorded"));
    let step = (trace.events.len() as u32).saturating_sub(u32::from(departure.happened));
    let message = "the program behaves differently when the same events are repeated: it depends on \
                   something besides its schedule"
        .to_owned();
    let Departure { expected, found, .. } = departure;
    let detected = Detected {
        kind: FailureKind::Nondeterminism,
        message,
        thread: racefuzz_trace::ThreadId::ROOT,
        step,
        identity: 0,
        detail: Some(FailureDetail::Nondeterminism {
            step,
            expected,
            found,
            left_over: ended.left_over,
            kept: false,
            unrepeated,
        }),
    };
    fail(shower, detected, trace, index)
}
