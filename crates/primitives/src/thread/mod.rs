//! Threads: `std::thread` over the runtime's operations.
//!
//! Inside an execution a thread is a coroutine of it, time is virtual, and
//! [`available_parallelism`] is 4. Outside one everything is std's.
//!
//! What std leaves open, and is explored: that `park` returns for no reason (where that is injected, as
//! it is by default in checking), that `park_timeout` and `sleep` end at any moment, that `is_finished`
//! is still false of a thread that has done its last step. A token that is there when a thread parks is
//! taken, whoever left it: std's own blocking calls use the same token, so a library that parks must
//! look again. racefuzz's own primitives neither take nor leave one; what they would do to it is what a
//! park that returns for no reason does.

#[cfg(not(feature = "model"))]
pub use std::thread::*;

#[cfg(feature = "model")]
mod builder;
#[cfg(feature = "model")]
mod handle;
#[cfg(feature = "model")]
mod join;
#[cfg(feature = "model")]
mod scope;
#[cfg(feature = "model")]
mod unjoined;

#[cfg(feature = "model")]
pub use self::{
    builder::Builder,
    handle::{Thread, ThreadId},
    join::{JoinHandle, spawn, spawn_unsend},
    model::*,
    scope::{Scope, ScopedJoinHandle, scope},
};

#[cfg(feature = "model")]
mod model {
    use super::Thread;
    use crate::outside;
    use racefuzz_runtime::{Absent, Site, ops};
    use racefuzz_trace::Verb;
    use std::io;
    use std::num::NonZero;
    use std::time::Duration;

    pub use crate::local::{AccessError, LocalKey};
    pub use std::thread::Result;

    /// The running thread, as `std::thread::current`.
    pub fn current() -> Thread {
        match ops::current_thread() {
            Ok(thread) => Thread::in_execution(thread),
            Err(_) => Thread::outside(std::thread::current()),
        }
    }

    /// Waits for the thread's token, as `std::thread::park`. Wakes without one only where
    /// spurious wake-ups are injected.
    #[inline]
    #[track_caller]
    pub fn park() {
        if ops::park(None, Site::caller()) == Err(Absent::Outside) {
            outside::step();
            std::thread::park();
        }
    }

    /// Waits for the thread's token for `timeout` at most, as `std::thread::park_timeout`. Inside
    /// an execution the time is virtual: it passes when no other thread can run.
    #[inline]
    #[track_caller]
    pub fn park_timeout(timeout: Duration) {
        if ops::park(Some(timeout), Site::caller()) == Err(Absent::Outside) {
            outside::step();
            std::thread::park_timeout(timeout);
        }
    }

    /// Lets time pass, as `std::thread::sleep`. Inside an execution the time is virtual, and other
    /// threads may or may not run meanwhile: a sleep orders nothing.
    #[inline]
    #[track_caller]
    pub fn sleep(time: Duration) {
        if ops::sleep(time, Site::caller()) == Err(Absent::Outside) {
            outside::step();
            std::thread::sleep(time);
        }
    }

    /// Gives way to the other threads, as `std::thread::yield_now`. Inside an execution the thread
    /// goes on only after another one has acted, if there is one that can.
    #[inline]
    #[track_caller]
    pub fn yield_now() {
        if ops::yield_now(Verb::Yield, Site::caller()) == Err(Absent::Outside) {
            outside::step();
            std::thread::yield_now();
        }
    }

    /// Whether the running thread is unwinding from a panic, as `std::thread::panicking`. Inside an
    /// execution std's own function may answer for another thread of it.
    #[inline]
    pub fn panicking() -> bool {
        ops::panicking()
    }

    /// How many threads run in parallel, as `std::thread::available_parallelism`. Inside an
    /// execution always 4, so that a program does not depend on the machine.
    pub fn available_parallelism() -> io::Result<NonZero<usize>> {
        const INSIDE: NonZero<usize> = NonZero::new(4).unwrap();
        match ops::mode() {
            Err(Absent::Outside) => std::thread::available_parallelism(),
            Ok(()) | Err(Absent::TearDown) => Ok(INSIDE),
        }
    }
}
