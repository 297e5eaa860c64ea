//! Handles to threads, and their identifiers.

use crate::outside;
use racefuzz_runtime::{Absent, Site, ops};
use racefuzz_trace::ThreadId as Number;
use std::fmt;
use std::sync::OnceLock;

/// A handle to a thread, as `std::thread::Thread`.
#[derive(Clone)]
pub struct Thread(Kind);

#[derive(Clone)]
enum Kind {
    InExecution {
        number: Number,
        /// Looked up when first asked for: most handles never are.
        name: OnceLock<Option<Box<str>>>,
    },
    Outside(std::thread::Thread),
}

impl Thread {
    #[inline]
    pub(crate) const fn in_execution(number: Number) -> Self {
        Self(Kind::InExecution { number, name: OnceLock::new() })
    }

    pub(crate) const fn outside(thread: std::thread::Thread) -> Self {
        Self(Kind::Outside(thread))
    }

    /// The thread's identifier.
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Kind::InExecution { number, .. } => Id::InExecution(*number),
            Kind::Outside(thread) => Id::Outside(thread.id()),
        })
    }

    /// The thread's name. Inside an execution the first thread is `main`.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::InExecution { number: Number::ROOT, .. } => Some("main"),
            Kind::InExecution { number, name } => {
                name.get_or_init(|| ops::thread_name(*number).map(String::into_boxed_str)).as_deref()
            }
            Kind::Outside(thread) => thread.name(),
        }
    }

    /// Gives the thread its park token. Happens before its [`park`](super::park) returns.
    ///
    /// # Panics
    /// Outside an execution, if the thread belongs to one: it is no more.
    #[inline]
    #[track_caller]
    pub fn unpark(&self) {
        match &self.0 {
            Kind::InExecution { number, .. } => {
                if ops::unpark(*number, Site::caller()) == Err(Absent::Outside) {
                    panic!("a thread of an execution was unparked outside of it");
                }
            }
            Kind::Outside(thread) => {
                outside::step();
                thread.unpark();
            }
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Identifies a thread, as `std::thread::ThreadId`; inside an execution the same thread has the same
/// identifier in every execution.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(Id);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Id {
    InExecution(Number),
    Outside(std::thread::ThreadId),
}

impl fmt::Debug for ThreadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Id::InExecution(number) => write!(formatter, "ThreadId({})", number.0 + 1),
            Id::Outside(id) => id.fmt(formatter),
        }
    }
}
