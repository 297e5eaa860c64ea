//! What strategies, the minimiser and runs as a whole promise.

#[path = "../common/mod.rs"]
mod common;
mod custom;
mod decision;
mod laws;
mod minimise;
mod report;
