//! Switching: a thread states what it will do next and waits to be chosen.

mod ending;
mod fairness;
mod faults;
mod leaving;
mod offering;
mod passing_time;

pub(crate) use ending::{
    TearDown, attempted, give_up, leave_if_torn, stay, step_limit, torn, waited_in_vain,
};
pub(crate) use fairness::Fairness;
pub(crate) use faults::Injected;
pub(crate) use leaving::{block_for_good, fail_current, next_after_end, stop_diverged};

use crate::alloc::runtime_scope_of;
use crate::continuation::Continuation;
use crate::execution::{Absent, Execution, NOBODY, Phase, alive, current};
use crate::explorer::Op;
use crate::site::Site;
use crate::thread::{Condition, Pending};
use ending::ending;
use faults::inject_fault;

/// Events in a row after which a thread that others wait for gives way, so that strategies with
/// priorities end spin loops that hold no hint.
const ALONE_LIMIT: u32 = 500;

/// States the current thread's next operation and returns when it is that operation's turn.
///
/// The caller then executes it without any switch in between. Nothing may be borrowed from the
/// execution across this call.
#[inline]
pub(crate) fn post(pending: Pending) -> Result<(), Absent> {
    let pointer = alive()?;
    // SAFETY: it runs on this operating-system thread.
    let _runtime = unsafe { runtime_scope_of((*pointer).local) };
    // SAFETY: `pointer` is the current execution; no reference into it is live.
    unsafe {
        match pending.condition {
            Condition::Always if !pending.invisible => post_visible(pointer, pending.op, pending.site),
            _ => post_awaiting(pointer, pending),
        }
    }
}

/// The same for an operation under a condition, or one that is no choice.
///
/// # Safety
/// As [`post_visible`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn post_awaiting(pointer: *mut Execution, pending: Pending) -> Result<(), Absent> {
    // SAFETY: see `execution::with`; the reference ends before the switch below.
    let (me, next) = unsafe {
        let execution = &mut *pointer;
        if execution.phase() != Phase::Running {
            return ending(execution, pending);
        }
        (execution.current, execution.offer_awaiting(&pending))
    };
    if next == AT_ONCE {
        return Ok(());
    }
    // SAFETY: passed on to the caller.
    unsafe { take_turn(pointer, me, next, true) }
}

/// Returns when a thread has ended: [`post`] for a join.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn post_end_of(target: u32, op: Op, site: Site) -> Result<(), Absent> {
    let pointer = alive()?;
    // SAFETY: it runs on this operating-system thread.
    let _runtime = unsafe { runtime_scope_of((*pointer).local) };
    // SAFETY: `pointer` is the current execution; the reference ends before the switch below.
    unsafe {
        let execution = &mut *pointer;
        if execution.phase() != Phase::Running {
            let condition = Condition::Finished(target);
            return ending(execution, Pending { op, site, condition, deadline: None, invisible: true });
        }
        let me = execution.current;
        let next = execution.offer_end_of(target, op, site);
        if next == AT_ONCE { Ok(()) } else { take_turn(pointer, me, next, true) }
    }
}

/// [`post_end_of`] in an execution in which nothing is on.
///
/// # Safety
/// As [`post_plain`].
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn post_end_of_plain(
    pointer: *mut Execution,
    target: u32,
    op: Op,
    site: Site,
) -> Result<(), Absent> {
    // SAFETY: see `execution::with`; the reference ends before the switch.
    unsafe {
        let me = (*pointer).current;
        let next = (*pointer).offer_end_of(target, op, site);
        if next != AT_ONCE {
            take_plain_turn(pointer, me, next)?;
            (*pointer).running().pending.settle();
        }
    }
    Ok(())
}

/// No thread's number: the running thread goes on at once.
const AT_ONCE: u32 = NOBODY - 1;

/// States the current thread's next operation, which waits for nothing, and returns when it is that
/// operation's turn: [`post`] for the most common steps.
///
/// # Safety
/// `pointer` is the current execution, which is not being torn down; no reference into it is live.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn post_visible(pointer: *mut Execution, op: Op, site: Site) -> Result<(), Absent> {
    // SAFETY: see `execution::with`; the reference ends before the switch below.
    let (me, next) = unsafe {
        let execution = &mut *pointer;
        if execution.phase() != Phase::Running {
            return ending(execution, visible(op, site));
        }
        (execution.current, execution.offer(op, site))
    };
    // SAFETY: passed on to the caller.
    unsafe { take_turn(pointer, me, next, false) }
}

/// [`post_visible`] where a step has to look at nothing but itself; whether other threads have run meanwhile.
///
/// # Safety
/// As [`post_visible`]; the execution is not [slow](Execution::slow).
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn post_plain(pointer: *mut Execution, op: Op, site: Site) -> Result<bool, Absent> {
    // SAFETY: see `execution::with`; the references end before the switch and before a thread unwinds.
    unsafe {
        let me = (*pointer).current;
        let next = (*pointer).offer_plain(me, op, site);
        take_plain_turn(pointer, me, next)?;
        Ok(next != me)
    }
}

