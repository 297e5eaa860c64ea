//! Finds the interleaving that breaks concurrent Rust code, and shows it so that a person
//! understands it at first sight.
//!
//! Write a test with racefuzz's types in place of std's. It runs under thousands of schedules; the
//! one that fails is minimised, explained and replayable.
//!
//! ```
//! use racefuzz::sync::Arc;
//! use racefuzz::sync::atomic::{AtomicU32, Ordering};
//! use racefuzz::thread;
//!
//! let report = racefuzz::Fuzzer::new().seed(42).iterations(100).fuzz(|| {
//!     let count = Arc::new(AtomicU32::new(5));
//!     let threads: Vec<_> = (0..2)
//!         .map(|_| {
//!             let count = Arc::clone(&count);
//!             thread::spawn(move || {
//!                 let n = count.load(Ordering::SeqCst);
//!                 count.store(n + 1, Ordering::SeqCst); // another thread may have stored meanwhile
//!             })
//!         })
//!         .collect();
//!     for thread in threads {
//!         thread.join().unwrap();
//!     }
//!     assert_eq!(count.load(Ordering::SeqCst), 7);
//! });
//! assert_eq!(report.outcome(), racefuzz::Outcome::Failed);
//! println!("{}", racefuzz::render(&report));
//! ```
//!
//! * [`test`](macro@test): an ordinary `#[test]` whose body is fuzzed; failing schedules are kept
//!   beside the crate and tried first next time.
//! * [`fuzz`](fn@fuzz): the same as a call, [`Fuzzer`]: the same with every setting.
//! * [`sync`], [`thread`], [`cell`], [`hint`], [`alloc`], [`future`], [`time`]: std's shapes, and
//!   loom's where std has none. Outside an execution they behave as std's.
//! * [`Var`]: a named plain shared variable, each access one step; [`note`](fn@note),
//!   [`println!`], [`finally`], [`assume`], [`nondet`]: what programs tell the report, and ask.
//! * [`scenario`]: programs with a name, for a command line of your own.
//! * `Checker` and [`check`](fn@check): every execution that the memory model allows, one of each kind; `Fixer`: what
//!   repairs a program, proved, and what of its synchronisation is needed.
//! * [`strategy`](mod@strategy): schedules chosen your way.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `model` | yes | Code runs under racefuzz where an execution is active. Without it every type *is* std's, and [`test`](macro@test) runs its body once. |
//! | `allocator` | yes | Be the global allocator of programs that link this crate. One with an allocator of its own wraps it in [`alloc::Allocator`] and leaves this out. |
//! | `fix` | yes | `Fixer`: repairs and audits. `cargo racefuzz fix` and `audit` switch it on for their runs, so a dependency that is to be built soon leaves it out. |
//! | `json` | no | Reports in files: `RACEFUZZ_REPORT_DIR`, as JSON, a page, SARIF and others. |
//! | `checkpoint` | no | Explorations that are kept in a file, to be gone on with later. |
//! | `tracing` | no | Logs runs, explorations and repairs that are tried through the crate `tracing`. |
//!
//! Features are unified: a dev-dependency switches `model` on for a package's benchmarks and examples, too. Outside an
//! execution the types then behave as std's, and cost a little more.
//!
//! # Where to go on
//!
//! The [book](https://github.com/racefuzz/racefuzz/blob/main/crates/book/text/SUMMARY.md) has a tutorial from a bug to a proved
//! repair, the commands, the anomalies, and limits.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// What programs under test allocate is looked after: see [`Allocator`](alloc::Allocator).
#[cfg(feature = "allocator")]
#[global_allocator]
static GLOBAL: alloc::Allocator = alloc::Allocator::new();

#[cfg(feature = "model")]
mod checker;
#[cfg(feature = "model")]
mod env;
#[cfg(feature = "model")]
mod expectations;
#[cfg(feature = "fix")]
mod fixer;
#[cfg(feature = "model")]
mod fuzzer;
#[cfg(feature = "model")]
pub mod ported;
#[cfg(feature = "model")]
#[doc(hidden)]
pub mod regressions;
#[cfg(feature = "model")]
pub mod scenario;
#[cfg(feature = "model")]
mod setters;
#[cfg(feature = "model")]
mod show;
#[cfg(feature = "model")]
pub mod strategy;
mod testing;

