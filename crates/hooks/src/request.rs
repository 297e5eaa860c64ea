//! What the command line asks of a program under test, and what comes back: files of JSON, since the two are
//! compiled apart.

use racefuzz_trace::{FixReport, RunReport, Settings, Strategy};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an executable is asked to do: with the test that its arguments name, or with its `main`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    /// The name of the program in reports and tokens.
    pub program: String,
    /// See `racefuzz_fuzz::Options`.
    pub seed: u64,
    /// The number of executions.
    pub iterations: u64,
    /// How schedules are chosen.
    pub strategy: Strategy,
    /// See `racefuzz_fuzz::Options`; its default if it is left out.
    pub depth: Option<u32>,
    /// The settings of every execution.
    pub settings: Settings,
    /// A limit on wall-clock time.
    pub max_time: Option<Duration>,
    /// Whether executions that pass are followed by others although one has failed.
    pub keep_going: bool,
    /// The program is a test binary, whose harness starts the test in a thread.
    pub harness: bool,
    /// Folders that paths in reports are shown relative to.
    pub roots: Vec<String>,
    /// Tokens of schedules that are tried first.
    pub first: Vec<String>,
    /// The token of the one schedule that is to be repeated.
    pub replay: Option<String>,
    /// Every execution is to be explored, in this way, and not some of them.
    #[serde(default)]
    pub check: Option<Check>,
    /// Where some execution fails, changes that repair the program are to be searched for.
    #[serde(default)]
    pub fix: Option<Changeable>,
    /// Where the answer goes.
    pub answer: String,
}

/// How every execution is explored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Check {
    /// Only those with at most so many preemptions.
    pub preemptions: Option<u32>,
    /// Complete executions after which it ends without an answer.
    pub max_executions: Option<u64>,
}

/// What source may be changed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Changeable {
    /// Folders of packages that are there as files of the user's.
    pub folders: Vec<String>,
    /// Folders in those of packages that are not.
    pub others: Vec<String>,
}

impl Request {
    /// The environment variable that names the file with the request.
    pub const VARIABLE: &'static str = "RACEFUZZ_HOOKS";
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Answer {
    /// What was found.
    pub report: RunReport,
    /// What the program wrote to standard output and standard error in the execution shown; of one that
    /// passed, in the last.
    pub output: String,
    /// Where a replay left the schedule.
    pub diverged: Option<String>,
    /// What the program has used that is real, so that what waits for it may seem to wait for ever.
    pub real: Option<String>,
    /// Nothing of the standard library is hidden: data races are certain.
    pub sees_all: bool,
    /// The program started a thread in some execution.
    pub threads: bool,
    /// What was met that is not seen, where every execution was to be explored: there is no proof.
    #[serde(default)]
    pub unseen: Vec<String>,
    /// What repairs the program, if that was asked for.
    #[serde(default)]
    pub fix: Option<FixReport>,
}
