//! Panics: kept per thread of the execution, reported by their first cause.
//!
//! The hook of the process is replaced once; outside executions the old hook runs. Inside, a panic
//! is noted with its place and nothing is printed: the report will tell.

use crate::alloc::runtime_scope;
use crate::execution::{Execution, Phase, current};
use crate::failure::{Detected, hash_of, identity};
use crate::record::Recorder;
use crate::schedule::{Injected, TearDown, give_up};
use crate::site::Site;
use crate::thread::{Panicked, Thread, ThreadState};
use racefuzz_trace::{Choice, FailureDetail, FailureKind, ThreadId, Trace};
use std::any::Any;
use std::panic::{Location, PanicHookInfo, catch_unwind, panic_any, resume_unwind};
use std::sync::{Once, OnceLock};

/// A program that cannot be continued: a panic left a destructor while another panic unwound, which
/// ends any Rust process. What is known of it is handed out before that happens.
pub struct Abort {
    /// The first cause.
    pub failure: Detected,
    /// The choices up to here.
    pub choices: Vec<Choice>,
    /// The execution up to here, if it was recorded.
    pub trace: Option<Trace>,
}

static ON_ABORT: OnceLock<fn(Abort)> = OnceLock::new();

/// Sets what is called, once for the process, when a program under test is about to abort it. The
/// first caller wins. It runs inside the panic hook: it must not panic, and should end the process.
pub fn on_abort(handler: fn(Abort)) {
    let _ = ON_ABORT.set(handler);
}

pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let execution = current();
            if info.payload().is::<Disowned>() {
                uncount();
            } else if execution.is_null() {
                match crate::backend::session() {
                    Some(session) => session.panicked(),
                    None => previous(info),
                }
            } else {
                let _runtime = runtime_scope();
                // SAFETY: the hook runs on the thread and inside the execution that panics; code of
                // the runtime does not panic while it holds a reference, but for broken invariants,
                // and then the worst is a garbled message.
                noted(unsafe { &mut *execution }, info);
            }
        }));
    });
}

