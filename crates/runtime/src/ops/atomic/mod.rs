//! Atomic accesses and fences.
//!
//! An access exists three times. Inlined into the program is that of executions in which an access is one of the
//! newest word, with nothing on besides (see [`lean`]). Behind a call, and compiled from one source, are `PLAIN`,
//! for executions that keep clocks and store histories, in which nothing is on either, and one with everything
//! that may be on.

mod lean;
mod stores;
mod unsync;

pub(crate) use stores::{MO, note_repeated_read, reads_from};
pub use unsync::{fence, fence_by, newest, rebase, unsync_read, unsync_write};

use crate::alloc::runtime_scope;
use crate::execution::{Absent, Execution, Phase, alive, current, plain};
use crate::explorer::Op;
use crate::foreign;
use crate::memory::History;
use crate::object::Primitive;
use crate::overlay;
use crate::schedule::{post_plain, post_visible};
use crate::site::Site;
use lean::{access, lean_if};
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
                super::process::adopt(execution, object, word);
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
    let full = || full_load(primitive, order, verb, site);
    if let Some(pointer) = lean_if(order) {
        let lean = |execution: &mut Execution, op: &Op| execution.read_lean(op, site);
        let general = |execution: &mut Execution, op: &Op| read::<P, true>(execution, primitive, op, site);
        // SAFETY: it is the current execution, and lean.
        return unsafe { access(pointer, primitive, (OpKind::Load, verb, order), site, lean, general, full) };
    }
    full()
}

#[inline(never)]
fn full_load<P: Primitive>(primitive: &P, order: MemoryOrder, verb: Verb, site: Site) -> Result<u64, Absent> {
    let Some(pointer) = plain_if(order) else { return watched_load(primitive, order, verb, site) };
    let effect = |execution: &mut Execution, op: &Op| read::<P, true>(execution, primitive, op, site);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, u64, true>(pointer, primitive, OpKind::Load, verb, order, site, effect) }
}

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
    let word = watched_step(primitive, OpKind::Load, verb, order, site, |execution, op| {
        if execution.driver.memory.is_some() {
            return super::graphed::load(execution, primitive, op, site);
        }
        read::<P, false>(execution, primitive, op, site)
    })?;
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
    let place = if newest == 0 {
        0
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
    let full = || full_store(primitive, value, order, verb, site);
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

#[inline(never)]
fn full_store<P: Primitive>(
    primitive: &P,
    value: u64,
    order: MemoryOrder,
    verb: Verb,
    site: Site,
) -> Result<bool, Absent> {
    let Some(pointer) = plain_if(order) else { return watched_store(primitive, value, order, verb, site) };
    let effect = |execution: &mut Execution, op: &Op| write::<P, true>(execution, primitive, op, value, site);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, bool, true>(pointer, primitive, OpKind::Store, verb, order, site, effect) }
}

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
    let place = if newest == 0 { newest } else { place(execution, op) };
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

/// What a read-modify-write did.
#[derive(Clone, Copy, Debug)]
pub struct Rmw {
    /// The word read.
    pub read: u64,
    /// The word written, unless the operation failed (a compare-exchange).
    pub wrote: Option<u64>,
    /// Whether the word written is now the newest.
    pub newest: bool,
}

/// An atomic read-modify-write: `f` maps the word read to the word to write, or to `None` where
/// the operation fails and is a load of order `failure`. `f` must be a pure function.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn rmw<P: Primitive>(
    primitive: &P,
    orders: (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    f: impl Fn(u64) -> Option<u64>,
) -> Result<Rmw, Absent> {
    let full = || full_rmw(primitive, orders, verb, site, &f);
    if let Some(pointer) = lean_if(weakest(verb, orders)) {
        let lean = |execution: &mut Execution, op: &Op| {
            let (read, wrote) = execution.modify_lean(op, site, &f);
            Rmw { read, wrote, newest: wrote.is_some() }
        };
        let general = |execution: &mut Execution, op: &Op| {
            modify::<P, true>(execution, primitive, op, orders.1, site, &f)
        };
        // SAFETY: it is the current execution, and lean.
        return unsafe {
            access(pointer, primitive, (OpKind::Rmw, verb, orders.0), site, lean, general, full)
        };
    }
    full()
}

#[inline(never)]
fn full_rmw<P: Primitive>(
    primitive: &P,
    orders: (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    f: impl Fn(u64) -> Option<u64>,
) -> Result<Rmw, Absent> {
    let (success, failure) = orders;
    let pointer = plain_if(weakest(verb, orders));
    let Some(pointer) = pointer else { return watched_rmw(primitive, orders, verb, site, &f) };
    let effect =
        |execution: &mut Execution, op: &Op| modify::<P, true>(execution, primitive, op, failure, site, &f);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, Rmw, true>(pointer, primitive, OpKind::Rmw, verb, success, site, effect) }
}

