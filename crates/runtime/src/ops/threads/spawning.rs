//! How threads begin and end.

use super::end_object;
use super::packet::Packet;
use crate::alloc::{by_program, runtime_scope};
use crate::backend;
use crate::execution::{Absent, Execution, Phase, alive, current, lean, mix};
use crate::explorer::Op;
use crate::foreign;
use crate::ops::graphed;
use crate::overlay;
use crate::panics;
use crate::schedule::{next_after_end, post, step_limit, visible};
use crate::site::Site;
use crate::thread::ThreadState;
use racefuzz_trace::{MemoryOrder, OpKind, ThreadId, Verb};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How a thread is to be made.
#[derive(Clone, Debug, Default)]
pub struct SpawnOptions {
    /// Its name.
    pub name: Option<String>,
    /// Its stack in bytes, if larger than the run's default.
    pub stack_size: Option<usize>,
    /// Whether it borrows from the thread that spawns it, which waits for its end.
    pub scoped: bool,
    /// Whether it is an async task: it then shares the local values, the park token and the identity
    /// of the thread that spawns it, on which it claims to run.
    pub task: bool,
}

/// A thread that was spawned.
pub struct Spawned<T> {
    pub(super) thread: ThreadId,
    pub(super) epoch: u64,
    pub(super) packet: Packet<T>,
}

impl<T> Spawned<T> {
    /// The thread.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }
}

/// What joining a thread gave.
pub type JoinOutcome<T> = std::thread::Result<T>;

impl SpawnOptions {
    /// Whether there are none.
    fn are_default(&self) -> bool {
        self.name.is_none() && self.stack_size.is_none() && !self.scoped && !self.task
    }
}

/// Makes a thread that runs `body`. It is no scheduling point: the new thread's first step is one.
///
/// # Safety
/// `body` and its result must live as long as the thread may run: for anything that is not
/// `'static` the caller must join the thread, in every case, before what it borrows ends.
#[inline]
pub unsafe fn spawn<F, T>(options: SpawnOptions, site: Site, body: F) -> Result<Spawned<T>, Absent>
where
    F: FnOnce() -> T,
{
    let pointer = match lean() {
        Some(pointer) => pointer,
        None => {
            if let Some(session) = foreign::hosted_alone(Some(Verb::Spawn), site) {
                return spawn_hosted(session, options, body);
            }
            overlay::before_local(site)?;
            alive()?
        }
    };
    let _runtime = runtime_scope();
    // The coroutine lets go of the packet, also if it only starts when all is over.
    // SAFETY: see `execution::with`; the reference ends here.
    let (packet, theirs) = Packet::pair(Some(unsafe { &mut (*pointer).coroutines.spare }));
    let run = move || {
        // SAFETY: see `execution::with`; a plain read.
        if unsafe { (*current()).phase() } == Phase::TearDown {
            // Too late to begin: only what the closure holds is released.
            let _ = catch_unwind(AssertUnwindSafe(|| by_program(|| drop(body)))).map_err(drop_payload);
        } else {
            let result = catch_unwind(AssertUnwindSafe(|| by_program(body)));
            let panicked = result.as_ref().err().is_some_and(|payload| {
                // SAFETY: this runs on the coroutine of the thread that ended, inside its execution.
                panics::escaped(unsafe { &mut *current() }, payload.as_ref())
            });
            if result.is_ok() || panicked {
                // SAFETY: this is the thread, which is not marked as finished yet.
                unsafe { theirs.put(result) };
            } else if let Err(payload) = result {
                drop_payload(payload);
            }
        }
        drop(theirs);
        end_thread();
    };
    // SAFETY: see `execution::with`.
    let execution = unsafe { &mut *pointer };
    let epoch = execution.epoch;
    // SAFETY: passed on to the caller.
    let thread = unsafe {
        if execution.lean && options.are_default() {
            let stack = ready(execution, None, run);
            execution.add_lean_thread(stack, site);
            execution.schedule.thread_count as u32 - 1
        } else {
            let mut options = options;
            // The program's memory goes when the execution ends.
            if let Some(name) = &mut options.name {
                *name = name.as_str().to_owned();
            }
            begin(execution, options, false, site, run)
        }
    };
    if execution.is_spent() {
        step_limit()?;
    }
    Ok(Spawned { thread: ThreadId(thread), epoch, packet })
}

/// Gives the next thread its stack, what it runs and its entry.
///
/// # Safety
/// What `run` borrows must live as long as the worker may run the coroutine.
unsafe fn begin(
    execution: &mut Execution,
    options: SpawnOptions,
    implied: bool,
    site: Site,
    run: impl FnOnce(),
) -> u32 {
    let thread = execution.schedule.thread_count;
    // SAFETY: passed on to the caller.
    let stack = unsafe { ready(execution, options.stack_size, run) };
    add_thread(execution, options, stack, implied, site);
    thread as u32
}

