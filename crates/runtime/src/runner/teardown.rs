//! Ending the threads of an execution that is over, one by one.

use super::root::put_root;
use super::{record_ends, resume};
use crate::alloc::by_program;
use crate::continuation::Abandoned;
use crate::execution::{Execution, Phase, current};
use crate::locals::Locals;
use crate::ops;
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Ends every thread that is left, the youngest first, so that nobody's borrowed data goes before
/// the borrower; then drops what the program left behind.
///
/// # Safety
/// As `work` of the runner.
pub(super) unsafe fn tear_down(execution: *mut Execution) {
    // SAFETY: as in `work`.
    unsafe {
        if (*execution).recorder.is_some() {
            record_ends(&mut *execution);
        }
        (*execution).set_phase(Phase::TearDown);
        if (*execution).coroutines.live != 0 || leaves_something(&*execution) {
            release(execution);
        }
        (*execution).storage.statics.put_back_all();
    }
}

/// Ends the threads that are left, and drops what the program left behind.
///
/// # Safety
/// As `work` of the runner.
#[cold]
#[inline(never)]
unsafe fn release(execution: *mut Execution) {
    // SAFETY: as in `work`.
    unsafe {
        let mut abandoned = SmallVec::new();
        if (*execution).coroutines.live != 0 {
            abandoned = end_bodies(execution);
        }
        while release_one_by_one(&mut *execution) {
            if resume(execution) {
                abandoned.push(abandon(&mut *execution, 0));
            }
            (*execution).storage.statics.put_back();
        }
        (*execution).storage.statics.put_back_all();
        // Their execution is over. But where a thread was interrupted, something of std's may wait on its
        // stack that is older than the execution.
        for coroutine in abandoned {
            coroutine.reclaim(&mut (*execution).coroutines.stacks);
        }
    }
}

/// Lets every body that has not ended unwind; the coroutines of those that do not.
///
/// # Safety
/// As `work` of the runner.
#[cold]
unsafe fn end_bodies(execution: *mut Execution) -> SmallVec<[Abandoned; 2]> {
    let mut abandoned = SmallVec::new();
    // SAFETY: as in `work`.
    unsafe {
        if (*execution).config.process {
            return end_process(&mut *execution);
        }
        let count = (*execution).schedule.thread_count as u32;
        // First those that stand in the middle of unwinding: while there are any, nobody can tell
        // whether another one unwinds. (Where others borrow from them they wait for those to end.)
        for thread in (0..count).rev() {
            let candidate = &(&(*execution).threads)[thread as usize];
            if candidate.coroutine.live && candidate.panicking {
                (*execution).run_next(thread);
                resume(execution);
            }
        }
        let mut lenders: Vec<u32> = Vec::new();
        for thread in (0..count).rev() {
            if !(&(*execution).threads)[thread as usize].coroutine.live {
                continue;
            }
            (*execution).run_next(thread);
            let given_up =
                (&(*execution).threads)[thread as usize].coroutine.given_up || lenders.contains(&thread);
            if given_up || resume(execution) {
                // It goes on in spite of everything, or somebody who does borrows from it.
                let coroutine = abandon(&mut *execution, thread);
                if (*execution).outcome.left != Some(thread) {
                    abandoned.push(coroutine);
                }
                let thread = &(&(*execution).threads)[thread as usize];
                if thread.origin.scoped {
                    lenders.extend(thread.origin.parent);
                }
            }
        }
    }
    abandoned
}

/// The threads of a process that is over: whatever they are at, nobody is to unwind them.
fn end_process(execution: &mut Execution) -> SmallVec<[Abandoned; 2]> {
    let mut abandoned = SmallVec::new();
    // The youngest first, so that the next execution's threads find the stacks of their predecessors.
    for thread in (0..execution.schedule.thread_count).rev() {
        let coroutine = &mut execution.threads[thread].coroutine;
        if std::mem::replace(&mut coroutine.live, false) {
            execution.coroutines.live -= 1;
            abandoned.push(execution.coroutines.continuations[thread].abandon());
        }
    }
    abandoned
}

/// Leaves a thread where it stands, with all that is on its stack.
fn abandon(execution: &mut Execution, thread: u32) -> Abandoned {
    execution.threads[thread as usize].coroutine.live = false;
    execution.coroutines.live -= 1;
    execution.outcome.abandoned += 1;
    execution.coroutines.continuations[thread as usize].abandon()
}

/// Makes a coroutine that drops what the program left behind, unless that is nothing. It is one
/// because a destructor of the program that does not end can then be abandoned, too.
pub(super) fn release_one_by_one(execution: &mut Execution) -> bool {
    if !leaves_something(execution) {
        return false;
    }
    let root = &mut execution.threads[0];
    (root.coroutine.torn, root.coroutine.given_up, root.panicking) = (0, false, false);
    let body = || {
        // SAFETY: see `execution::with`; each reference ends before anything of the program runs.
        let execution = || unsafe { &mut *current() };
        while let Some(oracle) = execution().storage.finals.pop() {
            let _ = catch_unwind(AssertUnwindSafe(|| by_program(|| drop(oracle)))).map_err(ops::drop_payload);
        }
        release_all(|| &mut execution().storage.globals);
        while let Some(value) = execution().storage.statics.next() {
            // SAFETY: no thread of the execution will run again.
            let destroy = || by_program(|| unsafe { value.destroy() });
            let _ = catch_unwind(AssertUnwindSafe(destroy)).map_err(ops::drop_payload);
            execution().storage.statics.put_back();
        }
        for thread in 0..execution().schedule.thread_count {
            release_all(|| &mut execution().threads[thread].locals);
        }
    };
    // SAFETY: the closure captures nothing.
    unsafe { put_root(execution, body) };
    true
}

/// Whether the program has left anything behind that is to be dropped.
#[inline]
fn leaves_something(execution: &Execution) -> bool {
    let are_left = || {
        let threads = &execution.threads[..execution.schedule.thread_count];
        !threads.iter().all(|thread| thread.locals.is_empty())
    };
    !execution.storage.finals.is_empty()
        || !execution.storage.globals.is_empty()
        || !execution.storage.statics.is_unused()
        || execution.storage.any_locals && are_left()
}

fn release_all<'a>(locals: impl Fn() -> &'a mut Locals) {
    while let Some(value) = locals().take_next() {
        let _ = catch_unwind(AssertUnwindSafe(|| by_program(|| drop(value)))).map_err(ops::drop_payload);
    }
}
