//! Interrupting a program that shows no step: a loop without an instrumented operation, or a call that
//! blocks the operating-system thread on which all threads of the execution run.
//!
//! A watchdog on another thread sends the worker a signal. The handler, on the stack of the coroutine
//! that hangs, notes where it is and waits for the watchdog's verdict: to go on, or to leave the
//! coroutine where it stands. The latter is a switch back to the worker, which tears the execution
//! down; the coroutine never runs again, so that nothing it borrows is touched by it. The worker, and
//! whatever else its operating-system thread is to do, goes on.
//!
//! ```text
//! watchdog: Heartbeat::interrupt -> signal -> handler: backtrace -> watchdog: what is it? -> handler: leave
//! ```
//!
//! What is interrupted must not hold a lock that the worker or the watchdog needs: inside the system's
//! allocator the handler refuses, and the watchdog asks again. Whether the runtime's own code or an
//! explorer's is running the watchdog sees from the backtrace.

use crate::execution::{Execution, Phase};
use crate::heartbeat::Heartbeat;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const REFUSED: u32 = 2;
const CAPTURED: u32 = 3;
const LEAVE: u32 = 4;
/// The program does not run: the worker is between executions, or in the runtime's own code.
const ELSEWHERE: u32 = 5;

/// How far the one interrupt of the process is.
static STATE: AtomicU32 = AtomicU32::new(IDLE);
/// The heartbeat of the worker that is asked.
static ASKED_OF: AtomicUsize = AtomicUsize::new(0);
static CAPTURE: AtomicPtr<Backtrace> = AtomicPtr::new(std::ptr::null_mut());
static ONE: Mutex<()> = Mutex::new(());

/// What the handler finds on a worker.
#[derive(Clone, Copy)]
struct Running {
    execution: *mut Execution,
    heartbeat: usize,
}

thread_local! {
    static RUNNING: Cell<Running> =
        const { Cell::new(Running { execution: std::ptr::null_mut(), heartbeat: 0 }) };
}

/// This operating-system thread runs an execution; none, if null.
pub(crate) fn set_running(execution: *mut Execution, heartbeat: &Heartbeat) {
    RUNNING.set(Running { execution, heartbeat: std::ptr::from_ref(heartbeat) as usize });
}

/// The execution that this thread runs, also while its code is outside for a moment, and the address of
/// its runner's heartbeat.
#[cfg(unix)]
pub(crate) fn running() -> (*mut Execution, usize) {
    let running = RUNNING.get();
    (running.execution, running.heartbeat)
}

/// The verdict on what was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It goes on as if nothing had been.
    GoOn,
    /// It never runs again; the execution ends.
    Leave,
}

