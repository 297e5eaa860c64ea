//! The arguments of the tools.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Arguments of `list`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// Part of the names to list; all if it is left out.
    #[serde(default)]
    pub(crate) filter: Option<String>,
}

/// A program under test; it is all that `fix` is told.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Program {
    /// A scenario's name, or part of the path of `#[racefuzz::test]`s where a package is named.
    pub(crate) name: String,
    /// The folder of the package whose tests are meant; a scenario that comes with racefuzz if it is left out.
    #[serde(default)]
    pub(crate) package: Option<String>,
    /// Parameters of a scenario, such as `{"threads": 3}`.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, u64>,
    /// Which values a load may return: `rc11` (the default), `sc`, or for `check` also `tso`.
    #[serde(default)]
    pub(crate) memory: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) program: Program,
    /// Seed of all random choices; 0 if it is left out.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// Number of executions; 10,000 if it is left out.
    #[serde(default)]
    pub(crate) iterations: Option<u64>,
    /// How schedules are chosen: `portfolio` (the default), `random`, `pct`, `pos`, `urw`, `surw`, `rff`, `delay`.
    #[serde(default)]
    pub(crate) strategy: Option<String>,
    /// Seconds after which it stops; 60 if it is left out.
    #[serde(default)]
    pub(crate) max_seconds: Option<u32>,
}

/// Arguments of `check`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Check {
    #[serde(flatten)]
    pub(crate) program: Program,
    /// Only executions that need at most so many preemptions.
    #[serde(default)]
    pub(crate) preemptions: Option<u32>,
    /// Seconds after which it stops; 60 if it is left out.
    #[serde(default)]
    pub(crate) max_seconds: Option<u32>,
}

/// Arguments of `explain`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    /// The token of a failure, as `run` and `check` return it.
    pub(crate) token: String,
    /// The folder of the package whose test it is, if it is no scenario's.
    #[serde(default)]
    pub(crate) package: Option<String>,
}

/// Arguments of `step`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// The token of a failure, as `run` and `check` return it.
    pub(crate) token: String,
    /// The folder of the package whose test it is, if it is no scenario's.
    #[serde(default)]
    pub(crate) package: Option<String>,
    /// The number of the step, from 1.
    pub(crate) step: u32,
}

/// Arguments of `verify_patch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyPatch {
    /// The folder of the package that is patched. Its files stay as they are.
    pub(crate) package: String,
    /// Part of the path of the tests that are to hold.
    pub(crate) name: String,
    /// A unified diff, its paths relative to the package or to its workspace.
    pub(crate) patch: String,
}
