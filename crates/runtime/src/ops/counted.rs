//! Reference counts.
//!
//! Clones and drops of a counted reference commute with everything unless somebody looks at the
//! count, so they are events but no scheduling points; an execution that looks at a count says so
//! in its result, and the driver then makes them scheduling points (`Config::count_points`).
//!
//! Where a [`Memory`](crate::Memory) enumerates executions, who drops the last reference is no part of
//! the execution, and only one of the orders in which the owners may let go is executed. It must not
//! make a difference:
//!
//! * A destructor that does what others can see (an event of the graph, a thread made or waited for, a
//!   panic) looks at the count: which thread does it is then enumerated.
//! * The last owner knows what the others did; the others do not know that of it. Any of them may be the
//!   last, so after a destructor that nobody sees its thread knows what it knew before: less is ordered,
//!   and no behaviour is missed. Where that shows a failure that may be impossible for the real last
//!   owner (it is about what was forgotten, or came after a read of an old value), the failure counts as
//!   a look at the count, too: everything is then explored again, with the order of drops a part of it.
//! * Cells that the destructor used may be reached by others still. A thread that comes to one without
//!   knowing all owners' ends depends on who was the last.

use crate::alloc::{Birth, PATTERN_WORD, runtime_scope};
use crate::backend::{self, Session};
use crate::clock::Clock;
use crate::execution::{Absent, Execution, enter, free_event, plain, with};
use crate::explorer::Op;
use crate::foreign;
use crate::object::WriteRef;
use crate::ops::misuse::{self, Misused};
use crate::schedule::visible;
use crate::schedule::{post, step_limit};
use crate::site::Site;
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Verb};

/// A destructor of a counted value that is running.
pub(crate) struct Destruction {
    object: u32,
    /// What the thread had done and knew when it began.
    before: Trail,
    clock: Clock,
}

/// What a thread has done that others can see.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Trail {
    events: u32,
    children: u32,
    panics: u32,
}

impl Trail {
    fn of(execution: &Execution) -> Self {
        let thread = &execution.threads[execution.current as usize];
        Self {
            events: super::graphed::events(execution),
            children: thread.origin.children,
            panics: execution.outcome.panics,
        }
    }
}

/// A counted object of the running execution; copied into every reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    epoch: u64,
    object: u32,
    created: Site,
}

impl Counted {
    /// Where it was created.
    pub fn created(&self) -> Site {
        self.created
    }

    fn hosted(self, verb: Verb, site: Site) -> Option<&'static Session> {
        foreign::hosted_counted(self.epoch, self.created, verb, site)
    }

    fn on(self, session: &Session) -> Result<u32, Absent> {
        if self.epoch == session.epoch() { Ok(self.object) } else { Err(Absent::Outside) }
    }

    /// Whether it was read from memory that was freed.
    fn is_freed(self) -> bool {
        self.epoch == PATTERN_WORD
    }

    fn of(self, execution: &Execution) -> Option<u32> {
        (self.epoch == execution.epoch).then_some(self.object)
    }
}

/// A new counted object, with one reference.
pub fn counted_new(site: Site) -> Option<Counted> {
    if let Some(session) = backend::hosted() {
        let object = session.counted_new()?;
        return Some(Counted { epoch: session.epoch(), object, created: site });
    }
    with(|execution| {
        let object = execution.new_object(ObjectKind::Arc, site, 1);
        let me = execution.current;
        let birth = Birth { thread: me, time: execution.threads[me as usize].time + 1 };
        let entry = &mut execution.objects[object as usize];
        (entry.alive, entry.birth) = (true, birth);
        execution.storage.live_references += 1;
        if let Some(recorder) = &mut execution.recorder {
            recorder.object(ObjectKind::Arc, site, None, crate::object::Shown::Nothing);
        }
        Counted { epoch: execution.epoch, object, created: site }
    })
    .ok()
}

