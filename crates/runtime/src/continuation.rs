//! Coroutines that outlive the threads they run.
//!
//! In goes the body of a thread; it runs on the coroutine of the thread's number, which then stands
//! parked until the next execution has a thread of that number: nothing is made or taken apart, and
//! the stack is warm. A coroutine is made anew where its predecessor was abandoned, or where a
//! thread asks for a larger stack.

use crate::execution::current;
use crate::stacks::{StackPool, bounds};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::mem::MaybeUninit;

type Fiber = Coroutine<(), (), (), DefaultStack>;

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
        // SAFETY: `parked_loop` borrows nothing.
        self.fiber = Some(unsafe { Fiber::with_stack_unchecked(stack, parked_loop) });
        Ok(())
    }

    /// The thread of this number has ended: a stack of a size of its own is given back, unless it is one
    /// of the first threads, of which the next execution will most probably have one like it.
    #[inline]
    pub(crate) fn ended(&mut self, number: u32, stacks: &mut StackPool) {
        if self.large != 0 && number >= LARGE_KEPT {
            self.clear(stacks);
        }
    }

    #[cold]
    fn clear(&mut self, stacks: &mut StackPool) {
        let large = std::mem::take(&mut self.large);
        let stack = self.fiber.take().map(into_stack);
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

    /// Runs its body on; whether it is suspended again (and not at the end of the body).
    ///
    /// # Safety
    /// `continuation` is that of the current thread of the current execution, with a body that has not
    /// ended, and no reference into either is live.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn resume(continuation: *mut Self) -> bool {
        // SAFETY: nobody else touches the coroutine while it runs.
        unsafe {
            let Some(fiber) = &mut (*continuation).fiber else {
                unreachable!("a thread without a coroutine")
            };
            match fiber.resume(()) {
                CoroutineResult::Yield(()) => !std::mem::take(&mut (*current()).coroutines.parked),
                // A panic that nothing caught; the loop itself has no end.
                CoroutineResult::Return(()) => false,
            }
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
        if let Some(stack) = fiber.map(into_stack).filter(|_| !self.large) {
            stacks.give(stack);
        }
    }
}

unsafe fn nothing(_: *mut Continuation) {}

/// What every coroutine does: bodies, one after another.
fn parked_loop(yielder: &Yielder<(), ()>, (): ()) {
    loop {
        // SAFETY: a coroutine is resumed only by `resume`, as the current thread of the current
        // execution, which lives as long as it runs; continuations are boxed and stay where they are; no
        // reference is live while the body runs.
        unsafe {
            let execution = current();
            let me = (*execution).current as usize;
            (&mut (*execution).threads)[me].coroutine.yielder = yielder;
            let continuation: *mut Continuation = &raw mut *(&mut (*execution).coroutines.continuations)[me];
            ((*continuation).call)(continuation);
            (&mut (*execution).threads)[me].coroutine.yielder = std::ptr::null();
            (*execution).coroutines.parked = true;
        }
        yielder.suspend(());
    }
}

/// Takes a coroutine apart that is parked, or was abandoned.
fn into_stack(mut fiber: Fiber) -> DefaultStack {
    // SAFETY: it stands in `parked_loop`, which holds nothing that would have to be dropped, or is one of
    // which nothing is used any more.
    unsafe { fiber.force_reset() };
    fiber.into_stack()
}

impl Drop for Continuation {
    fn drop(&mut self) {
        drop(self.fiber.take().map(into_stack));
    }
}
