//! Accesses that are not atomic: data races, and uses of memory that was freed.
//!
//! Every eight bytes of the program's heap, stacks and statics have a cell with the last accesses to them:
//! which bytes, by which thread, at which of its events (as in FastTrack: Flanagan & Freund, PLDI'09; and as
//! the thread sanitizer keeps them, a few for each cell). An access races with one of another thread that its
//! own thread does not know of, which the runtime's clocks say. Accesses are no events: they are compared by
//! the number of the event that their thread has next.
//!
//! This is what the program calls most often. It stays on the program's side, uses no thread-local and does
//! not allocate; only to ask for a clock, and to fail, it crosses the border.

use super::accesses::{self, Access, Missed, is_known, keep, races_with_kept};
use super::arena::map;
use super::blocks::MOST_THREADS;
use super::border::as_host;
use super::interpose::Frame;
use super::real::die;
use super::sites::{self, site};
use super::{exhaustive, heap, stacks, state};
use racefuzz_runtime::ops::process::{self, Moment, PlainAccess};
use racefuzz_runtime::ops::unseen;
use racefuzz_trace::Verb;
use std::cell::UnsafeCell;

/// Accesses kept for each cell.
const KEPT: usize = 4;
/// Cells of one execution; memory that is used beyond is not looked at.
const CELLS: usize = 1 << 20;
/// What is freed is marked so far.
const MARKED: usize = 4096;

/// What is known of eight bytes.
#[derive(Clone, Copy)]
struct Cell {
    count: u8,
    freed: bool,
    /// There were more: where every execution is explored they are kept elsewhere.
    crowded: bool,
    accesses: [Access; KEPT],
}

/// Where the regions of cells' numbers lie: the numbers of the heap's cells, then of the stacks', then of the
/// statics'.
const NUMBERS: (usize, usize) = (0x1500_0000_0000, 4 << 30);
const TABLE: (usize, usize) = (0x1600_0000_0000, CELLS * size_of::<Cell>());

struct Shadow {
    /// Of the running execution; cells of others are not there.
    execution: u32,
    /// The same for the stack of each slot, since its last thread began, and the last such number.
    stacks: [u32; MOST_THREADS],
    newest: u32,
    used: u32,
    statics: (usize, usize),
    on: bool,
    now: Moment,
    /// What lies in the heap from here on was allocated by the running thread since it was switched to.
    own: usize,
    /// What was not kept or not looked at, where every execution is explored.
    missed: Option<Missed>,
}

struct Global(UnsafeCell<Shadow>);

// SAFETY: used by the threads of the program, of which one runs at a time, and by the host that drives them.
unsafe impl Sync for Global {}

static SHADOW: Global = Global(UnsafeCell::new(Shadow {
    execution: 0,
    stacks: [0; MOST_THREADS],
    newest: 0,
    used: 0,
    statics: (0, 0),
    on: false,
    now: Moment { thread: 0, time: 0, step: 0 },
    own: 0,
    missed: None,
}));

#[inline(always)]
fn shadow() -> &'static mut Shadow {
    // SAFETY: see `Global`; no reference is kept while something else may look.
    unsafe { &mut *SHADOW.0.get() }
}

/// Maps the cells; `statics` is what the executable may write.
pub(crate) fn prepare(statics: (usize, usize)) {
    if !map(NUMBERS) || !map(TABLE) {
        die("no address space to look for data races (is `ulimit -v` below 16 GB?)");
    }
    shadow().statics = (statics.0 & !7, statics.1);
}

/// An execution begins.
pub(crate) fn begin() {
    accesses::begin();
    let shadow = shadow();
    shadow.newest = shadow.newest.wrapping_add(1).max(1);
    shadow.stacks.fill(shadow.newest);
    (shadow.execution, shadow.used, shadow.on) = (shadow.newest, 0, true);
    (shadow.now, shadow.own) = (Moment { thread: u32::MAX, ..Moment::default() }, 0);
}

/// The stack of a slot is a new thread's: what was known of it is known of another thread's variables.
pub(crate) fn renew_stack(slot: usize) {
    let shadow = shadow();
    shadow.newest = shadow.newest.wrapping_add(1).max(1);
    shadow.stacks[slot] = shadow.newest;
}

/// Tells which thread goes on, and when: after whatever may have changed it.
#[inline]
pub(crate) fn publish() {
    if let Ok(now) = process::moment() {
        let shadow = shadow();
        if exhaustive::is_on() {
            // What a thread only repeats, to show what it does then, is no part of the execution.
            shadow.on = !process::is_repeating();
        }
        if shadow.now.thread != now.thread {
            shadow.own = heap::top();
        }
        shadow.now = now;
    }
}

/// What was missed in any execution.
pub(crate) fn missed() -> Option<Missed> {
    shadow().missed
}

#[cold]
fn miss(what: Missed) {
    shadow().missed.get_or_insert(what);
}

