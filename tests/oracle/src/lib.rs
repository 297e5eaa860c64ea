//! The judge of the checker: small concurrent programs and a naive enumerator of their execution
//! graphs, which shares no code with any engine.
//!
//! In goes a [`Program`], read by [`parse`]; out come its [`Counts`] under a memory [`Model`].
//!
//! ```
//! use racefuzz_oracle::{Model, enumerate, parse};
//!
//! let store_buffering = &parse("SB\n T: x = 1 rel; a := y acq\n T: y = 1 rel; a := x acq").unwrap()[0];
//! assert_eq!(enumerate(store_buffering, Model::Sc).complete, 3);
//! assert_eq!(enumerate(store_buffering, Model::Rc11).complete, 4);
//! ```

#![forbid(unsafe_code)]

mod axioms;
mod buffers;
mod enumerate;
mod generate;
mod graph;
mod machine;
mod parse;
mod program;
mod relation;
mod run;
mod shrink;

pub use axioms::Model;
pub use buffers::{on_one_memory, with_store_buffers};
pub use enumerate::{Counts, Graphs, enumerate, enumerate_within, graphs, in_any_order};
pub use generate::{generate, generate_loops};
pub use parse::{ParseError, parse};
pub use program::{Expr, Location, Op, Operator, Order, Program, Thread};
pub use run::{Shared, Sharing, await_value, closure, observed, run};
pub use shrink::shrink;

/// The tests of `tests/litmus`, with the counts that their headers state.
pub fn litmus() -> Vec<Program> {
    let files = [include_str!("../../litmus/published.lit"), include_str!("../../litmus/more.lit")];
    files.into_iter().flat_map(|text| parse(text).expect("the litmus files are well-formed")).collect()
}
