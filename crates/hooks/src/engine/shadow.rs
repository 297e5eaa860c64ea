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

use super::accesses::{Access, KeptFrame, What};
use super::border::as_host;
use super::cells::{self, Cell, Cells, KEPT};
use super::interpose::Frame;
use super::known::{self, is_known};
use super::missed::Missed;
use super::{crowds, exhaustive, heap, places, sites, state};
use racefuzz_runtime::ops::process::{self, Moment, PlainAccess};
use racefuzz_runtime::ops::unseen;
use racefuzz_trace::Verb;
use std::cell::UnsafeCell;

struct Shadow {
    cells: Cells,
    on: bool,
    now: Moment,
    /// What lies in the heap from here on was allocated by the running thread since it was switched to.
    own: usize,
}

struct Global(UnsafeCell<Shadow>);

// SAFETY: used by the threads of the program, of which one runs at a time, and by the host that drives them.
unsafe impl Sync for Global {}

static SHADOW: Global = Global(UnsafeCell::new(Shadow {
    cells: Cells::new(),
    on: false,
    now: Moment { thread: 0, time: 0, step: 0 },
    own: 0,
}));

#[inline(always)]
fn shadow() -> &'static mut Shadow {
    // SAFETY: see `Global`; no reference is kept while something else may look.
    unsafe { &mut *SHADOW.0.get() }
}

/// Makes ready; `statics` is what the executable may write.
pub(crate) fn prepare(statics: (usize, usize)) {
    shadow().cells.prepare(statics);
}

/// An execution begins.
pub(crate) fn begin() {
    crowds::begin();
    known::begin();
    places::begin();
    let shadow = shadow();
    shadow.cells.begin();
    shadow.on = true;
    (shadow.now, shadow.own) = (Moment { thread: u32::MAX, ..Moment::default() }, 0);
}

/// The stack of a slot is a new thread's: what was known of it is known of another thread's variables.
pub(crate) fn renew_stack(slot: usize) {
    shadow().cells.renew_stack(slot);
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

/// Whether no other thread than the running one can have used an address: it was allocated since that one was
/// switched to. To be asked before an operation is stated.
pub(crate) fn is_own(address: usize) -> bool {
    heap::owns(address) && address >= shadow().own
}

/// The events of all threads until the running one was last published.
pub(crate) fn step() -> u32 {
    shadow().now.step
}

/// Whether these bytes were written by an access that is not atomic, after so many events of all threads. They lie
/// within eight.
pub(crate) fn was_written(address: usize, bytes: usize, since: u32) -> bool {
    let mask = mask(address & 7, bytes);
    cell(address).is_some_and(|cell| {
        let writes =
            |access: &Access| access.what.covers(What::of_library(mask, true)) && access.step >= since;
        !cell.freed && (cell.kept().iter().any(writes) || cell.crowded && crowds::any_kept(address, writes))
    })
}

/// Whether memory was freed in this execution, if it lies near enough to the beginning of its block.
pub(crate) fn is_freed(address: usize) -> bool {
    cell(address).is_some_and(|cell| cell.freed)
}

/// The cells, while accesses are looked at.
pub(super) fn cells() -> Option<&'static mut Cells> {
    let shadow = shadow();
    shadow.on.then_some(&mut shadow.cells)
}

/// The cell of an address, if it has one.
#[inline(always)]
pub(super) fn cell(address: usize) -> Option<&'static mut Cell> {
    shadow().cells.find(address)
}

/// The program accesses memory that is not atomic.
#[inline(always)]
pub(crate) fn access(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    access_as(What::new(0, writes, false), address, bytes, frame);
}

/// The standard library does, in code that comes compiled.
pub(crate) fn access_by_library(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    access_as(What::of_library(0, writes), address, bytes, frame);
}

/// An access of this kind.
#[inline(always)]
fn access_as(how: What, address: usize, bytes: usize, frame: *const Frame) {
    places::tell(how.writes(), frame);
    if !shadow().on || bytes == 0 {
        return;
    }
    let offset = address & 7;
    if offset + bytes <= 8 {
        access_cell(address, how.on(mask(offset, bytes)), frame);
    } else {
        access_cells(address, bytes, how, frame);
    }
}

