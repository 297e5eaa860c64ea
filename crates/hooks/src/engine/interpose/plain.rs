//! Accesses that are not atomic, and what else the compiler tells that is no atomic operation.

use super::{Frame, export};
use crate::engine::shadow::{access, access_volatile};

macro_rules! accesses {
    ($($read:ident, $write:ident: $bytes:literal;)*) => {$(
        extern "C" fn $read(address: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
            access(address, $bytes, false, frame);
        }
        extern "C" fn $write(address: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
            access(address, $bytes, true, frame);
        }
    )*};
}

accesses! {
    read1, write1: 1;
    read2, write2: 2;
    read4, write4: 4;
    read8, write8: 8;
    read16, write16: 16;
}

macro_rules! volatile {
    ($($read:ident, $write:ident: $bytes:literal;)*) => {$(
        extern "C" fn $read(address: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
            access_volatile(address, $bytes, false, frame);
        }
        extern "C" fn $write(address: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
            access_volatile(address, $bytes, true, frame);
        }
    )*};
}

volatile! {
    volatile_read1, volatile_write1: 1;
    volatile_read2, volatile_write2: 2;
    volatile_read4, volatile_write4: 4;
    volatile_read8, volatile_write8: 8;
    volatile_read16, volatile_write16: 16;
}

extern "C" fn read_range(address: usize, bytes: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
    access(address, bytes, false, frame);
}

extern "C" fn write_range(address: usize, bytes: usize, _: usize, _: usize, _: usize, frame: *const Frame) {
    access(address, bytes, true, frame);
}

/// How an access is looked at: its address, its bytes, whether it writes, the frame of its call.
pub(crate) type Look = fn(usize, usize, bool, *const Frame);

/// Copies bytes for the program, one block of which may lie in the other.
pub(crate) fn copy_block(look: Look, to: usize, from: usize, bytes: usize, frame: *const Frame) -> usize {
    look(from, bytes, false, frame);
    look(to, bytes, true, frame);
    // SAFETY: the program copies these bytes.
    unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
    to
}

/// Fills bytes for the program.
pub(crate) fn fill_block(look: Look, to: usize, byte: usize, bytes: usize, frame: *const Frame) -> usize {
    look(to, bytes, true, frame);
    // SAFETY: the program fills these bytes.
    unsafe { std::ptr::write_bytes(to as *mut u8, byte as u8, bytes) };
    to
}

extern "C" fn copy(to: usize, from: usize, bytes: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    copy_block(access, to, from, bytes, frame)
}

extern "C" fn fill(to: usize, byte: usize, bytes: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    fill_block(access, to, byte, bytes, frame)
}

export! {
    __tsan_read1 => read1;
    __tsan_read2 => read2;
    __tsan_read4 => read4;
    __tsan_read8 => read8;
    __tsan_read16 => read16;
    __tsan_write1 => write1;
    __tsan_write2 => write2;
    __tsan_write4 => write4;
    __tsan_write8 => write8;
    __tsan_write16 => write16;
    __tsan_unaligned_read2 => read2;
    __tsan_unaligned_read4 => read4;
    __tsan_unaligned_read8 => read8;
    __tsan_unaligned_read16 => read16;
    __tsan_unaligned_write2 => write2;
    __tsan_unaligned_write4 => write4;
    __tsan_unaligned_write8 => write8;
    __tsan_unaligned_write16 => write16;
    __tsan_volatile_read1 => volatile_read1;
    __tsan_volatile_read2 => volatile_read2;
    __tsan_volatile_read4 => volatile_read4;
    __tsan_volatile_read8 => volatile_read8;
    __tsan_volatile_read16 => volatile_read16;
    __tsan_volatile_write1 => volatile_write1;
    __tsan_volatile_write2 => volatile_write2;
    __tsan_volatile_write4 => volatile_write4;
    __tsan_volatile_write8 => volatile_write8;
    __tsan_volatile_write16 => volatile_write16;
    __tsan_unaligned_volatile_read2 => volatile_read2;
    __tsan_unaligned_volatile_read4 => volatile_read4;
    __tsan_unaligned_volatile_read8 => volatile_read8;
    __tsan_unaligned_volatile_read16 => volatile_read16;
    __tsan_unaligned_volatile_write2 => volatile_write2;
    __tsan_unaligned_volatile_write4 => volatile_write4;
    __tsan_unaligned_volatile_write8 => volatile_write8;
    __tsan_unaligned_volatile_write16 => volatile_write16;
    __tsan_read_range => read_range;
    __tsan_write_range => write_range;
    __tsan_memcpy => copy;
    __tsan_memmove => copy;
    __tsan_memset => fill;
}

macro_rules! nothing {
    ($($name:ident)*) => {$(
        #[cfg_attr(feature = "interpose", unsafe(no_mangle))]
        pub extern "C" fn $name() {}
    )*};
}

nothing! {
    __tsan_init
    __tsan_func_entry
    __tsan_func_exit
    __tsan_vptr_update
    __tsan_vptr_read
    __tsan_ignore_thread_begin
    __tsan_ignore_thread_end
}
