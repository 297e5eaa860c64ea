//! Waiting for the end of a thread, and asking for it.

use super::{JoinOutcome, Spawned, end_object};
use crate::alloc::runtime_scope;
use crate::backend;
use crate::execution::{Absent, Execution, Phase, alive, current, mix, plain, with};
use crate::explorer::Op;
use crate::ops::{graphed, local_op};
use crate::overlay;
use crate::schedule::visible;
use crate::schedule::{post, post_end_of, post_end_of_plain, rest};
use crate::site::Site;
use crate::thread::{Condition, ThreadState};
use racefuzz_trace::{MemoryOrder, OpKind, Point, ThreadId, Verb};

/// Waits for a thread's end and takes what it left.
///
/// `Err(Absent)` if there is nothing to take: the execution is being torn down, or is another one.
pub fn join<T>(spawned: Spawned<T>, site: Site) -> Result<JoinOutcome<T>, Absent> {
    let thread = spawned.thread.0;
    let joined = match plain() {
        // SAFETY: it is the current execution, whose steps have to look at nothing else.
        Some(pointer) if unsafe { (*pointer).epoch } == spawned.epoch => unsafe {
            join_plain(pointer, thread, false, site)?
        },
        _ => join_carefully(thread, spawned.epoch, site)?,
    };
    if let Some(epilogue) = joined.epilogue {
        join_own(epilogue, false, true, site)?;
    }
    let panicked = joined.panicked;
    // SAFETY: the thread has ended, and this handle, the only one, is consumed.
    let result = unsafe { spawned.packet.take() };
    if panicked {
        // The caller has it now. A panic of a thread-local's destructor is in no result.
        take_panic(spawned.thread, result.as_ref().is_some_and(|result| result.is_err()))?;
    }
    result.ok_or(Absent::TearDown)
}

/// Waits for the end of a thread of the execution `epoch`, which need not be the running one.
#[inline(never)]
fn join_carefully(thread: u32, epoch: u64, site: Site) -> Result<Joined, Absent> {
    let same = match backend::hosted() {
        Some(session) => session.epoch() == epoch,
        None => alive().map(|execution| {
            // SAFETY: see `execution::with`; a plain read.
            unsafe { (*execution).epoch == epoch }
        })?,
    };
    if !same {
        return Err(Absent::Outside);
    }
    overlay::before_local(site)?;
    match backend::hosted() {
        Some(session) => Ok(Joined { panicked: session.join(thread, false)?, epilogue: None }),
        None => join_own(thread, false, false, site),
    }
}

/// The panic of an ended thread is the caller's affair, if it is the thread's result.
#[cold]
fn take_panic(thread: ThreadId, is_result: bool) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        session.take_panic(thread.0, true);
        return Ok(());
    }
    with(|execution| {
        if is_result && let Some(panicked) = &mut execution.threads[thread.index()].panics.panicked {
            panicked.taken = Some(execution.current);
        }
    })
}

/// Waits for a thread's end, whoever may take what it left. Whether it panicked; if it did, `take`
/// makes that the caller's affair, and no longer a failure by itself.
///
/// The end of a thread is that of its body. Its local values are destroyed later, and only [`join`] waits for
/// that, as std does: neither the end of a scope nor `is_finished` tells anything about them.
pub fn join_thread(thread: ThreadId, take: bool, site: Site) -> Result<bool, Absent> {
    overlay::before_local(site)?;
    if let Some(session) = backend::hosted() {
        return session.join(thread.0, take);
    }
    Ok(join_own(thread.0, take, false, site)?.panicked)
}

/// How a thread has ended.
struct Joined {
    panicked: bool,
    /// The thread that destroys its local values.
    epilogue: Option<u32>,
}

const JOIN: Op = Op {
    kind: OpKind::Join,
    verb: Verb::Join,
    order: MemoryOrder::AcqRel,
    object: Op::NO_OBJECT,
    lock: false,
};

/// [`join_thread`] on this engine; an `implied` one is not shown.
fn join_own(target: u32, take: bool, implied: bool, site: Site) -> Result<Joined, Absent> {
    let op = JOIN;
    if let Some(pointer) = plain() {
        // SAFETY: it is the current execution, whose steps have to look at nothing else.
        return unsafe { join_plain(pointer, target, take, site) };
    }
    post_end_of(target, op, site)?;
    with(|execution| {
        let now = execution.event(&op);
        let (me, target) = (now.thread as usize, target as usize);
        if execution.order.has_clocks
            && let Ok([mine, theirs]) = execution.threads.get_disjoint_mut([me, target])
        {
            mine.learn(&theirs.clock, &theirs.coherence.seen);
        }
        let panicked = execution.threads[target].panics.panicked.is_some();
        if panicked
            && take
            && let Some(panicked) = &mut execution.threads[target].panics.panicked
        {
            panicked.taken = Some(me as u32);
        }
        if let Some(memory) = execution.driver.memory {
            crate::ops::counted::joins(execution);
            // SAFETY: see `Execution::event`.
            unsafe { (*memory).joined(me as u32, target as u32) };
        }
        execution.complete(&now, &op, target as u64);
        execution.record(&op, site, |_, event| {
            event.other = Some(ThreadId(target as u32));
            event.implied = implied;
        });
        Joined { panicked, epilogue: execution.threads[target].origin.epilogue }
    })
}

