//! What the environment asks of a test.

use super::TestCase;
use crate::show;
use racefuzz_trace::Schedule;

/// What is done with a test.
pub(super) enum Request {
    /// Schedules are sampled.
    Run,
    /// Every execution is explored.
    Check,
    /// Repairs are searched for.
    Fix,
    /// The test's synchronisation is audited.
    Audit,
    /// One schedule is repeated.
    Replay(Schedule),
}

impl Request {
    /// The request of the environment, else that of the attribute. `RACEFUZZ_REPLAY` speaks of one test:
    /// the others of a binary are run as if it were not there.
    pub(super) fn of(case: &TestCase) -> Self {
        if is_set("RACEFUZZ_FIX") {
            return Self::Fix;
        }
        if is_set("RACEFUZZ_AUDIT") {
            return Self::Audit;
        }
        if let Ok(token) = std::env::var("RACEFUZZ_REPLAY") {
            let schedule: Schedule = token
                .parse()
                .unwrap_or_else(|error| show::fail_test(format!("RACEFUZZ_REPLAY={token}: {error}")));
            if schedule.program == case.name {
                return Self::Replay(schedule);
            }
        }
        match case.options.check || is_set("RACEFUZZ_CHECK") {
            true => Self::Check,
            false => Self::Run,
        }
    }
}

/// Whether a variable is there and is not `0`.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value != "0")
}
