//! Threads: creation, end, join, parking.

use super::local_op;
use crate::backend;
use crate::execution::{Absent, Execution, Phase, alive, current, enter, free_event, mix, with};
use crate::explorer::Op;
use crate::ops::atomic::visible;
use crate::overlay;
use crate::panics;
use crate::schedule::{next_after_end, post, rest, step_limit};
use crate::site::Site;
use crate::thread::{Condition, Pending, Status, Thread};
use racefuzz_trace::{MemoryOrder, OpKind, ThreadId, Verb};
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

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

/// What a thread left for whoever joins it.
struct Packet<T>(UnsafeCell<Option<std::thread::Result<T>>>);

impl<T> Drop for Packet<T> {
    /// Nobody took the result. Std ends the process if its destructor panics.
    fn drop(&mut self) {
        let result = self.0.get_mut().take();
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(result))) else { return };
        let execution = current();
        if execution.is_null() {
            resume_unwind(payload);
        }
        // SAFETY: see `execution::with`.
        panics::fatal(unsafe { &mut *execution }, payload.as_ref());
        drop_payload(payload);
    }
}

// SAFETY: the cell is written once, by the thread before its end, and taken only after that end;
// both happen on one operating-system thread, or (a handle that outlives the execution) after the
// worker has finished with the execution.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: as above; the value itself may be sent.
unsafe impl<T: Send> Send for Packet<T> {}

/// A thread that was spawned.
pub struct Spawned<T> {
    thread: ThreadId,
    epoch: u64,
    packet: Arc<Packet<T>>,
}

impl<T> Spawned<T> {
    /// The thread.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }
}

/// What joining a thread gave.
pub type JoinOutcome<T> = std::thread::Result<T>;

/// Makes a thread that runs `body`. It is no scheduling point: the new thread's first step is one.
///
/// # Safety
/// `body` and its result must live as long as the thread may run: for anything that is not
/// `'static` the caller must join the thread, in every case, before what it borrows ends.
pub unsafe fn spawn<F, T>(options: SpawnOptions, site: Site, body: F) -> Result<Spawned<T>, Absent>
where
    F: FnOnce() -> T,
{
    if let Some(session) = backend::hosted() {
        return spawn_hosted(session, options, body);
    }
    overlay::before_local(site)?;
    let pointer = alive()?;
    // The clone of the packet is dropped by the coroutine, also if it only starts when all is over.
    let packet = Arc::new(Packet(UnsafeCell::new(None)));
    let theirs = Arc::clone(&packet);
    let run = move || {
        // SAFETY: see `execution::with`; a plain read.
        if unsafe { (*current()).phase } == Phase::TearDown {
            // Too late to begin: only what the closure holds is released.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(body))).map_err(drop_payload);
        } else {
            let result = catch_unwind(AssertUnwindSafe(body));
            let panicked = result.as_ref().err().is_some_and(|payload| {
                // SAFETY: this runs on the coroutine of the thread that ended, inside its execution.
                panics::escaped(unsafe { &mut *current() }, payload.as_ref())
            });
            if result.is_ok() || panicked {
                // SAFETY: nobody else touches the packet before this thread is marked as finished.
                unsafe { *theirs.0.get() = Some(result) };
            } else if let Err(payload) = result {
                drop_payload(payload);
            }
        }
        drop(theirs);
        end_thread();
    };
    // SAFETY: see `execution::with`.
    let execution = unsafe { &mut *pointer };
    let thread = execution.thread_count;
    match execution.lane(thread, options.stack_size) {
        // SAFETY: passed on to the caller; the worker runs whatever is live.
        Ok(lane) => unsafe { lane.put(run) },
        Err(error) => panic!(
            "racefuzz has no stack for one more thread ({error}): use fewer threads or a smaller \
             stack_size, or raise vm.max_map_count"
        ),
    }
    let epoch = execution.epoch;
    add_thread(execution, options, site);
    if execution.steps >= execution.config.max_steps {
        step_limit()?;
    }
    Ok(Spawned { thread: ThreadId(thread as u32), epoch, packet })
}

