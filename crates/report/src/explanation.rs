//! What a report says about a failure, before it is laid out in any format.

use racefuzz_trace::{ObjectId, SiteId, ThreadId};
use std::fmt;

macro_rules! anomalies {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        /// What kind of concurrency bug a failure is, by its established name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
        #[non_exhaustive]
        pub enum Anomaly { $($(#[doc = $doc])* $name,)* }

        impl Anomaly {
            /// The name, in lower case, as a report prints it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it is, in a sentence.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// The name as an identifier: `lost-update`.
            pub fn id(self) -> String {
                self.name().to_ascii_lowercase().replace(' ', "-")
            }
        }
    };
}

anomalies! {
    /// A write computed from a stale read overwrote another thread's write.
    LostUpdate = "lost update",
    /// A thread read a value that its writer was still going to change.
    DirtyRead = "dirty read",
    /// A thread read one object twice and found another thread's write in between.
    NonRepeatableRead = "non-repeatable read",
    /// Two threads each read what the other then wrote.
    WriteSkew = "write skew",
    /// A thread saw one of two writes of another thread, and not the other.
    ReadSkew = "read skew",
    /// What a thread had checked changed before it acted on it.
    CheckThenAct = "check-then-act",
    /// Data was published through a flag that does not carry it along.
    UnsafePublication = "unsafe publication",
    /// A compare-exchange succeeded on a value that had changed and come back.
    Aba = "ABA",
    /// Things happened in another order than the program relies on.
    OrderViolation = "order violation",
    /// Two unordered accesses to one memory location.
    DataRace = "data race",
    /// Threads wait for each other, or for what never comes.
    Deadlock = "deadlock",
    /// A thread waits for a lock that it holds.
    SelfDeadlock = "self-deadlock",
    /// A notification came when nobody waited for it yet.
    LostWakeUp = "lost wake-up",
    /// Threads run without getting anywhere.
    Livelock = "livelock",
    /// Something was never released.
    Leak = "leak",
    /// Something was used after its release.
    UseAfterFree = "use after free",
    /// The program is not the same in every run.
    Nondeterminism = "nondeterminism",
    /// Something that racefuzz cannot see decided the execution, or ended it.
    Unseen = "outside racefuzz",
    /// An assertion failed, for a reason that has no name here.
    AssertionFailed = "assertion failed",
    /// A thread panicked, for a reason that has no name here.
    Panic = "panic",
    /// The program ended with an exit code other than 0, for a reason that has no name here.
    Exit = "exit code",
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a row of the trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum RowKind {
    /// A step: an event of the execution.
    Step,
    /// A thread tried something and had to wait.
    Wait,
    /// The execution went on with another thread.
    Switch,
    /// The rows before it happened again and again.
    Repeat,
    /// Steps are left out that do not matter.
    Gap,
    /// How a thread ended.
    End,
}

/// One row of the trace as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Row {
    /// What it is.
    pub kind: RowKind,
    /// Its number, for a step.
    pub number: Option<u32>,
    /// The event it shows ([`Event::step`](racefuzz_trace::Event::step)), for a step.
    pub event: Option<u32>,
    /// Whose row it is; `None` for a gap.
    pub thread: Option<ThreadId>,
    /// Where it stands in the source, for a step and for a wait, if that is known.
    pub site: Option<SiteId>,
    /// What happened.
    pub text: String,
    /// The value of each of [`Explanation::objects`] after it, for a step.
    pub states: Vec<String>,
    /// What is remarkable about it.
    pub marks: Vec<String>,
}

/// A place in the source that the story leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Place {
    /// The place.
    pub site: SiteId,
    /// What happens there; where every place has a label they are shown together, as an excerpt.
    pub label: String,
}

/// A failure explained: the data that every format shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Explanation {
    /// What kind of bug it is.
    pub anomaly: Anomaly,
    /// The bug in a few words, e.g. ``lost update on `references` ``.
    pub headline: String,
    /// The bug as a story: who did what, and because of what, up to the contradiction.
    pub paragraph: String,
    /// The objects the story is about, those worth a state column.
    pub objects: Vec<ObjectId>,
    /// The trace, without what does not matter.
    pub rows: Vec<Row>,
    /// Where the failure was decided and what lets the execution pass, in row numbers, if that is known.
    pub decision: Option<String>,
    /// The places in the source the story leads to.
    pub places: Vec<Place>,
    /// The name of each thread, by identifier.
    pub thread_names: Vec<String>,
    /// The name of each object, by identifier.
    pub object_names: Vec<String>,
}

impl Explanation {
    /// The threads that have rows, in the order of their identifiers.
    pub fn threads(&self) -> Vec<ThreadId> {
        let mut threads: Vec<_> = self.rows.iter().filter_map(|row| row.thread).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }
}
