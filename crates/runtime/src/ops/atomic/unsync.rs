//! Fences, and what is no atomic access to an atomic: its value seen by its owner, unsynchronised accesses.

use crate::backend;
use crate::execution::{Absent, enter, free_event, with};
use crate::explorer::Op;
use crate::foreign;
use crate::object::{Primitive, WriteRef};
use crate::ops::{cell, counted, graphed, misuse};
use crate::overlay;
use crate::schedule::{post, visible};
use crate::site::Site;
use racefuzz_trace::{MemoryOrder, OpKind, Verb};

/// A memory fence. Only SeqCst fences depend on each other; the others are part of their thread's
/// next step.
pub fn fence(order: MemoryOrder, site: Site) -> Result<(), Absent> {
    fence_by(Verb::Fence, order, site)
}

/// A fence that is part of something with a word of its own.
pub fn fence_by(verb: Verb, order: MemoryOrder, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Fence), site) {
        return session.fence(order);
    }
    overlay::before_local(site)?;
    let order = overlay::order(site, order);
    let op = Op { kind: OpKind::Fence, verb, order, object: Op::NO_OBJECT, lock: false };
    if order == MemoryOrder::SeqCst {
        post(visible(op, site))?;
    }
    free_event(|execution| {
        let now = execution.event(&op);
        let thread = &mut execution.threads[now.thread as usize];
        if order.acquires() {
            thread.clock.join(&thread.coherence.acquirable);
            let coherence = &mut *thread.coherence;
            coherence.seen.join(&coherence.acquirable_seen);
        }
        if order == MemoryOrder::SeqCst {
            graphed::fence(execution, &now, &op, site);
        }
        let thread = &mut execution.threads[now.thread as usize];
        if order == MemoryOrder::SeqCst && execution.driver.memory.is_none() {
            execution.order.sc_number += 1;
            execution.order.sc_fences.fence(&thread.clock, execution.order.sc_number);
            thread.coherence.seen.join(&execution.order.sc_fences);
        }
        if order.releases() {
            thread.coherence.release_fence.copy_from(&thread.clock);
            let coherence = &mut *thread.coherence;
            coherence.release_fence_seen.copy_from(&coherence.seen);
        }
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
    })
}

/// The newest word of an atomic, without a step: for values that are exclusively owned.
pub fn newest<P: Primitive>(primitive: &P) -> Option<u64> {
    if let Some(session) = backend::hosted() {
        return session.newest(primitive);
    }
    with(|execution| {
        let object = primitive.shared().index_in(execution.epoch)?;
        Some(execution.objects[object as usize].value)
    })
    .ok()
    .flatten()
}

/// The value of an atomic was seen, and perhaps changed, through exclusive access (`get_mut`): its
/// history starts anew from the value it has at its next use.
pub fn rebase<P: Primitive>(primitive: &P) {
    if backend::hosted().is_none() {
        // Outside of executions there is nobody to be told.
        _ = with(|execution| {
            if execution.driver.memory.is_some()
                && let Some(object) = primitive.shared().index_in(execution.epoch)
            {
                graphed::looked_at(execution, object);
            }
        });
    }
    primitive.shared().forget();
}

/// A non-atomic read of an atomic: races with every store that does not happen before it. Reads are
/// not remembered, so it is a scheduling point: the store then comes first in some execution.
pub fn unsync_read<P: Primitive>(primitive: &P, site: Site) -> Result<(), Absent> {
    unsync(primitive, OpKind::Read, site)
}

/// A non-atomic write to an atomic: races with every access that does not happen before it.
pub fn unsync_write<P: Primitive>(primitive: &P, site: Site) -> Result<(), Absent> {
    unsync(primitive, OpKind::Write, site)
}

fn unsync<P: Primitive>(primitive: &P, kind: OpKind, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted(primitive, Verb::Unsync, site) {
        return session.unsync(primitive, kind == OpKind::Write);
    }
    let verb = Verb::Unsync;
    overlay::before(site, |execution| execution.resolve(primitive, verb, site).ok())?;
    let op = |object| Op { kind, verb, order: MemoryOrder::Plain, object, lock: false };
    if kind == OpKind::Read {
        let object = enter(|execution| execution.resolve(primitive, verb, site))?.or_else(misuse::unwind)?;
        post(visible(op(object), site))?;
    }
    let raced = free_event(|execution| {
        let object = execution.resolve(primitive, verb, site)?;
        execution.admit_birth(object, verb, site)?;
        super::stores::prepare(execution, object);
        let op = op(object);
        let now = execution.event(&op);
        let has_clocks = execution.asks_for_clocks();
        let clock = &execution.threads[now.thread as usize].clock;
        let unknown = |(thread, time): (u32, u32)| has_clocks && time != 0 && !clock.knows(thread, time);
        let race = execution.objects[object as usize].history.stores().iter().find_map(|store| {
            let reads = store.readers.iter().copied().filter(|_| kind == OpKind::Write);
            std::iter::once((store.thread, store.time))
                .chain(reads)
                .find(|access| unknown(*access))
                .map(|by| (by.0, store.write))
        });
        let graphed = graphed::unordered(execution, object, now.thread, kind == OpKind::Write);
        let graphed = graphed.filter(|_| graphed::is_real(execution));
        let race = race.or(graphed.map(|(other, step)| (other, WriteRef { event: 0, step })));
        execution.complete(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
        let Some((other, write)) = race else { return Ok(false) };
        counted::fails_over(execution, (other, 0));
        cell::fail_race(execution, object, (other, Verb::Store, None, write.step), (now.thread, verb, site));
        Ok(true)
    })?
    .or_else(misuse::unwind)?;
    if raced { Err(crate::schedule::fail_current()) } else { Ok(()) }
}