fn noted(execution: &mut Execution, info: &PanicHookInfo<'_>) {
    let message = message_of(info.payload());
    let aborts = message.as_deref().is_some_and(|message| {
        message == "panic in a destructor during cleanup"
            || message == "panic in a function that cannot unwind"
    });
    if aborts {
        if execution.phase() == Phase::TearDown {
            if crate::interrupt::LEAVES_TORN && on_coroutine(execution) {
                explain();
                return;
            }
            abandon(execution);
        }
        abort(execution);
        return;
    }
    let site = info.location().map(|location| {
        // SAFETY: the location of a panic is one of the program's constants (the compiler, and
        // `Location::caller`, make no others); only the accessor narrows its lifetime.
        Site::at(unsafe { std::mem::transmute::<&Location<'_>, &'static Location<'static>>(location) })
    });
    let order = execution.outcome.panics;
    execution.outcome.panics += 1;
    let step = execution.schedule.steps;
    let Some(thread) = execution.threads.get_mut(execution.current as usize) else { return };
    // A panic inside a destructor that runs because of another one.
    thread.panics.before_last = thread.panics.panicked.take();
    thread.panics.outer_panic = thread.panics.before_last.clone().filter(|_| thread.panicking);
    thread.panicking = true;
    execution.schedule.unwinding_seen = true;
    execution.schedule.disturb();
    let injected = info.payload().is::<Injected>();
    let message = match message {
        Some(message) => message,
        None if injected => "injected panic".to_owned(),
        None => NO_TEXT.to_owned(),
    };
    thread.panics.panicked = Some(Panicked { message, site, step, injected, taken: None, order });
}

pub(crate) const NO_TEXT: &str = "a panic with a payload that is no text";

pub(crate) fn message_of(payload: &dyn Any) -> Option<String> {
    match payload.downcast_ref::<&'static str>() {
        Some(text) => Some((*text).to_owned()),
        None => payload.downcast_ref::<String>().cloned(),
    }
}

/// A panic left the closure of the current thread. Whether it was a panic of the program.
pub(crate) fn escaped(execution: &mut Execution, payload: &(dyn Any + Send)) -> bool {
    let me = execution.current as usize;
    let (step, order) = (execution.schedule.steps, execution.outcome.panics);
    let thread = &mut execution.threads[me];
    thread.panicking = false;
    if payload.is::<TearDown>() {
        thread.panics.panicked = None;
        return false;
    }
    // Raised by `resume_unwind`, or the last panic noted was one that a destructor caught.
    let caught = thread.panics.caught_panic.clone();
    let message = message_of(payload);
    let outer = thread.panics.outer_panic.take();
    if let (Some(outer), Some(message)) = (outer, &message) {
        let latest = thread.panics.panicked.as_ref().map(|panicked| &panicked.message);
        if outer.message == *message && latest != Some(message) {
            thread.panics.panicked = Some(outer);
        }
    }
    let fits = match (&thread.panics.panicked, &message) {
        (Some(panicked), Some(message)) => panicked.message == *message,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if !fits {
        let message = message.unwrap_or_else(|| NO_TEXT.to_owned());
        // The program may have caught it before.
        let again = caught.filter(|caught| caught.message == message);
        let new = || Panicked { message, site: None, step, injected: false, taken: None, order };
        thread.panics.panicked = Some(again.unwrap_or_else(new));
        execution.outcome.panics += 1;
    }
    true
}

/// The current thread's last panic came from the payload of the one before: that one counts.
pub(crate) fn forget_last(execution: &mut Execution) {
    if let Some(thread) = execution.threads.get_mut(execution.current as usize) {
        thread.panicking = false;
        if let Some(before) = thread.panics.before_last.take() {
            thread.panics.panicked = Some(before);
        }
    }
}

/// Notes the first cause of the panics that nobody took, if there is one, as the failure.
#[inline]
pub(crate) fn report_unhandled(execution: &mut Execution) -> bool {
    // Whether a process caught a panic is not seen; if it did not, its exit code says so.
    execution.outcome.panics != 0 && !execution.config.process && report_untaken(execution)
}

#[cold]
#[inline(never)]
fn report_untaken(execution: &mut Execution) -> bool {
    let threads = &execution.threads[..execution.schedule.thread_count];
    let ended = threads.iter().enumerate().filter(|(_, thread)| !thread.panicking);
    let untaken = ended
        .filter_map(|(index, thread)| Some((index as u32, thread.panics.panicked.as_ref()?)))
        .filter(|(_, panicked)| !panicked.injected && panicked.taken.is_none());
    let Some(mut cause) = untaken.min_by_key(|(_, panicked)| panicked.order) else { return false };
    while let Some(earlier) = cause_of(threads, cause.0, cause.1) {
        cause = earlier;
    }
    if cause.1.injected {
        return false;
    }
    let (thread, panicked) = (cause.0, cause.1.clone());
    fail(execution, thread, &panicked, false);
    true
}

/// Notes the panic that was raised last, or its first cause, as the failure of a process that ends by its
/// exit code; whether there was any.
pub(crate) fn report_last(execution: &mut Execution) -> bool {
    let threads = &execution.threads[..execution.schedule.thread_count];
    let all = threads
        .iter()
        .enumerate()
        .filter_map(|(index, thread)| Some((index as u32, thread.panics.panicked.as_ref()?)));
    let Some(last) = all.max_by_key(|(_, panicked)| panicked.order) else { return false };
    let mut cause = last;
    while let Some(earlier) = cause_of(threads, cause.0, cause.1).or_else(|| joined(threads, cause.1)) {
        cause = earlier;
    }
    let (thread, mut panicked) = (cause.0, cause.1.clone());
    // The first may be one that the program expects. What an assertion says is not to be added to.
    if panicked.order != last.1.order && !panicked.message.starts_with("assertion ") {
        let name = crate::deadlock::name_of(execution, last.0);
        panicked.message.push_str(&format!("; and so {name} panicked: {}", last.1.message));
    }
    fail(execution, thread, &panicked, false);
    true
}

/// Where it is not seen who takes the panic of a thread: the last one of a thread that has ended, if the result of a
/// join was unwrapped.
fn joined<'a>(threads: &'a [Thread], panicked: &Panicked) -> Option<(u32, &'a Panicked)> {
    if !panicked.message.contains("Any { .. }") {
        return None;
    }
    let ended = threads.iter().enumerate().filter(|(_, thread)| thread.state == ThreadState::Finished);
    ended
        .filter_map(|(index, thread)| Some((index as u32, thread.panics.panicked.as_ref()?)))
        .filter(|(_, other)| other.order < panicked.order)
        .max_by_key(|(_, other)| other.order)
}

/// The earlier panic of which this one, of `thread`, is no more than a consequence.
fn cause_of<'a>(threads: &'a [Thread], thread: u32, panicked: &Panicked) -> Option<(u32, &'a Panicked)> {
    let all = || {
        threads.iter().enumerate().flat_map(|(index, thread)| {
            let panics = [&thread.panics.caught_panic, &thread.panics.outer_panic, &thread.panics.panicked];
            panics.into_iter().flatten().map(move |panicked| (index as u32, panicked))
        })
    };
    let earlier = || all().filter(|(_, other)| other.order < panicked.order);
    let taken = || earlier().filter(|(_, other)| other.taken == Some(thread));
    let message = &*panicked.message;
    let order = |(_, panicked): &(u32, &Panicked)| panicked.order;
    if message.contains("Any { .. }") {
        // The result of a join was unwrapped.
        taken().max_by_key(order)
    } else if message == "a scoped thread panicked" {
        taken().min_by_key(order)
    } else if message.contains("PoisonError") || message.contains("previously been poisoned") {
        earlier().min_by_key(order)
    } else if panicked.site.is_none() {
        // The payload of another thread's panic was raised again.
        earlier().filter(|(_, other)| other.message == message).min_by_key(order)
    } else {
        None
    }
}

