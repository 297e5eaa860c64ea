//! Async programs: tasks with a thread for each.

pub use racefuzz::future::{YieldNow, block_on, yield_now};
pub use racefuzz_primitives::future::parallel::{AbortHandle, JoinError, JoinHandle, spawn, spawn_local};
