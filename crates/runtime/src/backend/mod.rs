//! A place for another engine under the primitives.
//!
//! Outside an execution of this runtime an operation asks whether a [`Backend`] runs on the
//! operating-system thread; if so the operation is that engine's, and primitives cannot tell the
//! difference. The engine brings the interleaving and the memory: accesses, state words, threads.
//! What no engine has of its own is kept here, in a [`Session`]: thread-local values, oracles, the
//! console, counted references, tracked memory, statics.
//!
//! ```text
//! engine's model loop -> Session::iterate -> program -> ops::load -> Session -> Backend::load -> engine
//! ```

mod operations;
mod session;

pub use session::Session;

use crate::ops::{Rmw, Update};
use crate::site::Site;
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, Verb};
use std::cell::Cell;
use std::time::Duration;

/// An engine that threads of a program run on, one at a time, on one operating-system thread.
///
/// A method that cannot do what it is asked ends the execution by unwinding; from then on
/// [`over`](Self::over) is true, and none of the others is called.
pub trait Backend {
    /// An execution begins, on the engine's first thread.
    fn begin(&self);

    /// Whether the present execution came to an end before the program did.
    fn over(&self) -> bool;

    /// Unwinds the calling thread of an execution that is over.
    fn unwind(&self) -> !;

    /// Whether the engine's own code runs: what panics is that, not the program.
    fn inside(&self) -> bool;

    /// The execution failed, for something that is found here and not by the engine.
    fn fail(&self, kind: FailureKind, message: String) -> !;

    /// The program looks at reference counts: they must be events, from the first execution on.
    fn count_references(&self) -> !;

    /// A new object, with the number that the operations on it give.
    fn object(&self, number: u32, kind: ObjectKind, initial: u64);

    /// An atomic load.
    fn load(&self, object: u32, order: MemoryOrder) -> u64;

    /// An atomic store.
    fn store(&self, object: u32, value: u64, order: MemoryOrder);

    /// An atomic read-modify-write that always writes; `f` maps the word read to the one written.
    fn rmw(&self, object: u32, order: MemoryOrder, verb: Verb, f: &dyn Fn(u64) -> u64) -> Rmw;

    /// An atomic compare-exchange.
    fn compare_exchange(
        &self,
        object: u32,
        orders: (MemoryOrder, MemoryOrder),
        verb: Verb,
        values: (u64, u64),
    ) -> Rmw;

    /// A fence.
    fn fence(&self, order: MemoryOrder);

    /// A non-atomic access to an atomic.
    fn unsync(&self, object: u32, writes: bool);

    /// Waits until the word of an object passes `how.test`, then changes it, in one step.
    fn update(&self, object: u32, how: &Update, change: &mut dyn FnMut(&mut u64));

    /// One of the ways in which an update may go.
    fn part(&self, count: usize) -> usize;

    /// A non-atomic access to memory.
    fn cell(&self, object: u32, writes: bool);

    /// Starts a thread; `task` if it is an async task of the running one.
    fn spawn(&self, thread: u32, task: bool, body: Body);

    /// A thread begins: it is the running one.
    fn entered(&self, thread: u32);

    /// The running thread has done all that is the program's.
    fn left(&self);

    /// Waits for a thread's end.
    fn join(&self, thread: u32);

    /// Whether a thread has ended.
    fn is_finished(&self, thread: u32) -> bool;

    /// The running thread.
    fn current(&self) -> u32;

    /// Waits for the running thread's token; whether there was one.
    fn park(&self, timeout: Option<Duration>) -> bool;

    /// Gives a thread its token.
    fn unpark(&self, thread: u32);

    /// Gives way to the other threads.
    fn yield_now(&self);

    /// One of the values below `count`.
    fn choose(&self, count: usize) -> usize;

    /// Whether something happens that need not.
    fn choose_spurious(&self) -> bool;

    /// Excludes the present execution.
    fn block(&self, site: Site) -> !;

    /// Virtual time.
    fn now(&self) -> Duration;

    /// Tracked memory is released.
    fn released(&self);
}

/// What a thread runs.
pub struct Body(Box<dyn FnOnce()>);

// SAFETY: the threads of an execution share one operating-system thread (see `Backend`), so the body
// stays where it is; engines ask for `Send` because std does.
unsafe impl Send for Body {}

impl Body {
    /// Runs it, on the thread it was made for.
    pub fn run(self) {
        (self.0)();
    }
}

thread_local! {
    static SESSION: Cell<Option<&'static Session>> = const { Cell::new(None) };
}

/// The session of the operating-system thread. Asked only where there is no execution.
#[inline]
pub(crate) fn session() -> Option<&'static Session> {
    SESSION.get()
}

/// As [`session`], for code that may also run in an execution.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn hosted() -> Option<&'static Session> {
    if crate::execution::current().is_null() { session() } else { None }
}

/// Makes operations on this operating-system thread those of `session`, or nobody's, until the value
/// returned is dropped.
pub(crate) fn set(session: Option<&'static Session>) -> Entered {
    Entered(SESSION.replace(session))
}

/// See [`set`].
pub(crate) struct Entered(Option<&'static Session>);

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        SESSION.set(self.0);
    }
}
