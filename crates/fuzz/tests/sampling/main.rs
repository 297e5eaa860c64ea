//! What strategies, the minimiser and runs as a whole promise.

mod bounded_waits;
#[path = "../common/mod.rs"]
mod common;
mod custom;
mod decision;
mod laws;
mod minimise;
mod report;