/// Whether no other thread than the running one can have used an address: it was allocated since that one was
/// switched to. To be asked before an operation is stated.
pub(crate) fn is_own(address: usize) -> bool {
    heap::owns(address) && address >= shadow().own
}

/// The events of all threads until the running one was last published.
pub(crate) fn step() -> u32 {
    shadow().now.step
}

/// Whether the program has written these bytes by an access that is not atomic, after so many events of all
/// threads. They lie within eight.
pub(crate) fn was_written(address: usize, bytes: usize, since: u32) -> bool {
    let mask = (((1u16 << bytes) - 1) << (address & 7)) as u8;
    cell(address, false).is_some_and(|cell| {
        let writes = |access: &Access| {
            access.writes && !access.atomic && mask & !access.bytes == 0 && access.step >= since
        };
        !cell.freed
            && (cell.accesses[..usize::from(cell.count)].iter().any(writes)
                || cell.crowded && accesses::any_kept(address & !7, writes))
    })
}

/// Whether memory was freed in this execution, if it lies near enough to the beginning of its block.
pub(crate) fn is_freed(address: usize) -> bool {
    cell(address, false).is_some_and(|cell| cell.freed)
}

/// The place of the number of an address's cell, and which of the numbers there are valid.
#[inline(always)]
fn number(address: usize, shadow: &Shadow) -> Option<(*mut u64, u32)> {
    let mut valid = shadow.execution;
    let index = if address.wrapping_sub(heap::REGION.0) < heap::REGION.1 {
        address - heap::REGION.0
    } else if address.wrapping_sub(stacks::REGION.0) < stacks::REGION.1 {
        let offset = address - stacks::REGION.0;
        valid = shadow.stacks[offset / stacks::STRIDE];
        heap::REGION.1 + offset
    } else if address.wrapping_sub(shadow.statics.0) < shadow.statics.1 - shadow.statics.0 {
        heap::REGION.1 + stacks::REGION.1 + (address - shadow.statics.0)
    } else {
        return None;
    };
    (index < NUMBERS.1).then_some(((NUMBERS.0 + (index & !7)) as *mut u64, valid))
}

/// The cell of an address; a new one where there is none and `make` says so.
#[inline(always)]
fn cell(address: usize, make: bool) -> Option<&'static mut Cell> {
    let shadow = shadow();
    let (number, valid) = number(address, shadow)?;
    // SAFETY: the numbers are mapped, and a number of this execution is one of a cell that was given out.
    unsafe {
        let known = number.read();
        if (known >> 32) as u32 == valid {
            return Some(&mut *(TABLE.0 as *mut Cell).add(known as u32 as usize));
        }
        if !make || shadow.used as usize == CELLS {
            return None;
        }
        number.write(u64::from(valid) << 32 | u64::from(shadow.used));
        let cell = (TABLE.0 as *mut Cell).add(shadow.used as usize);
        shadow.used += 1;
        (*cell).count = 0;
        (*cell).freed = false;
        (*cell).crowded = false;
        Some(&mut *cell)
    }
}

/// The program accesses memory that is not atomic.
#[inline(always)]
pub(crate) fn access(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if shadow().on {
        pieces(address, bytes, |address, mask| access_cell(address, mask, writes, false, frame));
    }
}

/// It accesses memory by a volatile operation, which is done where others write meanwhile on purpose (a sequence
/// lock, a queue whose thieves find out afterwards): that is no race. Memory that was freed it must not use.
#[inline(always)]
pub(crate) fn access_volatile(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if shadow().on {
        pieces(address, bytes, |address, mask| {
            if exhaustive::is_on() {
                let me = shadow().now.thread as u16;
                let shared = |cell: &mut Cell| {
                    cell.accesses[..usize::from(cell.count)].iter().any(|access| access.thread != me)
                };
                if cell(address, true).is_none_or(shared) {
                    miss(Missed::Volatile);
                }
                access_cell(address, mask, writes, true, frame);
            } else if cell(address, false).is_some_and(|cell| cell.freed) {
                access_cell(address, mask, writes, false, frame);
            }
        });
    }
}

/// Calls `with` for the part of an access in each eight bytes: an address there, and which of the bytes.
#[inline(always)]
fn pieces(mut address: usize, mut left: usize, mut with: impl FnMut(usize, u8)) {
    while left > 0 {
        let offset = address & 7;
        let here = left.min(8 - offset);
        with(address, (((1u16 << here) - 1) << offset) as u8);
        address += here;
        left -= here;
    }
}

/// It has accessed an atomic.
#[inline(always)]
pub(crate) fn access_atomic(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if shadow().on {
        let mask = (((1u16 << bytes.min(8)) - 1) << (address & 7)) as u8;
        // It is the event that has just happened, not the one that comes next.
        shadow().now.time -= 1;
        access_cell(address, mask, writes, true, frame);
        shadow().now.time += 1;
    }
}

