//! What repairs a program: the result of searching overlays, as plain data.

use crate::{Edit, Failure, LockName, MemoryModel, Overlay, Settings, Site};

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Certainty {
    /// Every class of executions was explored.
    Verified,
    /// Executions were sampled, or a budget ended the exploration.
    Sampled,
    /// Nothing was explored: the change has to be written down first.
    Untried,
}

/// No bug: how sure, and out of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Verdict {
    /// How sure.
    pub certainty: Certainty,
    /// Under which memory model.
    pub memory: MemoryModel,
    /// Complete executions, each class once if verified.
    pub executions: u64,
}

/// How much runs at once: steps over the longest chain of steps that wait for each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Parallelism {
    /// Steps of an execution (of the one with the most).
    pub work: u64,
    /// The longest chain, in the order of grants that makes it shortest.
    pub span: u64,
    /// The parallelism in the worst order of grants.
    pub min: f64,
    /// The mean over the orders of grants.
    pub mean: f64,
    /// The parallelism in the best order of grants.
    pub max: f64,
}

impl Parallelism {
    /// Whether no two steps ever run at once.
    pub fn is_sequential(&self) -> bool {
        self.max < 1.0 + 1e-9
    }
}

/// The good schedules that a repair permits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Kept {
    /// Good schedules permitted.
    pub schedules: u128,
    /// Out of so many.
    pub of: u128,
    /// Whether `of` is what the most permissive verified repair permits, because the program as it
    /// is has too many schedules to count.
    pub relative: bool,
}

impl Kept {
    /// The share, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 1.0 } else { self.schedules as f64 / self.of as f64 }
    }

    /// Whether every good schedule is permitted.
    pub fn is_all(&self) -> bool {
        self.schedules == self.of
    }
}

/// What sort of change a repair is; the order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum FixKind {
    /// One or more new locks.
    NewLock,
    /// New locks, some of whose regions only read.
    ReadWriteLock,
    /// A lock that is there, held for longer or by more threads.
    OwnLock,
    /// Locks taken in another order.
    LockOrder,
    /// A lock that is there, held no longer than to some place.
    LetGo,
    /// One atomic read-modify-write in place of a load and a store.
    OneStep,
    /// Stronger memory orderings.
    Ordering,
    /// A swap in place of a store, which a release sequence goes on behind.
    Swap,
    /// Memory fences.
    Fence,
    /// A wait until an atomic holds what somebody else is about to store.
    Wait,
    /// Something that is taken for nothing and given back.
    GivenBack,
    /// A notification that is not used and passed on.
    PassedOn,
    /// Something waits for something else: a join, a flag.
    Order,
    /// A notification that wakes all.
    WakeAll,
    /// A park token that is given back.
    UnparkSelf,
    /// A task that does not give way in between.
    NoYield,
    /// A condition that is tested again behind the wait for it.
    TestAgain,
    /// A statement in front of another one.
    Moved,
    /// Something waits for something else, and that rules out executions that are good as they are: with
    /// less concurrency there is less to go wrong.
    LessConcurrent,
}

impl FixKind {
    /// The kind in a few words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NewLock => "new lock",
            Self::ReadWriteLock => "reader-writer lock",
            Self::OwnLock => "lock that is there",
            Self::LockOrder => "lock order",
            Self::LetGo => "lock given back",
            Self::OneStep => "one atomic step",
            Self::Ordering => "memory orderings",
            Self::Swap => "release sequence",
            Self::Fence => "memory fence",
            Self::Wait => "wait for a condition",
            Self::GivenBack => "given back where it is not used",
            Self::PassedOn => "notification passed on",
            Self::Order => "order",
            Self::WakeAll => "notification",
            Self::UnparkSelf => "park token",
            Self::NoYield => "no await in between",
            Self::TestAgain => "condition tested again",
            Self::Moved => "statements in another order",
            Self::LessConcurrent => "waits that take concurrency away, and hide what is wrong",
        }
    }

    /// Whether mutual exclusion is what repairs.
    pub const fn is_lock(self) -> bool {
        matches!(self, Self::NewLock | Self::ReadWriteLock | Self::OwnLock)
    }
}

/// A stretch of a thread's program over which a lock is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Region {
    /// The lock.
    pub lock: LockName,
    /// Whether others that share may be in their regions at the same time.
    pub shared: bool,
    /// Where it begins: at the first step, or at a lock of the program's that is taken before it.
    pub begins: Site,
    /// The first step inside.
    pub first: Site,
    /// The last step inside.
    pub last: Site,
    /// Where it ends: at the last step, or where locks of the program's are given back behind it (a
    /// place for each way in which it has been seen to end).
    pub ends: Vec<Site>,
    /// Every place inside.
    pub sites: Vec<Site>,
    /// Whether a place inside is passed more than once in one go: a loop lies inside, or the region
    /// lies in a loop.
    pub repeats: bool,
}

