//! loom's interface over racefuzz: the same paths, the same macros, one changed line.
//!
//! ```toml
//! [target.'cfg(loom)'.dependencies]
//! loom = { package = "racefuzz-loom", version = "0.1" }
//! ```
//!
//! Tests written for loom are then explored by racefuzz: [`model()`] runs its program in every way
//! that RC11 allows, once per equivalence class, and panics with racefuzz's report (the failing
//! schedule, minimised and explained) if one of them fails. Where that is too much,
//! `RACEFUZZ_MODE=fuzz` samples some thousand schedules instead.
//!
//! ```should_panic
//! use loom::sync::Arc;
//! use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
//! use loom::thread;
//!
//! loom::model(|| {
//!     let count = Arc::new(AtomicUsize::new(0));
//!     let theirs = Arc::clone(&count);
//!     let other = thread::spawn(move || theirs.store(theirs.load(SeqCst) + 1, SeqCst));
//!     count.store(count.load(SeqCst) + 1, SeqCst); // may overwrite the other's
//!     other.join().unwrap();
//!     assert_eq!(count.load(SeqCst), 2);
//! });
//! ```
//!
//! # What differs from loom
//!
//! * An exploration needs no bound on preemptions: it has few executions because it runs those only
//!   once that nobody can tell apart. Where a bound is set, it is one: every class of executions with a
//!   schedule within it is explored, whatever way the exploration takes there, and stderr says so.
//! * [`model::Builder`] says what becomes of each of its fields, and of the `LOOM_*` variables. The
//!   run itself is set by racefuzz's own: `RACEFUZZ_MODE` (`check` or `fuzz`), `_MEMORY`,
//!   `_MAX_STEPS`, `_WORKERS`, `_INJECT`, `_REPLAY` (a token from a report), and for sampling
//!   `_ITERATIONS` (2,000 by default), `_SEED`, `_STRATEGY` and `_DEPTH`.
//! * Any number of threads; `thread::scope`, `Weak`, `Barrier`, `Once`, `OnceLock`, `LazyLock`,
//!   `sync_channel`, `park_timeout` and the rest of std's concurrency are there, and `new` is const
//!   where std's is.
//! * `SeqCst` is sequentially consistent, read-modify-writes are atomic, waits with a timeout time
//!   out, and a channel whose senders are gone says so.
//! * A wait with a timeout may time out at any moment. Spurious wake-ups of condition variables and
//!   parked threads, and spurious failures of `compare_exchange_weak`, come with
//!   `RACEFUZZ_INJECT=spurious,timeout` only. `future::block_on` may poll once for no reason, as under
//!   loom.
//! * Outside a model the types behave as std's instead of panicking (but for
//!   [`thread::spawn`], which takes what is not `Send`).
//! * Types have other sizes: no code may count on loom's.
#![deny(unsafe_code)]

pub mod future;
pub mod hint;
pub mod lazy_static;
pub mod model;
pub mod sync;
pub mod thread;

#[doc(inline)]
pub use crate::__loom_lazy_static as lazy_static;
pub use racefuzz::thread_local;
pub use racefuzz::{alloc, cell};

#[doc(inline)]
pub use crate::model::model;

/// The number of threads that loom can run, which programs may size themselves by. Nothing here
/// refuses more.
pub const MAX_THREADS: usize = 5;

/// loom starts to branch here. Here everything is explored: does nothing.
pub fn explore() {}

/// loom stops branching here, and takes the first schedule there is, to keep its tree small. Here
/// everything is explored: does nothing.
pub fn stop_exploring() {}

/// loom does not go back to the branch before this. Here everything is explored: does nothing.
pub fn skip_branch() {}

/// What the macros expand to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use racefuzz_primitives::__racefuzz_lazy_static_of as lazy_static_of;
}
