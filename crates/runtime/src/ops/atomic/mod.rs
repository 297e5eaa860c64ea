//! Atomic accesses and fences.
//!
//! An access exists three times. Inlined into the program is that of executions in which an access is one of the
//! newest word, with nothing on besides (see [`lean`]). Behind a call, and compiled from one source, are `PLAIN`,
//! for executions that keep clocks and store histories, in which nothing is on either, and one with everything
//! that may be on.

mod lean;
mod rmw;
mod stores;
mod unsync;

pub use rmw::{Rmw, compare_exchange, rmw};
pub(crate) use stores::{MO, note_repeated_read, reads_from};
pub use unsync::{fence, fence_by, newest, rebase, unsync_read, unsync_write};

use crate::alloc::runtime_scope;
use crate::execution::{Absent, Execution, Phase, alive, current, plain, with};
use crate::explorer::Op;
use crate::foreign;
use crate::object::Primitive;
use crate::overlay;
use crate::schedule::{post_plain, post_visible};
use crate::site::Site;
use lean::{access, apart, lean_if};
use racefuzz_trace::{MemoryModel, MemoryOrder, OpKind, Point, Verb};
use stores::{floor, newer, prepare, read_at, read_newest, write_behind, write_newest};

/// Resolves the object, waits for the operation's turn, and runs its effect.
///
/// # Safety
/// `pointer` is the current execution, which is not being torn down, and no reference into it is live. If
/// `PLAIN`, its steps have to look at nothing else ([`Execution::slow`]).
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn step<P: Primitive, R, const PLAIN: bool>(
    pointer: *mut Execution,
    primitive: &P,
    kind: OpKind,
    verb: Verb,
    order: MemoryOrder,
    site: Site,
    effect: impl FnOnce(&mut Execution, &Op) -> R,
) -> Result<R, Absent> {
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the switch below, and the execution
    // lives as long as its coroutines run.
    let resolved = unsafe { (*pointer).resolve(primitive, verb, site) };
    let object = resolved.or_else(super::misuse::unwind)?;
    let op = Op { kind, verb, order, object, lock: false };
    // SAFETY: passed on to the caller; no reference is live.
    unsafe {
        match PLAIN {
            true => drop(post_plain(pointer, op, site)?),
            false => post_visible(pointer, op, site)?,
        }
    }
    // The step may have been long in coming: the object may have been released meanwhile.
    // SAFETY: see `execution::with`; a new reference after the switch.
    let done = unsafe {
        let execution = &mut *pointer;
        execution.admit(primitive, object, verb, site).map(|()| {
            if let Some(word) = primitive.written_unseen(execution.objects[object as usize].value) {
                super::unseen::adopt(execution, object, word);
            }
            effect(execution, &op)
        })
    };
    done.or_else(super::misuse::unwind)
}

/// [`step`] of an execution in which anything may be on.
#[cfg_attr(not(debug_assertions), inline(always))]
fn watched_step<P: Primitive, R>(
    primitive: &P,
    kind: OpKind,
    verb: Verb,
    order: MemoryOrder,
    site: Site,
    effect: impl FnOnce(&mut Execution, &Op) -> R,
) -> Result<R, Absent> {
    overlay::before(site, |execution| execution.resolve(primitive, verb, site).ok())?;
    let pointer = alive()?;
    // SAFETY: the execution was just seen to be alive; no reference into it is.
    unsafe { step::<P, R, false>(pointer, primitive, kind, verb, order, site, effect) }
}

/// The execution, where an access of this order has to look at nothing but its own effect.
#[cfg_attr(not(debug_assertions), inline(always))]
fn plain_if(order: MemoryOrder) -> Option<*mut Execution> {
    // SAFETY: see `execution::with`; a plain read.
    plain().filter(|execution| order == MemoryOrder::SeqCst || unsafe { !(**execution).order.seq_cst_only })
}

/// An access of this order may need more stores than the newest: if those are not kept, the execution ends
/// here, to be executed again.
fn needs_histories(order: MemoryOrder) -> Result<(), Absent> {
    let execution = current();
    // SAFETY: see `execution::with`; the reference ends before the thread unwinds.
    let lacks = unsafe {
        execution.as_mut().is_some_and(|execution| {
            order != MemoryOrder::SeqCst
                && execution.config.memory != MemoryModel::Sc
                && execution.phase() == Phase::Running
                && !execution.asks_for_clocks()
        })
    };
    if lacks { Err(crate::schedule::stop_diverged()) } else { Ok(()) }
}