/// Gives the next thread its stack, which is returned, and what it runs.
///
/// # Safety
/// As [`begin`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn ready(execution: &mut Execution, stack_size: Option<usize>, run: impl FnOnce()) -> (usize, usize) {
    match execution.continuation(execution.schedule.thread_count, stack_size) {
        Ok(continuation) => {
            // SAFETY: passed on to the caller; the worker runs whatever is live.
            unsafe { continuation.put(run) };
            continuation.stack()
        }
        Err(error) => has_no_stack(&error),
    }
}

#[cold]
#[inline(never)]
fn has_no_stack(error: &std::io::Error) -> ! {
    panic!(
        "racefuzz has no stack for one more thread ({error}): use fewer threads or a smaller \
         stack_size, or raise vm.max_map_count"
    )
}

/// Makes the entry of a thread whose coroutine is ready.
fn add_thread(
    execution: &mut Execution,
    options: SpawnOptions,
    stack: (usize, usize),
    implied: bool,
    site: Site,
) {
    let child = execution.schedule.thread_count as u32;
    let parent = execution.current;
    match execution.threads.get_mut(child as usize) {
        Some(thread) => thread.reuse(site),
        None => execution.add_entry(site),
    }
    execution.schedule.thread_count += 1;
    execution.schedule.unfinished += 1;

    let op = SPAWN;
    let now = execution.event(&op);
    execution.record(&op, site, |_, event| {
        event.other = Some(ThreadId(child));
        event.implied = implied;
    });
    if let Some(recorder) = &mut execution.recorder {
        recorder.thread(Some(parent), options.name.clone(), Some(site), options.task);
    }

    let Ok([spawner, thread]) = execution.threads.get_disjoint_mut([parent as usize, child as usize]) else {
        unreachable!("a thread spawned itself")
    };
    spawner.origin.children += 1;
    thread.path = mix(spawner.path.wrapping_add(1), u64::from(spawner.origin.children));
    if execution.order.has_clocks {
        thread.clock.copy_from(&spawner.clock);
        thread.clock.prepare(child, 1);
    }
    if !spawner.coherence.seen.is_empty() {
        thread.coherence.seen.copy_from(&spawner.coherence.seen);
    }
    thread.spinning.insistence.insists = execution.config.insistence > 0;
    thread.origin.parent = Some(parent);
    thread.origin.spawned_at = Some(site);
    if options.name.is_some() {
        thread.origin.name = options.name;
    }
    thread.origin.scoped = options.scoped;
    thread.origin.task = options.task;
    thread.origin.host = if options.task { spawner.origin.host } else { child };
    (thread.coroutine.stack, thread.coroutine.live) = (stack, true);
    execution.coroutines.live += 1;
    execution.complete(&now, &op, u64::from(child));
    execution.schedule.disturb();
    execution.schedule.ready.push(child);
    if let Some(memory) = execution.driver.memory {
        // SAFETY: see `Execution::event`.
        unsafe { (*memory).spawned(parent, child) };
    }
    if execution.driver.observes {
        // SAFETY: see `Execution::event`.
        unsafe { (*execution.driver.explorer).spawned(ThreadId(parent), ThreadId(child)) };
    }
}

/// [`spawn`] on another engine.
fn spawn_hosted<F, T>(
    session: &'static backend::Session,
    options: SpawnOptions,
    body: F,
) -> Result<Spawned<T>, Absent>
where
    F: FnOnce() -> T,
{
    let (packet, theirs) = Packet::pair(None);
    let run: Box<dyn FnOnce() + '_> = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(body));
        if let Err(payload) = &result {
            session.note_escaped(session.current(), payload.as_ref());
        }
        match result {
            Err(payload) if session.mode().is_err() => resume_unwind(payload),
            // SAFETY: this is the thread, which has not ended.
            result => unsafe { theirs.put(result) },
        }
    });
    // SAFETY: only the lifetime changes, as the caller of `spawn` promises. A thread of an execution
    // that is over is never resumed, and what it holds is never dropped.
    let run = unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Box<dyn FnOnce()>>(run) };
    let thread = session.spawn(options.name, options.task, run)?;
    Ok(Spawned { thread: ThreadId(thread), epoch: session.epoch(), packet })
}

/// Destroys the local values of a thread, which is the running one or has left that to it.
#[inline]
pub(crate) fn destroy_locals(thread: u32) {
    // SAFETY: as below.
    let are_there = unsafe { !(&mut (*current()).threads)[thread as usize].locals.end_unused() };
    if are_there {
        destroy_one_by_one(thread);
    }
}

fn destroy_one_by_one(thread: u32) {
    let take_next = || {
        // SAFETY: see `execution::with`; the reference ends before the value is dropped, which runs
        // the program's code.
        unsafe { (&mut (*current()).threads)[thread as usize].locals.take_next() }
    };
    loop {
        let value = take_next();
        let Some(value) = value else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| by_program(|| drop(value)))) {
            // SAFETY: as above. Std ends the process here.
            panics::fatal(unsafe { &mut *current() }, payload.as_ref());
            drop_payload(payload);
        }
    }
}

