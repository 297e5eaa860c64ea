//! `OnceLock`: a value that is set once.

use super::{Core, INCOMPLETE, Initialised, initialise, initialised, is_complete, wait};
use racefuzz_runtime::{Primitive, Shared, Site};
use racefuzz_trace::ObjectKind;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::Ordering;

/// `std::sync::OnceLock` whose operations are steps of an execution.
pub struct OnceLock<T> {
    core: Core,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written by the one initialiser, before the state becomes complete, and is
// lent out only after that.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: as above; it is lent to several threads, and may come from another than drops it.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

initialised!([T] OnceLock<T>, INCOMPLETE, "");

impl<T> OnceLock<T> {
    /// Without a value.
    #[track_caller]
    pub const fn new() -> Self {
        Self { core: Core::new(), value: UnsafeCell::new(None) }
    }

    fn value(&self) -> Option<&T> {
        // SAFETY: called when the state is complete: nobody writes the value any more.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// The value, if it is set: a step.
    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        if is_complete(self, Site::caller()) { self.value() } else { None }
    }

    /// The value, of which the caller is the only user.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until the value is set: a step.
    ///
    /// # Panics
    /// Never in a running execution.
    #[track_caller]
    pub fn wait(&self) -> &T {
        wait(self, true, Site::caller());
        self.value().expect("the execution is over")
    }

    /// Sets the value.
    ///
    /// # Errors
    /// With the value, if one is set.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        initialise(self, true, Site::caller(), |_| {
            // SAFETY: this is the one initialiser, and nobody has a reference to the value yet.
            unsafe { *self.value.get() = value.take() }
        });
        value.map_or(Ok(()), Err)
    }

    /// The value, first made by `init` if none is set.
    ///
    /// # Panics
    /// If `init` does, after which the value is still not set.
    #[track_caller]
    pub fn get_or_init<F: FnOnce() -> T>(&self, init: F) -> &T {
        initialise(self, true, Site::caller(), |_| {
            let value = init();
            // SAFETY: this is the one initialiser, and nobody has a reference to the value yet.
            unsafe { *self.value.get() = Some(value) }
        });
        self.value().expect("initialised above")
    }

    /// The value.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, so that it can be set again.
    pub fn take(&mut self) -> Option<T> {
        self.core.reset();
        self.value.get_mut().take()
    }
}

impl<T> Default for OnceLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        let lock = Self { core: Core::new(), value: UnsafeCell::new(Some(value)) };
        lock.core.set(super::COMPLETE);
        lock
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| Self::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
