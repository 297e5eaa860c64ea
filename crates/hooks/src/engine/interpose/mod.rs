//! The functions that take the place of the system's and the compiler's.
//!
//! They are exported only with the feature `interpose`: in any other binary they would take the place of that
//! binary's own.
#![allow(
    non_snake_case,
    clippy::missing_safety_doc,
    missing_docs,
    reason = "their contracts are those of what they stand for"
)]

pub(super) mod atomics;
mod events;
mod files;
mod memory;
mod outside;
pub(super) mod plain;
pub(super) mod signals;
mod system;
mod threads;
mod time;

/// The address of the hook that the compiler puts at the beginning of functions.
pub(super) fn entry() -> usize {
    plain::__tsan_func_entry as extern "C" fn() as usize
}

/// The call of a hook: what its export leaves on the stack.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Frame {
    /// The caller's frame.
    pub(crate) caller: usize,
    /// Where the call returns to.
    pub(crate) returns_to: usize,
}

/// Exports a function under a C name that makes a frame and hands its first five words, and the frame as the
/// sixth, to another function.
macro_rules! export {
    ($($name:ident => $to:path;)*) => {$(
        #[cfg_attr(feature = "interpose", unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc",
                "push rbp",
                ".cfi_def_cfa_offset 16",
                ".cfi_offset rbp, -16",
                "mov rbp, rsp",
                ".cfi_def_cfa_register rbp",
                "mov r9, rsp",
                "call {to}",
                "pop rbp",
                ".cfi_def_cfa rsp, 8",
                "ret",
                ".cfi_endproc",
                to = sym $to,
            )
        }
    )*};
}
pub(crate) use export;