/// Whether accesses to an address are looked at now.
pub(crate) fn looks_at(address: usize) -> bool {
    shadow().on && shadow().cells.number(address).is_some()
}

/// Which of eight bytes so many are from an offset on.
#[inline(always)]
fn mask(offset: usize, bytes: usize) -> u8 {
    (((1u16 << bytes) - 1) << offset) as u8
}

/// It accesses memory by a volatile operation, which is done where others write meanwhile on purpose (a sequence
/// lock, a queue whose thieves find out afterwards): that is no race. Memory that was freed it must not use.
#[inline(always)]
pub(crate) fn access_volatile(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    places::tell(writes, frame);
    if !shadow().on {
    } else if exhaustive::is_on() {
        access_volatile_of_all(address, bytes, writes, frame);
    } else {
        let mut words = (address & !7..address + bytes).step_by(8);
        if let Some(word) = words.find(|word| is_freed(*word)) {
            access_cell(word, What::new(u8::MAX, writes, false), frame);
        }
    }
}

/// The same where every execution is explored: what other threads do meanwhile would have to be operations.
#[cold]
#[inline(never)]
fn access_volatile_of_all(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    pieces(address, bytes, |address, mask| {
        if may_be_shared(address) {
            Missed::Volatile.note();
        }
        access_cell(address, What::new(mask, writes, true), frame);
    });
}

/// Whether other threads than the running one may have used an address's cell.
fn may_be_shared(address: usize) -> bool {
    let Some(cell) = cell(address) else { return shadow().cells.number(address).is_none() };
    let me = shadow().now.thread as u16;
    let kept_of_others =
        |(address, me): (usize, u16)| crowds::any_kept(address, |access| access.thread != me);
    cell.kept().iter().any(|access| access.thread != me)
        || cell.crowded && as_host(kept_of_others, (address, me))
}

/// Calls `with` for the part of an access in each eight bytes: an address there, and which of the bytes.
fn pieces(mut address: usize, mut left: usize, mut with: impl FnMut(usize, u8)) {
    while left > 0 {
        let offset = address & 7;
        let here = left.min(8 - offset);
        with(address, mask(offset, here));
        address += here;
        left -= here;
    }
}

/// It has accessed an atomic.
#[inline(always)]
pub(crate) fn access_atomic(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if shadow().on {
        let mask = mask(address & 7, bytes.min(8));
        // It is the event that has just happened, not the one that comes next.
        shadow().now.time -= 1;
        access_cell(address, What::new(mask, writes, true), frame);
        shadow().now.time += 1;
    }
}

/// The access that happens now.
#[inline(always)]
pub(super) fn present(what: What, frame: *const Frame) -> Access {
    let Moment { thread, time, step } = shadow().now;
    // SAFETY: the frame of the hook that was called.
    let frame = KeptFrame::of(unsafe { *frame });
    Access { time, step, thread: thread as u16, what, frame }
}

/// An access that lies within eight bytes.
#[inline(always)]
fn access_cell(address: usize, what: What, frame: *const Frame) {
    if let Some((number, valid)) = shadow().cells.number(address) {
        // SAFETY: the numbers are mapped.
        unsafe { access_numbered(address, number, valid, present(what, frame)) };
    } else if exhaustive::is_on() {
        pass_over(address, what);
    }
}

/// An access without a cell, where every execution is explored.
#[cold]
#[inline(never)]
fn pass_over(address: usize, what: What) {
    if what.is_own() && !sites::is_constant(address) {
        Missed::Elsewhere.note();
    }
}

