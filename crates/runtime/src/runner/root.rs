//! The root thread: the program, its oracles, its end.

use crate::alloc::by_program;
use crate::execution::{Absent, Execution, Phase, current};
use crate::ops;
use crate::overlay;
use crate::panics;
use crate::site::Site;
use crate::thread::{Condition, Pending, ThreadState};
use racefuzz_trace::Verb;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// # Safety
/// `program` must outlive the fiber, which `tear_down` ends.
pub(super) unsafe fn start_root(execution: &mut Execution, program: &dyn Fn()) {
    let site = Site::caller();
    match execution.threads.first_mut() {
        Some(thread) => thread.reuse(site),
        None => execution.add_entry(site),
    }
    execution.schedule.thread_count = 1;
    execution.schedule.unfinished = 1;
    execution.threads[0].path = 1;
    execution.threads[0].spinning.insistence.insists = execution.config.insistence > 0;
    execution.threads[0].clock.prepare(0, 1);
    execution.heartbeat.beat(site);
    if let Some(recorder) = &mut execution.recorder {
        recorder.thread(None, None, None, false);
    }
    // SAFETY: passed on to the caller.
    unsafe { put_root(execution, move || root(program)) };
}

/// Makes the coroutine of thread 0.
///
/// # Safety
/// `body` must outlive the fiber.
pub(super) unsafe fn put_root(execution: &mut Execution, body: impl FnOnce()) {
    let size = execution.config.stack_size;
    let continuation = execution.continuation(0, None);
    let continuation =
        continuation.unwrap_or_else(|error| panic!("racefuzz has no stack of {size} bytes: {error}"));
    // SAFETY: passed on to the caller; `work` and `tear_down` run whatever is live.
    unsafe { continuation.put(body) };
    let stack = continuation.stack();
    let root = &mut execution.threads[0];
    (root.coroutine.stack, root.coroutine.live) = (stack, true);
    execution.coroutines.live += 1;
    execution.run_next(0);
}

/// The root thread: the program, then, when every thread has ended, the oracles.
fn root(program: &dyn Fn()) {
    let result = catch_unwind(AssertUnwindSafe(|| by_program(program)));
    ops::destroy_locals(0);
    // SAFETY: see `execution::with`; the references end before anything of the program runs.
    let execution = || unsafe { &mut *current() };
    if let Err(payload) = result {
        let of_program = panics::escaped(execution(), payload.as_ref());
        if of_program {
            let execution = execution();
            execution.set_phase(Phase::TearDown);
            panics::report_unhandled(execution);
        }
        ops::drop_payload(payload);
    }
    if execution().phase() == Phase::TearDown {
        return;
    }
    let waited = catch_unwind(|| {
        overlay::at_thread_end(Site::caller());
        ops::announce_end();
        // SAFETY: as above.
        let execution = unsafe { &mut *current() };
        if execution.phase() == Phase::TearDown {
            return Err(Absent::TearDown);
        }
        ops::finish(execution);
        if execution.schedule.unfinished == 0 {
            return Ok(());
        }
        execution.threads[0].state = ThreadState::Live;
        let site = execution.threads[0].pending.site;
        let mut pending = Pending::start(site);
        pending.op.verb = Verb::Finish;
        pending.condition = Condition::AllFinished;
        crate::schedule::post(pending)
    });
    match waited {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return,
        Err(payload) => {
            panics::escaped(execution(), payload.as_ref());
            return;
        }
    }
    finale();
}

/// Every thread has ended: oracles, then the release of what outlives threads.
fn finale() {
    // SAFETY: see `execution::with`; the references end before anything of the program runs.
    let execution = || unsafe { &mut *current() };
    {
        let execution = execution();
        if panics::report_unhandled(execution) || execution.outcome.blocked_at.is_some() {
            return;
        }
        execution.set_phase(Phase::Ending);
        if execution.order.has_clocks {
            let (root, others) = execution.threads[..execution.schedule.thread_count].split_at_mut(1);
            for thread in others {
                root[0].learn(&thread.clock, &thread.coherence.seen);
            }
        }
    }
    if !execution().storage.finals.is_empty() {
        let finals = std::mem::take(&mut execution().storage.finals);
        for oracle in finals {
            if execution().phase() == Phase::TearDown {
                return;
            }
            guarded(true, oracle);
        }
    }
    loop {
        let value = execution().storage.globals.take_next();
        let Some(value) = value else { break };
        guarded(false, || drop(value));
    }
    execution().storage.globals.reset();
    while let Some(value) = execution().storage.statics.next() {
        // SAFETY: all threads have ended.
        guarded(false, || unsafe { value.destroy() });
        execution().storage.statics.put_back();
    }
}

/// Runs code of the program after its end; a panic there is the failure.
fn guarded(oracle: bool, code: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| by_program(code))) else { return };
    // SAFETY: see `execution::with`.
    let execution = unsafe { &mut *current() };
    if panics::escaped(execution, payload.as_ref())
        && let Some(panicked) = execution.threads[0].panics.panicked.clone()
    {
        panics::fail(execution, 0, &panicked, oracle);
    }
    ops::drop_payload(payload);
}
