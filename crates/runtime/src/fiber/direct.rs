//! Fibers on x86-64 under Unix, with switches from any of them to any other.
//!
//! A context that does not run is a stack pointer. There lie the address at which it goes on and the two registers
//! that the compiler does not let inline assembly clobber; all others are clobbered by a switch, so that the
//! compiler saves those that it needs and no more. A switch ends in a jump, not in a return, which would be to
//! another place than the processor expects, each time.

use corosensei::stack::{DefaultStack, Stack};
use std::arch::asm;

/// A stack with code on it, and where that goes on when it does not run.
pub(crate) struct Fiber {
    context: usize,
    stack: DefaultStack,
}

/// Where the operating-system thread goes on that has entered a fiber.
#[derive(Default)]
pub(crate) struct Home {
    context: usize,
}

/// Goes on at the context `to`, noting in `from` where to go on here.
///
/// # Safety
/// `to` was noted by this function, or is that of a new fiber, and nobody has gone on there since. What the stack
/// that is left refers to stays until somebody goes on here, if anybody does.
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn switch(from: *mut usize, to: usize) {
    // SAFETY: what is not declared as clobbered is put back before the block ends: whoever goes on at `2:` has the
    // stack pointer that was noted.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            inlateout("rdi") from => _,
            inlateout("rsi") to => _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
}

impl Fiber {
    /// Whether [`pass`](Self::pass) is one switch.
    pub(crate) const DIRECT: bool = true;

    /// A fiber that will run `body` on this stack.
    pub(crate) fn new(stack: DefaultStack, body: extern "C" fn() -> !) -> Self {
        let top = stack.base().get() & !15;
        let words = std::ptr::with_exposed_provenance_mut::<usize>(top - 32);
        // SAFETY: the stack is the fiber's alone, and longer than this. `body` finds the stack as it is behind a
        // call, with a return address of 0, where backtraces end.
        unsafe {
            words.add(3).write(0);
            words.add(2).write(body as usize);
        }
        Self { context: top - 16, stack }
    }

    /// Runs the fiber on until one leaves for `home`.
    ///
    /// # Safety
    /// The fiber does not run, and no reference to what is passed is live. Nobody else uses `home` meanwhile.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn enter(fiber: *mut Self, home: *mut Home) {
        // SAFETY: passed on to the caller.
        unsafe { switch(&raw mut (*home).context, (*fiber).context) }
    }

    /// Goes back to where a fiber was entered; returns when this one is entered or passed to.
    ///
    /// # Safety
    /// The caller runs on this fiber, entered from `home` or passed to; no reference to what is passed is live.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn leave(fiber: *mut Self, home: *mut Home) {
        // SAFETY: passed on to the caller.
        unsafe { switch(&raw mut (*fiber).context, (*home).context) }
    }

    /// Goes on with another fiber; returns when this one is entered or passed to.
    ///
    /// # Safety
    /// As [`leave`](Self::leave); the other fiber does not run.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn pass(fiber: *mut Self, to: *mut Self, _: *mut Home) {
        // SAFETY: passed on to the caller.
        unsafe { switch(&raw mut (*fiber).context, (*to).context) }
    }

    /// Its stack.
    ///
    /// # Safety
    /// The fiber does not run and never will, and nobody uses what is on its stack.
    pub(crate) unsafe fn into_stack(self) -> DefaultStack {
        self.stack
    }
}