/// Where the threads of `heartbeat`'s runner are, as a backtrace, and what `judge` says of it; `None` if
/// the worker could not be asked in time.
#[cfg(target_os = "linux")]
pub(crate) fn interrupt(
    heartbeat: &Heartbeat,
    judge: impl FnOnce(&str) -> Interruption,
) -> Option<Interruption> {
    const PATIENCE: Duration = Duration::from_secs(3);
    install();
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = heartbeat.thread()?;
    let until = Instant::now() + PATIENCE;
    ASKED_OF.store(std::ptr::from_ref(heartbeat) as usize, Ordering::Relaxed);
    while Instant::now() < until {
        STATE.store(ASKED, Ordering::Release);
        // SAFETY: sends a signal that has a handler to a thread of this process, or to none.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal()) };
        if sent != 0 {
            break;
        }
        let mut rounds = 0;
        while STATE.load(Ordering::Acquire) == ASKED && rounds < 200 {
            std::thread::sleep(Duration::from_millis(1));
            rounds += 1;
        }
        if STATE.load(Ordering::Acquire) == ELSEWHERE {
            STATE.store(IDLE, Ordering::Release);
            return Some(Interruption::GoOn);
        }
        if STATE.load(Ordering::Acquire) == CAPTURED {
            let capture = CAPTURE.swap(std::ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: the handler made the pointer from a box, and took its hands off it.
            let text = unsafe { Box::from_raw(capture) }.to_string();
            let verdict = judge(&text);
            let next = if verdict == Interruption::Leave { LEAVE } else { IDLE };
            STATE.store(next, Ordering::Release);
            return Some(verdict);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    STATE.store(IDLE, Ordering::Release);
    None
}

/// Elsewhere nobody can be asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn interrupt(
    _heart: &Heartbeat,
    _judge: impl FnOnce(&str) -> Interruption,
) -> Option<Interruption> {
    let _ = (install as fn(), &ONE, Duration::ZERO, Instant::now, PoisonError::<()>::into_inner);
    None
}

/// A signal that nobody else uses; not one of those that mark a worker's threads.
#[cfg(unix)]
fn signal() -> libc::c_int {
    #[cfg(target_os = "linux")]
    return libc::SIGRTMAX() - 10;
    #[cfg(not(target_os = "linux"))]
    return libc::SIGURG;
}

/// The functions in which a thread must not be left: they hold the allocator's locks.
static ALLOCATOR: OnceLock<Vec<usize>> = OnceLock::new();

/// Looks up where the allocator is, which no handler can.
#[cfg(unix)]
pub(crate) fn know_allocator() {
    ALLOCATOR.get_or_init(|| {
        let names = [
            c"malloc",
            c"free",
            c"calloc",
            c"realloc",
            c"posix_memalign",
            c"aligned_alloc",
            c"dl_iterate_phdr",
        ];
        // SAFETY: looks names up in what is loaded.
        let address =
            |name: &std::ffi::CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize;
        names.into_iter().map(address).filter(|address| *address != 0).collect()
    });
}

#[cfg(unix)]
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        know_allocator();
        // What a backtrace needs is loaded now, and not in the handler.
        let _ = Backtrace::force_capture();
        // SAFETY: a zeroed `sigaction` is a valid value; the pointers are to a live local; the handler
        // has the signature asked for. It runs on the stack that it interrupts, and may leave it.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            let handler: extern "C" fn(libc::c_int) = handle;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_NODEFER;
            libc::sigaction(signal(), &raw const action, std::ptr::null_mut());
        }
    });
}

#[cfg(not(unix))]
fn install() {
    let _ = (Once::new, &ALLOCATOR);
}