/// Makes a test that runs its body under racefuzz.
///
/// The function may return a `Result`, and may be `async`. Options: `iterations`, `seed`,
/// `strategy`, `memory`, `workers`, `max_steps`, `depth`, `inject`, `stack_size`; the environment
/// variables `RACEFUZZ_ITERATIONS`, `RACEFUZZ_SEED`, `RACEFUZZ_STRATEGY`, `RACEFUZZ_MEMORY`,
/// `RACEFUZZ_WORKERS` and `RACEFUZZ_REPLAY` (a token) override them.
///
/// ```
/// #[racefuzz::test(iterations = 500)]
/// fn increments() {
///     let n = racefuzz::Var::new("n", 0);
///     n.set(n.get() + 1);
///     assert_eq!(n.get(), 1);
/// }
/// ```
///
/// With `check` as its first option the test proves its body: it passes if every execution that the
/// memory model allows passes, and fails if one fails or if a limit ends the exploration before
/// that is known. Options then: `memory` (also `"tso"`), `max_executions`, `max_steps`, `workers`,
/// `stack_size`; overridden by `RACEFUZZ_MEMORY`, `RACEFUZZ_WORKERS` and `RACEFUZZ_REPLAY`.
///
/// ```
/// #[racefuzz::test(check, memory = "rc11", max_executions = 10_000)]
/// fn whoever_comes_first() {
///     let total = racefuzz::sync::Arc::new(racefuzz::sync::Mutex::new(0));
///     let other = racefuzz::sync::Arc::clone(&total);
///     let thread = racefuzz::thread::spawn(move || *other.lock().unwrap() += 1);
///     *total.lock().unwrap() += 1;
///     thread.join().unwrap();
///     assert_eq!(*total.lock().unwrap(), 2);
/// }
/// ```
pub use racefuzz_macros::test;

pub use racefuzz_primitives::{alloc, cell, future, hint, sync, thread, time};

pub use racefuzz_primitives::choose::{assume, nondet, note};
/// Runs an oracle when every thread of the execution has ended.
pub use racefuzz_primitives::console::finally;
/// The lines printed so far with [`println!`].
pub use racefuzz_primitives::console::lines as console_lines;
pub use racefuzz_primitives::local::{lazy_static, thread_local};
pub use racefuzz_primitives::var::Var;
/// Writes a line to the execution's console: one step. Outside an execution: std's.
pub use racefuzz_primitives::{note, println};

#[cfg(feature = "model")]
pub use checker::{Checker, Engineer, check, provide_loom};
#[cfg(feature = "model")]
pub use env::{SettingError, bytes, duration};
#[cfg(feature = "fix")]
pub use fixer::{Fixer, render_fixes, render_fixes_with};
#[cfg(feature = "model")]
pub use fuzzer::{Fuzzer, fuzz, replay};
#[cfg(feature = "checkpoint")]
pub use racefuzz_check::CheckpointError;
#[cfg(feature = "model")]
pub use racefuzz_check::{Observer as CheckObserver, Progress as CheckProgress};
#[cfg(feature = "fix")]
pub use racefuzz_fix::{Observer as FixObserver, Progress as FixProgress};
#[cfg(feature = "model")]
pub use racefuzz_fuzz::{Divergence, Observer, Replayed};
#[cfg(feature = "model")]
pub use racefuzz_trace::{
    AuditReport, Engine, Event, Expectation, Failure, FailureDetail, FailureKind, Fix, FixKind, FixReport,
    Inject, MemoryModel, Outcome, Proof, RunReport as Report, Schedule, Settings, Stats, Strategy,
    TokenError, Trace, UnknownName, Unseen, Warning,
};
#[cfg(feature = "model")]
pub use show::{Style, render, render_with};

/// Says that something should hold here in some execution: a run that passes without having seen it
/// may have passed by never coming to what it is about. The report of a run or check that passes lists
/// what was never seen. It is no step, and outside a run nothing happens.
///
/// ```
/// let full = false;
/// racefuzz::sometimes!(full, "a producer waits");
/// ```
///
/// Places that no execution comes to are listed if another one in their function is come to: `reachable!`
/// at a function's beginning has those in its branches listed.
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:literal $(,)?) => {
        $crate::__private::expect($name, $condition)
    };
}

/// Says that some execution should come here, as [`sometimes!`](crate::sometimes) of `true` does.
///
/// ```
/// racefuzz::reachable!("the slow path");
/// ```
#[macro_export]
macro_rules! reachable {
    ($name:literal $(,)?) => {
        $crate::__private::expect($name, true)
    };
}

/// What the attribute and the macros expand to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "model")]
    pub use crate::expectations::expect;

    /// There are no executions.
    #[cfg(not(feature = "model"))]
    pub fn expect(_name: &'static str, _holds: bool) {}

    pub use crate::testing::{Returned, TestCase, TestOptions, run_test};
}
