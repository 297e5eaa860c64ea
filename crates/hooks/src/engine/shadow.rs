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
use super::sites::{self, site};
use super::{heap, state};
use racefuzz_runtime::ops::process::{self, Moment, PlainAccess};
use racefuzz_runtime::ops::unseen;
use racefuzz_trace::Verb;
use std::cell::UnsafeCell;

/// Threads that it is kept of what they know of each other.
const MUTUALLY: usize = 16;
/// What is freed is marked so far.
const MARKED: usize = 4096;

struct Shadow {
    cells: Cells,
    on: bool,
    now: Moment,
    /// For each two of the first threads, what the one is known to know of the other.
    known: [[u32; MUTUALLY]; MUTUALLY],
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
    known: [[0; MUTUALLY]; MUTUALLY],
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
    let shadow = shadow();
    shadow.cells.begin();
    shadow.on = true;
    shadow.known = [[0; MUTUALLY]; MUTUALLY];
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

/// Whether the program has written these bytes by an access that is not atomic, after so many events of all
/// threads. They lie within eight.
pub(crate) fn was_written(address: usize, bytes: usize, since: u32) -> bool {
    let mask = mask(address & 7, bytes);
    cell(address).is_some_and(|cell| {
        let writes =
            |access: &Access| access.what.covers(What::new(mask, true, false)) && access.step >= since;
        !cell.freed && cell.accesses[..usize::from(cell.count)].iter().any(writes)
    })
}

/// Whether memory was freed in this execution, if it lies near enough to the beginning of its block.
pub(crate) fn is_freed(address: usize) -> bool {
    cell(address).is_some_and(|cell| cell.freed)
}

/// The cell of an address, if it has one.
#[inline(always)]
fn cell(address: usize) -> Option<&'static mut Cell> {
    shadow().cells.find(address)
}

/// The program accesses memory that is not atomic.
#[inline(always)]
pub(crate) fn access(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if !shadow().on || bytes == 0 {
        return;
    }
    let offset = address & 7;
    if offset + bytes <= 8 {
        access_cell(address, What::new(mask(offset, bytes), writes, false), frame);
    } else {
        access_cells(address, bytes, writes, frame);
    }
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
    if shadow().on {
        let mut words = (address & !7..address + bytes).step_by(8);
        if let Some(word) = words.find(|word| is_freed(*word)) {
            access_cell(word, What::new(u8::MAX, writes, false), frame);
        }
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
fn present(what: What, frame: *const Frame) -> Access {
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
    }
}

/// An access that does not.
#[inline(never)]
fn access_cells(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    let end = address + bytes;
    let (first, last) = (shadow().cells.number(address), shadow().cells.number(end - 1));
    let (Some((first, valid)), Some((last, _))) = (first, last) else { return };
    // Memory of one region.
    let words = ((end - 1) / 8 - address / 8) + 1;
    if last as usize != first as usize + (words - 1) * 8 {
        return;
    }
    let mut this = present(What::new(u8::MAX, writes, false), frame);
    let mut access = |address: usize, index: usize, bytes: u8| {
        this.what = What::new(bytes, writes, false);
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
        let Some(given) = shadow().cells.take(valid) else { return };
        number.write(given);
        let cell = cells::at(given);
        ((*cell).count, (*cell).freed, (*cell).accesses[0]) = (1, false, this);
    }
}

/// An access to what others have used, or the thread itself in another way.
#[inline(never)]
fn access_used(address: usize, cell: &mut Cell, this: Access) {
    let Access { time: now, thread: me, what, .. } = this;
    if cell.freed {
        fail(Failure { address, first: cell.accesses[0], second: this, freed: true });
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
            now as usize % KEPT
        }
    });
    cell.accesses[place] = this;
}

/// Whether a thread, the running one, knows of an access of another.
#[inline(always)]
fn is_known(me: u16, access: &Access) -> bool {
    // What it knows of it does not get less.
    let (me, other) = (usize::from(me), usize::from(access.thread));
    let known = shadow().known.get(me).and_then(|known| known.get(other));
    known.is_some_and(|known| *known >= access.time) || is_known_by_clock(access)
}

#[cold]
#[inline(never)]
fn is_known_by_clock(access: &Access) -> bool {
    let Access { time, step, thread, .. } = *access;
    let is_known = as_host(process::is_known, Moment { thread: u32::from(thread), time, step });
    let Shadow { known, now, .. } = shadow();
    if is_known
        && let Some(known) =
            known.get_mut(now.thread as usize).and_then(|known| known.get_mut(usize::from(thread)))
    {
        *known = time;
    }
    is_known
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
            if !freed && state::with(|state| state.words.has_unseen_writes()) {
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
        what: What::new(u8::MAX, true, false),
        // SAFETY: the frame of the hook that was called.
        frame: KeptFrame::of(unsafe { *frame }),
    };
    let free = |cell: &mut Cell| {
        cell.freed = true;
        cell.accesses[0] = access;
        cell.count = 1;
    };
    let words = bytes.min(MARKED).div_ceil(8);
    let Some((first, valid)) = shadow.cells.number(address) else { return };
    // SAFETY: the block lies in one region, whose numbers are mapped, in a row; a number of this execution is one of a
    // cell that was given out.
    unsafe {
        if let Some(given) = shadow.cells.take(valid) {
            // All of the block has one cell from now on.
            free(&mut *cells::at(given));
            std::slice::from_raw_parts_mut(first, words).fill(given);
        } else {
            let known = (0..words).map(|index| first.add(index).read());
            known
                .filter(|known| cells::is_valid(*known, valid))
                .for_each(|known| free(&mut *cells::at(known)));
        }
    }
}

/// The program frees a block that it has freed before; on the host's side.
pub(crate) fn released_twice((address, frame): (usize, *const Frame)) {
    let first = cell(address).filter(|cell| cell.freed).map(|cell| cell.accesses[0]);
    let now = process::moment().unwrap_or_default();
    let second = PlainAccess { when: now, verb: Verb::Free, site: site(frame) };
    let first = first.map_or(second, |access| PlainAccess { verb: Verb::Free, ..access.shown() });
    process::use_after_free(None, first, second);
}
