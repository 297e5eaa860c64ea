//! shuttle's interface over racefuzz: the same paths, the same macros, one changed line.
//!
//! ```toml
//! [dev-dependencies]
//! shuttle = { package = "racefuzz-shuttle", version = "0.1" }
//! ```
//!
//! ```should_panic
//! use shuttle::sync::{Arc, Mutex};
//! use shuttle::thread;
//!
//! shuttle::check_random(|| {
//!     let lock = Arc::new(Mutex::new(0u64));
//!     let theirs = Arc::clone(&lock);
//!     thread::spawn(move || *theirs.lock().unwrap() = 1);
//!     assert_eq!(*lock.lock().unwrap(), 0);
//! }, 100);
//! ```
//!
//! # What differs from shuttle
//!
//! * A failure is minimised and explained, and its token is racefuzz's: [`replay`] does not
//!   read shuttle's own schedules. Seeds give other schedules; the default seed is 0, not a random
//!   one, unless `SHUTTLE_RANDOM_SEED` says otherwise.
//! * [`check_dfs`] explores every execution once per equivalence class, not every interleaving.
//! * The memory model is `sc`, as shuttle's is; `RACEFUZZ_MEMORY=rc11` samples weak memory, for
//!   programs that do not count on what [`sync::Arc`] orders (it is std's here, as in shuttle).
//! * Waits with a timeout time out, and time is virtual. A detached thread that waits for ever is a
//!   deadlock.
//! * A [`scheduler::Scheduler`] is one of those named in [`scheduler`]: others cannot be written.
//!   `annotations`, `current`'s labels, tags and clocks, and `future::batch_semaphore` are not there.
//! * racefuzz's settings come from the environment and win: `RACEFUZZ_ITERATIONS`, `_SEED`,
//!   `_STRATEGY`, `_MODE`, `_MEMORY`, `_REPLAY` and so on.
#![forbid(unsafe_code)]

#[cfg(feature = "annotation")]
compile_error!("racefuzz has no recordings for Shuttle Explorer: its reports show the schedule");

mod check;
mod config;
pub mod current;
pub mod future;
pub mod lazy_static;
pub mod rand;
mod runner;
pub mod scheduler;
pub mod sync;
pub mod thread;

pub use crate::check::{
    check, check_dfs, check_pct, check_random, check_random_with_seed, check_uncontrolled_nondeterminism,
    check_urw, replay, replay_from_file,
};
pub use crate::config::{
    Config, ContinuationFunctionBehavior, FailurePersistence, MaxSteps, UngracefulShutdownConfig,
};
pub use crate::runner::{PortfolioRunner, Runner};
pub use racefuzz::hint;
pub use racefuzz::{lazy_static, thread_local};