#[inline(always)]
fn access_cell(address: usize, bytes: u8, writes: bool, atomic: bool, frame: *const Frame) {
    let Some(cell) = cell(address, true) else {
        if exhaustive::is_on() && !sites::is_constant(address) && !super::border::owns(address) {
            miss(Missed::Elsewhere);
        }
        return;
    };
    let now = shadow().now;
    let me = now.thread as u16;
    // SAFETY: the frame of the hook that was called.
    let frame = unsafe { *frame };
    let this = Access { time: now.time, step: now.step, thread: me, bytes, writes, atomic, frame };
    if cell.freed {
        fail(Failure { address, first: cell.accesses[0], second: this, freed: true });
    }
    if cell.crowded
        && let Some(first) = as_host(races_with_kept, (address & !7, this))
    {
        fail(Failure { address, first, second: this, freed: false });
    }
    let mut place = None;
    for index in 0..usize::from(cell.count) {
        let other = cell.accesses[index];
        if other.thread == me {
            let covered = other.bytes & !bytes == 0 && other.writes <= writes && other.atomic >= atomic;
            if covered {
                place = Some(index);
            } else if other.time == now.time && other.bytes == bytes && other.writes && !other.atomic {
                // It is known by a stronger access already.
                return;
            }
            continue;
        }
        let conflicts = other.conflicts_with(&this);
        if conflicts && !is_known(other) {
            fail(Failure { address, first: other, second: this, freed: false });
        }
        if place.is_none() && writes && !atomic && other.bytes & !bytes == 0 && conflicts {
            // Whoever knows of this access knows of that one.
            place = Some(index);
        }
    }
    let place = place.unwrap_or_else(|| {
        let free = usize::from(cell.count);
        if free < KEPT {
            cell.count += 1;
            free
        } else {
            if exhaustive::is_on() {
                cell.crowded = true;
                as_host(keep, (address & !7, cell.accesses[now.time as usize % KEPT]));
            }
            // One of them goes, whichever: then a race may be missed, and none is invented.
            now.time as usize % KEPT
        }
    });
    cell.accesses[place] = this;
}

struct Failure {
    address: usize,
    first: Access,
    second: Access,
    freed: bool,
}

#[cold]
#[inline(never)]
fn fail(failure: Failure) {
    as_host(
        |Failure { address, first, second, freed }: Failure| {
            let seen = exhaustive::is_on();
            if seen && process::is_repeating() {
                return;
            }
            if !seen && !freed && state::with(|state| state.words.has_unseen_writes()) {
                // Something that is not seen has synchronised, perhaps this thread with that one.
                let _ = unseen::learn_from_all();
                return publish();
            }
            let name = sites::static_at(address);
            let (first, second) = (first.shown(), second.shown());
            if freed {
                process::use_after_free(name, PlainAccess { verb: Verb::Free, ..first }, second);
            } else {
                process::data_race(name, first, second);
            }
        },
        failure,
    );
}

/// The program frees a block.
pub(crate) fn released(address: usize, bytes: usize, frame: *const Frame) {
    let shadow = shadow();
    if !shadow.on {
        return;
    }
    let now = shadow.now;
    let access = Access {
        time: now.time,
        step: now.step,
        thread: now.thread as u16,
        bytes: u8::MAX,
        writes: true,
        atomic: false,
        // SAFETY: the frame of the hook that was called.
        frame: unsafe { *frame },
    };
    if exhaustive::is_on() && !exhaustive::is_aside(address) {
        // Whoever has used it has to be known: in another order it would be used when it is free.
        for address in (address..address + bytes).step_by(8) {
            let Some(cell) = cell(address, false) else { continue };
            let unknown = |other: &&Access| u32::from(other.thread) != now.thread && !is_known(**other);
            let own = cell.accesses[..usize::from(cell.count)].iter().find(unknown).copied();
            let first = |address| accesses::unknown(address).into_iter().next();
            let other = own.or_else(|| if cell.crowded { as_host(first, address & !7) } else { None });
            if let Some(other) = other {
                fail(Failure { address, first: access, second: other, freed: true });
            }
        }
    }
    for address in (address..address + bytes.min(MARKED)).step_by(8) {
        if let Some(cell) = cell(address, true) {
            cell.freed = true;
            cell.accesses[0] = access;
            cell.count = 1;
        }
    }
}

/// The program frees a block that it has freed before; on the host's side.
pub(crate) fn released_twice((address, frame): (usize, *const Frame)) {
    let first = cell(address, false).filter(|cell| cell.freed).map(|cell| cell.accesses[0]);
    let now = process::moment().unwrap_or_default();
    let second = PlainAccess { when: now, verb: Verb::Free, site: site(frame) };
    let first = first.map_or(second, |access| PlainAccess { verb: Verb::Free, ..access.shown() });
    process::use_after_free(None, first, second);
}
