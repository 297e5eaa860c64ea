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
//! How a value travels: a closure calls `ops::load`; [`Runner::run`]'s loop resumes the thread that
//! the explorer chose; the load picks one of the stores that the memory model allows (the explorer
//! chooses again), learns what that store releases, and returns its word.
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

pub mod alloc;
mod backend;
mod clock;
mod config;
mod crash;
mod execution;
mod explorer;
mod failure;
mod foreign;
mod frames;
mod graph;
mod heap;
mod heart;
mod interrupt;
mod lane;
mod memory;
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
mod stuck;
mod thread;

pub use backend::{Backend, Body, Session};
pub use clock::Clock;
pub use config::Config;
pub use crash::end_by;
pub use execution::Absent;
pub use explorer::{Alternatives, Explorer, Op, ThreadChoice};
pub use failure::{Detected, StableHasher};
pub use graph::{Access, Memory, Read, Standing, Standstill, Step, Wait};
pub use heart::Heart;
pub use interrupt::Interruption;
pub use object::{Primitive, Shared, Shown, Test};
pub use panics::{Abort, on_abort};
pub use runner::{Ended, Record, Runner};
pub use site::Site;
