//! What is known of what threads know of each other: so that it is not asked across the border again.

use super::accesses::Access;
use super::border::as_host;
use racefuzz_runtime::ops::process;
use std::cell::UnsafeCell;

/// Threads of which it is kept.
const MUTUALLY: usize = 16;

/// For each two of the first threads, until when the one knows of the other.
type Known = [[u32; MUTUALLY]; MUTUALLY];

struct Global(UnsafeCell<Known>);

// SAFETY: used by the threads of the program, of which one runs at a time, and by the host that drives them.
unsafe impl Sync for Global {}

static KNOWN: Global = Global(UnsafeCell::new([[0; MUTUALLY]; MUTUALLY]));

/// Until when a thread is known to know of another.
#[inline(always)]
fn known(me: u16, other: u16) -> Option<&'static mut u32> {
    // SAFETY: see `Global`; no reference is kept while something else may look.
    let known = unsafe { &mut *KNOWN.0.get() };
    known.get_mut(usize::from(me))?.get_mut(usize::from(other))
}

/// An execution begins.
pub(super) fn begin() {
    // SAFETY: as above.
    unsafe { *KNOWN.0.get() = [[0; MUTUALLY]; MUTUALLY] };
}

/// Whether a thread, the running one, knows of an access of another.
#[inline(always)]
pub(super) fn is_known(me: u16, access: &Access) -> bool {
    // What it knows of it does not get less.
    known(me, access.thread).is_some_and(|known| *known >= access.time) || is_known_by_clock(me, access)
}

#[cold]
#[inline(never)]
fn is_known_by_clock(me: u16, access: &Access) -> bool {
    let is_known = as_host(process::is_known, access.when());
    if is_known && let Some(known) = known(me, access.thread) {
        *known = access.time;
    }
    is_known
}
