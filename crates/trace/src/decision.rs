//! Where an execution that fails was decided, and what lets it pass.

use crate::Share;

/// Where an execution that fails was decided: schedules were sampled that begin as it does, up to one
/// step and another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Decision {
    /// The step ([`Event::step`](crate::Event::step)) after which every schedule sampled fails, while
    /// before it some pass.
    pub step: u32,
    /// How many of all schedules fail.
    pub start: Share,
    /// How many of those fail that go as this one does up to the step, without it.
    pub before: Share,
    /// How many of those fail that go as this one does up to the step, with it: all.
    pub after: Share,
    /// How many of those fail that go as this one does up to other steps, without them: the step and the
    /// share, in the order of the steps.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub measured: Vec<(u32, Share)>,
    /// An execution next to this one that passes.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub passes: Option<Passes>,
}

/// How an execution that passes differs from one that fails, in one respect. It was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Passes {
    /// Two steps that act on one object come in the other order, and nothing else that matters does.
    Swapped {
        /// The step that comes first in the execution that fails.
        first: u32,
        /// The step of another thread that comes behind it there.
        second: u32,
    },
    /// A load reads the newest store rather than an older one.
    Newest {
        /// The step of the load.
        step: u32,
    },
}