/// Why a part of a repair is needed: without it a schedule fails again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// What was taken away, in words.
    pub without: String,
    /// The place it was taken away from.
    pub site: Site,
    /// How it then fails.
    pub fails: String,
}

/// The step of the failing schedule that now has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NowWaits {
    /// The step in the trace of the failure.
    pub step: u32,
    /// It waits until this one is done.
    pub until: u32,
}

/// A change that repairs the program.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Fix {
    /// What sort of change.
    pub kind: FixKind,
    /// The change, as it was tried.
    pub overlay: Overlay,
    /// Order edges among the edits, without which this change alone does not repair.
    pub besides: Vec<Edit>,
    /// No bug: how sure.
    pub verdict: Verdict,
    /// Where locks are held.
    pub regions: Vec<Region>,
    /// Places that executions pass without a lock of the repair's.
    pub unguarded: Vec<Site>,
    /// Where the program takes the lock that the repair takes, too; none if a thread may have it there
    /// already. Where it accesses the atomic that the repair waits for.
    pub taken: Vec<Site>,
    /// Where the program takes that lock inside the regions, which then have it already: guards there become
    /// the one that lasts.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub retaken: Vec<Site>,
    /// The good schedules left.
    pub kept: Option<Kept>,
    /// The parallelism left.
    pub parallelism: Option<Parallelism>,
    /// Locks it adds or uses.
    pub locks: u32,
    /// Places of steps inside its regions.
    pub guarded: u32,
    /// The step of the failing schedule that now waits.
    pub waits: Option<NowWaits>,
    /// Why nothing of it can go.
    pub needed: Vec<Certificate>,
    /// The number, in the report, of a better one of the same kind.
    pub dominated_by: Option<u32>,
    /// Whether every execution prints the same lines in the same order, and prints some.
    pub one_output: bool,
    /// What else has to be said about it.
    pub notes: Vec<String>,
}

impl Fix {
    /// A change of which no more is known than how sure it is.
    pub fn new(kind: FixKind, overlay: Overlay, verdict: Verdict) -> Self {
        Self {
            kind,
            overlay,
            besides: Vec::new(),
            verdict,
            regions: Vec::new(),
            unguarded: Vec::new(),
            taken: Vec::new(),
            retaken: Vec::new(),
            kept: None,
            parallelism: None,
            locks: 0,
            guarded: 0,
            waits: None,
            needed: Vec::new(),
            dominated_by: None,
            one_output: false,
            notes: Vec::new(),
        }
    }

    /// How sure it is.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Where locks are held.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The good schedules left, if they could be counted.
    pub fn kept(&self) -> Option<Kept> {
        self.kept
    }

    /// The parallelism left, if it could be computed.
    pub fn parallelism(&self) -> Option<Parallelism> {
        self.parallelism
    }

    /// Whether nothing runs at once any more.
    pub fn is_sequential(&self) -> bool {
        self.parallelism.is_some_and(|parallelism| parallelism.is_sequential())
    }
}

/// The program as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Baseline {
    /// Executions looked at.
    pub executions: u64,
    /// Whether these are all classes.
    pub complete: bool,
    /// How many of them fail.
    pub failing: u64,
    /// Whether it takes weak memory to make it fail: all executions in which each load returns the newest
    /// store were explored, and pass.
    pub weak_only: bool,
    /// Schedules: orders of steps.
    pub schedules: Option<u128>,
    /// Schedules that do not fail.
    pub good: Option<u128>,
    /// Its parallelism.
    pub parallelism: Option<Parallelism>,
}

/// The result of looking for repairs.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FixReport {
    /// Version of this form, [`FORMAT_VERSION`](crate::FORMAT_VERSION).
    pub version: u32,
    /// The program's name.
    pub program: String,
    /// The settings of every execution.
    pub settings: Settings,
    /// The program as it is.
    pub baseline: Baseline,
    /// What is to be repaired; `None` if there is nothing.
    pub failure: Option<Failure>,
    /// With nothing to repair: how sure that is.
    pub holds: Option<Verdict>,
    /// Whether locks alone can repair it; `Some(why not)` if they cannot.
    pub no_lock: Option<String>,
    /// The repairs, best first within each kind, locks first.
    pub fixes: Vec<Fix>,
    /// What else was found out, in words.
    pub notes: Vec<String>,
    /// Overlays tried.
    pub tried: u64,
    /// Executions of all of them.
    pub executions: u64,
    /// Why the search ended early, if it did.
    pub stopped: Option<String>,
}

impl FixReport {
    /// The repairs, best first.
    pub fn fixes(&self) -> &[Fix] {
        &self.fixes
    }

    /// Whether the program needs none.
    pub fn nothing_to_fix(&self) -> bool {
        self.failure.is_none()
    }
}
