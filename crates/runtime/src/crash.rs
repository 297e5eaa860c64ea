//! Signals that end the process while a program under test runs: an access to memory that is not there,
//! an abort, an illegal instruction, a division by zero.
//!
//! The process is broken, and the thread in the middle of anything: perhaps of the allocator. So the
//! handler does nothing but say so and wait; the watchdog on another thread reads what is known of the
//! execution, reports it, and ends the process by the same signal.

use crate::execution::Execution;
use crate::failure::{Detected, StableHasher};
use crate::heartbeat::Heartbeat;
use crate::panics::Abort;
use racefuzz_trace::{FailureDetail, FailureKind, ThreadId, Unseen};
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// The execution that a signal has struck, and the heartbeat of its runner.
static STRUCK: AtomicPtr<Execution> = AtomicPtr::new(std::ptr::null_mut());
static HEART: AtomicUsize = AtomicUsize::new(0);
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Called from the handler, on the thread that the signal has struck: returns, after a while, if nobody
/// reports it.
#[cfg(unix)]
pub(crate) fn struck(signal: libc::c_int, execution: *mut Execution, heartbeat: usize) {
    /// Tenths of a second that a watchdog is given to notice, and to report.
    const NOTICE: u32 = 20;
    const REPORT: u32 = 600;

    HEART.store(heartbeat, Ordering::Relaxed);
    SIGNAL.store(signal, Ordering::Relaxed);
    TAKEN.store(false, Ordering::Relaxed);
    STRUCK.store(execution, Ordering::Release);
    let mut waited = 0;
    while waited < if TAKEN.load(Ordering::Acquire) { REPORT } else { NOTICE } {
        let tenth = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // SAFETY: sleeping is async-signal-safe; the pointer is to a live local.
        unsafe { libc::nanosleep(&raw const tenth, std::ptr::null_mut()) };
        waited += 1;
    }
}

/// What is known of an execution of `heartbeat`'s runner that a signal has struck: the signal, and the
/// execution up to there. The thread it runs on waits in the handler.
pub(crate) fn take(heartbeat: &Heartbeat) -> Option<(i32, Abort)> {
    if HEART.load(Ordering::Relaxed) != std::ptr::from_ref(heartbeat) as usize {
        return None;
    }
    let execution = STRUCK.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if execution.is_null() {
        return None;
    }
    TAKEN.store(true, Ordering::Release);
    let signal = SIGNAL.load(Ordering::Relaxed);
    let unseen = Unseen::Signal { name: name(signal).to_owned() };
    let mut identity = StableHasher::new();
    identity.write_i32(signal);
    // SAFETY: the thread that owns the execution waits in the handler and never touches it again; what
    // the signal found half written is at worst a garbled report of a process that ends anyway.
    let execution = unsafe { &mut *execution };
    let failure = Detected {
        kind: FailureKind::Panic,
        message: unseen.to_string(),
        thread: ThreadId(execution.current),
        step: execution.schedule.steps,
        identity: identity.finish(),
        detail: Some(FailureDetail::Unseen(unseen)),
    };
    let trace = execution.recorder.as_ref().map(|recorder| recorder.trace.clone());
    // For those who repeat it.
    execution.storage.statics.put_back_all();
    Some((signal, Abort { failure, choices: execution.driver.choices.clone(), trace }))
}

#[cfg(unix)]
fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGABRT => "SIGABRT",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        _ => "a signal",
    }
}

#[cfg(not(unix))]
fn name(_: i32) -> &'static str {
    "a signal"
}

/// The program under test calls `std::process::exit`: names the test and the line, and lets no success
/// come of it. The results of other tests are lost: nothing in std stops an exit that has begun.
#[cfg(unix)]
pub(crate) fn watch_exit() {
    static WATCHED: std::sync::Once = std::sync::Once::new();
    extern "C" fn exits() {
        if crate::interrupt::running().0.is_null() {
            return;
        }
        let backtrace = std::backtrace::Backtrace::force_capture().to_string();
        let lines: Vec<&str> = backtrace.lines().map(str::trim).collect();
        let exit = lines.iter().rposition(|line| line.ends_with("process::exit") || line.ends_with(": exit"));
        let own = |line: &&&str| line.starts_with("at ") && !line.contains("/rustc/");
        let at = exit.and_then(|exit| lines[exit..].iter().find(own));
        let thread = std::thread::current();
        let text = format!(
            "\nracefuzz: `{}` ends the process inside an execution, by std::process::exit{}: results are lost, and none \
             is a pass\n",
            thread.name().unwrap_or("program"),
            at.map_or_else(String::new, |at| format!(", called {at}"))
        );
        // SAFETY: writes initialised bytes to stderr and leaves; other handlers are not to make a
        // success of it.
        unsafe {
            libc::write(2, text.as_ptr().cast(), text.len());
            libc::_exit(1);
        }
    }
    WATCHED.call_once(|| {
        // SAFETY: the handler has the signature asked for.
        unsafe { libc::atexit(exits) };
    });
}

/// Ends the process by a signal, as if nobody had caught it.
pub fn end_by(signal: i32) -> ! {
    #[cfg(unix)]
    // SAFETY: restores the default action and raises the signal; neither touches memory.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut mask = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut mask);
        libc::sigaddset(&raw mut mask, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, std::ptr::null_mut());
        libc::raise(signal);
    }
    std::process::abort()
}