/// The order, of the two that a read-modify-write may have, which asks for more.
#[cfg_attr(not(debug_assertions), inline(always))]
fn weakest(verb: Verb, (success, failure): (MemoryOrder, MemoryOrder)) -> MemoryOrder {
    let may_fail = matches!(verb, Verb::CompareExchange | Verb::CompareExchangeWeak);
    if may_fail && success == MemoryOrder::SeqCst { failure } else { success }
}

/// An atomic load: the word read.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn load<P: Primitive>(primitive: &P, order: MemoryOrder, verb: Verb, site: Site) -> Result<u64, Absent> {
    let full = || match plain_if(order) {
        // SAFETY: it was just seen to be so.
        Some(pointer) => unsafe { plain_load(pointer, primitive, order, verb, site) },
        None => watched_load(primitive, order, verb, site),
    };
    if let Some(pointer) = lean_if(order) {
        let lean = |execution: &mut Execution, op: &Op| execution.read_lean(op, site);
        let general = |execution: &mut Execution, op: &Op| read::<P, true>(execution, primitive, op, site);
        // SAFETY: it is the current execution, and lean.
        return unsafe { access(pointer, primitive, (OpKind::Load, verb, order), site, lean, general, full) };
    }
    apart(full())
}

/// [`load`] of an execution in which nothing is on, but that keeps clocks or store histories.
///
/// # Safety
/// `pointer` is the current execution, whose steps have to look at nothing else ([`Execution::slow`]).
#[inline(never)]
unsafe fn plain_load<P: Primitive>(
    pointer: *mut Execution,
    primitive: &P,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<u64, Absent> {
    let effect = |execution: &mut Execution, op: &Op| read::<P, true>(execution, primitive, op, site);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, u64, true>(pointer, primitive, OpKind::Load, verb, order, site, effect) }
}

/// [`load`] of an execution in which anything may be on, or outside of every execution.
#[inline(never)]
fn watched_load<P: Primitive>(
    primitive: &P,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<u64, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.load(primitive, order);
    }
    if let Some(read) = overlay::load_updates(primitive, site) {
        return read;
    }
    let order = overlay::order(site, order);
    needs_histories(order)?;
    loop {
        let word = watched_step(primitive, OpKind::Load, verb, order, site, |execution, op| {
            if execution.driver.memory.is_some() {
                return super::graphed::load(execution, primitive, op, site);
            }
            read::<P, false>(execution, primitive, op, site)
        })?;
        super::graphed::stop_if_diverged()?;
        if !overlay::loads_again(site, word) {
            overlay::has_read(site, word);
            return Ok(word);
        }
        super::yield_now(Verb::SpinLoop, site)?;
    }
}

/// An atomic load of an object that the caller knows by its number in the running execution.
pub(crate) fn load_known<P: Primitive>(
    primitive: &P,
    object: u32,
    order: MemoryOrder,
    site: Site,
) -> Result<u64, Absent> {
    needs_histories(order)?;
    let op = Op { kind: OpKind::Load, verb: Verb::Load, order, object, lock: false };
    crate::schedule::post(crate::schedule::visible(op, site))?;
    let word = with(|execution| {
        execution.admit_object(object, op.verb, site)?;
        Ok(match execution.driver.memory.is_some() {
            true => super::graphed::load(execution, primitive, &op, site),
            false => read::<P, false>(execution, primitive, &op, site),
        })
    })?;
    let word = word.or_else(super::misuse::unwind)?;
    super::graphed::stop_if_diverged()?;
    Ok(word)
}

/// The effect of a load.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read<P: Primitive, const PLAIN: bool>(
    execution: &mut Execution,
    primitive: &P,
    op: &Op,
    site: Site,
) -> u64 {
    if PLAIN && let Some(value) = read_newest(execution, op, site) {
        return value;
    }
    prepare(execution, op.object);
    let now = execution.event(op);
    let newest = execution.running_with(op.object).1.history.len() - 1;
    let place = if newest == 0 || primitive.is_coherent() {
        newest
    } else {
        let floor = floor(execution, op.object, op.order);
        newest - execution.choose(Point::Store, newest - floor + 1)
    };
    let (value, write) = read_at(execution, &now, op.object, place, op.order);
    execution.received(value);
    execution.complete(&now, op, value);
    note_repeated_read(execution, site, write);
    if !PLAIN {
        let newer = if place == newest { None } else { newer(execution, op.object, place) };
        execution.record(op, site, move |recorder, event| {
            event.read = recorder.value(primitive.show(value));
            event.reads_from = Some(reads_from(write));
            event.newer = newer;
        });
    }
    value
}

