//! What the workers of a run cannot do for themselves: noticing that one hangs, and reporting a
//! program that is about to abort the process.
//!
//! Both are the business of a thread of its own, the warden, which lives as long as the run.

use crate::confirm::Found;
use crate::driver::{fuzz, report};
use crate::hanging::{Hanging, judge};
use crate::limits::Reached;
use crate::options::Options;
use crate::schedule_runner::ScheduleRunner;
use crate::strategy;
use racefuzz_runtime::{Abort, Heartbeat, Interruption, Record, on_abort};
use racefuzz_trace::{MemoryModel, Outcome, RunReport, Settings, Trace};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

static ON_ABORT_REPORT: OnceLock<fn(&RunReport)> = OnceLock::new();

/// Sets what is called with the report when the program under test aborts the process: a panic that
/// leaves a destructor during unwinding ends any Rust process. The process then exits with code 1.
/// The first caller wins.
pub fn on_abort_report(show: fn(&RunReport)) {
    let _ = ON_ABORT_REPORT.set(show);
}

enum Message {
    Aborting(Box<Abort>, RunPosition),
    Done,
}

/// What a worker was at when the program aborted.
#[derive(Clone, Copy, Default)]
struct RunPosition {
    iteration: u64,
    count_points: bool,
}

thread_local! {
    static WARDEN: RefCell<Option<Sender<Message>>> = const { RefCell::new(None) };
    static WHENCE: Cell<RunPosition> = const { Cell::new(RunPosition { iteration: 0, count_points: false }) };
}

/// Notes what this thread is about to run.
pub(crate) fn at(iteration: u64, count_points: bool) {
    WHENCE.set(RunPosition { iteration, count_points });
}

/// Runs inside the panic hook of a program that cannot go on.
fn aborting(abort: Abort) {
    let message = abort.failure.message.clone();
    let warden = WARDEN.with(|warden| warden.borrow().clone());
    let sent = warden.and_then(|warden| warden.send(Message::Aborting(Box::new(abort), WHENCE.get())).ok());
    while sent.is_some() {
        // The warden ends the process.
        std::thread::park();
    }
    last_words(&format!("racefuzz: the program aborts the process: {message}"));
    std::process::exit(1);
}

/// Says something before the process ends, past the capture of a test's output, which is lost then.
fn last_words(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A worker's sign of life.
pub struct Pulse {
    heart: Arc<Heartbeat>,
    active: AtomicBool,
    /// Whether the limits of the run hold for its executions.
    limited: bool,
    /// The execution is repeated to be shown, and known to hang: milliseconds it is given.
    hurry: AtomicU64,
    /// The iteration that it runs, and whether reference counts are scheduling points in it.
    iteration: AtomicU64,
    count_points: AtomicBool,
}

impl Pulse {
    /// Whether the worker is at work. Only while it is, and an execution is running, does it have to
    /// show a sign of life: what lies between executions is no time of the program's.
    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }

    /// Notes what runs next.
    pub(crate) fn at(&self, iteration: u64, count_points: bool) {
        self.iteration.store(iteration, Ordering::Relaxed);
        self.count_points.store(count_points, Ordering::Relaxed);
    }

    fn position(&self) -> RunPosition {
        let iteration = self.iteration.load(Ordering::Relaxed);
        RunPosition { iteration, count_points: self.count_points.load(Ordering::Relaxed) }
    }

    /// Whether what runs next is known to hang, and need not be given much time.
    pub fn set_hurry(&self, hurry: bool) {
        const HURRY: u64 = 1_000;
        self.hurry.store(if hurry { HURRY } else { u64::MAX }, Ordering::Relaxed);
    }
}

/// The run's side of the warden.
pub struct Guard {
    warden: Mutex<Sender<Message>>,
    pulses: Arc<Mutex<Vec<Arc<Pulse>>>>,
}

/// Makes the calling thread one of the run's, until it is dropped.
pub struct Entered(Option<Sender<Message>>, RunPosition);

impl Drop for Entered {
    fn drop(&mut self) {
        WARDEN.with(|warden| *warden.borrow_mut() = self.0.take());
        WHENCE.set(self.1);
    }
}

impl Guard {
    /// Makes the calling thread one of the run's, until what it returns is dropped.
    pub fn enter(&self) -> Entered {
        let sender = self.warden.lock().unwrap_or_else(PoisonError::into_inner).clone();
        enter(sender)
    }

    /// Watches a worker, whose executions end when the run has reached a limit.
    pub fn watch(&self, heart: Arc<Heartbeat>) -> Arc<Pulse> {
        self.watch_within(heart, true)
    }

    /// Watches whoever shows a failure, which takes its time although the run is over.
    pub fn watch_unlimited(&self, heart: Arc<Heartbeat>) -> Arc<Pulse> {
        self.watch_within(heart, false)
    }

