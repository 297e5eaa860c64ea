//! The judge of the primitives: random small programs over all of them, and a naive enumerator of their
//! interleavings, which shares no code with any engine.
//!
//! ```
//! use racefuzz_soak::{Limits, MemoryModel::{Rc11, Sc}, Theme, compare, generate};
//!
//! let limits = Limits {
//!     states: 10_000,
//!     executions: 10_000,
//!     samples: 100,
//!     graphs: &[Sc, Rc11],
//!     schedules: Some((Sc, 9)),
//! };
//! assert!(!compare(&generate(7, &[Theme::Atomics, Theme::Mutexes]), &limits).differs());
//! ```

mod compare;
mod generate;
mod machine;
mod outcome;
mod program;
mod run;
mod shrink;

pub use compare::{Limits, Verdict, compare, unreached};
pub use generate::{Theme, generate};
pub use machine::outcomes;
pub use outcome::{End, Outcome};
pub use program::{Capacity, Keeps, Looks, Op, Program};
pub use racefuzz_trace::MemoryModel;
pub use shrink::shrink;
