//! An overlay: virtual edits that are applied while a program runs, with no change to its source.

use crate::{MemoryOrder, Site, Value};
use std::fmt;

/// Which lock an edit is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum LockName {
    /// A lock that the program does not have, one for the whole program.
    New(u32),
    /// A lock that the program does not have, one beside each object created at a place. A region
    /// begins with its first event on such an object and is about that object.
    Beside(u32, Site),
    /// The program's own lock, known by where it is created; the place creates one lock only.
    Own(Site),
}

/// What a read-modify-write makes of the word it reads. Words are those of the accesses: a number as 64 bits
/// with its sign extended, a truth value as 0 or 1, a null pointer as 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Change {
    /// This word, whatever is read.
    Set(u64),
    /// The sum with this word.
    Add(u64),
    /// For each word that is listed first the one beside it. At any other it writes nothing, and is a load.
    Map(Vec<(u64, u64)>),
}

impl Change {
    /// What is written where this word is read; `None` if nothing is.
    ///
    /// ```
    /// use racefuzz_trace::Change;
    ///
    /// assert_eq!(Change::Add(1).of(2), Some(3));
    /// assert_eq!(Change::Map(vec![(0, 1)]).of(2), None);
    /// ```
    pub fn of(&self, word: u64) -> Option<u64> {
        match self {
            Self::Set(new) => Some(*new),
            Self::Add(number) => Some(word.wrapping_add(*number)),
            Self::Map(words) => words.iter().find(|(read, _)| *read == word).map(|(_, wrote)| *wrote),
        }
    }
}

/// A test of a value: of an atomic, or of what a thread has read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Compare {
    /// It is this one.
    Is(Value),
    /// It is another one.
    IsNot(Value),
    /// It is what the thread has read last at this place.
    IsRead(Site),
    /// It is something else than what the thread has read last at this place.
    IsNotRead(Site),
}