    fn watch_within(&self, heart: Arc<Heartbeat>, limited: bool) -> Arc<Pulse> {
        let (active, hurry) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let pulse = Arc::new(Pulse {
            heart,
            active,
            limited,
            hurry,
            iteration: AtomicU64::new(0),
            count_points: AtomicBool::new(false),
        });
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&pulse));
        pulse
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.warden.lock().unwrap_or_else(PoisonError::into_inner).send(Message::Done);
    }
}

fn enter(sender: Sender<Message>) -> Entered {
    let before = WARDEN.with(|warden| warden.borrow_mut().replace(sender));
    Entered(before, WHENCE.get())
}

/// Runs `body` under the eyes of a warden, which ends executions when `over` says that the run has
/// reached a limit.
pub fn guarded<R: Send>(
    options: &Options,
    program: &(dyn Fn() + Sync),
    over: &(dyn Fn() -> Option<Reached> + Sync),
    body: impl FnOnce(&Guard) -> R + Send,
) -> R {
    if std::thread::panicking() {
        // What a program's threads see of their panics must not be mixed with the caller's.
        return std::thread::scope(|scope| {
            let joined = scope.spawn(|| guarded(options, program, over, body)).join();
            joined.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
        });
    }
    guarded_here(options, program, over, body)
}

/// The same for what has to stay on the calling thread, which must not be panicking.
pub fn guarded_here<R>(
    options: &Options,
    program: &(dyn Fn() + Sync),
    over: &(dyn Fn() -> Option<Reached> + Sync),
    body: impl FnOnce(&Guard) -> R,
) -> R {
    on_abort(aborting);
    let (sender, receiver) = channel();
    let pulses = Arc::new(Mutex::new(Vec::new()));
    let guard = Guard { warden: Mutex::new(sender), pulses: Arc::clone(&pulses) };
    std::thread::scope(|scope| {
        scope.spawn(move || patrol(&receiver, &pulses, options, program, over));
        // Dropped at the end of the scope's body, also by a panic: the warden then goes home.
        let guard = guard;
        let entered = guard.enter();
        let result = body(&guard);
        drop(entered);
        result
    })
}

fn patrol(
    receiver: &Receiver<Message>,
    pulses: &Mutex<Vec<Arc<Pulse>>>,
    options: &Options,
    program: &(dyn Fn() + Sync),
    over: &(dyn Fn() -> Option<Reached> + Sync),
) {
    /// How often limits are looked at.
    const ROUND: Duration = Duration::from_millis(50);
    /// What an execution is given to end at a step, when a limit is reached.
    const GRACE: Duration = Duration::from_millis(500);

    let patience = options.watchdog.unwrap_or(Duration::MAX);
    let round = (patience / 8).clamp(Duration::from_millis(1), ROUND);
    let mut last: Vec<(u64, Instant)> = Vec::new();
    loop {
        match receiver.recv_timeout(round) {
            Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Aborting(abort, position)) => aborted(*abort, position, None, options, program),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let ends = over().is_some();
        let now = Instant::now();
        let pulses: Vec<Arc<Pulse>> = pulses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (index, pulse) in pulses.iter().enumerate() {
            if let Some((signal, abort)) = pulse.heart.take_crash() {
                aborted(abort, pulse.position(), Some(signal), options, program);
            }
            let ends = ends && pulse.limited;
            if ends {
                pulse.heart.stop();
            }
            let hurry = pulse.hurry.load(Ordering::Relaxed);
            let patience = match (ends, hurry) {
                (true, _) => GRACE,
                (false, u64::MAX) => patience,
                (false, hurry) => patience.min(Duration::from_millis(hurry)),
            };
            let beats = pulse.heart.beats();
            if last.len() <= index {
                last.push((beats, now));
            }
            let in_program = pulse.active.load(Ordering::Relaxed) && pulse.heart.is_running();
            if beats != last[index].0 || !in_program {
                last[index] = (beats, now);
            } else if now - last[index].1 >= patience {
                hangs(pulse, options, ends);
                last[index] = (beats, Instant::now());
            }
        }
    }
}

/// A worker has shown no step for long: finds out what it is at, and makes it leave that.
fn hangs(pulse: &Pulse, options: &Options, ends: bool) {
    /// What holds a lock that others need gives it back soon.
    const TRIES: u32 = 50;
    let after = pulse.heart.last_location();
    for _ in 0..TRIES {
        let mut busy = false;
        let interrupted = pulse.heart.interrupt(|backtrace| match judge(backtrace, after, &options.roots) {
            Hanging::Program(unseen) => (Interruption::Leave, (!ends).then_some(unseen)),
            Hanging::Engine => (Interruption::GoOn, None),
            Hanging::Busy => {
                busy = true;
                (Interruption::GoOn, None)
            }
        });
        match interrupted {
            Some(_) if busy => {}
            Some(_) => return,
            None if !pulse.active.load(Ordering::Relaxed) => return,
            None => break,
        }
    }
    // It cannot be left where it is.
    let after = match pulse.heart.last_site() {
        Some(site) => format!("after the step at {site}"),
        None => "before its first step".to_owned(),
    };
    last_words(&format!(
        "racefuzz: `{}` shows no step, {after}: it loops without an instrumented operation, or waits for something \
         outside racefuzz",
        options.program
    ));
    std::process::exit(if ends { 3 } else { 1 });
}

