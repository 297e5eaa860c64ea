//! Atomic accesses whose outcome a [`Memory`](crate::Memory) decides, and what such an explorer is
//! told of everything else.

use super::atomic::{Rmw, reads_from};
use super::counted;
use crate::execution::{Absent, Execution, Now, current};
use crate::explorer::Op;
use crate::graph::{Access, Memory, Step};
use crate::object::{Primitive, WriteRef};
use crate::site::Site;
use racefuzz_trace::{MemoryOrder, Verb};

/// The memory, beside the execution it belongs to.
fn memory<'a>(execution: &Execution) -> Option<&'a mut dyn Memory> {
    // SAFETY: the explorer outlives the execution, and nothing else borrows it while the runtime
    // runs (see `Runner::run`); each caller is done with one answer before it asks again.
    execution.driver.memory.map(|memory| unsafe { &mut *memory })
}

fn ask<'a>(execution: &Execution) -> &'a mut dyn Memory {
    memory(execution).unwrap_or_else(|| unreachable!("only called where there is one"))
}

fn access<'a>(execution: &'a Execution, now: &Now, op: &Op, site: Site) -> Access<'a> {
    let object = &execution.objects[op.object as usize];
    let (initial, made) = (object.value, object.created.number());
    Access { initial, made, ..pseudo(execution, now, op, op.object, op.order, site) }
}

/// The clocks of a thread that has read what `release` belongs to.
fn learn(execution: &mut Execution, thread: u32, order: MemoryOrder, release: &crate::clock::Clock) {
    let thread = &mut execution.threads[thread as usize];
    if order.acquires() {
        thread.clock.join(release);
    } else if !release.is_empty() {
        thread.coherence.acquirable.join(release);
    }
}

fn write_ref(step: u32) -> WriteRef {
    WriteRef { event: 0, step }
}

#[inline(never)]
pub(super) fn load<P: Primitive>(execution: &mut Execution, primitive: &P, op: &Op, site: Site) -> u64 {
    let now = execution.event(op);
    let step = now.write.step;
    let read = ask(execution).load(&access(execution, &now, op, site), step);
    learn(execution, now.thread, op.order, read.release);
    if read.newer.is_some() {
        counted::goes_back(execution);
    }
    execution.received(read.value);
    execution.complete(&now, op, read.value);
    execution.record(op, site, |recorder, event| {
        event.read = recorder.value(primitive.show(read.value));
        event.reads_from = Some(reads_from(write_ref(read.source)));
        event.newer = read.newer.map(|step| step.saturating_sub(1));
    });
    read.value
}

#[inline(never)]
pub(super) fn store<P: Primitive>(
    execution: &mut Execution,
    primitive: &P,
    op: &Op,
    value: u64,
    site: Site,
) -> bool {
    let now = execution.event(op);
    let newest = ask(execution).store(&access(execution, &now, op, site), value, now.write.step);
    if !newest {
        counted::goes_back(execution);
    }
    execution.complete(&now, op, value);
    execution.record(op, site, |recorder, event| event.wrote = recorder.value(primitive.show(value)));
    newest
}

#[inline(never)]
pub(super) fn rmw<P: Primitive>(
    execution: &mut Execution,
    primitive: &P,
    op: &Op,
    failure: MemoryOrder,
    site: Site,
    f: &dyn Fn(u64) -> Option<u64>,
) -> Rmw {
    let spurious = op.verb == Verb::CompareExchangeWeak
        && execution.config.inject.spurious
        && execution.choose(racefuzz_trace::Point::Spurious, 2) == 1;
    let fails = |_: u64| None;
    let f = if spurious { &fails } else { f };
    let now = execution.event(op);
    let step = now.write.step;
    let read = ask(execution).rmw(&access(execution, &now, op, site), failure, step, f);
    let (value, source, newer) = (read.value, read.source, read.newer);
    let wrote = f(value);
    let order = if wrote.is_some() { op.order } else { failure };
    learn(execution, now.thread, order, read.release);
    if newer.is_some() {
        counted::goes_back(execution);
    }
    execution.received(value);
    let newest = match wrote {
        Some(word) => ask(execution).rmw_writes(&access(execution, &now, op, site), word, step),
        None => false,
    };
    execution.complete(&now, op, wrote.unwrap_or(value));
    execution.record(op, site, |recorder, event| {
        event.read = recorder.value(primitive.show(value));
        event.wrote = wrote.and_then(|word| recorder.value(primitive.show(word)));
        event.ok = wrote.is_some();
        event.order = order;
        event.reads_from = Some(reads_from(write_ref(source)));
        event.newer = newer.map(|step| step.saturating_sub(1));
        if spurious {
            event.text = Some("spurious failure".into());
        }
    });
    Rmw { read: value, wrote, newest }
}