/// Drops a panic's payload, after the panic was noted; one whose destructor panics is let go.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    let execution = current();
    let release = || if execution.is_null() { drop(payload) } else { by_program(|| drop(payload)) };
    let Err(second) = catch_unwind(AssertUnwindSafe(release)) else { return };
    std::mem::forget(second);
    if !execution.is_null() {
        // SAFETY: see `execution::with`.
        unsafe { panics::forget_last(&mut *execution) };
    }
}

/// Has a new thread destroy the running one's local values.
#[cold]
fn begin_epilogue(execution: &mut Execution) {
    let _runtime = runtime_scope();
    let me = execution.current;
    let site = execution.threads[me as usize].pending.site;
    let name = match &execution.threads[me as usize].origin.name {
        Some(name) => format!("{name}'s locals"),
        None => {
            let before = execution.threads[..me as usize].iter().filter(|other| !other.origin.task).count();
            format!("thread {before}'s locals")
        }
    };
    let options = SpawnOptions { name: Some(name), ..SpawnOptions::default() };
    let run = move || {
        destroy_locals(me);
        end_thread();
    };
    // SAFETY: it borrows nothing.
    let epilogue = unsafe { begin(execution, options, true, site, run) };
    execution.threads[epilogue as usize].origin.host = me;
    execution.threads[me as usize].origin.epilogue = Some(epilogue);
    if let Some(recorder) = &mut execution.recorder {
        recorder.is_epilogue(epilogue, me);
    }
}

/// The tail of every thread but the root: its end, and who runs next.
///
/// In std its result is there, its scope may go on and `is_finished` is true before its local values are
/// destroyed. If that may run the program's code it is therefore left to a thread of its own, the epilogue, which
/// runs on the same thread as far as the program can tell.
fn end_thread() {
    // SAFETY: as below; nothing of what is done here runs the program's code.
    let execution = unsafe { &mut *current() };
    if execution.lean && !execution.leaves_locals() {
        return execution.end_lean();
    }
    if overlay::applies() && catch_unwind(|| overlay::at_thread_end(Site::caller())).is_err() {
        // Torn down while it gave back what an overlay had it take.
        return;
    }
    announce_end();
    // SAFETY: see `execution::with`; the reference ends before the program's code runs.
    let execution = unsafe { &mut *current() };
    let me = execution.current;
    let locals = &execution.threads[me as usize].locals;
    if locals.is_droppable() && execution.phase() == Phase::Running {
        begin_epilogue(execution);
    } else if !locals.is_unused() {
        destroy_locals(me);
    }
    // SAFETY: see `execution::with`; nothing below runs the program's code.
    let execution = unsafe { &mut *current() };
    if execution.phase() == Phase::TearDown {
        return;
    }
    finish(execution);
    next_after_end(execution);
}

/// The end of the current thread is written down for those who ask for it: a step of its own, so that they may do so
/// behind the thread's last one and before it. The execution may be over behind it.
///
/// It comes before whatever is done behind the end. Where nobody asks, or no memory answers, there is no such step.
#[inline]
pub(crate) fn announce_end() {
    // SAFETY: see `execution::with`; plain reads.
    let execution = unsafe { &*current() };
    let asked = execution.config.count_points && execution.driver.memory.is_some();
    if asked && execution.phase() == Phase::Running {
        announce();
    }
}

#[inline(never)]
fn announce() {
    // SAFETY: see `execution::with`; the reference ends before others run.
    let execution = unsafe { &mut *current() };
    let site = execution.running().pending.site;
    if !matches!(catch_unwind(|| post(visible(FINISH, site))), Ok(Ok(()))) {
        return;
    }
    // SAFETY: as above.
    let execution = unsafe { &mut *current() };
    let now = execution.event(&FINISH);
    graphed::ends(execution, &now, &FINISH, end_object(now.thread), site);
    execution.complete(&now, &FINISH, 0);
}

/// The beginning of a thread, by the one that makes it.
pub(super) const SPAWN: Op = Op {
    kind: OpKind::Spawn,
    verb: Verb::Spawn,
    order: MemoryOrder::AcqRel,
    object: Op::NO_OBJECT,
    lock: false,
};

/// The end of a thread.
pub(super) const FINISH: Op = Op {
    kind: OpKind::Finish,
    verb: Verb::Finish,
    order: MemoryOrder::AcqRel,
    object: Op::NO_OBJECT,
    lock: false,
};

/// The current thread ends.
pub(crate) fn finish(execution: &mut Execution) {
    let me = execution.current;
    let site = execution.running().pending.site;
    let now = execution.event(&FINISH);
    // No other event of this thread will be.
    execution.log(&now, &FINISH, 0);
    execution.record(&FINISH, site, |_, event| event.implied = true);
    execution.running().state = ThreadState::Finished;
    execution.disable(me);
    execution.schedule.unfinished -= 1;
    execution.release_joiners();
    if execution.schedule.unfinished == 0 && me != 0 && execution.threads[0].waiting.blocked {
        execution.reconsider(0);
    }
}
