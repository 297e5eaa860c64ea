//! How threads leave an execution that goes on: at their end, killed, or waiting for good.

use super::{switch_to, torn};
use crate::alloc::runtime_scope;
use crate::deadlock;
use crate::execution::{Absent, Execution, NOBODY, Phase, current};
use crate::site::Site;
use crate::thread::ThreadState;

/// The current thread takes no further part in the execution.
pub(super) fn stop_current(execution: &mut Execution) {
    let me = execution.current;
    execution.threads[me as usize].state = ThreadState::Stopped;
    execution.disable(me);
    execution.schedule.unfinished -= 1;
    if execution.schedule.unfinished == 0 && me != 0 {
        execution.reconsider(0);
    }
}

/// Leaves the current thread for good.
pub(super) fn leave(execution: &mut Execution) -> Result<(), Absent> {
    let pointer: *mut Execution = execution;
    // SAFETY: `execution` is not used after the switch; see `switch_to`.
    unsafe {
        match (*pointer).pick() {
            Some(next) => switch_to(pointer, (*pointer).current, next),
            None => deadlock::nobody_can_run(&mut *pointer),
        }
    }
    torn()
}

/// The current thread's closure has returned or unwound: who is next?
///
/// Called at the very end of a coroutine, which then returns to the worker.
pub(crate) fn next_after_end(execution: &mut Execution) {
    let next = match execution.pick() {
        Some(next) => next,
        None => {
            deadlock::nobody_can_run(execution);
            NOBODY
        }
    };
    execution.run_next(next);
}

/// The program does something else than in an earlier execution of the same events: the execution ends
/// here, and the calling thread unwinds.
#[cold]
pub(crate) fn stop_diverged() -> Absent {
    let execution = current();
    if !execution.is_null() {
        // SAFETY: see `execution::with`.
        unsafe {
            (*execution).outcome.discarded = true;
            (*execution).set_phase(Phase::TearDown);
        }
    }
    let _ = torn();
    Absent::TearDown
}

/// Ends the execution as one that an `assume` excludes.
pub(crate) fn block_for_good(site: Site) -> Absent {
    let execution = current();
    let _runtime = runtime_scope();
    if !execution.is_null() {
        // SAFETY: see `execution::with`.
        unsafe {
            if (*execution).phase() != Phase::TearDown {
                (*execution).outcome.blocked_at.get_or_insert(site);
                if (*execution).driver.memory.is_some() && (*execution).phase() == Phase::Running {
                    // The others go on: what they write may be what this thread should have read.
                    stop_current(&mut *execution);
                    let _ = leave(&mut *execution);
                    return Absent::TearDown;
                }
                (*execution).set_phase(Phase::TearDown);
            }
        }
        let _ = torn();
    }
    Absent::TearDown
}

/// Ends the execution: a failure was noted, the calling thread unwinds.
pub(crate) fn fail_current() -> Absent {
    let _ = torn();
    Absent::TearDown
}
