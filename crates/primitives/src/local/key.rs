//! Keys of thread-local values.

use racefuzz_runtime::{Absent, ops};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;

/// A thread-local value, as `std::thread::LocalKey`; made by
/// [`thread_local!`](macro@crate::local::thread_local).
pub struct LocalKey<T: 'static> {
    initial: fn() -> T,
    outside: &'static std::thread::LocalKey<T>,
}

/// The value was used while it was destroyed, or after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("already destroyed")
    }
}

impl Error for AccessError {}

#[cold]
#[track_caller]
fn destroyed() -> ! {
    panic!("cannot access a Thread Local Storage value during or after destruction: AccessError")
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(initial: fn() -> T, outside: &'static std::thread::LocalKey<T>) -> Self {
        Self { initial, outside }
    }

    /// Runs `f` on the value, made first if need be.
    ///
    /// # Panics
    /// If the value has been destroyed.
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.try_with(f).unwrap_or_else(|_| destroyed())
    }

    /// Runs `f` on the value, made first if need be.
    ///
    /// # Errors
    /// If the value has been destroyed.
    #[track_caller]
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        self.access(self.initial, f)
    }

    #[track_caller]
    fn access<R>(&'static self, make: impl FnOnce() -> T, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        if ops::mode() == Err(Absent::Outside) {
            return self.outside.try_with(f).map_err(|_| AccessError);
        }
        match ops::with_local(std::ptr::from_ref(self) as usize, make, f) {
            Ok(Some(result)) => Ok(result),
            _ => Err(AccessError),
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value, without making the initial one first.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        if ops::mode() == Err(Absent::Outside) {
            return self.outside.set(value);
        }
        let value = Cell::new(Some(value));
        let make = || Cell::new(value.take().expect("a value is made once"));
        let result = self.access(make, |cell| {
            if let Some(value) = value.take() {
                drop(cell.replace(value));
            }
        });
        result.unwrap_or_else(|_| destroyed());
    }

    /// A copy of the value.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value; returns the old one.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Runs `f` on the value, borrowed.
    #[track_caller]
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Runs `f` on the value, mutably borrowed.
    #[track_caller]
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value, without making the initial one first.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        if ops::mode() == Err(Absent::Outside) {
            return self.outside.set(value);
        }
        let value = Cell::new(Some(value));
        let make = || RefCell::new(value.take().expect("a value is made once"));
        let result = self.access(make, |cell| {
            if let Some(value) = value.take() {
                drop(cell.replace(value));
            }
        });
        result.unwrap_or_else(|_| destroyed());
    }

    /// Takes the value and leaves the default.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the value; returns the old one.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