/// Makes the entry of a thread whose coroutine is ready.
fn add_thread(execution: &mut Execution, options: SpawnOptions, site: Site) {
    let child = execution.thread_count as u32;
    let parent = execution.current;
    if execution.thread_count == execution.threads.len() {
        execution.threads.push(Thread::new(site));
    } else {
        execution.threads[child as usize].reuse(site);
    }
    execution.thread_count += 1;
    execution.unfinished += 1;

    let op = Op {
        kind: OpKind::Spawn,
        verb: Verb::Spawn,
        order: MemoryOrder::AcqRel,
        object: Op::NO_OBJECT,
        lock: false,
    };
    let now = execution.event(&op);
    execution.log(&now, &op, u64::from(child));
    execution.record(&op, site, |_, event| event.other = Some(ThreadId(child)));
    if let Some(recorder) = &mut execution.recorder {
        recorder.thread(Some(parent), options.name.clone(), Some(site), options.task);
    }

    let (before, behind) = execution.threads.split_at_mut(child as usize);
    let (spawner, thread) = (&mut before[parent as usize], &mut behind[0]);
    spawner.children += 1;
    thread.path = mix(spawner.path.wrapping_add(1), u64::from(spawner.children));
    thread.clock.copy_from(&spawner.clock);
    thread.seen.copy_from(&spawner.seen);
    thread.parent = Some(parent);
    thread.spawned_at = Some(site);
    if options.name.is_some() {
        thread.name = options.name;
    }
    thread.scoped = options.scoped;
    thread.task = options.task;
    thread.host = if options.task { spawner.host } else { child };
    thread.stack = execution.lanes[child as usize].stack();
    thread.live = true;
    execution.ready.push(child);
    if let Some(memory) = execution.memory {
        // SAFETY: see `Execution::event`.
        unsafe { (*memory).spawned(parent, child) };
    }
    if execution.observes {
        // SAFETY: see `Execution::event`.
        unsafe { (*execution.explorer).spawned(ThreadId(parent), ThreadId(child)) };
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
    let packet = Arc::new(Packet(UnsafeCell::new(None)));
    let theirs = Arc::clone(&packet);
    let run: Box<dyn FnOnce() + '_> = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(body));
        if let Err(payload) = &result {
            session.note_escaped(session.current(), payload.as_ref());
        }
        match result {
            Err(payload) if session.mode().is_err() => resume_unwind(payload),
            // SAFETY: nobody else touches the packet before this thread has ended.
            result => unsafe { *theirs.0.get() = Some(result) },
        }
    });
    // SAFETY: only the lifetime changes, as the caller of `spawn` promises. A thread of an execution
    // that is over is never resumed, and what it holds is never dropped.
    let run = unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Box<dyn FnOnce()>>(run) };
    let thread = session.spawn(options.name, options.task, run)?;
    Ok(Spawned { thread: ThreadId(thread), epoch: session.epoch(), packet })
}

/// Destroys the running thread's local values.
pub(crate) fn destroy_locals() {
    // SAFETY: see `execution::with`; a plain read.
    if unsafe {
        let execution = &*current();
        execution.threads[execution.current as usize].locals.is_unused()
    } {
        return;
    }
    loop {
        // SAFETY: see `execution::with`; the reference ends before the value is dropped, which runs
        // the program's code.
        let value = unsafe {
            let execution = &mut *current();
            let me = execution.current as usize;
            execution.threads[me].locals.take_next()
        };
        let Some(value) = value else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            // SAFETY: as above. Std ends the process here.
            panics::fatal(unsafe { &mut *current() }, payload.as_ref());
            drop_payload(payload);
        }
    }
}

/// Drops a panic's payload, after the panic was noted; one whose destructor panics is let go.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) else { return };
    std::mem::forget(second);
    let execution = current();
    if !execution.is_null() {
        // SAFETY: see `execution::with`.
        unsafe { panics::forget_last(&mut *execution) };
    }
}

/// The tail of every thread but the root: its end, and who runs next.
fn end_thread() {
    destroy_locals();
    if overlay::applies() && catch_unwind(|| overlay::at_thread_end(Site::caller())).is_err() {
        // Torn down while it gave back what an overlay had it take.
        return;
    }
    // SAFETY: see `execution::with`; nothing below runs the program's code.
    let execution = unsafe { &mut *current() };
    if execution.phase == Phase::TearDown {
        return;
    }
    finish(execution);
    next_after_end(execution);
}

