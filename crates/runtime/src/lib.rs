//! Floor 1: runs ONE execution of a concurrent program, again and again.
//!
//! In goes a closure and an [`Explorer`] that decides wherever there is a choice; out come the
//! choices that were made, what went wrong, and, if asked for, a
//! [`Trace`](racefuzz_trace::Trace). Threads are coroutines on pooled stacks; no two run at a time,
//! so an execution is a function of the choices.
//!
//! The code under test reaches the runtime through [`ops`], a few operations of which the
//! primitives on the floor above are made: accesses to atomics and to memory, updates of a state
//! word under a condition, threads, reference counts, tracked memory. Each operation *states* what
//! it will do, waits until it is chosen, and then happens without interruption. Unlocked, spawned,
//! joined: what commutes with everything is no choice.
//!
//! What runs once per step is inlined into the program under test, but not where debug assertions
//! are on: there the copies would cost more time in the compiler than they save.
//!
//! # The walk of a load
//! 1. The primitive calls `ops::load`, which reads the pointer to the running execution, the only
//!    thread-local that a step looks at (besides the flag that says whose code runs, see [`alloc`]).
//! 2. One flag of the execution says whether it is *lean*: nothing is on besides the program (an overlay, a
//!    recorder, an explorer of graphs, faults, the fair tail, an end), and neither clocks nor store histories are
//!    kept. What follows is then compiled for that alone, into the program; else it is a call.
//! 3. The object's number is found by one comparison of the object's identity with the execution's, or the object
//!    is met for the first time.
//! 4. The load is stated: it becomes the thread's pending operation. One comparison, of the number of steps, says
//!    that nothing has happened since somebody has last looked at who may run (*calm*); then the explorer chooses
//!    among the enabled threads, or, if it chooses uniformly, its next random word does.
//! 5. If that is another thread, the coroutine is suspended and the chosen one goes on, and some time this one,
//!    which looks at the object's identity again: it may have been released.
//! 6. The event is counted; the load reads the newest word (where histories are kept: one of the stores that the
//!    memory model allows, which the explorer chooses, and it learns what that store releases), adds its edge to
//!    the sum that tells executions apart and a word to the log, and returns the word.
//!
//! # What an execution keeps
//! An `Execution` is split by duty: who decides, whose turn it may be, what events have established, where
//! values lie, how it ends, the coroutines. So is a thread's entry. Parts that most executions leave as they
//! are know whether anybody has changed them, and are otherwise not reset.
//!
//! Clocks and store histories are kept only where somebody may ask for them. A sampling explorer may let
//! executions be [light](Config::light): as long as atomics are SeqCst (or the memory model is `sc`), nothing
//! that is not atomic is accessed and no address is handed over, one event need not be known to happen before
//! another. The first operation that asks ends that; the execution is run [again](Ended::again) with both.
//!
//! ```
//! use racefuzz_runtime::{ops, Config, Record, Runner, Site};
//! # use racefuzz_runtime::{Explorer, ThreadChoice, Alternatives};
//! # struct First;
//! # impl Explorer for First {
//! #     fn choose_thread(&mut self, c: &ThreadChoice<'_>) -> racefuzz_trace::ThreadId { c.default_thread() }
//! #     fn choose(&mut self, _: Alternatives) -> u32 { 0 }
//! # }
//! let program = || {
//!     let site = Site::caller();
//!     // SAFETY: nothing is borrowed.
//!     let child = unsafe { ops::spawn(ops::SpawnOptions::default(), site, || 2 + 2) }.unwrap();
//!     assert_eq!(ops::join(child, site).unwrap().unwrap(), 4);
//! };
//! let ended = Runner::new(Config::default()).run(&program, &mut First, Record::Choices);
//! assert!(ended.failure.is_none());
//! ```

/// Holds what a step takes for granted, where that is looked at: a user's tests are built with debug assertions, too.
macro_rules! invariant {
    ($($condition:tt)*) => {
        if cfg!(feature = "assertions") {
            debug_assert!($($condition)*);
        }
    };
}

pub mod alloc;
mod backend;
pub mod chacha8;
mod clock;
mod config;
mod continuation;
mod crash;
mod deadlock;
mod execution;
mod explorer;
mod failure;
mod fiber;
mod foreign;
mod frames;
mod graph;
mod heap;
mod heartbeat;
mod interrupt;
mod locals;
mod object;
pub mod ops;
mod overlay;
mod panics;
mod race;
mod record;
mod runner;
mod schedule;
mod site;
mod stacks;
mod statics;
mod std_arc;
mod store_history;
mod thread;
mod touched;

pub use backend::{Backend, Body, Session};
pub use clock::Clock;
pub use config::Config;
pub use crash::end_by;
pub use execution::Absent;
pub use explorer::{Alternatives, Explorer, Op, ThreadChoice, WordSource, Words};
pub use failure::{Detected, StableHasher};
pub use graph::{Access, Memory, Read, Standing, Standstill, Step, Wait};
pub use heartbeat::Heartbeat;
pub use interrupt::Interruption;
pub use object::{Primitive, Shared, Shown, Test};
pub use panics::{Abort, on_abort};
pub use runner::{Ended, Record, Runner};
pub use site::{Place, Site, resolve_code};