extern "C" fn handle(_: libc::c_int) {
    // SAFETY: the address of this thread's own errno, which the interrupted code may be about to read.
    let errno = unsafe { *libc::__errno_location() };
    handled();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

fn handled() {
    let Running { execution, heartbeat } = RUNNING.get();
    if STATE.load(Ordering::Acquire) != ASKED || heartbeat != ASKED_OF.load(Ordering::Relaxed) {
        return;
    }
    let elsewhere = execution.is_null() || !on_program_stack(execution);
    if elsewhere || in_allocator() {
        let answer = if elsewhere { ELSEWHERE } else { REFUSED };
        let _ = STATE.compare_exchange(ASKED, answer, Ordering::AcqRel, Ordering::Relaxed);
        return;
    }
    // It is another thread's to free.
    let scope = crate::alloc::runtime_scope();
    CAPTURE.store(Box::into_raw(Box::new(Backtrace::force_capture())), Ordering::Release);
    if STATE.compare_exchange(ASKED, CAPTURED, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        // Nobody waits any more.
        return;
    }
    while STATE.load(Ordering::Acquire) == CAPTURED {
        std::thread::sleep(Duration::from_millis(1));
    }
    if STATE.load(Ordering::Acquire) == LEAVE {
        STATE.store(IDLE, Ordering::Release);
        // What comes next on this thread is the runtime's code.
        std::mem::forget(scope);
        // SAFETY: the handler runs on the coroutine of the current thread of the execution that this
        // worker runs, in the middle of the program's code: no reference into it is live. The signal
        // is not blocked (SA_NODEFER), so nothing has to be undone.
        unsafe { leave(execution) }
    }
}

/// # Safety
/// On the coroutine of the current thread of this worker's execution, with no reference into it live.
unsafe fn leave(execution: *mut Execution) -> ! {
    // SAFETY: passed on to the caller.
    unsafe {
        (*execution).outcome.left = Some((*execution).current);
        (*execution).set_phase(Phase::TearDown);
        // It may have been outside for a moment.
        crate::execution::set_current(execution);
        crate::schedule::give_up(execution)
    }
}

/// Whether [`leave_torn`] can tell what a signal has interrupted.
pub(crate) const LEAVES_TORN: bool =
    cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")));

/// Leaves a coroutine that a signal would end the process for, if its thread is being torn down: a
/// destructor has met what the execution was cut off in the middle of (a reference given back whose
/// holder was not told, a validation that aborts), as no code expects an atomic operation to unwind.
/// What the execution came to is known by then.
///
/// Returns if that is not so, or not to be had: where the runtime or the system's allocator was struck.
///
/// # Safety
/// Called from the handler of `signal`, with the context that it was given, on the thread that runs the
/// execution.
#[cfg(unix)]
pub(crate) unsafe fn leave_torn(signal: libc::c_int, context: *mut libc::c_void, execution: *mut Execution) {
    // SAFETY: passed on to the caller; plain reads of what does not change while a coroutine runs. Where
    // the program's code was struck there is no reference into the execution.
    unsafe {
        let Some(struck) = stack_pointer(context) else { return };
        let torn = (*execution).phase() == Phase::TearDown && is_on_stack(execution, struck);
        if !torn || !crate::alloc::in_program() || in_allocator() {
            return;
        }
        let mut mask = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut mask);
        libc::sigaddset(&raw mut mask, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, std::ptr::null_mut());
        // What comes next on this thread is the runtime's code.
        std::mem::forget(crate::alloc::runtime_scope());
        crate::execution::set_current(execution);
        crate::schedule::give_up(execution)
    }
}

/// The stack pointer of what a signal has interrupted, where that is known.
///
/// # Safety
/// `context` is what the kernel gave to the handler.
#[cfg(unix)]
unsafe fn stack_pointer(context: *mut libc::c_void) -> Option<usize> {
    // SAFETY: passed on to the caller.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return unsafe {
        let context = context.cast::<libc::ucontext_t>().as_ref()?;
        Some(context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize)
    };
    // SAFETY: passed on to the caller.
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    return unsafe { Some(context.cast::<libc::ucontext_t>().as_ref()?.uc_mcontext.sp as usize) };
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = context;
        None
    }
}

/// Whether the handler runs on the stack of the execution's current thread.
fn on_program_stack(execution: *mut Execution) -> bool {
    is_on_stack(execution, std::ptr::from_ref(&execution) as usize)
}

/// Whether an address is one on the stack of the execution's current thread.
fn is_on_stack(execution: *mut Execution, here: usize) -> bool {
    // SAFETY: plain reads of what does not change while a coroutine runs, but in the runtime's own
    // code, which the watchdog tells from the backtrace.
    unsafe {
        let current = (*execution).current as usize;
        let threads = &(*execution).threads;
        threads.get(current).is_some_and(|thread| {
            let (low, high) = thread.coroutine.stack;
            (low..high).contains(&here) && thread.coroutine.runs
        })
    }
}

/// Whether one of the calls that were interrupted is the allocator's.
fn in_allocator() -> bool {
    let (mut frames, mut inside) = (0, false);
    crate::frames::walk(|address| {
        let function = crate::frames::function(address);
        inside |= ALLOCATOR.get().is_some_and(|known| known.contains(&function));
        frames += 1;
        !inside && frames <= 64
    });
    inside
}