/// A reference is cloned (or made weak).
#[inline]
pub fn counted_clone(counted: Counted, site: Site) -> Result<(), Absent> {
    if let Some(session) = counted.hosted(Verb::RefClone, site) {
        return session.counted_clone(counted.on(session)?);
    }
    event(counted, Verb::RefClone, site, false, |_, _| {}, |_, _| {}, |_, _| {})
}

/// A reference is about to be dropped; `last` says whether it is the last strong one, evaluated
/// when the drop happens. After the last one the calling thread knows what every earlier dropper
/// did, as the destructor of the value must.
#[inline]
pub fn counted_drop(counted: Counted, site: Site, last: impl Fn() -> bool) -> Result<(), Absent> {
    if let Some(session) = counted.hosted(Verb::RefDrop, site) {
        return session.counted_drop(counted.on(session)?, last);
    }
    let lean = |execution: &mut Execution, object| {
        let is_last = last() && execution.running_with(object).1.alive;
        if is_last {
            let gone = (execution.current, site, execution.schedule.steps);
            let entry = execution.running_with(object).1;
            (entry.alive, entry.gone) = (false, Some(gone));
            execution.storage.live_references -= 1;
        }
        is_last
    };
    let plain = |execution: &mut Execution, object| {
        let has_clocks = execution.order.has_clocks;
        let (thread, entry) = execution.running_with(object);
        if has_clocks {
            entry.released.sync.join(&thread.clock);
            entry.released.sync_seen.join(&thread.coherence.seen);
        }
        let is_last = lean(execution, object);
        if is_last && has_clocks {
            let (thread, entry) = execution.running_with(object);
            thread.learn(&entry.released.sync, &entry.released.sync_seen);
        }
        is_last
    };
    let watched = |execution: &mut Execution, object: u32| {
        let enumerates = execution.driver.memory.is_some() && !execution.config.count_points;
        let clock = (enumerates && last()).then(|| execution.running().clock.clone());
        if plain(execution, object)
            && let Some(clock) = clock
        {
            let before = Trail::of(execution);
            execution.running().enumerated.destroys.push(Destruction { object, before, clock });
        }
    };
    let effect = |execution: &mut Execution, object| _ = lean(execution, object);
    event(
        counted,
        Verb::RefDrop,
        site,
        true,
        effect,
        |execution, object| _ = plain(execution, object),
        watched,
    )
}

/// A reference was dropped, and with the last one the value. If that did something that others can
/// see, it matters which reference is the last: clones and drops are then scheduling points.
#[inline]
pub fn counted_gone(counted: Counted) {
    if plain().is_some() {
        return;
    }
    let _ = with(|execution| {
        if !execution.threads[execution.current as usize].enumerated.destroys.is_empty() {
            destroyed(execution, counted.of(execution));
        }
    });
}

/// A destructor of the current thread is done, if it was the last owner.
#[cold]
fn destroyed(execution: &mut Execution, object: Option<u32>) {
    let trail = Trail::of(execution);
    let thread = &mut execution.threads[execution.current as usize];
    if thread.enumerated.destroys.last().map(|destruction| destruction.object) != object {
        return;
    }
    let Some(Destruction { before, mut clock, .. }) = thread.enumerated.destroys.pop() else { return };
    if before != trail {
        execution.order.counts_observed = true;
        return;
    }
    clock.set(execution.current, thread.clock.get(execution.current));
    if clock != thread.clock {
        let forgotten = std::mem::replace(&mut thread.clock, clock);
        execution.order.forgotten.join(&forgotten);
        execution.order.forgotten.set(execution.current, thread.time);
    }
}

/// A thread waits for another one's end: one that does so in a destructor is seen by it.
pub(crate) fn joins(execution: &mut Execution) {
    execution.order.counts_observed |=
        !execution.threads[execution.current as usize].enumerated.destroys.is_empty();
}

/// A thread comes to a cell, perhaps in a destructor, or after one that used it.
pub(crate) fn uses_cell(execution: &mut Execution, object: u32) {
    let thread = &execution.threads[execution.current as usize];
    let entry = &mut execution.objects[object as usize];
    if let Some(owners) = &entry.cell.owners
        && !thread.clock.covers(owners)
    {
        execution.order.counts_observed = true;
    }
    if !thread.enumerated.destroys.is_empty() {
        // All owners' ends, and what the destructor itself has done.
        entry.cell.owners = Some(Box::new(thread.clock.clone()));
    }
}