/// Unwinds the calling thread if its program has left the events that it repeats: the value that it was
/// just told is meant for another execution.
#[inline]
pub(super) fn stop_if_diverged() -> Result<(), Absent> {
    let execution = current();
    if execution.is_null() {
        return Ok(());
    }
    // SAFETY: see `execution::with`; the reference ends before the thread unwinds.
    let diverged = unsafe { memory(&*execution).is_some_and(|memory| memory.has_diverged()) };
    if diverged { Err(crate::schedule::stop_diverged()) } else { Ok(()) }
}

/// A SeqCst fence, after its clocks have changed.
pub(super) fn fence(execution: &Execution, now: &Now, op: &Op, site: Site) {
    if let Some(memory) = memory(execution) {
        memory.fence(&pseudo(execution, now, op, op.object, op.order, site), now.write.step);
    }
}

/// An operation on a state word has happened.
#[inline]
pub(super) fn stepped(execution: &Execution, now: &Now, op: &Op, (before, after): (u64, u64), writes: bool) {
    if let Some(memory) = memory(execution) {
        let thread = &execution.threads[now.thread as usize];
        memory.stepped(&Step {
            thread: now.thread,
            time: now.time,
            step: now.write.step,
            object: op.object,
            op: *op,
            before,
            after,
            writes,
            clock: &thread.clock,
            site: thread.pending.site.number(),
        });
    }
}

/// Whether what the running thread does now is part of the execution: not so what it only repeats, to show
/// what it does then.
#[inline]
pub(crate) fn is_real(execution: &Execution) -> bool {
    memory(execution).is_none_or(|memory| !memory.is_repeating())
}

/// What a non-atomic access to an atomic races with: the thread and the step.
pub(super) fn unordered(execution: &Execution, object: u32, thread: u32, writes: bool) -> Option<(u32, u32)> {
    let clock = &execution.threads[thread as usize].clock;
    memory(execution)?.unordered(object, clock, writes)
}

/// Events of the running thread that others can see.
pub(super) fn events(execution: &Execution) -> u32 {
    memory(execution).map_or(0, |memory| memory.events(execution.current))
}

/// A thread ends, where somebody may look whether it has.
pub(super) fn ends(execution: &Execution, now: &Now, op: &Op, object: u32, site: Site) {
    if let Some(memory) = memory(execution) {
        memory.store(&pseudo(execution, now, op, object, MemoryOrder::Release, site), 1, now.write.step);
    }
}

/// Whether a thread has ended, if a memory decides that.
pub(super) fn has_ended(
    execution: &mut Execution,
    now: &Now,
    op: &Op,
    object: u32,
    site: Site,
) -> Option<bool> {
    let memory = memory(execution)?;
    // As std's reads a count: nothing is known by it of what the thread did.
    let access = pseudo(execution, now, op, object, MemoryOrder::Relaxed, site);
    let read = memory.load(&access, now.write.step);
    learn(execution, now.thread, MemoryOrder::Relaxed, read.release);
    Some(read.value != 0)
}

fn pseudo<'a>(
    execution: &'a Execution,
    now: &Now,
    op: &Op,
    object: u32,
    order: MemoryOrder,
    site: Site,
) -> Access<'a> {
    let thread = &execution.threads[now.thread as usize];
    Access {
        thread: now.thread,
        time: now.time,
        object,
        verb: op.verb,
        kind: op.kind,
        order,
        initial: 0,
        clock: &thread.clock,
        release_fence: &thread.coherence.release_fence,
        site: site.number(),
        made: 0,
    }
}

/// The thread gives way in a loop.
pub(super) fn gives_way(execution: &mut Execution) {
    let current = execution.current;
    ask(execution).gives_way(current);
}

/// The value of an object was seen without an event.
pub(super) fn looked_at(execution: &mut Execution, object: u32) {
    let made = execution.objects[object as usize].created.number();
    ask(execution).looked_at(made);
}
