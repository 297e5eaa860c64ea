//! Stacks of the program's threads, each at the address of its slot.

use super::arena::map;
use super::blocks::MOST_THREADS;
use super::real::die;

/// Bytes from one stack to the next; its guard page included.
pub(crate) const STRIDE: usize = 4 << 20;
const GUARD: usize = 4096;

/// The region: first address and length.
pub(crate) const REGION: (usize, usize) = (0x1100_0000_0000, MOST_THREADS * STRIDE);

/// The lowest and highest address of the stack of a slot.
pub(crate) fn bounds(slot: usize) -> (usize, usize) {
    let low = REGION.0 + slot * STRIDE;
    (low + GUARD, low + STRIDE)
}

/// Whether an address lies in the guard page of some stack.
pub(crate) fn is_guard(address: usize) -> bool {
    owns(address) && (address - REGION.0) % STRIDE < GUARD
}

/// Whether an address lies in some stack.
pub(crate) fn owns(address: usize) -> bool {
    address.wrapping_sub(REGION.0) < REGION.1
}

/// Whether a frame's two words may lie at an address, behind those of another frame; in the same stack, if that one lies
/// in a stack. Where it is of a call that is over, what it says of its caller may be anything.
pub(crate) fn is_frame_behind(frame: usize, caller: usize) -> bool {
    const FRAME: usize = 16;
    let slot = |address: usize| address.wrapping_sub(REGION.0) / STRIDE;
    let is_inside = || {
        let (low, high) = bounds(slot(caller));
        (low..=high - FRAME).contains(&caller) && (!owns(frame) || slot(frame) == slot(caller))
    };
    caller > frame && caller.is_multiple_of(8) && owns(caller) && is_inside()
}

/// Maps the stacks and protects their guard pages.
pub(crate) fn prepare() {
    if !map(REGION) {
        die("no address space for stacks (is `ulimit -v` below 16 GB?)");
    }
    for thread in 0..MOST_THREADS {
        // SAFETY: the page is the region's.
        unsafe { libc::mprotect((REGION.0 + thread * STRIDE) as *mut _, GUARD, libc::PROT_NONE) };
    }
}

/// Calls a function on the stack of a slot, from its top.
///
/// # Safety
/// No other thread uses the stack.
pub(crate) unsafe fn call_on(slot: usize, function: extern "C" fn(*mut u8), argument: *mut u8) {
    let (_, high) = bounds(slot);
    // SAFETY: the stack is this thread's alone, and its top is aligned. A coroutine that is suspended inside is
    // resumed with both stacks.
    unsafe { call_from(argument, function, high) };
}

/// Calls `function` with the stack pointer at `high`. Whoever walks the stack of the function ends here: what lies
/// above is no frame.
#[unsafe(naked)]
unsafe extern "C" fn call_from(argument: *mut u8, function: extern "C" fn(*mut u8), high: usize) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        ".cfi_endproc",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_frames_stays_in_its_stack() {
        let (low, high) = bounds(3);
        assert!(is_frame_behind(low, low + 16) && is_frame_behind(low + 64, high - 16));
        // The next stack begins with a page that must not be read.
        for caller in [high - 8, high, high + GUARD, low, low - 8, low + 20, 0, usize::MAX - 7] {
            assert!(!is_frame_behind(low, caller), "{caller:#x}");
        }
        // What is kept of a frame is looked at from elsewhere.
        assert!(is_frame_behind(REGION.0 - 64, low) && !is_frame_behind(REGION.0 - 64, low - 8));
    }
}
