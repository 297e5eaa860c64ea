//! Floor 4: searches for changes that repair a program, and proves them.
//!
//! In goes a program and [`Options`]; out comes a [`FixReport`] of plain data: repairs by kind, best
//! first, each with its verdict, the good schedules and the parallelism it leaves. Nothing of the
//! source is changed: a repair is tried as an [`Overlay`], a set of virtual edits that the runtime
//! applies while the program runs.
//!
//! How the search goes: the program is explored as it is. Can mutual exclusion repair it at all? That
//! is tried with everything under one lock. Then every bad execution says which stretches must not be
//! interrupted, the smallest placements that keep to all of that are proved or refuted by exploring
//! every execution under them, and a refutation is one more bad execution to learn from. Other kinds
//! of repair have short searches of their own.
//!
//! ```
//! use racefuzz_fix::{FixKind, Options, fix};
//! use racefuzz_primitives::{thread, var::Var};
//! use std::sync::Arc;
//!
//! let report = fix(&Options::default(), &|| {
//!     let n = Arc::new(Var::new("n", 0));
//!     let threads: Vec<_> = (0..2)
//!         .map(|_| {
//!             let n = Arc::clone(&n);
//!             thread::spawn(move || n.set(n.get() + 1))
//!         })
//!         .collect();
//!     threads.into_iter().for_each(|thread| thread.join().unwrap());
//!     assert_eq!(n.get(), 2);
//! });
//! assert_eq!(report.fixes()[0].kind, FixKind::NewLock);
//! assert!(report.fixes()[0].is_sequential());
//! ```
#![forbid(unsafe_code)]

mod advice;
mod audit;
mod changeable;
mod clause;
mod conditional_waits;
pub mod count;
mod describe;
mod dfs;
mod early_drops;
mod edges;
mod fences;
mod gates;
mod given_back;
mod graph;
mod graph_engine;
mod hidden;
mod kinds;
mod locks;
mod moves;
mod notifications;
mod options;
mod orderings;
mod own;
mod passed_on;
mod placement;
mod plan;
mod rank;
mod retests;
mod search;
mod sites;
pub mod span;
mod steps;
mod stretches;
mod swaps;
mod tokens;
mod updates;
mod verifier;

pub use audit::{audit, audit_watched};
pub use dfs::Dfs;
pub use graph_engine::Graphs;
pub use options::{HiddenAccesses, Limit, Observer, Options, Progress};
pub use plan::{fix, fix_watched, fix_with};
pub use racefuzz_trace::{Edit, Fix, FixKind, FixReport, Overlay};
pub use verifier::{Bad, Explored, Go, Task, Verifier, Visit};
