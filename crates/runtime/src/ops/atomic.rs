//! Atomic accesses and fences.

use crate::alloc::runtime_scope;
use crate::backend;
use crate::execution::{Absent, Execution, Now, alive, enter, free_event, with};
use crate::explorer::Op;
use crate::foreign;
use crate::memory::{History, Knowledge};
use crate::object::{Primitive, WriteRef};
use crate::overlay;
use crate::schedule::{post, post_visible};
use crate::site::Site;
use racefuzz_trace::{MemoryOrder, OpKind, Point, ReadsFrom, Verb};

pub(super) fn reads_from(write: WriteRef) -> ReadsFrom {
    if write.step == 0 { ReadsFrom::Initial } else { ReadsFrom::Step(write.step - 1) }
}

pub(super) use crate::schedule::visible;

/// Resolves the object, waits for the operation's turn, and runs its effect.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn step<P: Primitive, R>(
    primitive: &P,
    kind: OpKind,
    verb: Verb,
    order: MemoryOrder,
    site: Site,
    effect: impl FnOnce(&mut Execution, &Op) -> R,
) -> Result<R, Absent> {
    overlay::before(site, |execution| execution.resolve(primitive, verb, site).ok())?;
    let pointer = alive()?;
    let _runtime = runtime_scope();
    // SAFETY: see `execution::with`; the reference ends before the switch below, and the execution
    // lives as long as its coroutines run.
    let resolved = unsafe { (*pointer).resolve(primitive, verb, site) };
    let object = resolved.or_else(super::misuse::unwind)?;
    let op = Op { kind, verb, order, object, lock: false };
    // SAFETY: `pointer` is the current execution; no reference into it is live.
    unsafe { post_visible(pointer, op, site)? };
    // The step may have been long in coming: the object may have been released meanwhile.
    // SAFETY: see `execution::with`; a new reference after the switch.
    let done = unsafe {
        let execution = &mut *pointer;
        execution.admit(primitive, object, verb, site).map(|()| effect(execution, &op))
    };
    done.or_else(super::misuse::unwind)
}

/// Makes sure the history of an atomic starts with its initial value.
#[cfg_attr(not(debug_assertions), inline(always))]
fn prepare(execution: &mut Execution, object: u32) {
    let object = &mut execution.objects[object as usize];
    if object.history.is_empty() {
        let value = object.value;
        object.history.insert(0, value, WriteRef::default(), (0, 0));
    }
}

/// Stores that a read-modify-write may choose from, beyond which those that it cannot read are not left out
/// of their number.
const MANY_STORES: usize = 1_000;

#[inline]
fn floor(execution: &Execution, object: u32, order: MemoryOrder) -> usize {
    if execution.config.explored {
        return 0;
    }
    let thread = &execution.threads[execution.current as usize];
    let sc_fences = (order == MemoryOrder::SeqCst).then_some(&execution.sc_fences);
    let knowledge = Knowledge { clock: &thread.clock, seen: &thread.seen, sc_fences };
    execution.objects[object as usize].history.floor(&knowledge)
}

/// Reads the store at `place`: coherence, synchronisation, the graph's edge.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read_at(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    order: MemoryOrder,
) -> (u64, WriteRef) {
    let sequential = execution.sequential();
    let thread = &mut execution.threads[now.thread as usize];
    let history = &mut execution.objects[object as usize].history;
    if !sequential {
        history.note_read(place, now.thread, now.time);
    }
    let store = history.store(place);
    if order.acquires() {
        thread.clock.join(&store.release);
        thread.seen.join(&store.release_seen);
    } else if !store.release.is_empty() {
        thread.acquirable.join(&store.release);
        thread.acquirable_seen.join(&store.release_seen);
    }
    let (value, write) = (store.value, store.write);
    execution.edge(1, now.write, write);
    (value, write)
}