#[inline(never)]
fn watched_rmw<P: Primitive>(
    primitive: &P,
    (success, failure): (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    f: &dyn Fn(u64) -> Option<u64>,
) -> Result<Rmw, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.rmw(primitive, success, verb, f);
    }
    let (success, failure) = overlay::orders(site, success, failure);
    needs_histories(weakest(verb, (success, failure)))?;
    let rmw = watched_step(primitive, OpKind::Rmw, verb, success, site, |execution, op| {
        if execution.driver.memory.is_some() {
            return super::graphed::rmw(execution, primitive, op, failure, site, f);
        }
        modify::<P, false>(execution, primitive, op, failure, site, f)
    })?;
    super::graphed::stop_if_diverged()?;
    Ok(rmw)
}

/// Stores that a read-modify-write may choose from, beyond which those that it cannot read are not left out
/// of their number.
const MANY_STORES: usize = 1_000;

/// The effect of a read-modify-write.
#[cfg_attr(not(debug_assertions), inline(always))]
fn modify<P: Primitive, const PLAIN: bool>(
    execution: &mut Execution,
    primitive: &P,
    op: &Op,
    failure: MemoryOrder,
    site: Site,
    f: &(impl Fn(u64) -> Option<u64> + ?Sized),
) -> Rmw {
    prepare(execution, op.object);
    let now = execution.event(op);
    let success = op.order;
    let spurious = !PLAIN
        && op.verb == Verb::CompareExchangeWeak
        && execution.config.inject.spurious
        && execution.choose(Point::Spurious, 2) == 1;
    let newest = execution.running_with(op.object).1.history.len() - 1;
    let place = match newest {
        0 => 0,
        _ => place_of_rmw(execution, op, failure, spurious, &|word| f(word).is_some()),
    };
    let read = execution.running_with(op.object).1.history.store(place).value;
    let wrote = if spurious { None } else { f(read) };
    let order = if wrote.is_some() { success } else { failure };
    let (_, write) = read_at(execution, &now, op.object, place, order);
    execution.received(read);
    let stale = if PLAIN || place == newest { None } else { newer(execution, op.object, place) };
    match wrote {
        Some(value) => {
            write_behind(execution, &now, op.object, place, value, success, true);
            execution.running().spinning.last_read = (None, 0);
        }
        None => note_repeated_read(execution, site, write),
    }
    execution.complete(&now, op, wrote.unwrap_or(read));
    if !PLAIN {
        execution.record(op, site, move |recorder, event| {
            event.read = recorder.value(primitive.show(read));
            event.wrote = wrote.and_then(|value| recorder.value(primitive.show(value)));
            event.ok = wrote.is_some();
            event.order = order;
            event.reads_from = Some(reads_from(write));
            event.newer = stale;
            if spurious {
                event.text = Some("spurious failure".into());
            }
        });
    }
    Rmw { read, wrote, newest: wrote.is_some() && place == newest }
}

/// The store, of several, that a read-modify-write reads; `succeeds` says whether it writes having read a
/// word.
fn place_of_rmw(
    execution: &mut Execution,
    op: &Op,
    failure: MemoryOrder,
    spurious: bool,
    succeeds: &dyn Fn(u64) -> bool,
) -> usize {
    // What it reads decides whether it succeeds, and each outcome has an ordering, and with
    // it a floor, of its own. A store that another read-modify-write has read can only be
    // seen by one that fails.
    let newest = execution.objects[op.object as usize].history.len() - 1;
    let passes = if spurious { newest + 1 } else { floor(execution, op.object, op.order) };
    let fails = if failure == op.order && !spurious { passes } else { floor(execution, op.object, failure) };
    let history = &execution.objects[op.object as usize].history;
    let free = |history: &History, place: usize| match !spurious && succeeds(history.stores()[place].value) {
        true => place >= passes && history.is_free(place),
        false => place >= fails,
    };
    let lowest = passes.min(fails);
    let count = match newest - lowest {
        // Only an explorer of graphs has so many: it knows which one it means.
        many if many > MANY_STORES => many + 1,
        _ => (lowest..=newest).filter(|place| free(history, *place)).count(),
    };
    let chosen = execution.choose(Point::Store, count);
    let history = &execution.objects[op.object as usize].history;
    (lowest..=newest).rev().filter(|place| free(history, *place)).nth(chosen).unwrap_or(newest)
}

/// An atomic compare-exchange: writes `new` if the word read is `current`, and else is a load. The
/// orders are those of success and failure.
#[inline]
pub fn compare_exchange<P: Primitive>(
    primitive: &P,
    orders: (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    (current, new): (u64, u64),
) -> Result<Rmw, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.compare_exchange(primitive, orders, verb, (current, new));
    }
    rmw(primitive, orders, verb, site, |word| (word == current).then_some(new))
}
