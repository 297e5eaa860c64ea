//! Tests as one call.

use crate::config::Config;
use crate::runner::Runner;
use crate::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, RoundRobinScheduler,
    UncontrolledNondeterminismCheckScheduler, UrwRandomScheduler,
};
use std::path::Path;

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $scheduler:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// With racefuzz's report, if an execution fails.
        #[track_caller]
        pub fn $name<F>(f: F, $($argument: $type),*)
        where
            F: Fn() + Send + Sync + 'static,
        {
            Runner::new($scheduler, Config::default()).run(f);
        }
    )*};
}

checks! {
    /// Runs the program once, its threads taking turns.
    check() = RoundRobinScheduler::new(1);
    /// Runs the program under random schedules.
    check_random(iterations: usize) = RandomScheduler::new(iterations);
    /// Runs the program under the random schedules of a seed.
    check_random_with_seed(seed: u64, iterations: usize) = RandomScheduler::new_from_seed(seed, iterations);
    /// Runs the program under schedules that are uniform over orders.
    check_urw(iterations: usize) = UrwRandomScheduler::new(iterations);
    /// Runs the program under schedules of random priorities, for bugs of a depth.
    check_pct(iterations: usize, depth: usize) = PctScheduler::new(depth, iterations);
    /// Explores every execution of the program, or so many at most.
    check_dfs(max_iterations: Option<usize>) = DfsScheduler::new(max_iterations, false);
    /// Runs the program twice under each of some random schedules: fails if it behaves differently.
    check_uncontrolled_nondeterminism(max_iterations: usize) =
        UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new(max_iterations));
    /// Runs the program under the schedule of a token.
    replay(encoded_schedule: &str) = ReplayScheduler::new_from_encoded(encoded_schedule);
}

/// Runs the program under the schedule of a file with a token.
///
/// # Panics
/// With racefuzz's report, if the execution fails; if the file cannot be read.
#[track_caller]
pub fn replay_from_file<F, P>(f: F, path: P)
where
    F: Fn() + Send + Sync + 'static,
    P: AsRef<Path>,
{
    let scheduler = ReplayScheduler::new_from_file(path).expect("could not load schedule from file");
    Runner::new(scheduler, Config::default()).run(f);
}
