//! What went wrong in an execution.

use crate::{Decision, ObjectId, Schedule, SiteId, ThreadId, Trace, Unseen, Verb};
use std::fmt;

/// The kinds of failure the runtime itself detects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FailureKind {
    /// A thread panicked (a failed assertion, an unwrap).
    Panic,
    /// No thread can go on.
    Deadlock,
    /// Two unordered accesses to the same memory, at least one a non-atomic one and at least one a write.
    DataRace,
    /// Something allocated or counted was never released.
    Leak,
    /// Something was used after it was released.
    UseAfterFree,
    /// The execution did not end within the step limit.
    StepLimit,
    /// The program behaves differently under the same schedule.
    Nondeterminism,
    /// The program, a process of its own, ended with an exit code other than 0.
    Exit,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Panic => "panic",
            Self::Deadlock => "deadlock",
            Self::DataRace => "data race",
            Self::Leak => "leak",
            Self::UseAfterFree => "use after free",
            Self::StepLimit => "step limit",
            Self::Nondeterminism => "nondeterminism",
            Self::Exit => "exit code",
        })
    }
}

/// A thread that waits, in a deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WaitEdge {
    /// The thread that waits.
    pub thread: ThreadId,
    /// What it wants to do.
    pub verb: Verb,
    /// The object it waits for.
    pub object: Option<ObjectId>,
    /// Where it waits.
    pub site: SiteId,
    /// The threads that would have to act (the holders of the lock, the thread to be joined), with
    /// the place where they took what they hold.
    pub holders: Vec<(ThreadId, Option<SiteId>)>,
}

/// One of two racing accesses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RacingAccess {
    /// The thread.
    pub thread: ThreadId,
    /// What it did.
    pub verb: Verb,
    /// Where.
    pub site: SiteId,
    /// The step, if it is part of the trace.
    pub step: Option<u32>,
}

/// What a failure of each kind is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FailureDetail {
    /// A panic: where it was raised.
    Panic {
        /// The place of the panic.
        site: Option<SiteId>,
        /// Whether it came from an oracle that runs after all threads have ended.
        at_end: bool,
    },
    /// A deadlock: who waits for whom.
    Deadlock {
        /// The waiting threads.
        waiting: Vec<WaitEdge>,
        /// A cycle among them, as threads in order, if there is one (one thread: a self-deadlock).
        cycle: Vec<ThreadId>,
    },
    /// A data race.
    DataRace {
        /// The memory.
        object: ObjectId,
        /// The access that came first.
        first: RacingAccess,
        /// The access that came second.
        second: RacingAccess,
    },
    /// Objects that were never released.
    Leak {
        /// The objects.
        objects: Vec<ObjectId>,
    },
    /// A use after release.
    UseAfterFree {
        /// What was released.
        object: ObjectId,
        /// Who released it, and at which step.
        freed: RacingAccess,
        /// Who used it.
        used: RacingAccess,
    },
    /// The execution did not end: the threads that kept running.
    StepLimit {
        /// The threads that could still run.
        spinning: Vec<ThreadId>,
    },
    /// The first step that differs between two runs of one schedule.
    Nondeterminism {
        /// The step.
        step: u32,
        /// What the first run did there.
        expected: String,
        /// What the second run did there.
        found: String,
        /// Objects that kept a value from one execution to the next.
        left_over: Vec<String>,
        /// Later executions of the schedule agree with each other: the first one left something
        /// behind that racefuzz does not see.
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_false"))]
        kept: bool,
        /// The failure that was seen once and not again.
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
        unrepeated: Option<String>,
    },
    /// Something outside of racefuzz's types.
    Unseen(Unseen),
    /// The program ended with this exit code.
    Exit {
        /// Not 0.
        code: i32,
    },
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A failure, with everything needed to show and to repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// One line: the panic's message, or what was detected.
    pub message: String,
    /// The thread in which it was detected.
    pub thread: ThreadId,
    /// The number of events that had been executed when it was detected; what follows in the trace
    /// is not part of the story.
    pub step: u32,
    /// What it is about.
    pub detail: FailureDetail,
    /// The iteration in which it was found, from 0.
    pub iteration: u64,
    /// The strategy that found it, by name.
    pub found_by: String,
    /// The execution, minimised.
    pub trace: Trace,
    /// The choices that repeat it.
    pub schedule: Schedule,
    /// Where it was decided, if that was looked for and says something.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub decision: Option<Decision>,
}

impl Failure {
    /// What has [found](Self::found_by) it where executions were enumerated.
    pub const CHECKED: &str = "check";

    /// The kind of failure.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// One line: the panic's message, or what was detected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The execution that fails, minimised.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The choices that repeat it; prints as a token. Those of a failure that is not
    /// [replayable](Self::is_replayable) lead elsewhere.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Whether its schedule repeats it. A checker also finds executions that the runtime's own memory
    /// does not have, such as those of TSO's store buffers.
    pub fn is_replayable(&self) -> bool {
        self.found_by != Self::CHECKED || !self.schedule.choices.is_empty() || self.schedule.fingerprint != 0
    }
}