/// [`join_own`] in an execution in which nothing is on.
///
/// # Safety
/// `pointer` is the current execution, which is not [slow](Execution::slow); no reference into it is live.
#[inline(never)]
unsafe fn join_plain(pointer: *mut Execution, target: u32, take: bool, site: Site) -> Result<Joined, Absent> {
    let _runtime = runtime_scope();
    // SAFETY: passed on to the caller.
    unsafe { post_end_of_plain(pointer, target, JOIN, site)? };
    // SAFETY: see `execution::with`; a new reference after the switch.
    let execution = unsafe { &mut *pointer };
    let now = execution.event(&JOIN);
    let (me, target) = (now.thread as usize, target as usize);
    if execution.order.has_clocks
        && let Ok([mine, theirs]) = execution.threads.get_disjoint_mut([me, target])
    {
        mine.learn(&theirs.clock, &theirs.coherence.seen);
    }
    let ended = &mut execution.threads[target];
    let epilogue = ended.origin.epilogue;
    let panicked = ended.panics.panicked.is_some();
    if panicked
        && take
        && let Some(panicked) = &mut ended.panics.panicked
    {
        panicked.taken = Some(me as u32);
    }
    execution.complete(&now, &JOIN, target as u64);
    Ok(Joined { panicked, epilogue })
}

/// While the execution is torn down: returns when `thread`, which is younger than the caller, will
/// never run again. Without this a thread whose own step ended the execution, and which is the
/// first to unwind, would take from younger ones what it lent them.
pub fn outlive(thread: ThreadId) {
    let execution = current();
    if execution.is_null() {
        return;
    }
    // SAFETY: see `execution::with`; plain reads, and no reference is live across the suspension.
    // The worker resumes the coroutine that this runs on after all younger threads; one that it abandoned is not
    // done, and the caller then waits for ever.
    unsafe {
        loop {
            if (*execution).phase() != Phase::TearDown {
                return;
            }
            let thread = &(&(*execution).threads)[thread.index()];
            if !thread.coroutine.live && !thread.coroutine.runs {
                return;
            }
            rest(execution);
        }
    }
}

/// Whether a thread has ended: a step. Who asks in vain at one place again and again gives way, as that is waiting.
///
/// A thread that has done its last step need not have ended, as far as anybody can tell who was not told so: where
/// nobody was, the answer is a choice, as that of a load is which may read an older store. At each place it is one
/// only once, so that a loop which waits for the end does not wait for ever.
pub fn is_finished<T>(spawned: &Spawned<T>, site: Site) -> Result<bool, Absent> {
    if let Some(session) = backend::hosted() {
        return if session.epoch() == spawned.epoch {
            session.is_finished(spawned.thread.0)
        } else {
            Ok(true)
        };
    }
    let finished = ended(spawned.thread, spawned.epoch, true, site)?;
    if !finished {
        with(|execution| execution.give_way_again(site))?;
    }
    Ok(finished)
}

/// Whether a thread of the running execution has ended (the root has when the program has returned):
/// a step of one who does not wait for that.
pub fn has_ended(thread: ThreadId, site: Site) -> Result<bool, Absent> {
    let epoch = with(|execution| execution.epoch)?;
    ended(thread, epoch, false, site)
}

/// Whether a thread has ended. It may be said to go on when it has done all that it does, if that is `open`.
fn ended(thread: ThreadId, epoch: u64, open: bool, site: Site) -> Result<bool, Absent> {
    overlay::before_local(site)?;
    let op = local_op(Verb::IsFinished);
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        let same = epoch == execution.epoch;
        execution.order.counts_observed |= same;
        let known = match execution.config.count_points && same {
            true => graphed::has_ended(execution, &now, &op, end_object(thread.0), site),
            false => None,
        };
        let target = &execution.threads[thread.index()];
        let is_done = !same
            || target.state == ThreadState::Finished
            || matches!(target.pending.condition, Condition::AllFinished);
        let ended = target.event_at(target.time);
        let finished =
            known.unwrap_or_else(|| is_done && !(open && same && seems_to_go_on(execution, thread.0, site)));
        if finished && same && known.is_none() {
            let [reader, target] = [now.thread as usize, thread.index()];
            let clock = execution.threads[target].clock.clone();
            execution.threads[reader].coherence.acquirable.join(&clock);
            let seen = execution.threads[target].coherence.seen.clone();
            execution.threads[reader].coherence.acquirable_seen.join(&seen);
            execution.threads[target].coherence.is_known_to_have_ended = true;
        }
        execution.order.class =
            execution.order.class.wrapping_add(mix(now.write.event, if finished { ended } else { 0 }));
        execution.complete(&now, &op, u64::from(finished));
        execution.record(&op, site, |_, event| {
            event.ok = finished;
            event.other = Some(thread);
        });
        finished
    })
}

/// Whether somebody who asks at a place is told that a thread without a step left goes on: a choice, if nothing that
/// has happened shows that it has ended. It is neither joined nor known to somebody who asked, then, and what comes
/// behind its end has not begun.
fn seems_to_go_on(execution: &mut Execution, target: u32, site: Site) -> bool {
    let question = (site.number(), target);
    if execution.running().coherence.asked_in_vain.contains(&question) {
        return false;
    }
    let thread = &execution.threads[target as usize];
    let has_begun = |epilogue: u32| execution.threads[epilogue as usize].time > 0;
    let may_go_on =
        !thread.coherence.is_known_to_have_ended && !thread.origin.epilogue.is_some_and(has_begun);
    let goes_on = may_go_on && execution.choose(Point::Store, 2) == 1;
    if goes_on {
        execution.running().coherence.asked_in_vain.push(question);
    }
    goes_on
}
