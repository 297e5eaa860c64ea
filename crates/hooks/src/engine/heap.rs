//! The program's heap: a function of what the program allocates, and nothing else.
//!
//! Memory is given out in ascending order and never twice in an execution, so that an address is equal in every
//! execution of one schedule, a freed block stays recognisable, and what is compared by address is never equal
//! by accident. When the execution ends everything goes back at once.

use super::arena::map;
use super::real::die;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The region: first address and length.
pub(crate) const REGION: (usize, usize) = (0x1000_0000_0000, 1 << 30);

const LIVE: u64 = 0xa110_ca7e_5eed_b10c;
const FREED: u64 = 0xf9ee_d0ff_5eed_b10c;

/// What stands before a block.
#[repr(C)]
pub(crate) struct Header {
    size: u64,
    state: u64,
}

static TOP: AtomicUsize = AtomicUsize::new(REGION.0);

/// Maps the region.
pub(crate) fn prepare() {
    if !map(REGION) {
        die("no address space for the program's memory (is `ulimit -v` below 16 GB?)");
    }
}

/// A block; null if the region is used up. The memory is zero.
pub(crate) fn allocate(bytes: usize, align: usize) -> *mut u8 {
    let top = TOP.load(Ordering::Relaxed);
    if bytes > REGION.1 || align > 1 << 24 {
        return std::ptr::null_mut();
    }
    let address = (top + size_of::<Header>()).next_multiple_of(align.max(16));
    let end = address + bytes.max(1).next_multiple_of(16);
    if end > REGION.0 + REGION.1 {
        return std::ptr::null_mut();
    }
    TOP.store(end, Ordering::Relaxed);
    // SAFETY: between the blocks before and this one there is room for its header.
    unsafe { header(address).write(Header { size: bytes as u64, state: LIVE }) };
    address as *mut u8
}

fn header(address: usize) -> *mut Header {
    (address - size_of::<Header>()) as *mut Header
}

/// Where what is allocated next will lie, or behind that.
#[inline]
pub(crate) fn top() -> usize {
    TOP.load(Ordering::Relaxed)
}

/// Whether an address lies in the region.
#[inline(always)]
pub(crate) fn owns(address: usize) -> bool {
    address.wrapping_sub(REGION.0) < REGION.1
}

/// What is known of an address that is to be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// A block of so many bytes.
    Live(usize),
    /// A block that was freed, of so many bytes.
    Freed(usize),
    /// Not the beginning of a block.
    Nothing,
}

/// What is known of a block.
pub(crate) fn look_up(address: usize) -> Known {
    if !owns(address) || address < REGION.0 + size_of::<Header>() || !address.is_multiple_of(16) {
        return Known::Nothing;
    }
    // SAFETY: the region is mapped, and where there is no header its words are something else.
    let header = unsafe { header(address).read() };
    match header.state {
        LIVE => Known::Live(header.size as usize),
        FREED => Known::Freed(header.size as usize),
        _ => Known::Nothing,
    }
}

/// Marks a block as freed.
pub(crate) fn mark_freed(address: usize) {
    // SAFETY: `look_up` has found its header.
    unsafe { (*header(address)).state = FREED };
}

/// The execution is over: everything goes back.
pub(crate) fn reset() {
    /// Beyond this it is cheaper to give the pages back.
    const BY_HAND: usize = 1 << 20;
    let used = TOP.load(Ordering::Relaxed) - REGION.0;
    TOP.store(REGION.0, Ordering::Relaxed);
    // SAFETY: the program's threads have ended; nobody uses the region.
    unsafe {
        std::ptr::write_bytes(REGION.0 as *mut u8, 0, used.min(BY_HAND));
        if used > BY_HAND {
            libc::madvise((REGION.0 + BY_HAND) as *mut _, used - BY_HAND, libc::MADV_DONTNEED);
        }
    }
}