/// The current thread ends.
pub(crate) fn finish(execution: &mut Execution) {
    let me = execution.current;
    let op = Op {
        kind: OpKind::Finish,
        verb: Verb::Finish,
        order: MemoryOrder::AcqRel,
        object: Op::NO_OBJECT,
        lock: false,
    };
    let site = execution.threads[me as usize].pending.site;
    let now = execution.event(&op);
    execution.log(&now, &op, 0);
    execution.record(&op, site, |_, event| event.implied = true);
    execution.threads[me as usize].status = Status::Finished;
    if execution.config.count_points {
        super::graphed::ends(execution, &now, &op, end_object(me), site);
    }
    execution.disable(me);
    execution.unfinished -= 1;
    for position in 0..execution.threads[me as usize].joiners.len() {
        let joiner = execution.threads[me as usize].joiners[position];
        execution.reconsider(joiner);
    }
    if execution.unfinished == 0 && me != 0 && execution.threads[0].blocked {
        execution.reconsider(0);
    }
}

/// Waits for a thread's end and takes what it left.
///
/// `Err(Absent)` if there is nothing to take: the execution is being torn down, or is another one.
pub fn join<T>(spawned: Spawned<T>, site: Site) -> Result<JoinOutcome<T>, Absent> {
    let same = match backend::hosted() {
        Some(session) => session.epoch() == spawned.epoch,
        None => enter(|execution| execution.epoch == spawned.epoch)?,
    };
    if !same {
        return Err(Absent::Outside);
    }
    join_thread(spawned.thread, false, site)?;
    // SAFETY: the thread has ended, and this handle, the only one, is consumed.
    let result = unsafe { (*spawned.packet.0.get()).take() };
    if let Some(session) = backend::hosted() {
        session.take_panic(spawned.thread.0, true);
    } else if let Some(Err(_)) = &result {
        // The caller has it now. A panic of a thread-local's destructor is in no result.
        with(|execution| {
            if let Some(panicked) = &mut execution.threads[spawned.thread.index()].panicked {
                panicked.taken = Some(execution.current);
            }
        })?;
    }
    result.ok_or(Absent::TearDown)
}

/// Waits for a thread's end, whoever may take what it left. Whether it panicked; if it did, `take`
/// makes that the caller's affair, and no longer a failure by itself.
pub fn join_thread(thread: ThreadId, take: bool, site: Site) -> Result<bool, Absent> {
    overlay::before_local(site)?;
    let target = thread.0;
    if let Some(session) = backend::hosted() {
        return session.join(target, take);
    }
    let op = Op {
        kind: OpKind::Join,
        verb: Verb::Join,
        order: MemoryOrder::AcqRel,
        object: Op::NO_OBJECT,
        lock: false,
    };
    let condition = Condition::Finished(target);
    post(Pending { op, site, condition, deadline: None, invisible: true })?;
    with(|execution| {
        let now = execution.event(&op);
        let me = now.thread as usize;
        let target = target as usize;
        let (low, high) = (me.min(target), me.max(target));
        let (before, behind) = execution.threads.split_at_mut(high);
        let (first, second) = (&mut before[low], &mut behind[0]);
        let (mine, theirs) = if me < target { (first, second) } else { (second, first) };
        mine.clock.join(&theirs.clock);
        mine.seen.join(&theirs.seen);
        if let Some(memory) = execution.memory {
            // SAFETY: see `Execution::event`.
            unsafe { (*memory).joined(me as u32, target as u32) };
        }
        let panicked = theirs.panicked.is_some();
        if let Some(panicked) = &mut theirs.panicked
            && take
        {
            panicked.taken = Some(me as u32);
        }
        execution.log(&now, &op, target as u64);
        execution.record(&op, site, |_, event| event.other = Some(ThreadId(target as u32)));
        panicked
    })
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
    // The yielder is that of the coroutine this runs on. The worker resumes it after all younger
    // threads; one that it abandoned keeps its yielder, and the caller then waits for ever.
    unsafe {
        loop {
            if (*execution).phase != Phase::TearDown {
                return;
            }
            let thread = &(&(*execution).threads)[thread.index()];
            if !thread.live && thread.yielder.is_null() {
                return;
            }
            rest(execution);
        }
    }
}

/// Whether a thread has ended: a step. Who asks in vain gives way, as asking again is waiting.
pub fn is_finished<T>(spawned: &Spawned<T>, site: Site) -> Result<bool, Absent> {
    if let Some(session) = backend::hosted() {
        return if session.epoch() == spawned.epoch {
            session.is_finished(spawned.thread.0)
        } else {
            Ok(true)
        };
    }
    let finished = ended(spawned.thread, spawned.epoch, site)?;
    if !finished {
        give_way()?;
    }
    Ok(finished)
}

/// Whether a thread of the running execution has ended (the root has when the program has returned):
/// a step of one who does not wait for that.
pub fn has_ended(thread: ThreadId, site: Site) -> Result<bool, Absent> {
    let epoch = with(|execution| execution.epoch)?;
    ended(thread, epoch, site)
}

