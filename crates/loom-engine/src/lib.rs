//! Floor 3, the second opinion: a program of racefuzz's types on the [loom] crate.
//!
//! In go a program and the options of [`racefuzz_check`]; out comes a report in the same form, and
//! the [`Exception`]s that the program met: what loom lacks, which ends the exploration, and what it
//! is known to get wrong, which goes into the verdict. [`agree`] compares the two engines' reports.
//!
//! `backend` does the runtime's operations with loom's, `twins` holds loom's objects, `exceptions` is
//! the table of limitations. Locks and atomics, cells and threads are loom's, one to one; what is
//! neither (`Var`, channels, condition variables, once cells) is a word under a loom lock with a loom
//! condition variable; values stay where the program has them, as loom runs one thread at a time.
//!
//! ```
//! use racefuzz_loom_engine::{Options, agree, check};
//! use racefuzz_runtime::{Site, ops};
//! use racefuzz_trace::Outcome;
//!
//! let program = || {
//!     let site = Site::caller();
//!     // SAFETY: nothing is borrowed.
//!     let child = unsafe { ops::spawn(ops::SpawnOptions::default(), site, || 2 + 2) }.unwrap();
//!     assert_eq!(ops::join(child, site).unwrap().unwrap(), 4);
//! };
//! let loom = check(&Options::default(), &program);
//! assert_eq!(loom.outcome(), Outcome::Passed);
//! let graph = racefuzz_check::check(&Options::default(), &program, &());
//! assert!(agree(&graph, &loom).holds());
//! ```
//!
//! [loom]: https://docs.rs/loom
#![forbid(unsafe_code)]

mod agree;
mod backend;
mod engine;
mod exceptions;
mod twins;

pub use agree::{Agreement, Verdict, agree, agree_despite};
pub use engine::{Checked, check, check_watched};
pub use exceptions::{Effect, Exception};
pub use racefuzz_check::Options;