/// The program aborted in some iteration, or a signal struck it: reports the first one that fails, and
/// ends the process.
fn aborted(
    abort: Abort,
    position: RunPosition,
    signal: Option<i32>,
    options: &Options,
    program: &(dyn Fn() + Sync),
) -> ! {
    if options.enumerates {
        if signal.is_some() && options.settings.memory != MemoryModel::Tso {
            // Nobody knows a schedule: one that leads there is looked for. If it is found, that is
            // reported in there.
            let sampled = Options { enumerates: false, ..before(options, SAMPLES) };
            fuzz(&sampled, program, &());
        }
        let found = Found { iteration: 0, found_by: "check", settings: options.settings.clone() };
        let trace = abort.trace.unwrap_or_else(|| empty_trace(options));
        let failure = found.failure(&options.program, abort.failure, trace, &abort.choices);
        let stats = racefuzz_trace::Stats { executions: 1, failing: 1, ..Default::default() };
        finish(report(options, Outcome::Failed, stats, vec![failure], None), signal);
    }
    // What the other workers were at is lost with the process: everything before is done again. If
    // an earlier iteration aborts too, it is reported in there.
    let before = fuzz(&before(options, position.iteration), program, &());
    if !before.failures.is_empty() && !options.keep_going {
        finish(RunReport { iterations: options.iterations, ..before }, signal);
    }
    let insistence = strategy::insistence(options, position.iteration);
    let settings = Settings { insistence, ..options.settings.clone() };
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        let (to_heart, from_heart) = channel();
        let (choices, settings) = (abort.choices.clone(), &settings);
        // Repeated with a recorder, on a thread that is lost when the program aborts again.
        scope.spawn(move || {
            let done = sender.clone();
            let _entered = enter(sender);
            let mut runner = ScheduleRunner::new(options, settings, program, None);
            let _ = to_heart.send(runner.heart());
            runner.count_points(position.count_points);
            runner.run(&choices, Record::Trace);
            let _ = done.send(Message::Done);
        });
        let abort = again(&receiver, &from_heart).unwrap_or(abort);
        let found = Found {
            iteration: position.iteration,
            found_by: strategy::at(options.strategy, position.iteration).name(),
            settings: settings.clone(),
        };
        let trace = abort.trace.unwrap_or_else(|| empty_trace(options));
        let failure = found.failure(&options.program, abort.failure, trace, &abort.choices);
        let mut stats = before.stats;
        stats.executions += 1;
        stats.failing += 1;
        stats.classes += 1;
        stats.singletons += 1;
        stats.outcomes += 1;
        stats.steps += u64::from(failure.step);
        let mut failures = before.failures;
        failures.push(failure);
        finish(report(options, Outcome::Failed, stats, failures, None), signal)
    })
}

/// Executions sampled to find a schedule for what enumerating has met.
const SAMPLES: u64 = 2_000;

/// The same run, up to an iteration.
fn before(options: &Options, iterations: u64) -> Options {
    Options { iterations, workers: 1, max_time: None, first: Vec::new(), ..options.clone() }
}

/// What the repetition of an execution that aborts comes to: its abort, or none if it ends.
fn again(receiver: &Receiver<Message>, heart: &Receiver<Arc<Heartbeat>>) -> Option<Abort> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    let heart = heart.recv_timeout(PATIENCE).ok()?;
    while began.elapsed() < PATIENCE {
        match receiver.recv_timeout(Duration::from_millis(10)) {
            Ok(Message::Aborting(again, _)) => return Some(*again),
            Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some((_, again)) = heart.take_crash() {
            return Some(again);
        }
    }
    None
}

fn finish(report: RunReport, signal: Option<i32>) -> ! {
    match ON_ABORT_REPORT.get() {
        Some(show) => show(&report),
        None => {
            for failure in &report.failures {
                last_words(&format!("racefuzz: {}: {}", failure.schedule, failure.message));
            }
        }
    }
    match signal {
        Some(signal) => racefuzz_runtime::end_by(signal),
        None => std::process::exit(1),
    }
}

fn empty_trace(options: &Options) -> Trace {
    Trace {
        memory: options.settings.memory,
        threads: Vec::new(),
        objects: Vec::new(),
        sites: Vec::new(),
        events: Vec::new(),
    }
}
