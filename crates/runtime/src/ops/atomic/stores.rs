//! What an atomic access does to the stores of its object: which it may read or be placed behind, what it
//! learns and releases, the edges of the execution graph.

use crate::execution::{Execution, Now, Order};
use crate::explorer::Op;
use crate::object::WriteRef;
use crate::site::Site;
use crate::store_history::{Knowledge, Store};
use crate::thread::{Spinning, Thread};
use racefuzz_trace::{MemoryOrder, ReadsFrom};

pub(crate) fn reads_from(write: WriteRef) -> ReadsFrom {
    if write.step == 0 { ReadsFrom::Initial } else { ReadsFrom::Step(write.step - 1) }
}

/// The kind of edges between successive stores of an atomic (see [`Order::edge`]).
pub(crate) const MO: u64 = 3;

/// Makes sure the history of an atomic starts with its initial value.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn prepare(execution: &mut Execution, object: u32) {
    if execution.running_with(object).1.history.is_empty() {
        begin(execution, object);
    }
}

#[cold]
#[inline(never)]
fn begin(execution: &mut Execution, object: u32) {
    let object = &mut execution.objects[object as usize];
    // It may have been written while no history was kept; then nobody keeps clocks either.
    let (value, write) = (object.value, object.last_write);
    object.history.insert(0, value, write, (0, 0));
}

/// The oldest store that an access of the running thread may read or be placed behind.
#[inline]
pub(super) fn floor(execution: &Execution, object: u32, order: MemoryOrder) -> usize {
    if execution.config.explored {
        return 0;
    }
    let thread = &execution.threads[execution.current as usize];
    let sc_fences = (order == MemoryOrder::SeqCst).then_some(&execution.order.sc_fences);
    let knowledge = Knowledge { clock: &thread.clock, seen: &thread.coherence.seen, sc_fences };
    execution.objects[object as usize].history.floor(&knowledge)
}

/// Reads the store at `place`: coherence, synchronisation, the graph's edge.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn read_at(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    order: MemoryOrder,
) -> (u64, WriteRef) {
    let (sequential, has_clocks) = (execution.sequential(), execution.order.has_clocks);
    let (thread, entry) = execution.running_with(object);
    if !sequential {
        entry.history.note_read(place, now.thread, now.time);
    }
    let store = entry.history.store(place);
    if has_clocks {
        read_store(thread, store, order);
    }
    let read = (store.value, store.write);
    execution.edge(1, now.write, read.1);
    read
}

/// What a thread learns by reading a store.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read_store(thread: &mut Thread, store: &Store, order: MemoryOrder) {
    if order.acquires() {
        thread.learn(&store.release, &store.release_seen);
    } else {
        thread.may_acquire(&store.release, &store.release_seen);
    }
}

/// Puts a store behind `place`, with what its order releases; `sequence` is the store a
/// read-modify-write read, whose release sequence it continues.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn write_behind(
    execution: &mut Execution,
    now: &Now,
    object: u32,
    place: usize,
    value: u64,
    order: MemoryOrder,
    sequence: bool,
) {
    if order == MemoryOrder::SeqCst {
        execution.order.sc_number += 1;
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
    let (has_clocks, by_thread) = (execution.order.has_clocks, execution.order.sequences_by_thread);
    let (thread, entry) = execution.running_with(object);
    let store = entry.history.store(place);
    let same = sequence && store.value == value;
    if has_clocks {
        release(thread, store, order, sequence || by_thread && store.is_continued_by(now.thread, order));
    }
    replace_store(store, now, value, sequence);
    entry.value = value;
    let before = std::mem::replace(&mut entry.last_write, now.write);
    // Modification order, which otherwise is summed up at the end of the execution.
    execution.edge(MO, before, now.write);
    same
}

/// What a thread releases by a store in the place of another one.
#[cfg_attr(not(debug_assertions), inline(always))]
fn release(thread: &Thread, store: &mut Store, order: MemoryOrder, sequence: bool) {
    let (clock, seen) = match order.releases() {
        true => (&thread.clock, &thread.coherence.seen),
        false => (&thread.coherence.release_fence, &thread.coherence.release_fence_seen),
    };
    if sequence {
        store.release.join(clock);
        store.release_seen.join(seen);
    } else {
        store.release.copy_from(clock);
        store.release_seen.copy_from(seen);
    }
}

/// A store in the place of another one.
#[cfg_attr(not(debug_assertions), inline(always))]
fn replace_store(store: &mut Store, now: &Now, value: u64, sequence: bool) {
    if !sequence {
        store.head = now.thread;
    }
    store.value = value;
    store.write = now.write;
    (store.thread, store.time) = (now.thread, now.time);
}

/// A store where older ones may still be read.
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
    let (number, by_thread) = (execution.order.sc_number, execution.order.sequences_by_thread);
    let (thread, entry) = execution.running_with(object);
    let same = sequence && entry.history.stores()[place].value == value;
    let last = place + 1 == entry.history.len();
    entry.history.insert(place + 1, value, now.write, (now.thread, now.time));
    if sequence {
        entry.history.take(place);
    }
    let (read, store) = entry.history.pair(place);
    if order.releases() {
        store.release.copy_from(&thread.clock);
        store.release_seen.copy_from(&thread.coherence.seen);
    } else {
        store.release.copy_from(&thread.coherence.release_fence);
        store.release_seen.copy_from(&thread.coherence.release_fence_seen);
    }
    if sequence || by_thread && read.is_continued_by(now.thread, order) {
        store.release.join(&read.release);
        store.release_seen.join(&read.release_seen);
    }
    if sequence {
        store.head = read.head;
    }
    if order == MemoryOrder::SeqCst {
        store.sc = number;
    }
    if last {
        entry.value = value;
        entry.last_write = now.write;
    }
    same
}

