//! The result of a whole run: many executions.

use crate::{Engine, Failure, Settings, Strategy};

/// The verdict of a run, the three words of an honest verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Outcome {
    /// No bug: `no bug in N executions` when sampled, `verified` when explored exhaustively.
    Passed,
    /// A bug was found.
    Failed,
    /// A budget ran out before an answer, or no execution completes.
    Incomplete,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        })
    }
}

/// A share of executions with its 95 % confidence interval (Wilson score).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Share {
    /// Executions counted.
    pub count: u64,
    /// Out of so many.
    pub total: u64,
}

impl Share {
    /// The share itself, from 0 to 1; 0 where the total is 0.
    pub fn value(self) -> f64 {
        if self.total == 0 { 0.0 } else { self.count as f64 / self.total as f64 }
    }

    /// The 95 % confidence interval after Wilson (JASA 1927): lower and upper bound of the share.
    pub fn interval(self) -> (f64, f64) {
        if self.total == 0 {
            return (0.0, 1.0);
        }
        let (n, p, z) = (self.total as f64, self.value(), 1.959_963_984_540_054);
        let centre = p + z * z / (2.0 * n);
        let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
    }
}

/// What the executions of a run have in common.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stats {
    /// Complete executions, failing ones included.
    pub executions: u64,
    /// Executions that an `assume` or an await that never holds stopped.
    pub blocked: u64,
    /// Executions that failed.
    pub failing: u64,
    /// Distinct equivalence classes (reads-from and modification order) seen.
    pub classes: u64,
    /// Classes seen exactly once: over `executions`, the Good-Turing chance that the next
    /// execution shows a new class.
    pub singletons: u64,
    /// Distinct outcomes seen: what was printed, or how it failed.
    pub outcomes: u64,
    /// Events executed in all executions together.
    pub steps: u64,
    /// Threads that could not be ended and were abandoned.
    pub abandoned: u64,
}

impl Stats {
    /// The share of executions that fail.
    pub fn failing_share(&self) -> Share {
        Share { count: self.failing, total: self.executions }
    }

    /// The Good-Turing estimate of the chance that the next execution shows a new class
    /// (Good, Biometrika 1953), from 0 to 1.
    pub fn next_class_is_new(&self) -> f64 {
        if self.executions == 0 { 1.0 } else { self.singletons as f64 / self.executions as f64 }
    }
}

#[cfg(feature = "serde")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What an exhaustive exploration explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Proof {
    /// What ran the program.
    pub engine: Engine,
    /// Whether every class of executions was explored: only then, and if none fails, is the program
    /// verified.
    pub whole: bool,
    /// The bound, if only the executions with at most so many preemptions were explored: only of those
    /// is the program then verified. A preemption takes the turn from a thread that could go on, and
    /// has not just given way.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub preemptions: Option<u32>,
    /// Schedules that were sampled besides, before the exploration went on; they count in no other number.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
    pub sampled: u64,
    /// Whether some execution has a relaxed load before a relaxed store of its thread. RC11 excludes
    /// load buffering, which compilers and ARM allow for those.
    pub relaxed: bool,
}

/// Why a verdict may say less than it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Warning {
    /// The program starts threads, and no instrumented object is used by two of them.
    NothingShared {
        /// Threads of an execution, the first one included.
        threads: u32,
    },
    /// The program does nothing that racefuzz sees.
    NothingSeen,
    /// The program is linked to a standard library that comes compiled: of what is not inlined into the program nothing
    /// is seen, and it is taken for granted that it does what its documentation says.
    CompiledLibrary,
    /// Two executions of one schedule read or wrote different values.
    ValuesDiffer {
        /// The first difference.
        first: String,
    },
}

/// Something that a program says should happen in some execution (`sometimes!`, `reachable!`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Expectation {
    /// What the program calls it.
    pub name: String,
    /// Where it stands.
    pub site: crate::Site,
    /// Whether some execution came to it.
    pub reached: bool,
    /// Whether it held in some execution.
    pub seen: bool,
}

/// The result of a run of a program.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RunReport {
    /// Version of this form, [`FORMAT_VERSION`](crate::FORMAT_VERSION).
    pub version: u32,
    /// The program's name.
    pub program: String,
    /// The verdict.
    pub outcome: Outcome,
    /// The seed.
    pub seed: u64,
    /// The strategy.
    pub strategy: Strategy,
    /// The settings of every execution.
    pub settings: Settings,
    /// Executions asked for.
    pub iterations: u64,
    /// Counts over the executions.
    pub stats: Stats,
    /// The failures, by iteration; one unless the run was told to keep going.
    pub failures: Vec<Failure>,
    /// Why the run ended before all iterations were done, if it did.
    pub stopped: Option<String>,
    /// What the verdict does not speak of, though the user may think so.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub warnings: Vec<Warning>,
    /// Set where executions were enumerated, not sampled.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub proof: Option<Proof>,
    /// What should happen in some execution, by place; only of a run that passed, as any other one has
    /// not executed all that it was asked for.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub expectations: Vec<Expectation>,
}

impl RunReport {
    /// The verdict.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Complete executions.
    pub fn executions(&self) -> u64 {
        self.stats.executions
    }

    /// Executions that an `assume` or an await that never holds stopped.
    pub fn blocked(&self) -> u64 {
        self.stats.blocked
    }

    /// The failures, by iteration.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}