/// Puts a store behind `place`, with what its order releases; `sequence` is the store a
/// read-modify-write read, whose release sequence it continues.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write_behind(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    value: u64,
    order: MemoryOrder,
    sequence: bool,
) {
    if order == MemoryOrder::SeqCst {
        execution.sc_number += 1;
    }
    // A lock that is swapped in again and again stays what it was.
    let same = if execution.sequential() {
        write_over(execution, now, object, place, value, order, sequence)
    } else {
        insert_behind(execution, now, object, place, value, order, sequence)
    };
    if !same {
        execution.touched(object);
    }
}

/// Nobody can read an older store again: the newest takes its place. Whether the word stays the
/// same, if it was read before.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write_over(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    value: u64,
    order: MemoryOrder,
    sequence: bool,
) -> bool {
    let thread = &execution.threads[now.thread as usize];
    let entry = &mut execution.objects[object as usize];
    let store = entry.history.store(place);
    let same = sequence && store.value == value;
    let (clock, seen) = match order.releases() {
        true => (&thread.clock, &thread.seen),
        false => (&thread.release_fence, &thread.release_fence_seen),
    };
    if sequence {
        store.release.join(clock);
        store.release_seen.join(seen);
    } else {
        store.release.copy_from(clock);
        store.release_seen.copy_from(seen);
    }
    store.value = value;
    store.write = now.write;
    (store.thread, store.time) = (now.thread, now.time);
    entry.value = value;
    let before = std::mem::replace(&mut entry.last_write, now.write);
    // Modification order, which otherwise is summed up at the end of the execution.
    execution.edge(2, before, now.write);
    same
}

/// The same where older stores may still be read.
#[inline(never)]
fn insert_behind(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    value: u64,
    order: MemoryOrder,
    sequence: bool,
) -> bool {
    let thread = &execution.threads[now.thread as usize];
    let entry = &mut execution.objects[object as usize];
    let same = sequence && entry.history.stores()[place].value == value;
    let last = place + 1 == entry.history.len();
    entry.history.insert(place + 1, value, now.write, (now.thread, now.time));
    if sequence {
        entry.history.take(place);
    }
    let (read, store) = entry.history.pair(place);
    if order.releases() {
        store.release.copy_from(&thread.clock);
        store.release_seen.copy_from(&thread.seen);
    } else {
        store.release.copy_from(&thread.release_fence);
        store.release_seen.copy_from(&thread.release_fence_seen);
    }
    if sequence {
        store.release.join(&read.release);
        store.release_seen.join(&read.release_seen);
    }
    if order == MemoryOrder::SeqCst {
        store.sc = execution.sc_number;
    }
    if last {
        entry.value = value;
        entry.last_write = now.write;
    }
    same
}

/// A thread that reads one write again and again at one place spins: it gives way.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn note_repeated_read(execution: &mut Execution, now: &Now, site: Site, write: WriteRef) {
    let thread = &mut execution.threads[now.thread as usize];
    let read = (site.number(), write.event);
    if thread.last_read == read {
        thread.same_reads += 1;
        if thread.same_reads > 2 {
            execution.give_way();
        }
    } else {
        thread.last_read = read;
        thread.same_reads = 0;
    }
}

/// An atomic load: the word read.
#[inline]
pub fn load<P: Primitive>(primitive: &P, order: MemoryOrder, verb: Verb, site: Site) -> Result<u64, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.load(primitive, order);
    }
    if let Some(read) = overlay::load_updates(primitive, site) {
        return read;
    }
    let order = overlay::order(site, order);
    let value = step(primitive, OpKind::Load, verb, order, site, |execution, op| {
        if execution.memory.is_some() {
            return super::graphed::load(execution, primitive, op, site);
        }
        prepare(execution, op.object);
        let now = execution.event(op);
        let newest = execution.objects[op.object as usize].history.len() - 1;
        let place = if newest == 0 {
            0
        } else {
            let floor = floor(execution, op.object, order);
            newest - execution.choose(Point::Store, newest - floor + 1)
        };
        let (value, write) = read_at(execution, &now, op.object, place, order);
        execution.received(value);
        execution.log(&now, op, value);
        note_repeated_read(execution, &now, site, write);
        let newer = if place == newest { None } else { newer(execution, op.object, place) };
        execution.record(op, site, move |recorder, event| {
            event.read = recorder.value(primitive.show(value));
            event.reads_from = Some(reads_from(write));
            event.newer = newer;
        });
        value
    })?;
    super::graphed::stop_if_diverged()?;
    Ok(value)
}

