//! Standard output and standard error, and randomness.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::real::{checked, system_call};
use crate::engine::{events, exhaustive, state};
use std::ffi::{c_int, c_void};

fn is_output(file: c_int) -> bool {
    file == 1 || file == 2
}

fn keep((bytes, length): (*const c_void, usize)) {
    // SAFETY: the caller gives so many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    state::with(|state| state.output.write(bytes));
}

extern "C" fn writes(
    file: c_int,
    bytes: *const c_void,
    length: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> isize {
    if in_program() {
        if is_output(file) {
            if length > 0 {
                as_host(keep, (bytes, length));
            }
            return length as isize;
        }
        if length == 8 && as_host(events::is_counter, file) {
            // SAFETY: the caller gives so many bytes.
            let count = unsafe { bytes.cast::<u64>().read_unaligned() };
            as_host(events::add, (file, count, frame));
            return 8;
        }
    }
    let arguments = [file as usize, bytes as usize, length, 0, 0, 0];
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_write as usize, arguments) })
}

export! { write => writes; }

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn writev(file: c_int, parts: *const libc::iovec, count: c_int) -> isize {
    if is_output(file) && in_program() {
        let mut length = 0;
        for index in 0..count.max(0) as usize {
            // SAFETY: the caller gives so many parts.
            let part = unsafe { *parts.add(index) };
            if part.iov_len > 0 {
                as_host(keep, (part.iov_base.cast_const(), part.iov_len));
            }
            length += part.iov_len;
        }
        return length as isize;
    }
    let arguments = [file as usize, parts as usize, count as usize, 0, 0, 0];
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_writev as usize, arguments) })
}

/// Bytes that look random and are the same in every execution.
pub(crate) fn draw((into, length): (*mut u8, usize)) {
    let first = state::with(|state| {
        // In what order threads ask must make no difference where executions are known by their operations.
        let thread = if exhaustive::is_on() { crate::engine::threads::me() } else { 0 };
        state.drawn.resize(state.drawn.len().max(thread + 1), 0);
        let first = state.drawn[thread];
        state.drawn[thread] += length as u64;
        first + ((thread as u64) << 32)
    });
    for index in 0..length {
        let mixed = (first + index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // SAFETY: the caller gives room for so many bytes.
        unsafe { into.add(index).write((mixed >> 32) as u8 ^ mixed as u8) };
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn getrandom(into: *mut c_void, length: usize, flags: u32) -> isize {
    if in_program() {
        as_host(draw, (into.cast(), length));
        return length as isize;
    }
    let arguments = [into as usize, length, flags as usize, 0, 0, 0];
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_getrandom as usize, arguments) })
}