/// One virtual edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Edit {
    /// A thread holds the lock from its first event at one of these sites to its first event at
    /// none of them. Where one event begins several regions, locks are taken in the order of the
    /// edits. The lock is reentrant, so that a region may lie inside another of the same lock.
    ///
    /// Accesses that are no events, as those of an unmodified program to its memory, begin a region and end it as
    /// events do, but for those of [`Edit::Through`].
    Lock {
        /// The lock.
        lock: LockName,
        /// Where it is held exclusively.
        sites: Vec<Site>,
        /// Where others that share may hold it too (a reader's side).
        shared: Vec<Site>,
    },
    /// Accesses that are no events and come right behind an event at a place do not end a region that it is in. It is
    /// no change of its own, but belongs to the region.
    Through {
        /// The number of the edit whose region it is.
        region: u32,
        /// The event.
        after: Site,
        /// Where the accesses are.
        accesses: Vec<Site>,
    },
    /// The lock created here excludes nobody; of a lock that holds data every critical section
    /// counts as one access to it.
    Drop {
        /// Where the lock is created.
        created: Site,
        /// Only guards taken at these sites; all if empty.
        guards: Vec<Site>,
    },
    /// The lock created here is a reader-writer lock, and these guards are readers.
    Share {
        /// Where the lock is created.
        created: Site,
        /// Where the guards are taken.
        guards: Vec<Site>,
    },
    /// Two locks taken one right behind the other are taken in one order by all threads, whichever
    /// comes first in the source.
    Sort {
        /// Where the first is taken.
        first: Site,
        /// Where the second is taken.
        second: Site,
        /// Where such locks are created.
        created: Vec<Site>,
    },
    /// The atomic access or fence here has another ordering.
    Order {
        /// The access.
        site: Site,
        /// Its ordering.
        order: MemoryOrder,
    },
    /// The compare-exchange here has another ordering where it fails.
    FailureOrder {
        /// The compare-exchange.
        site: Site,
        /// The ordering of the load that it is where it fails.
        order: MemoryOrder,
    },
    /// The atomic store here is a swap of the same ordering, which a release sequence goes on behind.
    Swap {
        /// The store.
        site: Site,
    },
    /// The load at one place and the store that comes right behind it, at another, are one
    /// read-modify-write; where that writes nothing no store follows. A program that stores anything else
    /// there, or does something in between, does not fit, and its execution fails.
    Update {
        /// The load.
        load: Site,
        /// The store.
        store: Site,
        /// What is stored.
        change: Change,
        /// The ordering where something is written.
        order: MemoryOrder,
        /// The ordering where nothing is.
        failure: MemoryOrder,
    },
    /// A fence stands before the access here.
    Fence {
        /// The access.
        before: Site,
        /// The fence's ordering.
        order: MemoryOrder,
    },
    /// Every thread spawned at one place has ended before an event at the other.
    Join {
        /// Where the threads are spawned.
        spawned: Site,
        /// The event that waits.
        before: Site,
    },
    /// An event at one place waits until some thread has got past the other.
    Await {
        /// What must have happened.
        first: Site,
        /// The event that waits.
        before: Site,
    },
    /// The atomic load here is done again, with a `spin_loop` in between, as long as what it returns passes
    /// a test, and what the thread has read elsewhere before passes another one. The program goes on with
    /// what the last load returns.
    LoadAgain {
        /// The load.
        load: Site,
        /// What it returns when it is done again.
        returns: Compare,
        /// Where else the thread has read last what also has to pass a test; not at all if it has never been
        /// there.
        when: Option<(Site, Compare)>,
    },
    /// Before the event at one place a thread loads an atomic, again and again with a `spin_loop` in between,
    /// as long as its value passes a test.
    WaitFor {
        /// The event that waits.
        before: Site,
        /// Where the atomic is created; the place creates one only.
        atomic: Site,
        /// What it holds at first.
        initial: Value,
        /// What it holds when it is loaded again.
        holds: Compare,
        /// The ordering of the loads.
        order: MemoryOrder,
    },
    /// A notification wakes all who wait.
    WakeAll {
        /// Where it stands.
        site: Site,
    },
    /// A thread that has been at these places, where it waits by parking, unparks itself before its
    /// first event elsewhere: the token that it took may have been meant for another wait of its own.
    UnparkSelf {
        /// The wait: the parks and the tests between them.
        wait: Vec<Site>,
    },
    /// A thread that holds the lock created here gives it back before the event at one place, and
    /// the end of its guard does nothing more.
    LetGo {
        /// Where the lock is created.
        created: Site,
        /// Only guards taken at these sites; all if empty.
        guards: Vec<Site>,
        /// The event, which may be one that takes the lock again.
        before: Site,
        /// Whether what the lock guards counts as used until the end of the guard.
        used: bool,
    },
    /// A thread that ends gives back the locks created here that it still holds.
    GiveBack {
        /// Where the lock is created.
        created: Site,
        /// Only guards taken at these sites; all if empty.
        guards: Vec<Site>,
    },
    /// A task that gives way here to other tasks goes on instead.
    NoYield {
        /// Where it gives way.
        site: Site,
    },
    /// Whoever is woken here tests again what it tested before it waited, and waits on if that still holds.
    /// What is tested is the program's code, so that no execution of the program as it is shows this one: it
    /// has to be written down to be explored.
    TestAgain {
        /// The wait.
        wait: Site,
    },
    /// A thread that has taken something at one place gives it back where it leaves behind a look at another. It
    /// has to be written down to be explored.
    GiveBackTaken {
        /// Where it takes it.
        taken: Site,
        /// What it was before.
        was: Value,
        /// Where it has looked before it leaves.
        looked: Site,
    },
    /// A thread that has been woken, and leaves behind a look at another place, notifies another one that waits.
    /// It has to be written down to be explored.
    PassOn {
        /// Where it waits.
        wait: Site,
        /// Where it has looked before it leaves.
        looked: Site,
    },
    /// The statement around one place stands in front of the one around another. It has to be written down
    /// to be explored.
    MoveUp {
        /// A place in the statement that is moved.
        statement: Site,
        /// A place in the one that it is moved in front of.
        before: Site,
    },
}

impl Edit {
    /// Whether it changes what a lock of the program does.
    pub const fn edits_own_lock(&self) -> bool {
        match self {
            Self::Lock { lock, .. } => matches!(lock, LockName::Own(_)),
            Self::Drop { .. }
            | Self::Share { .. }
            | Self::Sort { .. }
            | Self::LetGo { .. }
            | Self::GiveBack { .. } => true,
            _ => false,
        }
    }
}

/// Virtual edits that hold together.
///
/// ```
/// use racefuzz_trace::{Edit, LockName, Overlay, Site};
///
/// let site = |line| Site { file: "src/lib.rs".into(), line, column: 9 };
/// let lock = Edit::Lock { lock: LockName::New(0), sites: vec![site(3), site(4)], shared: vec![] };
/// let overlay = Overlay::from(vec![lock]);
/// assert!(!overlay.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Overlay {
    /// The edits.
    pub edits: Vec<Edit>,
}

impl Overlay {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edits of both.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        Self { edits: self.edits.iter().chain(&more.edits).cloned().collect() }
    }
}

impl From<Vec<Edit>> for Overlay {
    fn from(edits: Vec<Edit>) -> Self {
        Self { edits }
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(0) | Self::Beside(0, _) => f.write_str("new_lock"),
            Self::New(number) | Self::Beside(number, _) => write!(f, "new_lock_{}", number + 1),
            Self::Own(site) => write!(f, "the lock created at {site}"),
        }
    }
}
