//! Floor 2: std's concurrency types, written once over the runtime's few operations.
//!
//! In go the calls users know from std (and loom): `Mutex::lock`, `AtomicUsize::fetch_add`,
//! `thread::spawn`. Inside an execution each becomes one or a few operations of
//! [`racefuzz_runtime::ops`], so every engine that can run those can run everything here. Outside an
//! execution every type behaves as its std counterpart, so that code can use these types in
//! ordinary tests and binaries; without the feature `model` they *are* std's.
//!
//! Every primitive handles three cases, the results of an operation: `Ok` inside an execution,
//! [`Absent::Outside`](racefuzz_runtime::Absent) (do what std does), and
//! [`Absent::TearDown`](racefuzz_runtime::Absent) (the execution is over and its threads are being
//! unwound: neither block nor fail).

pub mod alloc;
#[cfg(feature = "model")]
mod arc;
#[cfg(feature = "model")]
mod atomic;
#[cfg(feature = "model")]
mod barrier;
pub mod cell;
pub mod choose;
#[cfg(feature = "model")]
mod condvar;
pub mod console;
pub mod future;
pub mod hint;
pub mod local;
#[cfg(feature = "model")]
mod mpsc;
#[cfg(feature = "model")]
mod mutex;
#[cfg(feature = "model")]
mod once;
#[cfg(feature = "model")]
pub mod outside;
#[cfg(feature = "model")]
mod rwlock;
pub mod sync;
pub mod thread;
pub mod time;
pub mod var;
