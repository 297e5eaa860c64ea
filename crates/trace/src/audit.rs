//! What a program's synchronisation is good for: the result of taking it away piece by piece.

use crate::{Failure, Parallelism, Settings, Site, Verb, Verdict};

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Subject {
    /// A lock, by where it is created.
    Lock(Site),
    /// Several locks together, each of which alone is not needed.
    Locks(Vec<Site>),
    /// The guards of a lock that are taken at one place.
    Guard {
        /// Where the lock is created.
        lock: Site,
        /// Where the guard is taken.
        taken: Site,
    },
    /// A memory ordering, with what it could be weakened to.
    Ordering {
        /// The access.
        site: Site,
        /// Its ordering.
        order: crate::MemoryOrder,
        /// A weaker one.
        weaker: crate::MemoryOrder,
    },
    /// A join.
    Join(Site),
}

/// A step of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Told {
    /// Who.
    pub thread: String,
    /// Does what.
    pub verb: Verb,
    /// With what, if that has a name.
    pub object: Option<String>,
    /// Where that is created.
    pub created: Option<Site>,
    /// The value stored or read, or the text.
    pub value: String,
    /// Where.
    pub site: Site,
}

/// What was found out about it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Finding {
    /// Without it nothing fails.
    NotNeeded(Verdict),
    /// Without it some execution fails.
    Needed {
        /// How.
        fails: String,
        /// The steps of that execution.
        schedule: Vec<Told>,
    },
    /// It could be given back earlier.
    TooLong {
        /// The first step that does not need it.
        before: Site,
        /// How sure that is.
        verdict: Verdict,
    },
    /// It orders these two places, which would otherwise be in a race.
    Orders {
        /// The earlier.
        first: Site,
        /// The later.
        then: Site,
    },
    /// It orders nothing that conflicts.
    OrdersNothing,
    /// Some threads do not take it.
    NotTaken {
        /// The first place that it would have to be held at.
        first: Site,
        /// The last.
        last: Site,
        /// Those who are there without it, by name.
        threads: Vec<String>,
    },
    /// It is held at the accesses one by one, and given back between these places.
    GivenBackBetween {
        /// The first place that it would have to be held at.
        first: Site,
        /// The last.
        last: Site,
    },
}

/// One piece of synchronisation and what it is good for.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Audited {
    /// The piece.
    pub subject: Subject,
    /// What it is good for.
    pub finding: Finding,
}

/// The result of an audit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AuditReport {
    /// Version of this form, [`FORMAT_VERSION`](crate::FORMAT_VERSION).
    pub version: u32,
    /// The program's name.
    pub program: String,
    /// The settings of every execution.
    pub settings: Settings,
    /// What fails as it is.
    pub failure: Option<Failure>,
    /// With nothing that fails: how sure that is.
    pub holds: Option<Verdict>,
    /// The pieces.
    pub audited: Vec<Audited>,
    /// Locks (inner, outer) of which the inner one is only ever taken while the outer is held.
    pub nested: Vec<(Site, Site)>,
    /// Shared objects, by where they are created, that different threads access, at least one of them
    /// writing, with no lock held at all of the accesses; and the accesses without any lock.
    pub unprotected: Vec<(Site, Vec<Site>)>,
    /// Locks that are taken in a circle of orders, whether or not a deadlock was reached.
    pub cycles: Vec<Vec<Site>>,
    /// The parallelism of the program as it is.
    pub parallelism: Option<Parallelism>,
    /// Whether all executions print the same lines, and print some.
    pub one_output: bool,
    /// Executions of all explorations together.
    pub executions: u64,
    /// Why it ended early, if it did.
    pub stopped: Option<String>,
}
