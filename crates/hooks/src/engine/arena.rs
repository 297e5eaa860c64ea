//! The host's own memory.
//!
//! The system's allocator is not used at all: its state lies in the C library, which the program shares. So
//! what the host allocates, the C library on its behalf, and whatever was allocated before the program began,
//! comes from here: blocks of powers of two and halves, kept in lists when they are freed. Any thread of the
//! host may ask.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The region: first address and length.
pub(crate) const REGION: (usize, usize) = (0x0f00_0000_0000, 4 << 30);

/// Bytes before a block: its class.
const HEADER: usize = 16;
const CLASSES: usize = 64;

static TOP: AtomicUsize = AtomicUsize::new(0);
static LOCK: AtomicBool = AtomicBool::new(false);
static FREE: [AtomicUsize; CLASSES] = [const { AtomicUsize::new(0) }; CLASSES];

struct Locked;

impl Locked {
    fn new() -> Self {
        while LOCK.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        Self
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        LOCK.store(false, Ordering::Release);
    }
}

/// The class of blocks that hold so many bytes, header included, and their size.
fn class_of(bytes: usize) -> (usize, usize) {
    let bytes = bytes.max(32);
    let power = bytes.next_power_of_two();
    let log = power.trailing_zeros() as usize;
    // Three quarters of the power, where that is enough.
    if bytes <= power / 4 * 3 { (log * 2 - 10, power / 4 * 3) } else { (log * 2 - 9, power) }
}

/// Maps a region at its place, without memory behind it.
pub(crate) fn map(region: (usize, usize)) -> bool {
    let (flags, protection) = (
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE,
        libc::PROT_READ | libc::PROT_WRITE,
    );
    let arguments = [region.0, region.1, protection as usize, flags as usize, usize::MAX, 0];
    // SAFETY: maps new memory where nothing is.
    let mapped = unsafe { super::real::system_call(libc::SYS_mmap as usize, arguments) };
    mapped == region.0 as isize
}

/// A block; null if there is no memory left.
pub(crate) fn allocate(bytes: usize, align: usize) -> *mut u8 {
    let Some(wanted) = bytes.checked_add(HEADER + if align > 16 { align } else { 0 }) else {
        return std::ptr::null_mut();
    };
    if wanted > REGION.1 {
        return std::ptr::null_mut();
    }
    let (class, size) = class_of(wanted);
    let _locked = Locked::new();
    let mut start = FREE[class].load(Ordering::Relaxed);
    if start != 0 {
        // SAFETY: a free block of this class holds the next one's address in its first word.
        FREE[class].store(unsafe { (start as *const usize).read() }, Ordering::Relaxed);
    } else {
        let mut top = TOP.load(Ordering::Relaxed);
        if top == 0 {
            if !map(REGION) {
                super::real::die("no address space for its own memory (is `ulimit -v` below 16 GB?)");
            }
            top = REGION.0;
        }
        start = top;
        if start + size > REGION.0 + REGION.1 {
            return std::ptr::null_mut();
        }
        TOP.store(start + size.next_multiple_of(16), Ordering::Relaxed);
    }
    let address = (start + HEADER).next_multiple_of(align.max(16));
    // SAFETY: the block is this caller's, and the address lies in it, a header behind its start.
    unsafe {
        ((address - 16) as *mut u32).write(class as u32);
        ((address - 12) as *mut u32).write((address - start) as u32);
        ((address - 8) as *mut usize).write(start + size - address);
    }
    address as *mut u8
}

/// Whether a block is one of these.
#[inline(always)]
pub(crate) fn owns(address: usize) -> bool {
    address.wrapping_sub(REGION.0) < REGION.1
}

/// The bytes that a block holds.
///
/// # Safety
/// `address` is that of a block that is not free.
pub(crate) unsafe fn size(address: usize) -> usize {
    // SAFETY: `allocate` wrote it.
    unsafe { ((address - 8) as *const usize).read() }
}

/// Takes a block back.
///
/// # Safety
/// `address` is that of a block that is not free, and nobody uses it any more.
pub(crate) unsafe fn release(address: usize) {
    let _locked = Locked::new();
    // SAFETY: `allocate` wrote the header; from now on the block is the list's.
    unsafe {
        let class = ((address - 16) as *const u32).read() as usize;
        let start = address - ((address - 12) as *const u32).read() as usize;
        (start as *mut usize).write(FREE[class].load(Ordering::Relaxed));
        FREE[class].store(start, Ordering::Relaxed);
    }
}