/// A thread that reads one write again and again at one place spins: it gives way.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn note_repeated_read(execution: &mut Execution, site: Site, write: WriteRef) {
    if is_repeated(&mut execution.running().spinning, site, write) {
        execution.give_way();
    }
}

/// Whether a thread has read this write at this place often, without anything else in between.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn is_repeated(spinning: &mut Spinning, site: Site, write: WriteRef) -> bool {
    let (place, event) = spinning.last_read;
    // The compiler may keep one place at several addresses.
    if event == write.event && place.is_some_and(|place| place == site || place.number() == site.number()) {
        spinning.same_reads += 1;
        return spinning.same_reads > 2 || spinning.insistence.insists;
    }
    spinning.last_read = (Some(site), write.event);
    spinning.same_reads = 0;
    false
}

/// The effect of a load where atomics have one store and nobody records: the word read. `None` where there is
/// more to it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn read_newest(execution: &mut Execution, op: &Op, site: Site) -> Option<u64> {
    if !execution.sequential() || execution.running_with(op.object).1.history.only().is_none() {
        return None;
    }
    let now = execution.event(op);
    let (thread, entry, order) = execution.parts(op.object);
    let store = entry.history.only()?;
    let (value, repeated) = read_over(thread, store, order, (now, op, site));
    execution.received(value);
    if repeated {
        execution.give_way();
    }
    Some(value)
}

/// The parts are told apart by the arguments, so that the compiler sees that what changes one does not change
/// another.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read_over(
    thread: &mut Thread,
    store: &mut Store,
    order: &mut Order,
    (now, op, site): (Now, &Op, Site),
) -> (u64, bool) {
    if order.has_clocks {
        read_store(thread, store, op.order);
        thread.clock.prepare(now.thread, now.time + 1);
    }
    let (value, write) = (store.value, store.write);
    order.edge(1, now.write, write);
    order.log(now.thread, op, value);
    (value, is_repeated(&mut thread.spinning, site, write))
}

/// The effect of a store where atomics have one store and nobody records; whether that is all there is to it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn write_newest(execution: &mut Execution, op: &Op, value: u64) -> bool {
    if !execution.sequential() || execution.running_with(op.object).1.history.only().is_none() {
        return false;
    }
    let now = execution.event(op);
    let (thread, entry, order) = execution.parts(op.object);
    let Some(store) = entry.history.only() else { return false };
    write_over_only(thread, store, order, (now, op, value));
    entry.value = value;
    entry.last_write = now.write;
    execution.touched(op.object);
    true
}

/// As [`read_over`].
#[cfg_attr(not(debug_assertions), inline(always))]
fn write_over_only(
    thread: &mut Thread,
    store: &mut Store,
    order: &mut Order,
    (now, op, value): (Now, &Op, u64),
) {
    order.sc_number += u32::from(op.order == MemoryOrder::SeqCst);
    order.edge(MO, store.write, now.write);
    if order.has_clocks {
        let continued = order.sequences_by_thread && store.is_continued_by(now.thread, op.order);
        release(thread, store, op.order, continued);
        thread.clock.prepare(now.thread, now.time + 1);
    }
    replace_store(store, &now, value, false);
    order.log(now.thread, op, value);
}

/// The step of the newest store, if it is not the one at `place`.
pub(super) fn newer(execution: &Execution, object: u32, place: usize) -> Option<u32> {
    let history = &execution.objects[object as usize].history;
    let newest = history.len() - 1;
    (place < newest).then(|| history.stores()[newest].write.step.saturating_sub(1))
}