/// The program did what ends any Rust process without unwinding, with this payload: a destructor
/// panicked where nothing can catch it. That is the failure.
pub(crate) fn fatal(execution: &mut Execution, payload: &(dyn Any + Send)) {
    if !escaped(execution, payload) || execution.phase() == Phase::TearDown {
        return;
    }
    let me = execution.current;
    execution.set_phase(Phase::TearDown);
    if let Some(panicked) = execution.threads[me as usize].panics.panicked.clone() {
        fail(execution, me, &panicked, false);
    }
    // It may be unwinding all the same, because of another panic.
    execution.unwinds();
}

/// Notes a panic as the failure of the execution, unless there is one.
pub(crate) fn fail(execution: &mut Execution, thread: u32, panicked: &Panicked, at_end: bool) {
    if execution.outcome.failure.is_some() {
        return;
    }
    let site = panicked.site;
    let detail = execution
        .recorder
        .as_mut()
        .map(|recorder| FailureDetail::Panic { site: site.map(|site| recorder.site(site)), at_end });
    let identity = match site {
        Some(_) => identity(FailureKind::Panic, [site]),
        None => hash_of(&panicked.message),
    };
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::Panic,
        message: panicked.message.clone(),
        thread: ThreadId(thread),
        step: panicked.step,
        identity,
        detail,
    });
}

/// The process is about to end: hands out what is known.
fn abort(execution: &mut Execution) {
    let me = execution.current;
    // This operating-system thread stops here for good; others may want them.
    execution.storage.statics.put_back_all();
    if execution.outcome.failure.is_none() {
        let thread = &execution.threads[me as usize];
        let panicked =
            thread.panics.outer_panic.clone().or_else(|| thread.panics.panicked.clone()).unwrap_or_else(
                || Panicked {
                    message: "panic in a destructor during cleanup".to_owned(),
                    site: None,
                    step: execution.schedule.steps,
                    injected: false,
                    taken: None,
                    order: 0,
                },
            );
        fail(execution, me, &panicked, false);
    }
    let trace = execution.recorder.take().map(|recorder: Box<Recorder>| recorder.trace);
    let Some(failure) = execution.outcome.failure.clone() else { return };
    let choices = execution.driver.choices.clone();
    match ON_ABORT.get() {
        Some(handler) => handler(Abort { failure, choices, trace }),
        None => {
            eprintln!("racefuzz: the program panicked in a destructor during cleanup: {}", failure.message)
        }
    }
}

fn on_coroutine(execution: &Execution) -> bool {
    execution.threads.get(execution.current as usize).is_some_and(|thread| thread.coroutine.runs)
}

/// Says, once for the process, what the standard library is about to announce again and again.
fn explain() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!(
            "racefuzz: a destructor panics while an execution is taken apart that is over already; nothing is aborted, \
             in spite of:"
        );
    });
}

/// A panic left a destructor while its thread was torn down, which no schedule of the program does
/// by itself: the thread is abandoned, in place of the process.
///
/// Called from the hook, which does not return: what comes next in it is the end of the process. The hook
/// stays locked, so that nobody can replace it any more, and who tries waits for ever: libtest does, at its
/// end. So where the signal that ends the process can be caught, the hook returns, and the thread is left
/// [there](crate::interrupt::leave_torn).
fn abandon(execution: &mut Execution) {
    if on_coroutine(execution) && can_uncount() {
        // The mark that a hook is running.
        uncount();
        // SAFETY: the hook runs on the coroutine of the current thread; `execution` is not used
        // after the switch.
        unsafe { give_up(execution) }
    }
}

/// The payload of a panic that is raised to be taken off the count.
struct Disowned;

/// Takes one panic off the count that `std::thread::panicking` looks at, and the mark that a panic
/// hook is running. Only inside a panic hook.
///
/// `resume_unwind` does not count inside of a hook, as a panic there would be the end of the
/// process, but `catch_unwind` does.
fn uncount() {
    let _ = catch_unwind(|| resume_unwind(Box::new(Disowned)));
}

/// Whether the standard library counts as [`uncount`] thinks: tried out on a thread of its own.
fn can_uncount() -> bool {
    struct Tries<'a>(&'a mut bool);
    impl Drop for Tries<'_> {
        fn drop(&mut self) {
            let before = std::thread::panicking();
            let _ = catch_unwind(|| panic_any(Disowned));
            *self.0 = before && !std::thread::panicking();
        }
    }
    static CAN: OnceLock<bool> = OnceLock::new();
    let try_out = || {
        let mut works = false;
        let _ = catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _tries = Tries(&mut works);
            resume_unwind(Box::new(Disowned));
        }));
        works
    };
    *CAN.get_or_init(|| {
        let thread = std::thread::Builder::new().name("racefuzz".to_owned()).spawn(try_out);
        thread.is_ok_and(|thread| thread.join().unwrap_or(false))
    })
}

/// The panics in flight on this operating-system thread belong to a coroutine that will never run
/// again: takes them off its count.
pub(crate) fn disown() {
    if std::thread::panicking() && can_uncount() {
        // More than this never nest.
        for _ in 0..16 {
            if !std::thread::panicking() {
                return;
            }
            let _ = catch_unwind(|| panic_any(Disowned));
        }
    }
}
