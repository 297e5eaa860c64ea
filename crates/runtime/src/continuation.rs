//! Coroutines that outlive the threads they run.
//!
//! In goes the body of a thread; it runs on the coroutine of the thread's number, which then stands
//! parked until the next execution has a thread of that number: nothing is made or taken apart, and
//! the stack is warm. A coroutine is made anew where its predecessor was abandoned, or where a
//! thread asks for a larger stack.

use crate::execution::{Execution, NOBODY, Phase, current};
use crate::fiber::Fiber;
use crate::stacks::{StackPool, bounds};
use std::convert::Infallible;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Threads of an execution whose stacks are kept for the next one though they are of a size of their own.
const LARGE_KEPT: u32 = 16;

/// Words of a body that need no allocation.
const WORDS: usize = 24;

/// The coroutine of one thread number, and what it is to run next.
pub(crate) struct Continuation {
    fiber: Option<Fiber>,
    /// The lowest and highest address of its stack.
    stack: (usize, usize),
    /// The size of its stack if it is one of its own, else 0.
    large: usize,
    /// Takes the body out of `space` and runs it; the body is read before anything of it runs.
    call: unsafe fn(*mut Continuation),
    space: [MaybeUninit<u64>; WORDS],
}

impl Continuation {
    pub(crate) fn new() -> Self {
        Self { fiber: None, stack: (0, 0), large: 0, call: nothing, space: [MaybeUninit::uninit(); WORDS] }
    }

    /// Makes sure there is a coroutine, with a stack of this size if that is more than usual.
    ///
    /// # Errors
    /// If the system has no memory (or no mappings) left for its stack.
    #[inline]
    pub(crate) fn prepare(&mut self, stacks: &mut StackPool, size: Option<usize>) -> std::io::Result<()> {
        if self.fiber.is_some() && size.is_none() { Ok(()) } else { self.make(stacks, size) }
    }

    #[cold]
    fn make(&mut self, stacks: &mut StackPool, size: Option<usize>) -> std::io::Result<()> {
        let size = size.filter(|size| stacks.is_large(*size));
        if self.fiber.is_some() && size.is_none_or(|size| size == self.large) {
            return Ok(());
        }
        let stack = stacks.take(size)?;
        self.clear(stacks);
        self.stack = bounds(&stack);
        self.large = size.unwrap_or(0);
        self.fiber = Some(Fiber::new(stack, run_bodies));
        Ok(())
    }

    /// Whether the stack is to be given back when the thread of this number has ended: if it is of a size of its
    /// own, unless it is one of the first threads, of which the next execution will most probably have one like it.
    #[inline]
    fn is_given_back(&self, number: u32) -> bool {
        self.large != 0 && number >= LARGE_KEPT
    }

    #[cold]
    fn clear(&mut self, stacks: &mut StackPool) {
        let large = std::mem::take(&mut self.large);
        // SAFETY: it is parked, where nothing on its stack is used.
        let stack = self.fiber.take().map(|fiber| unsafe { fiber.into_stack() });
        if let Some(stack) = stack.filter(|_| large == 0) {
            stacks.give(stack);
        }
    }

    /// The lowest and highest address of its stack.
    pub(crate) fn stack(&self) -> (usize, usize) {
        self.stack
    }

    /// What it runs when it is next resumed.
    ///
    /// # Safety
    /// What `body` borrows must live until it has run, and it must be run: what it holds is lost
    /// otherwise.
    #[inline]
    pub(crate) unsafe fn put<F: FnOnce()>(&mut self, body: F) {
        // Each is called once, by `parked_loop`, with the continuation that holds the body.
        unsafe fn in_place<F: FnOnce()>(continuation: *mut Continuation) {
            // SAFETY: `put` wrote a value of this very type, which nobody has read yet.
            let body = unsafe { (&raw const (*continuation).space).cast::<F>().read() };
            body();
        }
        unsafe fn boxed<F: FnOnce()>(continuation: *mut Continuation) {
            // SAFETY: as above, a box.
            let body = unsafe { (&raw const (*continuation).space).cast::<Box<F>>().read() };
            body();
        }
        let space = (&raw mut self.space).cast::<F>();
        if size_of::<F>() <= size_of_val(&self.space) && align_of::<F>() <= align_of::<u64>() {
            // SAFETY: it was just seen to fit.
            unsafe { space.write(body) };
            self.call = in_place::<F>;
        } else {
            // SAFETY: a box fits.
            unsafe { space.cast::<Box<F>>().write(Box::new(body)) };
            self.call = boxed::<F>;
        }
    }

    /// Runs the coroutine of the current thread on, and those that it goes on with, until one has nobody to go on
    /// with.
    ///
    /// # Safety
    /// `execution` is current, its current thread has a body that has not ended, and no reference into it is
    /// live.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn enter(execution: *mut Execution) {
        // SAFETY: continuations are boxed, so they stay where they are when a spawn grows the table; nobody else
        // touches the fiber while it runs.
        unsafe {
            let fiber = fiber_of(execution, (*execution).current);
            Fiber::enter(fiber, &raw mut (*execution).coroutines.home);
            if (*execution).coroutines.is_left.is_some() {
                settle(execution);
            }
        }
    }

    /// Suspends the running thread `me` in favour of the current one.
    ///
    /// # Safety
    /// The caller runs on the coroutine of thread `me` of this execution, the coroutine of the current thread is
    /// suspended, and no reference into the execution is live.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn pass(execution: *mut Execution, me: u32) {
        // SAFETY: as in `enter`.
        unsafe {
            let (fiber, next) = (fiber_of(execution, me), fiber_of(execution, (*execution).current));
            Fiber::pass(fiber, next, &raw mut (*execution).coroutines.home);
        }
    }

    /// Suspends the running thread, the current one, in favour of whoever has entered.
    ///
    /// # Safety
    /// As [`pass`](Self::pass).
    pub(crate) unsafe fn leave(execution: *mut Execution) {
        // SAFETY: as in `enter`.
        unsafe {
            let fiber = fiber_of(execution, (*execution).current);
            Fiber::leave(fiber, &raw mut (*execution).coroutines.home);
        }
    }

    /// Leaves the coroutine where it stands, with all that is on its stack.
    pub(crate) fn abandon(&mut self) -> Abandoned {
        Abandoned {
            fiber: std::mem::ManuallyDrop::new(self.fiber.take()),
            large: std::mem::take(&mut self.large) != 0,
        }
    }
}

