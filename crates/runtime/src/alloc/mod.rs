//! The memory that the program under test allocates during an execution.
//!
//! A program that links [`Allocator`] as its `#[global_allocator]` gets, while its own code runs
//! inside an execution, memory from *arenas*: one per thread of the execution, found by the thread's
//! place in the tree of spawns. So
//!
//! * an address is a function of the thread and of what it has allocated before: equal in every
//!   execution of one schedule or graph, whatever order the threads ran in;
//! * nothing is given out twice within an execution (but under `--inject reuse`, see below), so a
//!   pointer that is compared is never equal by accident;
//! * every block is known: who allocated it and when (its *birth*), and whether it was freed;
//! * what is freed is overwritten with a pattern at once and stays until the execution ends, so
//!   that a use of it goes wrong in every run and not by luck;
//! * at the end of the execution everything goes back whole.
//!
//! Code of the runtime, of explorers and of recorders runs in the same operating-system thread, and
//! what it allocates must outlive the execution. A thread-local flag says whether the program's own
//! code runs: `program_scope` sets it around bodies, destructors and oracles, `runtime_scope`
//! clears it around every operation. Memory allocated while it is clear, or outside an execution, is
//! the inner allocator's. Whose a block is tells its address.
//!
//! # What outlives an execution
//! A block that is still allocated when its execution has ended was leaked by the program, or is
//! kept by something older than the execution: a collection that the closure captured, a std
//! `OnceLock`, the buffer in which the test harness catches what is printed. The runtime cannot tell
//! these apart, so such a block *stays*: it keeps its address and its contents until somebody frees
//! it, as every block of the heap does, and later executions allocate around it. How many there are
//! is part of the result of an execution ([`Outlived`]): state that survives may make later
//! executions differ from earlier ones.
//!
//! # What bounds it
//! * Up to 64 operating-system threads that run executions have arenas, and a thread of an execution
//!   has 256 MiB of them; what is beyond comes from the inner allocator: it works, but is not looked
//!   after.
//! * Executions on different workers lie at different addresses, which agree in their lower 40 bits.
//!   Whatever depends on differences and equality of addresses is the same for all; a hash of a whole
//!   address is not.
//! * Plain reads and writes of freed memory are not seen. They find the pattern wherever the free
//!   comes first in the execution that is run; between an atomic load and the plain access behind it
//!   there is no point at which another thread could free, so under `sc` a program without any step
//!   between the two is never caught. Under `rc11` the load itself may come late and read what it
//!   would have read before the free. An explorer of graphs executes such loads late; it executes each
//!   graph once, so it does not see the plain access behind a load that was first explored as one of
//!   the newest value, and whose value another thread then replaces and frees.
//! * Handles whose object lies elsewhere (`Sender`, `Weak`, the `deref` of an `Arc`) hold nothing but
//!   a pointer: in freed memory that is the pattern, and following it is an invalid access.
//! * Birth is that of the memory. An object that is made anew in older memory, on a stack or in a
//!   static is as old as that; and where no atomic ever held the address of a block whose allocation
//!   its reader did not know of, nobody is accused.
//!
//! How a value travels: `Box::new` in the program calls [`Allocator::alloc`]; the flag is set, so the
//! arena of the running thread gives a block and notes its birth; the box is dropped, its address
//! lies in an arena of this execution, so it is filled with the pattern and marked as freed; another
//! thread's operation on an atomic inside finds the pattern where the atomic's identity was, looks
//! the address up, and the execution fails with a use after free.

mod arena;
mod region;
mod words;

pub(crate) use arena::{Birth, Block, Freed};
pub(crate) use region::{Owner, Region};
pub use words::{may_recur, without_address};

use crate::execution::{self, Execution, Phase};
use crate::ops;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;

/// The byte that freed memory consists of. As a pointer it is aligned, but not canonical on any
/// processor; as a tag of an identity it is one of no execution.
pub(crate) const PATTERN: u8 = 0xd8;
/// A word of freed memory.
pub(crate) const PATTERN_WORD: u64 = u64::from_ne_bytes([PATTERN; 8]);

