//! What the workers of a run cannot do for themselves: noticing that one hangs, and reporting a
//! program that is about to abort the process.
//!
//! Both are the business of a thread of its own, the warden, which lives as long as the run.

use crate::confirm::Found;
use crate::driver::{fuzz, report};
use crate::lab::Lab;
use crate::options::Options;
use crate::strategy;
use racefuzz_runtime::{Abort, Heart, Record, on_abort};
use racefuzz_trace::{Outcome, RunReport, Trace};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
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
    Aborting(Box<Abort>, Whence),
    Done,
}

/// What a worker was at when the program aborted.
#[derive(Clone, Copy, Default)]
struct Whence {
    iteration: u64,
    count_points: bool,
}

thread_local! {
    static WARDEN: RefCell<Option<Sender<Message>>> = const { RefCell::new(None) };
    static WHENCE: Cell<Whence> = const { Cell::new(Whence { iteration: 0, count_points: false }) };
}

/// Notes what this thread is about to run.
pub(crate) fn at(iteration: u64, count_points: bool) {
    WHENCE.set(Whence { iteration, count_points });
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
    heart: Arc<Heart>,
    active: AtomicBool,
}

impl Pulse {
    /// Whether the worker is at work. Only while it is, and an execution is running, does it have to
    /// show a sign of life: what lies between executions is no time of the program's.
    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }
}

/// The run's side of the warden.
pub struct Guard {
    warden: Mutex<Sender<Message>>,
    pulses: Arc<Mutex<Vec<Arc<Pulse>>>>,
}

/// Makes the calling thread one of the run's, until it is dropped.
pub struct Entered(Option<Sender<Message>>, Whence);

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

    /// Watches a worker.
    pub fn watch(&self, heart: Arc<Heart>) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse { heart, active: AtomicBool::new(false) });
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

/// Runs `body` under the eyes of a warden.
pub fn guarded<R: Send>(
    options: &Options,
    program: &(dyn Fn() + Sync),
    body: impl FnOnce(&Guard) -> R + Send,
) -> R {
    if std::thread::panicking() {
        // What a program's threads see of their panics must not be mixed with the caller's.
        return std::thread::scope(|scope| {
            let joined = scope.spawn(|| guarded(options, program, body)).join();
            joined.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
        });
    }
    on_abort(aborting);
    let (sender, receiver) = channel();
    let pulses = Arc::new(Mutex::new(Vec::new()));
    let guard = Guard { warden: Mutex::new(sender), pulses: Arc::clone(&pulses) };
    std::thread::scope(|scope| {
        scope.spawn(move || patrol(&receiver, &pulses, options, program));
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
) {
    let patience = options.watchdog.unwrap_or(Duration::MAX);
    let round = (patience / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
    let mut last: Vec<(u64, Instant)> = Vec::new();
    loop {
        match receiver.recv_timeout(round) {
            Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Aborting(abort, whence)) => aborted(*abort, whence, options, program),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        for (index, pulse) in pulses.lock().unwrap_or_else(PoisonError::into_inner).iter().enumerate() {
            let beats = pulse.heart.beats();
            if last.len() <= index {
                last.push((beats, now));
            }
            let in_program = pulse.active.load(Ordering::Relaxed) && pulse.heart.is_running();
            if beats != last[index].0 || !in_program {
                last[index] = (beats, now);
            } else if now - last[index].1 >= patience {
                let after = match pulse.heart.last_site() {
                    Some(site) => format!("after the step at {site}"),
                    None => "before its first step".to_owned(),
                };
                last_words(&format!(
                    "racefuzz: `{}` has shown no step for {patience:?}, {after}: it loops without \
                     an instrumented operation, or waits for something outside racefuzz",
                    options.program
                ));
                std::process::exit(1);
            }
        }
    }
}

/// The program aborted in some iteration: reports the first one that fails, and ends the process.
fn aborted(abort: Abort, whence: Whence, options: &Options, program: &(dyn Fn() + Sync)) -> ! {
    if options.enumerates {
        let found = Found { iteration: 0, found_by: "check", settings: options.settings.clone() };
        let trace = abort.trace.unwrap_or_else(|| empty_trace(options));
        let failure = found.failure(&options.program, abort.failure, trace, &abort.choices);
        let stats = racefuzz_trace::Stats { executions: 1, failing: 1, ..Default::default() };
        finish(report(options, Outcome::Failed, stats, vec![failure], None));
    }
    // What the other workers were at is lost with the process: everything before is done again. If
    // an earlier iteration aborts too, it is reported in there.
    let before = Options {
        iterations: whence.iteration,
        workers: 1,
        max_time: None,
        first: Vec::new(),
        ..options.clone()
    };
    let before = fuzz(&before, program, &());
    if !before.failures.is_empty() && !options.keep_going {
        finish(RunReport { iterations: options.iterations, ..before });
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        let choices = abort.choices.clone();
        // Repeated with a recorder, on a thread that is lost when the program aborts again.
        scope.spawn(move || {
            let done = sender.clone();
            let _entered = enter(sender);
            let mut lab = Lab::new(options, &options.settings, program, None);
            lab.count_points(whence.count_points);
            lab.run(&choices, Record::Trace);
            let _ = done.send(Message::Done);
        });
        let abort = match receiver.recv() {
            Ok(Message::Aborting(again, _)) => *again,
            Ok(Message::Done) | Err(_) => abort,
        };
        let found = Found {
            iteration: whence.iteration,
            found_by: strategy::at(options.strategy, whence.iteration).name(),
            settings: options.settings.clone(),
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
        finish(report(options, Outcome::Failed, stats, failures, None))
    })
}

fn finish(report: RunReport) -> ! {
    match ON_ABORT_REPORT.get() {
        Some(show) => show(&report),
        None => {
            for failure in &report.failures {
                last_words(&format!("racefuzz: {}: {}", failure.schedule, failure.message));
            }
        }
    }
    std::process::exit(1);
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
