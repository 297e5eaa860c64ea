//! Fibers where only [`corosensei`] knows how to switch: each is left for the thread that has entered it.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;

/// A stack with code on it, and where that goes on when it does not run.
pub(crate) struct Fiber {
    coroutine: Coroutine<(), (), (), DefaultStack>,
    /// Null as long as it has not left.
    yielder: *const Yielder<(), ()>,
}

/// Where the operating-system thread goes on that has entered a fiber: the coroutine knows.
#[derive(Default)]
pub(crate) struct Home;

thread_local! {
    /// The yielder of the fiber that began last.
    static BEGUN: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
}

impl Fiber {
    /// Whether [`pass`](Self::pass) is one switch.
    pub(crate) const DIRECT: bool = false;

    /// A fiber that will run `body` on this stack.
    pub(crate) fn new(stack: DefaultStack, body: extern "C" fn() -> !) -> Self {
        // SAFETY: the coroutine borrows nothing.
        let coroutine = unsafe {
            Coroutine::with_stack_unchecked(stack, move |yielder: &Yielder<(), ()>, ()| {
                BEGUN.set(yielder);
                body()
            })
        };
        Self { coroutine, yielder: std::ptr::null() }
    }

    /// Runs the fiber on until it leaves.
    ///
    /// # Safety
    /// The fiber does not run, and no reference to what is passed is live.
    pub(crate) unsafe fn enter(fiber: *mut Self, _: *mut Home) {
        // SAFETY: nobody else touches the coroutine while it runs.
        match unsafe { (*fiber).coroutine.resume(()) } {
            CoroutineResult::Yield(()) => {}
            CoroutineResult::Return(()) => unreachable!("the body of a fiber has no end"),
        }
    }

    /// Goes back to where the fiber was entered; returns when it is entered again.
    ///
    /// # Safety
    /// The caller runs on this fiber; no reference to what is passed is live.
    pub(crate) unsafe fn leave(fiber: *mut Self, _: *mut Home) {
        // SAFETY: the yielder is the running coroutine's, which lives as long as it runs; the one that began last
        // is this one if it has never left.
        unsafe {
            if (*fiber).yielder.is_null() {
                (*fiber).yielder = BEGUN.get();
            }
            (*(*fiber).yielder).suspend(());
        }
    }

    /// [`leave`](Self::leave), for somebody to enter the other fiber.
    ///
    /// # Safety
    /// As [`leave`](Self::leave).
    pub(crate) unsafe fn pass(fiber: *mut Self, _: *mut Self, home: *mut Home) {
        // SAFETY: passed on to the caller.
        unsafe { Self::leave(fiber, home) }
    }

    /// Its stack.
    ///
    /// # Safety
    /// The fiber does not run and never will, and nobody uses what is on its stack.
    pub(crate) unsafe fn into_stack(mut self) -> DefaultStack {
        // SAFETY: passed on to the caller.
        unsafe { self.coroutine.force_reset() };
        self.coroutine.into_stack()
    }
}