fn ended(thread: ThreadId, epoch: u64, site: Site) -> Result<bool, Absent> {
    overlay::before_local(site)?;
    let op = local_op(Verb::IsFinished);
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        let same = epoch == execution.epoch;
        execution.counts_observed |= same;
        let known = match execution.config.count_points && same {
            true => super::graphed::has_ended(execution, &now, &op, end_object(thread.0), site),
            false => None,
        };
        let target = &execution.threads[thread.index()];
        let finished = known.unwrap_or_else(|| {
            !same
                || target.status == Status::Finished
                || matches!(target.pending.condition, Condition::AllFinished)
        });
        let ended = mix(target.path, u64::from(target.time));
        execution.class =
            execution.class.wrapping_add(mix(now.write.event, if finished { ended } else { 0 }));
        execution.log(&now, &op, u64::from(finished));
        execution.record(&op, site, |_, event| {
            event.ok = finished;
            event.other = Some(thread);
        });
        finished
    })
}

/// The running thread; of a task, the thread it runs on.
pub fn current_thread() -> Result<ThreadId, Absent> {
    let task = current_task()?;
    if current().is_null() {
        return Ok(task);
    }
    // SAFETY: see `execution::with`; a plain read, also while threads are torn down.
    let threads = unsafe { &(*current()).threads };
    Ok(threads.get(task.index()).map_or(task, |thread| ThreadId(thread.host)))
}

/// The running thread or task, as events name it.
pub fn current_task() -> Result<ThreadId, Absent> {
    match current() {
        execution if execution.is_null() => {
            backend::session().map_or(Err(Absent::Outside), |session| Ok(ThreadId(session.current())))
        }
        // SAFETY: see `execution::with`; a plain read, also while threads are torn down.
        execution => Ok(ThreadId(unsafe { (*execution).current })),
    }
}

/// The name of a thread of the running execution.
pub fn thread_name(thread: ThreadId) -> Option<String> {
    if let Some(session) = backend::hosted() {
        return session.thread_name(thread.0);
    }
    with(|execution| execution.threads.get(thread.index())?.name.clone()).ok().flatten()
}

/// Whether the running thread is unwinding from a panic of the program.
pub fn panicking() -> bool {
    let execution = current();
    if execution.is_null() {
        return match backend::session() {
            Some(session) => session.panicking(),
            None => std::thread::panicking(),
        };
    }
    // SAFETY: see `execution::with`; also while threads are torn down.
    std::thread::panicking() && unsafe { (*execution).unwinds() }
}

/// The pseudo-object of a thread's park token.
pub(crate) const fn token_object(thread: u32) -> u32 {
    0x8000_0000 | thread
}

/// The thread whose park token this pseudo-object is.
pub(crate) const fn token_owner(object: u32) -> Option<u32> {
    match object >> 30 {
        2 => Some(object & 0x3fff_ffff),
        _ => None,
    }
}

/// The pseudo-object of a thread's end.
const fn end_object(thread: u32) -> u32 {
    0x4000_0000 | thread
}

fn token_op(verb: Verb, thread: u32) -> Op {
    Op { kind: OpKind::Rmw, verb, order: MemoryOrder::AcqRel, object: token_object(thread), lock: false }
}

/// Waits for the running thread's park token, for `timeout` at most, and takes it. Whether it was
/// woken by a token (and not by the timeout, or for no reason).
pub fn park(timeout: Option<Duration>, site: Site) -> Result<bool, Absent> {
    if let Some(session) = backend::hosted() {
        return session.park(timeout);
    }
    overlay::before_local(site)?;
    if super::choose_spurious() {
        return Ok(false);
    }
    let (op, deadline) = enter(|execution| {
        let deadline = timeout.map(|timeout| super::state::deadline(execution, timeout));
        (token_op(Verb::Park, execution.threads[execution.current as usize].host), deadline)
    })?;
    let (deadline, expires) = with(|execution| super::state::choose_timeout(execution, deadline))?;
    // With a token to take it would not time out.
    let condition = if expires { Condition::NoToken } else { Condition::Token };
    post(Pending { op, site, condition, deadline, invisible: false })?;
    with(|execution| {
        let now = execution.event(&op);
        let me = now.thread as usize;
        let host = execution.threads[me].host as usize;
        execution.threads[me].timed_out |= expires;
        let had = u64::from(execution.threads[host].token);
        let timed_out = std::mem::take(&mut execution.threads[me].timed_out);
        let owner = &mut execution.threads[host];
        let woken = std::mem::take(&mut owner.token);
        if woken {
            let mut token = std::mem::take(&mut owner.token_clock);
            execution.threads[me].clock.join(&token);
            token.clear();
            execution.threads[host].token_clock = token;
        }
        super::graphed::stepped(execution, &now, &op, (had, 0), true);
        execution.class = execution.class.wrapping_add(mix(now.write.event, u64::from(woken)));
        execution.log(&now, &op, u64::from(woken));
        execution.record(&op, site, |_, event| {
            event.ok = woken;
            if timed_out {
                event.text = Some("timed out".into());
            }
        });
        if !woken {
            execution.give_way();
        }
        woken
    })
}