/// [`post_plain`] in a lean execution; whether other threads have run meanwhile. If they have, and the execution is
/// not lean any more, the caller calls [`end_turn`].
///
/// # Safety
/// As [`post_plain`].
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn post_lean(pointer: *mut Execution, op: Op, site: Site) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        let execution = &mut *pointer;
        let me = execution.current;
        let next = execution.offer_plain(me, op, site);
        let switches = next != me;
        if switches {
            if next == NOBODY {
                // It has ended: it is no longer lean.
                return true;
            }
            switch_to(pointer, me, next);
        }
        let execution = &mut *pointer;
        if execution.schedule.yielded != 0 {
            execution.settle_plain(me);
        }
        switches
    }
}

/// What a turn has come of that began in a lean execution: the thread unwinds if that is over.
#[cold]
#[inline(never)]
pub(crate) fn end_turn() -> Result<(), Absent> {
    // SAFETY: see `execution::with`; a plain read.
    if unsafe { (*current()).phase() } == Phase::TearDown { torn() } else { Ok(()) }
}

/// [`take_turn`] where a step has to look at nothing but itself, and what it waited for has come about.
///
/// # Safety
/// As [`post_plain`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn take_plain_turn(pointer: *mut Execution, me: u32, next: u32) -> Result<(), Absent> {
    // SAFETY: passed on to the caller.
    unsafe {
        if next != me {
            if next == NOBODY {
                torn()?;
            }
            switch_to(pointer, me, next);
            if (*pointer).phase() == Phase::TearDown {
                torn()?;
            }
        }
        if (*pointer).schedule.yielded != 0 {
            (*pointer).settle(me);
        }
    }
    Ok(())
}

/// Lets `next` run, and returns when it is the turn of the running thread, `me`.
///
/// # Safety
/// As [`post_visible`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn take_turn(pointer: *mut Execution, me: u32, next: u32, awaiting: bool) -> Result<(), Absent> {
    if next != me {
        if next == NOBODY {
            return torn();
        }
        // SAFETY: as above; `switch_to` is called without a live reference.
        unsafe { switch_to(pointer, me, next) };
    }
    // SAFETY: as above, a new reference after the switch.
    let execution = unsafe { &mut *pointer };
    if execution.phase() == Phase::TearDown {
        return torn();
    }
    if awaiting || execution.schedule.yielded != 0 {
        execution.settle(me);
    }
    if execution.driver.faults_left != 0 {
        inject_fault(execution)?;
    }
    Ok(())
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn visible(op: Op, site: Site) -> Pending {
    Pending { op, site, condition: Condition::Always, deadline: None, invisible: false }
}

/// Suspends the running thread, `me`, in favour of another.
///
/// # Safety
/// `execution` is the current one, the caller runs on the coroutine of its current thread, and no
/// reference into the execution is live.
///
/// Inlined into the operation itself: a `ret` after a switch is one that the processor predicts wrong.
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn switch_to(execution: *mut Execution, me: u32, next: u32) {
    // SAFETY: passed on to the caller; whoever goes on with this coroutine sets `current` back to it before.
    unsafe {
        let running = &mut *execution;
        let thread = running.running();
        thread.spinning.alone = 0;
        let unwinding = thread.panicking;
        running.run_next(next);
        if unwinding {
            pass_unwinding(execution, me);
        } else {
            Continuation::pass(execution, me);
        }
    }
}

/// Suspends a coroutine that is in the middle of unwinding: others must not take its panic for
/// theirs.
///
/// # Safety
/// As [`switch_to`], whose caller's thread is `me`.
#[cold]
#[inline(never)]
unsafe fn pass_unwinding(execution: *mut Execution, me: u32) {
    // SAFETY: the execution lives as long as its coroutines run; no reference is live across the
    // suspension.
    unsafe {
        (*execution).coroutines.unwinding_elsewhere += 1;
        Continuation::pass(execution, me);
        (*execution).coroutines.unwinding_elsewhere -= 1;
    }
}

/// Suspends the running thread while its execution is torn down, to be resumed by `tear_down`.
///
/// # Safety
/// As [`switch_to`].
pub(crate) unsafe fn rest(execution: *mut Execution) {
    // SAFETY: as in `switch_to`.
    unsafe {
        let unwinds = u32::from((*execution).unwinds());
        (*execution).coroutines.unwinding_elsewhere += unwinds;
        Continuation::leave(execution);
        (*execution).coroutines.unwinding_elsewhere -= unwinds;
    }
}

impl Execution {
    /// Whether the running thread is unwinding.
    ///
    /// `std::thread::panicking` answers for the operating-system thread: it is true while any
    /// coroutine on it is in the middle of unwinding. As long as no suspended one is, the answer is
    /// that of the running one, and what the program did unseen shows: it caught a panic, or raised
    /// one without the hook (`resume_unwind`). While one is, the last thing known holds, to which
    /// the hook adds every panic; what is missed then is a panic caught or resumed while another
    /// thread stands in a destructor of its own unwinding.
    #[cold]
    #[inline(never)]
    pub(crate) fn unwinds(&mut self) -> bool {
        let unwinding = std::thread::panicking();
        let known = self.coroutines.unwinding_elsewhere == 0 || !unwinding;
        let Some(thread) = self.threads.get_mut(self.current as usize) else { return unwinding };
        if known && unwinding != thread.panicking {
            thread.panicking = unwinding;
            self.schedule.unwinding_seen = true;
            self.schedule.disturb();
            if !unwinding {
                thread.panics.caught_panic = thread.panics.panicked.take();
                thread.panics.outer_panic = None;
            }
        }
        thread.panicking
    }
}
