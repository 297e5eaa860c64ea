//! What [`lazy_static!`](macro@crate::lazy_static) declares a static of.

pub use racefuzz::thread::{AccessError, panicking, yield_now};
pub use racefuzz_primitives::local::Lazy;
