//! For other explorers: from the choices of an execution that fails to a failure that can be shown.

use crate::confirm::{Caught, Found, confirm};
use crate::guard::Guard;
use crate::options::Options;
use crate::schedule_runner::ScheduleRunner;
use racefuzz_runtime::Record;
use racefuzz_trace::{Choice, Failure};

/// How a failing execution was come by.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// What found it.
    pub found_by: &'static str,
    /// The number of executions before it.
    pub iteration: u64,
    /// Whether reference counts are scheduling points.
    pub count_points: bool,
}

/// Repeats an execution by its choices, makes it as short as it will go, and records it. `None` if
/// it does not fail.
pub fn shrink(
    options: &Options,
    program: &(dyn Fn() + Sync),
    guard: &Guard,
    choices: &[Choice],
    origin: Origin,
) -> Option<Failure> {
    let mut runner = ScheduleRunner::new(options, &options.settings, program, Some(guard));
    runner.count_points(origin.count_points);
    let (ended, _) = runner.run(choices, Record::Choices);
    let detected = ended.failure?;
    let found =
        Found { iteration: origin.iteration, found_by: origin.found_by, settings: options.settings.clone() };
    let caught = Caught {
        found,
        detected,
        choices: runner.choices().to_vec(),
        log: runner.log().to_vec(),
        left_over: ended.left_over,
        count_points: origin.count_points,
        unseen: ended.unseen,
        shown: None,
    };
    Some(confirm(&mut runner, options, caught))
}