/// The global allocator of a program that runs under racefuzz: memory of executions comes from
/// arenas of their own, everything else from `A`.
///
/// The crates that users depend on install it through their feature `allocator`, which is on by
/// default. A crate with a global allocator of its own switches the feature off and wraps its own:
///
/// ```
/// use racefuzz_runtime::alloc::Allocator;
/// use std::alloc::System;
///
/// #[global_allocator]
/// static GLOBAL: Allocator<System> = Allocator::wrap(System);
/// ```
///
/// Without it programs run all the same; what this allocator finds (uses of freed boxes, unsafe
/// publication) is then not found, and addresses differ from one execution to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator<A = System>(A);

impl Allocator {
    /// The allocator over the system's.
    pub const fn new() -> Self {
        Self(System)
    }
}

impl<A> Allocator<A> {
    /// The allocator over another one.
    pub const fn wrap(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: a block comes either from an arena, which gives out each of its bytes to one block at a
// time, aligned and as long as asked for, or from the inner allocator, which its own contract
// binds; `owns` tells which, so every block goes back to where it came from. Nothing here unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if in_program()
            && let Some(memory) = allocate(layout)
        {
            return memory;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if in_program()
            && let Some(memory) = allocate(layout)
        {
            // SAFETY: the block is new and of this size.
            unsafe { memory.write_bytes(0, layout.size()) };
            return memory;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if (Region::may_own(memory as usize) || is_pattern(memory as usize))
            && free(memory as usize, layout.size())
        {
            return;
        }
        // SAFETY: passed on to the caller: no arena owns it.
        unsafe { self.0.dealloc(memory, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if is_pattern(memory as usize) && free(memory as usize, layout.size()) {
            // SAFETY: the caller promises that `new_size` makes a valid layout.
            return unsafe { self.alloc_zeroed(Layout::from_size_align_unchecked(new_size, layout.align())) };
        }
        if !(Region::may_own(memory as usize) && Region::owns(memory as usize)) {
            // SAFETY: passed on to the caller: no arena owns it.
            return unsafe { self.0.realloc(memory, layout, new_size) };
        }
        // Always new memory, so that uses of the old are found.
        // SAFETY: the caller promises that `new_size` makes a valid layout and that the old memory
        // has the old one; the new memory is another block.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(memory, layout.size().min(new_size));
                self.dealloc(memory, layout);
            }
            new
        }
    }
}

/// What an operating-system thread knows of the execution that it runs.
pub(crate) struct Local {
    /// The execution; null outside one.
    pub(crate) execution: *mut (),
    /// Whether the program's own code runs, inside an execution. While it does there is no reference into the
    /// execution.
    in_program: bool,
}

thread_local! {
    static LOCAL: UnsafeCell<Local> =
        const { UnsafeCell::new(Local { execution: std::ptr::null_mut(), in_program: false }) };
}

/// The running operating-system thread's own. It is asked for once where it is used twice: without optimisation that
/// takes ten calls.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn local() -> *mut Local {
    LOCAL.with(UnsafeCell::get)
}

/// The same, where it is known: with optimisation it is asked for by the processor's own means.
#[cfg_attr(not(debug_assertions), inline(always))]
fn at_hand(known: *mut Local) -> *mut Local {
    if cfg!(debug_assertions) { known } else { local() }
}

/// Says until it is dropped whose code runs.
#[must_use]
pub(crate) struct Scope {
    local: *mut Local,
    before: bool,
}

impl Scope {
    /// # Safety
    /// `local` is the running operating-system thread's.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn new(local: *mut Local, in_program: bool) -> Self {
        let local = at_hand(local);
        // SAFETY: passed on to the caller; no reference to it is ever made.
        unsafe {
            let before = (*local).in_program;
            (*local).in_program = in_program;
            Self { local, before }
        }
    }
}

impl Drop for Scope {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        // SAFETY: as in `new`; a coroutine stays on the operating-system thread that runs its execution.
        unsafe { (*at_hand(self.local)).in_program = self.before };
    }
}

/// From here on the runtime's code runs: what it allocates outlives the execution.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn runtime_scope() -> Scope {
    // SAFETY: it was just asked for.
    unsafe { Scope::new(local(), false) }
}