/// An access that does not.
#[inline(never)]
fn access_cells(address: usize, bytes: usize, how: What, frame: *const Frame) {
    let end = address + bytes;
    let words = ((end - 1) / 8 - address / 8) + 1;
    let last = shadow().cells.number(end - 1);
    let region = shadow().cells.number(address).filter(|(first, _)| {
        last.is_some_and(|(last, _)| last as usize == *first as usize + (words - 1) * 8)
    });
    let Some((first, valid)) = region else {
        if exhaustive::is_on() {
            pieces(address, bytes, |address, mask| {
                access_cell(address, how.on(mask), frame);
            });
        }
        return;
    };
    let mut this = present(how.on(u8::MAX), frame);
    let mut access = |address: usize, index: usize, bytes: u8| {
        this.what = how.on(bytes);
        // SAFETY: the numbers from the first to the last are mapped.
        unsafe { access_numbered(address, first.add(index), valid, this) };
    };
    let (head, tail) = (address & 7, end & 7);
    let whole = usize::from(head != 0)..words - usize::from(tail != 0);
    if head != 0 {
        access(address, 0, mask(head, 8 - head));
    }
    for index in whole {
        access((address & !7) + index * 8, index, u8::MAX);
    }
    if tail != 0 {
        access(end & !7, words - 1, mask(0, tail));
    }
}

/// An access to what the cell of this number, where this is valid, stands for.
///
/// # Safety
/// The place of the number is mapped.
#[inline(always)]
unsafe fn access_numbered(address: usize, number: *mut u64, valid: u32, this: Access) {
    // SAFETY: passed on to the caller; a number of this execution is one of a cell that was given out.
    unsafe {
        let known = number.read();
        if cells::is_valid(known, valid) {
            let cell = &mut *cells::at(known);
            if cell.count == 1 && !cell.freed {
                let other = &mut cell.accesses[0];
                if other.thread == this.thread && this.what.covers(other.what) {
                    *other = this;
                    return;
                }
            }
            return access_used(address, cell, this);
        }
        if let Some(given) = shadow().cells.take(valid) {
            number.write(given);
            let cell = cells::at(given);
            ((*cell).count, (*cell).freed, (*cell).crowded, (*cell).accesses[0]) = (1, false, false, this);
        } else if exhaustive::is_on() {
            pass_over(address, this.what);
        }
    }
}

/// An access to what others have used, or the thread itself in another way.
#[inline(never)]
fn access_used(address: usize, cell: &mut Cell, this: Access) {
    let Access { time: now, thread: me, what, .. } = this;
    if cell.freed {
        fail(Failure { address, first: cell.accesses[0], second: this, freed: true });
    }
    if cell.crowded
        && let Some(first) = as_host(crowds::race, (address, this))
    {
        fail(Failure { address, first, second: this, freed: false });
    }
    let mut place = None;
    for index in 0..usize::from(cell.count) {
        let other = &cell.accesses[index];
        if other.thread == me {
            if what.covers(other.what) {
                place = Some(index);
            } else if other.time == now && other.what == what.strongest() {
                // It is known by a stronger access already.
                return;
            }
            continue;
        }
        let conflicts = what.conflicts_with(other.what);
        if conflicts && !is_known(me, other) {
            fail(Failure { address, first: *other, second: this, freed: false });
        }
        if place.is_none() && conflicts && what == what.strongest() && what.covers(other.what) {
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
            // One of them goes, whichever: then a race may be missed, and none is invented.
            let place = now as usize % KEPT;
            if exhaustive::is_on() {
                cell.crowded = true;
                as_host(crowds::keep, (address, cell.accesses[place]));
            }
            place
        }
    });
    cell.accesses[place] = this;
}

/// Two accesses of which neither is known to the other's thread, or one to memory that was freed.
pub(super) struct Failure {
    pub(super) address: usize,
    pub(super) first: Access,
    pub(super) second: Access,
    /// The first one frees the memory.
    pub(super) freed: bool,
}

#[cold]
#[inline(never)]
pub(super) fn fail(failure: Failure) {
    as_host(
        |Failure { address, first, second, freed }: Failure| {
            let seen = exhaustive::is_on();
            if seen && process::is_repeating() || !freed && places::watches_all() {
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
