//! What the scenarios promise.

mod loom;
mod scenarios_a;
mod scenarios_b;
