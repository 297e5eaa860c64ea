//! Floor 3, the checking side: explores every execution graph of a program, each exactly once.
#![forbid(unsafe_code)]

mod explore;
mod graph;
mod model;
mod revisit;

use explore::Explore;
use racefuzz_runtime::{Config, Record, Runner};

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Complete.
    pub complete: u64,
    /// Blocked.
    pub blocked: u64,
    /// Failing.
    pub failing: u64,
    /// Runs.
    pub runs: u64,
}

/// Explores all.
pub fn explore(program: &dyn Fn(), config: Config) -> Counts {
    let mut explore = Explore::new(config.memory);
    let mut runner = Runner::new(config);
    let mut counts = Counts::default();
    loop {
        let ended = runner.run(program, &mut explore, Record::Choices);
        counts.runs += 1;
        assert!(!explore.diverged, "diverged");
        if ended.failure.is_some() {
            counts.failing += 1;
        }
        if !explore.is_consistent() {
            counts.runs -= 1;
        } else if ended.blocked {
            counts.blocked += 1
        } else {
            counts.complete += 1
        }
        let Some(item) = explore.later.pop() else { return counts };
        explore.load(item);
    }
}
