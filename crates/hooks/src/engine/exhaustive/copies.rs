//! Blocks of memory that are read and written by functions of the C library: the compiler makes hooks of them in the
//! program's own code, for the most part; the standard library calls them in code that comes compiled.
//!
//! Calls go by way of a table of the executable, whose words are made to lead here. An access of the library's races
//! with one of the program's, but not with another of the library's: by what that orders its own memory is not seen.

use super::super::border::{as_host, in_program};
use super::super::interpose::plain::{copy_block, fill_block};
use super::super::interpose::{Frame, export};
use super::super::{shadow, sites, stacks};
use super::unseen;
use std::ffi::{c_char, c_void};

/// Calls of the allocator's that may lie between its function and who asked for it.
const ALLOCATOR: usize = 4;

/// Leads the executable's calls here.
pub(super) fn prepare() {
    for (slot, name) in sites::slots() {
        let by = match &*name {
            "memcpy" | "memmove" => racefuzz_copy as *const (),
            "memset" => racefuzz_fill as *const (),
            "memcmp" | "bcmp" => racefuzz_compare as *const (),
            "memchr" => racefuzz_find as *const (),
            "strlen" => racefuzz_measure as *const (),
            _ => continue,
        };
        overwrite(slot, by as usize);
    }
}

/// Overwrites a word of the table, which the loader may have made constant. It stays as it is then: if the executable is
/// not linked to be bound at once, the loader goes on writing to that page.
fn overwrite(slot: usize, word: usize) {
    const PAGE: usize = 4096;
    let page = (slot & !(PAGE - 1)) as *mut c_void;
    // SAFETY: the page holds what the loader has written; the program does not run now.
    unsafe {
        if libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_WRITE) == 0 {
            (slot as *mut usize).write(word);
        }
    }
}

export! {
    racefuzz_copy => copies;
    racefuzz_fill => fills;
    racefuzz_compare => compares;
    racefuzz_find => finds;
    racefuzz_measure => measures;
}

/// Memory is used by a call with this frame.
pub(super) fn uses(address: usize, bytes: usize, writes: bool, frame: *const Frame) {
    if bytes == 0 || !in_program() || !shadow::looks_at(address) {
        return;
    }
    // SAFETY: the frame of the call.
    let is_own = as_host(unseen::is_instrumented, unsafe { (*frame).returns_to });
    let access = if is_own { shadow::access } else { shadow::access_by_library };
    access(address, bytes, writes, frame);
}

extern "C" fn copies(to: usize, from: usize, bytes: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    copy_block(uses, to, from, bytes, frame)
}

extern "C" fn fills(to: usize, byte: usize, bytes: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    fill_block(uses, to, byte, bytes, frame)
}

extern "C" fn compares(
    one: usize,
    other: usize,
    bytes: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> i32 {
    uses(one, bytes, false, frame);
    uses(other, bytes, false, frame);
    // SAFETY: the caller compares these bytes.
    unsafe { libc::memcmp(one as *const c_void, other as *const c_void, bytes) }
}

extern "C" fn finds(
    from: usize,
    byte: usize,
    bytes: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    // SAFETY: the caller looks through these bytes.
    let found = unsafe { libc::memchr(from as *const c_void, byte as i32, bytes) } as usize;
    uses(from, if found == 0 { bytes } else { found - from + 1 }, false, frame);
    found
}

extern "C" fn measures(text: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    // SAFETY: the caller has a text there, which ends with a zero.
    let length = unsafe { libc::strlen(text as *const c_char) };
    uses(text, length + 1, false, frame);
    length
}

/// Whether a block is freed by a call of the program's, and not of the library's; on the host's side.
pub(crate) fn is_own_free(mut frame: *const Frame) -> bool {
    for _ in 0..ALLOCATOR {
        // SAFETY: the frame of a call, and from there the chain of frame pointers, followed only upwards in its stack.
        let Frame { caller, returns_to } = unsafe { *frame };
        if unseen::is_instrumented(returns_to) {
            return true;
        }
        let is_allocator = sites::function_name(returns_to - 1).is_some_and(|name| name.contains("__r"));
        if !is_allocator || !stacks::is_frame_behind(frame as usize, caller) {
            return false;
        }
        frame = caller as *const Frame;
    }
    false
}
