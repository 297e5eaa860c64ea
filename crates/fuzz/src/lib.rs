//! Floor 3, the sampling side: runs a program under many schedules, shows the shortest way to each
//! failure, and replays it.
//!
//! In go a program and [`Options`]; out comes a [`RunReport`](racefuzz_trace::RunReport). The
//! report depends on nothing else: iteration `i` draws from stream `i` of the seed, what is learned
//! in one block of iterations (1, 2, 4, 8, ...) is used from the next block on, and results are
//! merged in the order of the iterations, so any number of workers gives the same bytes.
//!
//! A failure takes this way: a fast execution that keeps its choices only; a replay of the choices
//! that records every event, and must fail likewise, or else the program is nondeterministic; the
//! minimiser, which looks for fewer switches; a last recorded replay, which becomes the trace.
//!
//! ```
//! use racefuzz_fuzz::{Options, fuzz};
//! use racefuzz_runtime::{Site, ops};
//! use racefuzz_trace::Outcome;
//!
//! let program = || {
//!     let choice = ops::choose(10, Site::caller()).unwrap();
//!     assert_ne!(choice, 7, "unlucky");
//! };
//! let report = fuzz(&Options { iterations: 100, ..Options::default() }, &program, &());
//! assert_eq!(report.outcome(), Outcome::Failed);
//! let token = report.failures()[0].schedule().to_string();
//!
//! let again = racefuzz_fuzz::replay(&token.parse().unwrap(), &Options::default(), &program);
//! assert_eq!(again.report.failures()[0].trace(), report.failures()[0].trace());
//! ```
#![forbid(unsafe_code)]

mod confirm;
mod corpus;
mod decision;
mod driver;
mod guard;
mod hanging;
mod iteration_rng;
mod limits;
mod log;
mod minimise;
mod options;
mod profile;
mod recheck;
mod replay;
mod schedule_runner;
mod shrink;
mod sight;
mod stats_collector;
mod strategy;
mod worker;

pub use decision::decide;
pub use driver::fuzz;
pub use guard::{Guard, Pulse, guarded, guarded_here, on_abort_report};
pub use limits::{Limits, Reached};
pub use options::{Observer, Options};
pub use recheck::{Difference, Executed, Order, compare, is_sampled};
pub use replay::{Divergence, Replayed, replay};
pub use shrink::{Origin, shrink};
pub use sight::Sight;
pub use strategy::custom;