/// The step of the newest store, if it is not the one at `place`.
fn newer(execution: &Execution, object: u32, place: usize) -> Option<u32> {
    let history = &execution.objects[object as usize].history;
    let newest = history.len() - 1;
    (place < newest).then(|| history.stores()[newest].write.step.saturating_sub(1))
}

/// An atomic store. Whether it is now the newest, so that the caller keeps its own copy of the
/// value in line.
#[inline]
pub fn store<P: Primitive>(
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
    let newest = step(primitive, OpKind::Store, verb, order, site, |execution, op| {
        if execution.memory.is_some() {
            return super::graphed::store(execution, primitive, op, value, site);
        }
        prepare(execution, op.object);
        let now = execution.event(op);
        let newest = execution.objects[op.object as usize].history.len() - 1;
        let place = if newest == 0 {
            newest
        } else {
            let floor = floor(execution, op.object, order);
            let chosen = execution
                .choose(Point::Place, execution.objects[op.object as usize].history.count_free(floor));
            let history = &execution.objects[op.object as usize].history;
            (floor..=newest).rev().filter(|place| history.is_free(*place)).nth(chosen).unwrap_or(newest)
        };
        write_behind(execution, &now, op.object, place, value, order, false);
        execution.log(&now, op, value);
        let newer = if place == newest { None } else { newer(execution, op.object, place + 1) };
        execution.record(op, site, move |recorder, event| {
            event.wrote = recorder.value(primitive.show(value));
            event.newer = newer;
        });
        place == newest
    })?;
    if updates == overlay::Store::Misfit {
        overlay::misfit(site)?;
    }
    Ok(newest)
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
#[inline]
pub fn rmw<P: Primitive>(
    primitive: &P,
    (success, failure): (MemoryOrder, MemoryOrder),
    verb: Verb,
    site: Site,
    f: impl Fn(u64) -> Option<u64>,
) -> Result<Rmw, Absent> {
    if let Some(session) = foreign::hosted(primitive, verb, site) {
        return session.rmw(primitive, success, verb, &f);
    }
    let (success, failure) = overlay::orders(site, success, failure);
    let rmw = step(primitive, OpKind::Rmw, verb, success, site, |execution, op| {
        if execution.memory.is_some() {
            return super::graphed::rmw(execution, primitive, op, failure, site, &f);
        }
        prepare(execution, op.object);
        let now = execution.event(op);
        let spurious = verb == Verb::CompareExchangeWeak
            && execution.config.inject.spurious
            && execution.choose(Point::Spurious, 2) == 1;
        let newest = execution.objects[op.object as usize].history.len() - 1;
        let place = if newest == 0 {
            0
        } else {
            // What it reads decides whether it succeeds, and each outcome has an ordering, and with
            // it a floor, of its own. A store that another read-modify-write has read can only be
            // seen by one that fails.
            let passes = if spurious { newest + 1 } else { floor(execution, op.object, success) };
            let fails =
                if failure == success && !spurious { passes } else { floor(execution, op.object, failure) };
            let history = &execution.objects[op.object as usize].history;
            let free = |history: &History, place: usize| match !spurious
                && f(history.stores()[place].value).is_some()
            {
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
        };
        let read = execution.objects[op.object as usize].history.stores()[place].value;
        let wrote = if spurious { None } else { f(read) };
        let order = if wrote.is_some() { success } else { failure };
        let (_, write) = read_at(execution, &now, op.object, place, order);
        execution.received(read);
        let stale = if place == newest { None } else { newer(execution, op.object, place) };
        match wrote {
            Some(value) => {
                write_behind(execution, &now, op.object, place, value, success, true);
                execution.threads[now.thread as usize].last_read = (0, 0);
            }
            None => note_repeated_read(execution, &now, site, write),
        }
        execution.log(&now, op, wrote.unwrap_or(read));
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
        Rmw { read, wrote, newest: wrote.is_some() && place == newest }
    })?;
    super::graphed::stop_if_diverged()?;
    Ok(rmw)
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

/// A memory fence. Only SeqCst fences depend on each other; the others are part of their thread's
/// next step.
pub fn fence(order: MemoryOrder, site: Site) -> Result<(), Absent> {
    if let Some(session) = foreign::hosted_alone(Some(Verb::Fence), site) {
        return session.fence(order);
    }
    overlay::before_local(site)?;
    let order = overlay::order(site, order);
    let op = Op { kind: OpKind::Fence, verb: Verb::Fence, order, object: Op::NO_OBJECT, lock: false };
    if order == MemoryOrder::SeqCst {
        post(visible(op, site))?;
    }
    free_event(|execution| {
        let now = execution.event(&op);
        let thread = &mut execution.threads[now.thread as usize];
        if order.acquires() {
            thread.clock.join(&thread.acquirable);
            thread.seen.join(&thread.acquirable_seen);
        }
        if order == MemoryOrder::SeqCst {
            super::graphed::fence(execution, &now, &op, site);
        }
        let thread = &mut execution.threads[now.thread as usize];
        if order == MemoryOrder::SeqCst && execution.memory.is_none() {
            execution.sc_number += 1;
            execution.sc_fences.fence(&thread.clock, execution.sc_number);
            thread.seen.join(&execution.sc_fences);
        }
        if order.releases() {
            thread.release_fence.copy_from(&thread.clock);
            thread.release_fence_seen.copy_from(&thread.seen);
        }
        execution.log(&now, &op, 0);
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
            if execution.memory.is_some()
                && let Some(object) = primitive.shared().index_in(execution.epoch)
            {
                super::graphed::looked_at(execution, object);
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
        let object =
            enter(|execution| execution.resolve(primitive, verb, site))?.or_else(super::misuse::unwind)?;
        post(visible(op(object), site))?;
    }
    let raced = free_event(|execution| {
        let object = execution.resolve(primitive, verb, site)?;
        execution.admit_birth(object, verb, site)?;
        prepare(execution, object);
        let op = op(object);
        let now = execution.event(&op);
        let clock = &execution.threads[now.thread as usize].clock;
        let unknown = |(thread, time): (u32, u32)| time != 0 && !clock.knows(thread, time);
        let race = execution.objects[object as usize].history.stores().iter().find_map(|store| {
            let reads = store.readers.iter().copied().filter(|_| kind == OpKind::Write);
            std::iter::once((store.thread, store.time))
                .chain(reads)
                .find(|access| unknown(*access))
                .map(|by| (by.0, store.write))
        });
        let graphed = super::graphed::unordered(execution, object, now.thread, kind == OpKind::Write);
        let graphed = graphed.filter(|_| super::graphed::is_real(execution));
        let race = race.or(graphed.map(|(other, step)| (other, WriteRef { event: 0, step })));
        execution.log(&now, &op, 0);
        execution.record(&op, site, |_, _| {});
        let Some((other, write)) = race else { return Ok(false) };
        super::counted::fails_over(execution, (other, 0));
        super::cell::fail_race(
            execution,
            object,
            (other, Verb::Store, None, write.step),
            (now.thread, verb, site),
        );
        Ok(true)
    })?
    .or_else(super::misuse::unwind)?;
    if raced { Err(crate::schedule::fail_current()) } else { Ok(()) }
}
