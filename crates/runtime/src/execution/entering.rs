//! How the code under test reaches the execution that it runs in.

use super::{Absent, Execution, Phase};
use crate::alloc::{Scope, local, runtime_scope_of};

/// The execution that runs on this operating-system thread; null outside one.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn current() -> *mut Execution {
    // SAFETY: it is the running thread's, and no reference to it is ever made.
    unsafe { (*local()).execution.cast() }
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn set_current(execution: *mut Execution) {
    // SAFETY: as above.
    unsafe {
        let local = local();
        (*local).execution = execution.cast();
        if !execution.is_null() {
            (*execution).local = local;
        }
    }
}

/// The execution, where an operation has to look at nothing but its own effect: see [`Execution::slow`].
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn plain() -> Option<*mut Execution> {
    let execution = current();
    // SAFETY: see `with`; a plain read.
    if !execution.is_null() && unsafe { !(*execution).slow } { Some(execution) } else { None }
}

/// The execution, if it is [lean](Execution::lean): it runs, and an operation has to look at nothing but its own
/// effect on the newest words.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn lean() -> Option<*mut Execution> {
    let execution = current();
    // SAFETY: see `with`; a plain read.
    if !execution.is_null() && unsafe { (*execution).lean } { Some(execution) } else { None }
}

/// Runs `f` on the execution, unless there is none or it is being torn down.
///
/// `f` must not run code of the program under test: that code enters here again.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn with<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    let (execution, _runtime) = look_in()?;
    // SAFETY: `current` points to the execution for as long as its worker runs it on this thread,
    // and no other reference lives: `f` does not enter again, and coroutines switch only outside
    // such closures.
    Ok(f(unsafe { &mut *execution }))
}

/// The execution, unless there is none or it is being torn down, and that the runtime's code runs.
#[cfg_attr(not(debug_assertions), inline(always))]
fn look_in() -> Result<(*mut Execution, Scope), Absent> {
    let execution = current();
    if execution.is_null() {
        return Err(Absent::Outside);
    }
    // SAFETY: it runs on this operating-system thread.
    let runtime = unsafe { runtime_scope_of((*execution).local) };
    // SAFETY: see `with`; a plain read.
    if unsafe { (*execution).phase() } == Phase::TearDown {
        return Err(crate::schedule::attempted());
    }
    Ok((execution, runtime))
}

/// The same for an operation that an ended execution may not get past: unless it is unwinding
/// already, the calling thread then unwinds.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn enter<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    with(f).map_err(crate::schedule::leave_if_torn)
}

/// The execution, for an operation that states and executes a step: as [`enter`], for code that goes
/// on with the same execution after the switch.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn alive() -> Result<*mut Execution, Absent> {
    let execution = current();
    if execution.is_null() {
        return Err(Absent::Outside);
    }
    // SAFETY: see `with`; a plain read.
    if unsafe { (*execution).phase() } == Phase::TearDown {
        return Err(crate::schedule::leave_if_torn(crate::schedule::attempted()));
    }
    Ok(execution)
}

/// The same for an event that is no scheduling point: the step limit holds for it, too.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn free_event<R>(f: impl FnOnce(&mut Execution) -> R) -> Result<R, Absent> {
    let (result, spent) = enter(|execution| (f(execution), execution.is_spent()))?;
    if spent {
        crate::schedule::step_limit()?;
    }
    Ok(result)
}
