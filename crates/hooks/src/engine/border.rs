//! The border between the program under test and the host, which is this crate and all below it.
//!
//! Each side has thread-local storage of its own; whose code runs is told by the base of it, the FS register.
//! The blocks of the program's threads lie in one region of addresses. All its threads, and the host that
//! drives them, share one operating-system thread; the host may have others, which never run the program.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The region of the blocks of the program's threads: first address and length.
pub(crate) const BLOCKS: (usize, usize) = (0x1300_0000_0000, 1 << 30);

/// The FS base of the operating-system thread that drives the program.
static HOST: AtomicUsize = AtomicUsize::new(0);
/// Whether user space may set the FS base by an instruction.
static BY_INSTRUCTION: AtomicBool = AtomicBool::new(false);

/// Makes the calling thread, which must be the host's, the one that drives the program.
pub(crate) fn settle() {
    /// Bit 1 of `AT_HWCAP2`: the kernel has enabled the instructions.
    const FSGSBASE: u64 = 2;
    // SAFETY: reads the auxiliary vector.
    let enabled = unsafe { libc::getauxval(libc::AT_HWCAP2) } & FSGSBASE != 0;
    BY_INSTRUCTION.store(enabled, Ordering::Relaxed);
    HOST.store(base(), Ordering::Relaxed);
    let stack = libc::stack_t {
        ss_sp: super::arena::allocate(SIGNAL_STACK, 16).cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the block is nobody else's, and stays.
    unsafe {
        let arguments = [(&raw const stack) as usize, 0, 0, 0, 0, 0];
        super::real::system_call(libc::SYS_sigaltstack as usize, arguments);
    }
}

/// Bytes of stack for the handlers of signals, which must not need one of the program's.
const SIGNAL_STACK: usize = 1 << 16;

/// The FS base of the running thread: the thread control block begins with its own address.
#[inline(always)]
pub(crate) fn base() -> usize {
    let base: usize;
    // SAFETY: every thread of this process has a control block, set up by the C library or by `blocks`.
    unsafe { asm!("mov {}, fs:0", out(reg) base, options(nostack, preserves_flags, readonly)) };
    base
}

/// Whether the program's code runs, and not the host's.
#[inline(always)]
pub(crate) fn in_program() -> bool {
    base().wrapping_sub(BLOCKS.0) < BLOCKS.1
}

/// Sets the FS base.
///
/// # Safety
/// `base` is that of a block whose thread is the one to run, and nothing that was read from the present block
/// is used afterwards.
#[inline(always)]
unsafe fn set_base(base: usize) {
    if BY_INSTRUCTION.load(Ordering::Relaxed) {
        // SAFETY: the kernel allows the instruction; the rest is passed on to the caller.
        unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
    } else {
        const ARCH_SET_FS: usize = 0x1002;
        // SAFETY: the system call changes nothing else but the registers named.
        unsafe {
            asm!("syscall", inlateout("rax") 158usize => _, in("rdi") ARCH_SET_FS, in("rsi") base,
                out("rcx") _, out("r11") _, options(nostack));
        }
    }
}

/// Runs a function of the host's for the program, which called in.
///
/// The function is called through a pointer that the compiler cannot see through: what it computes from the
/// FS base must not be moved over the border.
#[inline(always)]
pub(crate) fn as_host<A, R>(function: fn(A) -> R, argument: A) -> R {
    let program = base();
    // SAFETY: the host's block belongs to the thread that runs the program; the program's block is set again
    // before anything of the program goes on. A switch to another thread's coroutine inside `function` comes
    // back here with the host's block.
    unsafe {
        set_base(HOST.load(Ordering::Relaxed));
        let result = black_box(function)(argument);
        set_base(program);
        result
    }
}

/// Runs code of the program's for the host, on a block of the program's.
///
/// # Safety
/// `block` is the base of a block of the region that no other thread of the program uses.
#[inline(always)]
pub(crate) unsafe fn as_program<A, R>(block: usize, function: fn(A) -> R, argument: A) -> R {
    // SAFETY: as in `as_host`, the other way round.
    unsafe {
        set_base(block);
        let result = black_box(function)(argument);
        set_base(HOST.load(Ordering::Relaxed));
        result
    }
}

/// From the handler of a signal, on whichever side it struck: makes it the host's; what to give to
/// [`leave_handler`].
pub(crate) fn enter_handler() -> usize {
    let before = base();
    if in_program() {
        // SAFETY: the signal struck the thread that drives the program.
        unsafe { set_base(HOST.load(Ordering::Relaxed)) };
    }
    before
}

/// The handler ends.
pub(crate) fn leave_handler(before: usize) {
    if before != base() {
        // SAFETY: it was the base when the handler began.
        unsafe { set_base(before) };
    }
}
