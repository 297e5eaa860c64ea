//! One execution, event by event.

use crate::{MemoryModel, MemoryOrder, ObjectId, ObjectKind, OpKind, Site, SiteId, ThreadId, Value, Verb};

/// Where a read took its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ReadsFrom {
    /// The object's initial value.
    Initial,
    /// The write of the event with this step.
    Step(u32),
}

/// A thread that could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Waiting {
    /// The number of events that had been executed when the thread first could not go on.
    pub since: u32,
    /// The thread that stood in the way, where there is one: the holder of the lock.
    pub holder: Option<ThreadId>,
}

/// One event (to users: a step).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// Its position in the execution, from 0; equal to its index in [`Trace::events`].
    pub step: u32,
    /// The thread that executed it.
    pub thread: ThreadId,
    /// How it acts on memory.
    pub kind: OpKind,
    /// What the user wrote.
    pub verb: Verb,
    /// Its memory ordering.
    pub order: MemoryOrder,
    /// The object it acts on.
    pub object: Option<ObjectId>,
    /// Where it stands in the source. For what has no useful caller (a guard's drop) the place
    /// where the matter began (the guard was taken), and [`Event::implied`] is set.
    pub site: SiteId,
    /// Whether `site` is not the place of this event itself but of the one that implied it.
    pub implied: bool,
    /// The value read.
    pub read: Option<Value>,
    /// The value written.
    pub wrote: Option<Value>,
    /// Whether it did what it was asked: false for a `try_lock` that found the lock taken, a
    /// failed compare-exchange, a wait that timed out.
    pub ok: bool,
    /// Where the value read comes from.
    pub reads_from: Option<ReadsFrom>,
    /// For a read that did not return the newest store, and for a store that did not become it (it
    /// took an earlier place in modification order): the step of the newest one.
    pub newer: Option<u32>,
    /// Set where the thread had to wait before this event.
    pub waited: Option<Waiting>,
    /// The thread spawned, joined, woken or notified.
    pub other: Option<ThreadId>,
    /// The text of a note or a printed line; the reason of a fault.
    pub text: Option<String>,
}

/// A thread of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ThreadInfo {
    /// Its identifier; equal to its index in [`Trace::threads`].
    pub id: ThreadId,
    /// The name its builder gave it.
    pub name: Option<String>,
    /// The thread that spawned it; `None` for the root.
    pub parent: Option<ThreadId>,
    /// Where it was spawned.
    pub spawned_at: Option<SiteId>,
    /// Whether it is an async task rather than a thread.
    pub task: bool,
    /// The thread behind whose end it destroys the local values.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub epilogue_of: Option<ThreadId>,
    /// How it ended.
    pub end: ThreadEnd,
}

/// How a thread ended in an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ThreadEnd {
    /// It returned.
    Finished,
    /// It panicked with this message.
    Panicked(String),
    /// It stands before an event that cannot happen.
    Blocked {
        /// What it wants to do.
        verb: Verb,
        /// On which object.
        object: Option<ObjectId>,
        /// Where.
        site: SiteId,
        /// Since when, and who stands in the way.
        waiting: Waiting,
    },
    /// It could have gone on; the execution was stopped before.
    Stopped {
        /// Where it would have gone on.
        site: Option<SiteId>,
    },
    /// It was killed by an injected fault.
    Killed,
}

/// An object of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ObjectInfo {
    /// Its identifier; equal to its index in [`Trace::objects`].
    pub id: ObjectId,
    /// What it is.
    pub kind: ObjectKind,
    /// Its given name, if it has one; a report finds a better one in the source at `created`.
    pub name: Option<String>,
    /// Where it was created.
    pub created: Option<SiteId>,
    /// Its value before the first event on it.
    pub initial: Option<Value>,
}

/// One execution: its threads, objects and events in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Trace {
    /// The memory model it ran under.
    pub memory: MemoryModel,
    /// The threads, by identifier.
    pub threads: Vec<ThreadInfo>,
    /// The objects, by identifier.
    pub objects: Vec<ObjectInfo>,
    /// The source locations, by identifier.
    pub sites: Vec<Site>,
    /// The events.
    pub events: Vec<Event>,
}

impl Trace {
    /// The source location with this identifier.
    ///
    /// # Panics
    /// If the identifier is of another trace.
    pub fn site(&self, id: SiteId) -> &Site {
        &self.sites[id.index()]
    }

    /// The object with this identifier.
    ///
    /// # Panics
    /// If the identifier is of another trace.
    pub fn object(&self, id: ObjectId) -> &ObjectInfo {
        &self.objects[id.index()]
    }

    /// The thread with this identifier.
    ///
    /// # Panics
    /// If the identifier is of another trace.
    pub fn thread(&self, id: ThreadId) -> &ThreadInfo {
        &self.threads[id.index()]
    }

    /// The lines printed, in order.
    pub fn console(&self) -> impl Iterator<Item = &str> {
        self.events
            .iter()
            .filter(|event| event.kind == OpKind::Print)
            .filter_map(|event| event.text.as_deref())
    }
}