/// The execution fails because an event of a thread is not ordered; `time` is 0 where it is not known.
pub(crate) fn fails_over(execution: &mut Execution, (thread, time): (u32, u32)) {
    execution.order.doubtful |=
        !execution.order.forgotten.is_empty() && execution.order.forgotten.knows(thread, time);
}

/// A read did not read the newest write, or a write is not the newest: one that knew what last owners
/// were made to forget might have had to.
pub(crate) fn goes_back(execution: &mut Execution) {
    execution.order.doubtful |= !execution.order.forgotten.is_empty();
}

/// A weak reference is about to be dropped: the value's destructor learns nothing of it.
#[inline]
pub fn counted_drop_weak(counted: Counted, site: Site) -> Result<(), Absent> {
    if let Some(session) = counted.hosted(Verb::RefDrop, site) {
        return session.counted_drop(counted.on(session)?, || false);
    }
    event(counted, Verb::RefDrop, site, false, |_, _| {}, |_, _| {}, |_, _| {})
}

/// An event of a reference: `lean` is what it does in a lean execution, `effect` where nothing is on, `watched` where
/// anything may be.
#[cfg_attr(not(debug_assertions), inline(always))]
fn event(
    counted: Counted,
    verb: Verb,
    site: Site,
    strong: bool,
    lean: impl FnOnce(&mut Execution, u32),
    effect: impl FnOnce(&mut Execution, u32),
    watched: impl FnOnce(&mut Execution, u32),
) -> Result<(), Absent> {
    let pointer = match crate::execution::lean() {
        // SAFETY: see `execution::with`; plain reads.
        Some(pointer) if unsafe { !(*pointer).config.count_points && counted.epoch == (*pointer).epoch } => {
            pointer
        }
        _ => return plain_event(counted, verb, site, strong, effect, watched),
    };
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the thread unwinds.
    let spent = unsafe {
        let execution = &mut *pointer;
        let object = counted.object;
        if strong && let Some(gone) = execution.running_with(object).1.gone {
            // One reference more was dropped than there were.
            return misuse::unwind(misuse::use_after_free(execution, object, gone, verb, site));
        }
        let op = op(verb, object);
        let thread = execution.count_lean(&op);
        let write = WriteRef { event: (*thread).event_at((*thread).time), step: execution.schedule.steps };
        execution.running_with(object).1.last_write = write;
        lean(execution, object);
        execution.order.log(execution.current, &op, 0);
        execution.is_spent()
    };
    if spent { step_limit() } else { Ok(()) }
}

/// [`event`] in an execution that need not be lean: `effect` is what it does where nothing is on.
#[inline(never)]
fn plain_event(
    counted: Counted,
    verb: Verb,
    site: Site,
    strong: bool,
    effect: impl FnOnce(&mut Execution, u32),
    watched: impl FnOnce(&mut Execution, u32),
) -> Result<(), Absent> {
    let Some(pointer) = plain() else { return watched_event(counted, verb, site, strong, watched) };
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the thread unwinds.
    let spent = unsafe {
        let execution = &mut *pointer;
        if execution.config.count_points || counted.epoch != execution.epoch {
            return watched_event(counted, verb, site, strong, watched);
        }
        happen::<true>(execution, counted.object, verb, site, strong, effect).map(|()| execution.is_spent())
    };
    if spent.or_else(misuse::unwind)? { step_limit() } else { Ok(()) }
}

/// [`event`] in an execution in which anything may be on.
#[inline(never)]
fn watched_event(
    counted: Counted,
    verb: Verb,
    site: Site,
    strong: bool,
    effect: impl FnOnce(&mut Execution, u32),
) -> Result<(), Absent> {
    let object = with(|execution| counted.of(execution))?.ok_or(Absent::Outside);
    let object = object.or_else(|absent| if counted.is_freed() { freed(verb) } else { Err(absent) })?;
    if with(|execution| execution.config.count_points)? {
        post(visible(op(verb, object), site))?;
    }
    free_event(|execution| happen::<false>(execution, object, verb, site, strong, effect))?
        .or_else(misuse::unwind)
}

