//! `LazyLock`: a value that is made at first use.

use super::{Core, Initialised, POISONED, initialise, initialised, is_complete};
use racefuzz_runtime::{Primitive, Shared, Site};
use racefuzz_trace::ObjectKind;
use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::Ordering;

const REFUSAL: &str = "LazyLock instance has previously been poisoned";

/// `std::sync::LazyLock` whose operations are steps of an execution: each use is one.
pub struct LazyLock<T, F = fn() -> T> {
    core: Core,
    make: UnsafeCell<Option<F>>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `make` is taken and the value written by the one initialiser, before the state becomes
// complete; the value is lent out only after that.
unsafe impl<T: Send, F: Send> Send for LazyLock<T, F> {}
// SAFETY: as above; the value is lent to several threads, and `make` may run on another than made it.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

initialised!([T, F] LazyLock<T, F>, POISONED, "LazyLock instance has previously been poisoned");

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value to be made by `make`.
    #[track_caller]
    pub const fn new(make: F) -> Self {
        Self { core: Core::new(), make: UnsafeCell::new(Some(make)), value: UnsafeCell::new(None) }
    }

    /// The value, made now if this is the first use.
    ///
    /// # Panics
    /// If making it did, now or earlier.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        initialise(this, false, Site::caller(), |_| {
            // SAFETY: this is the one initialiser.
            let make = unsafe { (*this.make.get()).take() };
            let value = make.expect(REFUSAL)();
            // SAFETY: as above, and nobody has a reference to the value yet.
            unsafe { *this.value.get() = Some(value) }
        });
        this.value().expect(REFUSAL)
    }

    /// The value for writing, made now if this is the first use.
    ///
    /// # Panics
    /// If making it did, now or earlier.
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        this.value.get_mut().as_mut().expect(REFUSAL)
    }
}

impl<T, F> LazyLock<T, F> {
    fn value(&self) -> Option<&T> {
        // SAFETY: called when the state is complete: nobody writes the value any more.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// The value, if it has been made: a step.
    #[track_caller]
    pub fn get(this: &Self) -> Option<&T> {
        if is_complete(this, Site::caller()) { this.value() } else { None }
    }

    /// The value for writing, if it has been made.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut().as_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("LazyLock");
        match Self::get(self) {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
