//! `malloc` and its kin, for both sides.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::heap::Known;
use crate::engine::{arena, freed, heap};
use std::ffi::c_void;

#[inline(always)]
fn allocate(bytes: usize, align: usize) -> *mut c_void {
    let block = if in_program() { heap::allocate(bytes, align) } else { arena::allocate(bytes, align) };
    block.cast()
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn malloc(bytes: usize) -> *mut c_void {
    allocate(bytes, 16)
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(bytes) else { return std::ptr::null_mut() };
    let block = allocate(bytes, 16);
    // The program's memory is zero when it is given out.
    if !block.is_null() && arena::owns(block as usize) {
        // SAFETY: the block is new and holds so many bytes.
        unsafe { block.cast::<u8>().write_bytes(0, bytes) };
    }
    block
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    allocate(bytes, align)
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    allocate(bytes, align)
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn posix_memalign(into: *mut *mut c_void, align: usize, bytes: usize) -> i32 {
    let block = allocate(bytes, align);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller gives a place for the result.
    unsafe { into.write(block) };
    0
}

/// # Safety
/// As C's.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    match heap::look_up(block as usize) {
        Known::Live(bytes) | Known::Freed(bytes) => bytes,
        // SAFETY: the caller gives a block, or null.
        Known::Nothing if arena::owns(block as usize) => unsafe { arena::size(block as usize) },
        Known::Nothing => 0,
    }
}

extern "C" fn reallocates(
    block: *mut c_void,
    bytes: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> *mut c_void {
    if block.is_null() {
        return allocate(bytes, 16);
    }
    // SAFETY: passed on to the caller.
    let before = unsafe { malloc_usable_size(block) };
    let moved = allocate(bytes, 16);
    if !moved.is_null() {
        // SAFETY: both blocks hold so many bytes, and the new one is nobody else's; the rest is passed on.
        unsafe {
            std::ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), before.min(bytes));
        }
        release(block as usize, frame);
    }
    moved
}

extern "C" fn frees(block: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
    release(block, frame);
}

export! {
    realloc => reallocates;
    free => frees;
}

fn release(address: usize, frame: *const Frame) {
    if in_program() {
        match heap::look_up(address) {
            Known::Live(bytes) => {
                freed::released(address, bytes, frame);
                heap::mark_freed(address);
            }
            Known::Freed(_) => as_host(freed::released_twice, (address, frame)),
            // Allocated before the program began, once for all executions: it stays.
            Known::Nothing => {}
        }
    } else if arena::owns(address) {
        // SAFETY: whoever frees a block gives one that is not free, and uses it no more.
        unsafe { arena::release(address) };
    }
}