/// A coroutine that was left where it stood, and never runs again. What is on its stack stays as it is
/// unless the stack is reclaimed.
pub(crate) struct Abandoned {
    fiber: std::mem::ManuallyDrop<Option<Fiber>>,
    large: bool,
}

impl Abandoned {
    /// Gives its stack back, without a destructor for what is on it.
    ///
    /// # Safety
    /// Nobody uses what is on the stack any more: the threads of its execution have ended, or were abandoned.
    pub(crate) unsafe fn reclaim(self, stacks: &mut StackPool) {
        let fiber = std::mem::ManuallyDrop::into_inner(self.fiber);
        // SAFETY: passed on to the caller.
        let stack = fiber.map(|fiber| unsafe { fiber.into_stack() });
        if let Some(stack) = stack.filter(|_| !self.large) {
            stacks.give(stack);
        }
    }
}

unsafe fn nothing(_: *mut Continuation) {}

/// The fiber of a thread that has one.
///
/// # Safety
/// `execution` is current, it has a thread of this number, and no reference to its continuations is live.
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn fiber_of(execution: *mut Execution, thread: u32) -> *mut Fiber {
    // SAFETY: passed on to the caller.
    unsafe {
        match &mut (*continuation_of(execution, thread)).fiber {
            Some(fiber) => fiber,
            None => std::hint::unreachable_unchecked(),
        }
    }
}

/// The continuation of a thread that has one.
///
/// # Safety
/// As [`fiber_of`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn continuation_of(execution: *mut Execution, thread: u32) -> *mut Continuation {
    // SAFETY: each thread was given its coroutine before it was counted.
    unsafe {
        let continuations = &mut (*execution).coroutines.continuations;
        invariant!((thread as usize) < continuations.len());
        &raw mut **continuations.as_mut_ptr().wrapping_add(thread as usize)
    }
}

/// Why a coroutine was left that does not wait for its turn.
pub(crate) enum Left {
    /// The thread of this number has ended, and its stack is to be given back.
    Ended(u32),
    /// A panic that nothing caught.
    Panicked(Box<dyn std::any::Any + Send>),
}

/// Does what a coroutine was left for.
///
/// # Safety
/// As [`Continuation::enter`].
#[cold]
#[inline(never)]
unsafe fn settle(execution: *mut Execution) {
    // SAFETY: passed on to the caller.
    let coroutines = unsafe { &mut (*execution).coroutines };
    match coroutines.is_left.take() {
        Some(Left::Ended(thread)) => coroutines.continuations[thread as usize].clear(&mut coroutines.stacks),
        Some(Left::Panicked(payload)) => resume_unwind(payload),
        None => {}
    }
}

/// What every coroutine does: bodies, one after another.
extern "C" fn run_bodies() -> ! {
    loop {
        let Err(payload) = catch_unwind(AssertUnwindSafe(park_and_run));
        let here = std::ptr::from_ref(&payload) as usize;
        // SAFETY: as in `park_and_run`; the continuation whose stack this is.
        unsafe {
            let execution = current();
            let coroutines = &mut (*execution).coroutines;
            coroutines.is_left = Some(Left::Panicked(payload));
            let mine = |known: &&mut Box<Continuation>| (known.stack.0..known.stack.1).contains(&here);
            let fiber: *mut Option<Fiber> = match coroutines.continuations.iter_mut().find(mine) {
                Some(continuation) => &raw mut continuation.fiber,
                None => std::process::abort(),
            };
            let home = &raw mut coroutines.home;
            if let Some(fiber) = &mut *fiber {
                Fiber::leave(fiber, home);
            }
        }
    }
}

/// Runs the body of the current thread, goes on with the next thread, and so on.
fn park_and_run() -> Infallible {
    loop {
        // SAFETY: a coroutine is entered, or passed to, only as the current thread of the current execution, which
        // lives as long as it runs; continuations are boxed and stay where they are; no reference is live while
        // the body runs, nor across a switch.
        unsafe {
            let execution = current();
            let me = (*execution).current;
            (*execution).running().coroutine.runs = true;
            let continuation = continuation_of(execution, me);
            ((*continuation).call)(continuation);
            let thread = (*execution).threads.as_mut_ptr().add(me as usize);
            ((*thread).coroutine.runs, (*thread).coroutine.live) = (false, false);
            (*execution).coroutines.live -= 1;
            let goes_on = me != 0 && (*execution).current != NOBODY && (*execution).phase() == Phase::Running;
            if (*continuation).is_given_back(me) {
                (*execution).coroutines.is_left = Some(Left::Ended(me));
            } else if Fiber::DIRECT && goes_on {
                Continuation::pass(execution, me);
                continue;
            }
            Fiber::leave(fiber_of(execution, me), &raw mut (*execution).coroutines.home);
        }
    }
}

impl Drop for Continuation {
    fn drop(&mut self) {
        // SAFETY: it is parked, or what is on its stack is lost.
        drop(self.fiber.take().map(|fiber| unsafe { fiber.into_stack() }));
    }
}