/// The same, where what is the running operating-system thread's is known.
///
/// # Safety
/// `local` is that.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn runtime_scope_of(local: *mut Local) -> Scope {
    // SAFETY: passed on to the caller.
    unsafe { Scope::new(local, false) }
}

/// From here on the program's code runs. Called inside an execution only, without a reference into
/// it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn program_scope() -> Scope {
    // SAFETY: it was just asked for.
    unsafe { Scope::new(local(), true) }
}

/// Whether the program's code runs, inside an execution, on this operating-system thread.
#[cfg(unix)]
pub(crate) fn in_program() -> bool {
    // SAFETY: it was just asked for, and no reference to it is ever made.
    unsafe { (*local()).in_program }
}

/// Runs code of the program inside an execution, without a reference into it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn by_program<R>(code: impl FnOnce() -> R) -> R {
    let _program = program_scope();
    code()
}

/// What of an execution's memory was still allocated at its end: leaked, or kept by something that
/// is older than the execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlived {
    /// Blocks that this execution allocated and nobody freed.
    pub blocks: u32,
    /// Their bytes.
    pub bytes: u64,
}

fn is_pattern(address: usize) -> bool {
    address as u64 >> 48 == PATTERN_WORD >> 48
}

/// A block for the running thread of the execution; `None` where it is to come from elsewhere.
#[inline(never)]
fn allocate(layout: Layout) -> Option<*mut u8> {
    let execution = execution::current();
    // SAFETY: as in `allocate_carefully`; nothing is allocated meanwhile.
    if let Some(execution) = unsafe { execution.as_mut() }
        && !execution.config.inject.reuse
        && let Some(thread) = execution.threads.get(execution.current as usize)
        && let Some(region) = &mut execution.storage.region
        && let Some(memory) = region
            .allocate_next(thread.path, layout, || Birth { thread: execution.current, time: thread.time + 1 })
    {
        return Some(memory);
    }
    allocate_carefully(layout)
}

/// [`allocate`], where more has to be done than to take what comes next of the arena that was used last.
#[inline(never)]
fn allocate_carefully(layout: Layout) -> Option<*mut u8> {
    let _runtime = runtime_scope();
    let execution = execution::current();
    if execution.is_null() {
        return None;
    }
    // SAFETY: the program's code ran (see `IN_PROGRAM`): no reference into the execution is live.
    let execution = unsafe { &mut *execution };
    let reused = ops::reuse(execution, layout);
    if reused.is_some() {
        return reused;
    }
    let me = execution.current;
    let thread = execution.threads.get(me as usize)?;
    let (path, birth) = (thread.path, Birth { thread: me, time: thread.time + 1 });
    if execution.storage.region.is_none() {
        execution.storage.region = Region::acquire();
    }
    execution.storage.region.as_mut()?.allocate(path, layout, birth)
}

/// Frees a block; false if it is the inner allocator's.
#[inline(never)]
fn free(address: usize, size: usize) -> bool {
    if in_program()
        && let Some(execution) = execution::lean()
    {
        // SAFETY: as in `allocate`.
        let done = unsafe { ops::freed_lean(&mut *execution, address) };
        if done {
            return true;
        }
    }
    free_carefully(address, size)
}

/// [`free`], of any memory in any execution.
#[inline(never)]
fn free_carefully(address: usize, size: usize) -> bool {
    let by_program = in_program();
    let _runtime = runtime_scope();
    let execution = execution::current();
    let Some(owner) = Owner::of(address) else {
        return is_pattern(address) && free_pattern(execution, by_program);
    };
    if by_program && !execution.is_null() {
        // SAFETY: as in `allocate`.
        let execution = unsafe { &mut *execution };
        let mine = execution.storage.region.as_ref().is_some_and(|region| region.has(owner));
        if mine && execution.phase() != Phase::TearDown {
            ops::freed(execution, owner, address, size);
            return true;
        }
    }
    Region::free(owner, address, size);
    true
}

/// What was read from freed memory is itself freed.
#[cold]
fn free_pattern(execution: *mut Execution, by_program: bool) -> bool {
    if !execution.is_null() && by_program {
        // SAFETY: as in `allocate`.
        ops::freed_pattern(unsafe { &mut *execution });
    }
    !execution.is_null()
}