/// An atomic store. Whether it is now the newest, so that the caller keeps its own copy of the
/// value in line.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn store<P: Primitive>(
    primitive: &P,
    value: u64,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<bool, Absent> {
    let full = || match plain_if(order) {
        // SAFETY: it was just seen to be so.
        Some(pointer) => unsafe { plain_store(pointer, primitive, value, order, verb, site) },
        None => watched_store(primitive, value, order, verb, site),
    };
    if let Some(pointer) = lean_if(order) {
        let lean = |execution: &mut Execution, op: &Op| {
            execution.write_lean(op, value);
            true
        };
        let general =
            |execution: &mut Execution, op: &Op| write::<P, true>(execution, primitive, op, value, site);
        // SAFETY: it is the current execution, and lean.
        return unsafe {
            access(pointer, primitive, (OpKind::Store, verb, order), site, lean, general, full)
        };
    }
    full()
}

/// [`store`] of an execution in which nothing is on, but that keeps clocks or store histories.
///
/// # Safety
/// `pointer` is the current execution, whose steps have to look at nothing else ([`Execution::slow`]).
#[inline(never)]
unsafe fn plain_store<P: Primitive>(
    pointer: *mut Execution,
    primitive: &P,
    value: u64,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<bool, Absent> {
    let effect = |execution: &mut Execution, op: &Op| write::<P, true>(execution, primitive, op, value, site);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, bool, true>(pointer, primitive, OpKind::Store, verb, order, site, effect) }
}

/// [`store`] of an execution in which anything may be on, or outside of every execution.
#[inline(never)]
fn watched_store<P: Primitive>(
    primitive: &P,
    value: u64,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<bool, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.store(primitive, value, order);
    }
    if overlay::swaps(site) {
        let rmw = rmw(primitive, (order, order), Verb::Swap, site, |_| Some(value))?;
        return Ok(rmw.newest);
    }
    let updates = overlay::store_updates(primitive, value, site);
    if updates == overlay::Store::Done {
        return Ok(false);
    }
    let order = overlay::order(site, order);
    needs_histories(order)?;
    let newest = watched_step(primitive, OpKind::Store, verb, order, site, |execution, op| {
        if execution.driver.memory.is_some() {
            return super::graphed::store(execution, primitive, op, value, site);
        }
        write::<P, false>(execution, primitive, op, value, site)
    })?;
    if updates == overlay::Store::Misfit {
        overlay::misfit(site)?;
    }
    Ok(newest)
}

/// The effect of a store.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write<P: Primitive, const PLAIN: bool>(
    execution: &mut Execution,
    primitive: &P,
    op: &Op,
    value: u64,
    site: Site,
) -> bool {
    if PLAIN && write_newest(execution, op, value) {
        return true;
    }
    prepare(execution, op.object);
    let now = execution.event(op);
    let newest = execution.running_with(op.object).1.history.len() - 1;
    let place = if newest == 0 || primitive.is_coherent() { newest } else { place(execution, op) };
    write_behind(execution, &now, op.object, place, value, op.order, false);
    execution.complete(&now, op, value);
    if !PLAIN {
        let newer = if place == newest { None } else { newer(execution, op.object, place + 1) };
        execution.record(op, site, move |recorder, event| {
            event.wrote = recorder.value(primitive.show(value));
            event.newer = newer;
        });
    }
    place == newest
}

/// The store, of several, that another one is placed behind.
#[inline]
fn place(execution: &mut Execution, op: &Op) -> usize {
    let floor = floor(execution, op.object, op.order);
    let history = &execution.objects[op.object as usize].history;
    let (newest, count) = (history.len() - 1, history.count_free(floor));
    let chosen = execution.choose(Point::Place, count);
    let history = &execution.objects[op.object as usize].history;
    (floor..=newest).rev().filter(|place| history.is_free(*place)).nth(chosen).unwrap_or(newest)
}
