//! Read-modify-writes.

use super::lean::{access, lean_if};
use super::stores::{floor, newer, note_repeated_read, prepare, read_at, reads_from, write_behind};
use super::{needs_histories, plain_if, step, watched_step, weakest};
use crate::execution::{Absent, Execution};
use crate::explorer::Op;
use crate::foreign;
use crate::object::Primitive;
use crate::overlay;
use crate::site::Site;
use crate::store_history::History;
use racefuzz_trace::{MemoryOrder, OpKind, Point, Verb};

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
    let full = || match plain_if(weakest(verb, orders)) {
        // SAFETY: it was just seen to be so.
        Some(pointer) => unsafe { plain_rmw(pointer, primitive, orders, verb, site, &f) },
        None => watched_rmw(primitive, orders, verb, site, &f),
    };
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

/// [`rmw`] of an execution in which nothing is on, but that keeps clocks or store histories.
///
/// # Safety
/// `pointer` is the current execution, whose steps have to look at nothing else ([`Execution::slow`]).
#[inline(never)]
unsafe fn plain_rmw<P: Primitive>(
    pointer: *mut Execution,
    primitive: &P,
    orders: (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    f: impl Fn(u64) -> Option<u64>,
) -> Result<Rmw, Absent> {
    let (success, failure) = orders;
    let effect =
        |execution: &mut Execution, op: &Op| modify::<P, true>(execution, primitive, op, failure, site, &f);
    // SAFETY: it is the current execution, whose steps have to look at nothing else.
    unsafe { step::<P, Rmw, true>(pointer, primitive, OpKind::Rmw, verb, success, site, effect) }
}

/// [`rmw`] of an execution in which anything may be on, or outside of every execution.
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
            return crate::ops::graphed::rmw(execution, primitive, op, failure, site, f);
        }
        modify::<P, false>(execution, primitive, op, failure, site, f)
    })?;
    crate::ops::graphed::stop_if_diverged()?;
    overlay::has_read(site, rmw.read);
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
        newest if primitive.is_coherent() => newest,
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
