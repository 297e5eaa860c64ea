//! std's `Cell`, each access of which is checked for data races.

use racefuzz_runtime::{Absent, Primitive, Shared, Site, ops};
use racefuzz_trace::{ObjectKind, Verb};
use std::fmt;

/// `std::cell::Cell` whose accesses are race-checked: it is not `Sync`, but what is made of it by
/// `unsafe` code may be shared.
///
/// It is larger than its value, so there is no `from_mut` and no `as_slice_of_cells`.
pub struct Cell<T: ?Sized> {
    shared: Shared,
    value: std::cell::Cell<T>,
}

impl<T: ?Sized> Primitive for Cell<T> {
    const KIND: ObjectKind = ObjectKind::Cell;

    #[inline]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }
}

impl<T> Cell<T> {
    /// A new cell.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self { shared: Shared::new(), value: std::cell::Cell::new(value) }
    }

    /// Writes the value.
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) {
        drop(self.replace(value));
    }

    /// Writes the value and returns the one before.
    #[inline]
    #[track_caller]
    pub fn replace(&self, value: T) -> T {
        self.write(Site::caller());
        self.value.replace(value)
    }

    /// Exchanges the values of two cells.
    #[track_caller]
    pub fn swap(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let site = Site::caller();
        self.write(site);
        other.write(site);
        self.value.swap(&other.value);
    }

    /// Takes the value, leaving the default one.
    #[track_caller]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        // Made first: it is the program's code.
        self.replace(T::default())
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: Copy> Cell<T> {
    /// Reads the value.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> T {
        if let Err(Absent::Outside) = ops::read(self, Verb::CellRead, Site::caller()) {
            crate::outside::step();
        }
        self.value.get()
    }

    /// Replaces the value by what `f` makes of it.
    #[track_caller]
    pub fn update(&self, f: impl FnOnce(T) -> T) {
        self.set(f(self.get()));
    }
}

impl<T: ?Sized> Cell<T> {
    /// A pointer to the value. What is done through it is not checked.
    pub const fn as_ptr(&self) -> *mut T {
        self.value.as_ptr()
    }

    /// The value, of which the caller is the only user.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline]
    fn write(&self, site: Site) {
        if let Err(Absent::Outside) = ops::write(self, Verb::CellWrite, site) {
            crate::outside::step();
        }
    }
}

impl<T: Copy> Clone for Cell<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::new(self.get())
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("value", &self.value.get()).finish()
    }
}

impl<T: Default> Default for Cell<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Cell<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Copy + PartialEq> PartialEq for Cell<T> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Copy + Eq> Eq for Cell<T> {}

impl<T: Copy + PartialOrd> PartialOrd for Cell<T> {
    #[track_caller]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.get().partial_cmp(&other.get())
    }
}

impl<T: Copy + Ord> Ord for Cell<T> {
    #[track_caller]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.get().cmp(&other.get())
    }
}
