//! What [`lazy_static!`](macro@crate::lazy_static) declares a static of.

pub use racefuzz::lazy_static;
pub use racefuzz_primitives::local::{Lazy, LazyStatic, initialize};