/// Gives a thread its park token: a step.
pub fn unpark(thread: ThreadId, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.unpark(thread.0);
    }
    overlay::before_local(site)?;
    let op = token_op(Verb::Unpark, thread.0);
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        let (me, target) = (now.thread as usize, thread.index());
        if target >= execution.thread_count {
            return;
        }
        let clock = std::mem::take(&mut execution.threads[me].clock);
        let entry = &mut execution.threads[target];
        entry.token_clock.join(&clock);
        let had = std::mem::replace(&mut entry.token, true);
        let host = entry.host;
        let order = mix(entry.path, u64::from(entry.time));
        execution.threads[me].clock = clock;
        execution.class = execution.class.wrapping_add(mix(now.write.event, order));
        debug_assert_eq!(host, thread.0, "a token belongs to a thread that hosts itself");
        super::graphed::stepped(execution, &now, &op, (had.into(), 1), true);
        let waits = |entry: &Thread| {
            entry.host == thread.0 && entry.blocked && matches!(entry.pending.condition, Condition::Token)
        };
        let waiter = match &execution.threads[target] {
            entry if waits(entry) => Some(target),
            entry if entry.children == 0 => None,
            // It may be a task of the thread that waits.
            _ => execution.threads[..execution.thread_count].iter().position(waits),
        };
        if let (Some(waiter), false) = (waiter, had) {
            execution.reconsider(waiter as u32);
        }
        execution.log(&now, &op, u64::from(thread.0));
        // As with notifications: `other` names the thread only if it was waiting.
        execution.record(&op, site, |_, event| {
            event.other = waiter.map(|waiter| ThreadId(waiter as u32)).or(Some(thread));
            event.ok = waiter.is_some();
        });
    })
}

/// The running thread gives way to the others.
pub fn yield_now(verb: Verb, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.yield_now();
    }
    overlay::before_local(site)?;
    let graphed = enter(|execution| {
        execution.give_way();
        execution.memory.is_some()
    })?;
    let op = local_op(verb);
    if graphed {
        // It commutes with everything; but a loop that reads nothing new ends here.
        let waits = free_event(|execution| {
            let now = execution.event(&op);
            execution.log(&now, &op, 0);
            execution.record(&op, site, |_, _| {});
            super::graphed::spins(execution, site)
        })?;
        return if waits { Err(crate::schedule::spin_for_good(site)) } else { Ok(()) };
    }
    post(visible(op, site))?;
    with(|execution| {
        let now = execution.event(&op);
        execution.log(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
    })
}

/// The running thread is not offered again until another one has acted: no step.
pub fn give_way() -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.sleep();
    }
    with(Execution::give_way)
}

/// The running thread sleeps: a step, after which virtual time has passed. Any other thread may run
/// meanwhile, and none must: a sleep orders nothing.
pub fn sleep(time: Duration, site: Site) -> Result<(), Absent> {
    if let Some(session) = backend::hosted() {
        return session.sleep();
    }
    overlay::before_local(site)?;
    let op = local_op(Verb::Sleep);
    let mut pending = visible(op, site);
    let wake = enter(|execution| {
        let me = execution.current as usize;
        pending.invisible = execution.memory.is_some();
        super::state::sleeps(execution, time);
        if std::mem::replace(&mut execution.threads[me].last_yield, site.number()) == site.number() {
            execution.give_way();
        }
        super::state::deadline(execution, time)
    })?;
    post(pending)?;
    with(|execution| {
        execution.now = execution.now.max(wake);
        let now = execution.event(&op);
        execution.log(&now, &op, 0);
        execution.record(&op, site, |_, event| event.text = Some(format!("{time:?}")));
    })
}
