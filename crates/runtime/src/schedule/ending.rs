//! How threads unwind when their execution is over.

use crate::alloc::runtime_scope;
use crate::continuation::Continuation;
use crate::deadlock;
use crate::execution::{Absent, Execution, current};
use crate::thread::Pending;
use std::panic::resume_unwind;

/// The payload that unwinds a thread whose execution is over.
pub(crate) struct TearDown;

/// What a thread may attempt while it is torn down before it is given up.
const TORN_LIMIT: u32 = 1_000_000;

/// How much an operation counts that should have unwound the thread. Those that only release
/// something count one: destructors of large collections do many of them.
const TORN_WEIGHT: u32 = 50;

/// How much it counts that a thread gives way while it is torn down: it does so for others, of whom none will
/// ever act, so that a destructor which waits for one of them is soon given up.
const TORN_WAIT: u32 = 10_000;

/// The root runs oracles after every thread has ended: nothing to choose, nothing to wait for.
pub(super) fn ending(execution: &mut Execution, pending: Pending) -> Result<(), Absent> {
    let me = execution.current;
    execution.threads[me as usize].pending = pending;
    execution.threads[me as usize].waiting.timed_out = false;
    if execution.is_spent() {
        deadlock::step_limit(execution);
        return torn();
    }
    if execution.holds(me) {
        return Ok(());
    }
    if pending.deadline.is_some() {
        execution.threads[me as usize].waiting.timed_out = true;
        return Ok(());
    }
    execution.threads[me as usize].waiting.blocked = true;
    deadlock::nobody_can_run(execution);
    torn()
}

/// The execution is over: unwinds the calling thread, or, if it is unwinding already, lets it go
/// on without effect.
#[cold]
pub(crate) fn torn() -> Result<(), Absent> {
    let _runtime = runtime_scope();
    let execution = current();
    // SAFETY: as below.
    if unsafe { (*execution).config.process } {
        // SAFETY: the caller runs on the coroutine of the current thread, and keeps no reference.
        unsafe { stay(execution) }
    }
    count_torn(TORN_WEIGHT);
    // SAFETY: the caller runs inside a live execution; short-lived accesses, no reference is kept
    // across the unwinding.
    unsafe {
        if (*execution).unwinds() {
            return Err(Absent::TearDown);
        }
        let me = (*execution).current as usize;
        (&mut (*execution).threads)[me].panicking = true;
    }
    resume_unwind(Box::new(TearDown))
}

/// An operation is attempted although the execution is over.
#[cold]
#[inline(never)]
pub(crate) fn attempted() -> Absent {
    count_torn(1);
    Absent::TearDown
}

/// An operation that should unwind the thread found out, by `attempted`, that the execution is over.
#[cold]
#[inline(never)]
pub(crate) fn leave_if_torn(absent: Absent) -> Absent {
    match absent {
        Absent::Outside => absent,
        Absent::TearDown => torn().err().unwrap_or(absent),
    }
}

/// A thread gives way to others although the execution is over.
#[cold]
pub(crate) fn waited_in_vain(absent: Absent) {
    if absent == Absent::TearDown {
        count_torn(TORN_WAIT);
    }
}

/// Counts what a thread does in spite of the end, and gives it up when that is too much.
fn count_torn(weight: u32) {
    let execution = current();
    // SAFETY: the caller runs inside a live execution, on the coroutine of its current thread; no
    // reference into the execution is live.
    unsafe {
        let me = (*execution).current as usize;
        let threads = &mut (*execution).threads;
        let Some(thread) = threads.get_mut(me) else { return };
        thread.coroutine.torn = thread.coroutine.torn.saturating_add(weight);
        if thread.coroutine.torn > TORN_LIMIT && thread.coroutine.runs {
            give_up(execution);
        }
    }
}

/// Suspends the running thread for good: `tear_down` will see that and abandon it.
///
/// # Safety
/// As `switch_to`.
pub(crate) unsafe fn give_up(execution: *mut Execution) -> ! {
    // SAFETY: as in `switch_to`.
    unsafe {
        let me = (*execution).current as usize;
        let thread = &mut (&mut (*execution).threads)[me];
        thread.coroutine.given_up = true;
        let unwinding = thread.panicking;
        if (*execution).coroutines.unwinding_elsewhere == 0 {
            // Its panic will never be caught, and is nobody else's.
            crate::panics::disown();
        }
        if unwinding && std::thread::panicking() {
            (*execution).coroutines.unwinding_elsewhere += 1;
        }
        loop {
            Continuation::leave(execution);
        }
    }
}

/// Suspends the running thread of a process that is over; `tear_down` abandons it.
///
/// # Safety
/// As `switch_to`.
pub(crate) unsafe fn stay(execution: *mut Execution) -> ! {
    // SAFETY: as in `switch_to`.
    unsafe {
        (*execution).running().coroutine.given_up = true;
        loop {
            Continuation::leave(execution);
        }
    }
}

/// The execution has taken as many steps as it may: the calling thread unwinds.
#[cold]
pub(crate) fn step_limit() -> Result<(), Absent> {
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the caller has just left it.
    unsafe { deadlock::step_limit(&mut *current()) };
    torn()
}