const fn op(verb: Verb, object: u32) -> Op {
    Op { kind: OpKind::Rmw, verb, order: MemoryOrder::AcqRel, object, lock: false }
}

/// The event itself. If `PLAIN`, counts are no scheduling points, and nobody records.
#[cfg_attr(not(debug_assertions), inline(always))]
fn happen<const PLAIN: bool>(
    execution: &mut Execution,
    object: u32,
    verb: Verb,
    site: Site,
    strong: bool,
    effect: impl FnOnce(&mut Execution, u32),
) -> Result<(), Misused> {
    execution.admit_birth(object, verb, site)?;
    if strong && let Some(gone) = execution.running_with(object).1.gone {
        // One reference more was dropped than there were.
        return Err(misuse::use_after_free(execution, object, gone, verb, site));
    }
    let op = op(verb, object);
    let points = !PLAIN && execution.config.count_points;
    let now = execution.event(&op);
    let entry = execution.running_with(object).1;
    let before = std::mem::replace(&mut entry.last_write, now.write);
    if points {
        execution.edge(2, now.write, before);
    }
    effect(execution, object);
    if points {
        super::graphed::stepped(execution, &now, &op, (0, 0), true);
    }
    execution.complete(&now, &op, 0);
    if !PLAIN {
        execution.record(&op, site, move |_, event| event.implied = verb == Verb::RefDrop);
    }
    Ok(())
}

/// A counted reference in memory that was freed, of which nothing is left.
#[cold]
fn freed<R>(verb: Verb) -> Result<R, Absent> {
    let misused = with(|execution| {
        let site = execution.threads[execution.current as usize].pending.site;
        let object = execution.new_shown_object(ObjectKind::Arc, site);
        let by = (execution.current, site, execution.schedule.steps);
        misuse::use_after_free(execution, object, by, verb, site)
    })?;
    misuse::unwind(misused)
}

/// What a look at a count makes known of what owners did before they let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountRead {
    /// Nothing: another count was read, or one that std does not say how it reads.
    Unordered,
    /// What a later acquire fence learns: the strong count was read `Relaxed`.
    Relaxed,
    /// All of it: the caller holds the only reference, and was told so.
    Acquire,
}

/// The count is looked at (`strong_count`, `get_mut`, `try_unwrap`, `upgrade`): a step. `reads` is
/// asked, when it happens, what is known by that.
pub fn counted_observe(
    counted: Counted,
    site: Site,
    reads: impl FnOnce() -> CountRead,
) -> Result<(), Absent> {
    if let Some(session) = counted.hosted(Verb::RefCount, site) {
        return session.counted_observe(counted.on(session)?);
    }
    let op = enter(|execution| {
        let object = counted.of(execution).ok_or(Absent::Outside)?;
        execution.order.counts_observed = true;
        Ok(Op { kind: OpKind::Rmw, verb: Verb::RefCount, order: MemoryOrder::AcqRel, object, lock: false })
    })??;
    post(visible(op, site))?;
    with(|execution| {
        execution.admit_birth(op.object, op.verb, site)?;
        let now = execution.event(&op);
        let entry = &mut execution.objects[op.object as usize];
        let write = entry.last_write;
        let thread = &mut execution.threads[now.thread as usize];
        match reads() {
            CountRead::Unordered => {}
            CountRead::Relaxed => {
                thread.coherence.acquirable.join(&entry.released.sync);
                thread.coherence.acquirable_seen.join(&entry.released.sync_seen);
            }
            CountRead::Acquire => {
                thread.learn(&entry.released.sync, &entry.released.sync_seen);
            }
        }
        execution.edge(1, now.write, write);
        if execution.config.count_points {
            super::graphed::stepped(execution, &now, &op, (0, 0), true);
        }
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
        Ok(())
    })?
    .or_else(misuse::unwind)
}
