//! loom's `UnsafeCell`: every access says where it begins and where it ends.

use racefuzz_runtime::{Absent, Primitive, Shared, Site, ops};
use racefuzz_trace::{ObjectKind, Verb};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

/// `std::cell::UnsafeCell` in loom's shape: an access is race-checked where it begins, and must not
/// overlap one that excludes it.
///
/// It differs from std's in that [`get`](Self::get) and [`get_mut`](Self::get_mut) take `&self` and
/// return pointers that count as an access until they are dropped.
pub struct UnsafeCell<T: ?Sized> {
    shared: Shared,
    /// Accesses by closures under way: how many that read, or -1 for one that writes.
    active: std::cell::Cell<i32>,
    /// A pointer to it was given out in this execution.
    given: std::cell::Cell<bool>,
    data: std::cell::UnsafeCell<T>,
}

impl<T: ?Sized> Primitive for UnsafeCell<T> {
    const KIND: ObjectKind = ObjectKind::Cell;

    #[inline]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        // What an earlier execution left half done is over.
        self.active.set(0);
        self.given.set(false);
        0
    }
}

impl<T> UnsafeCell<T> {
    /// A new cell.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            shared: Shared::new(),
            active: std::cell::Cell::new(0),
            given: std::cell::Cell::new(false),
            data: std::cell::UnsafeCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Gives `f` the value for reading.
    ///
    /// # Panics
    /// If an access that writes is under way.
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        let _access = self.access(false, Site::caller());
        f(self.data.get())
    }

    /// Gives `f` the value for writing.
    ///
    /// # Panics
    /// If another access is under way.
    #[inline]
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        let _access = self.access(true, Site::caller());
        f(self.data.get())
    }

    /// A pointer for reading, which is an access until it is dropped.
    ///
    /// # Panics
    /// If an access that writes is under way.
    #[track_caller]
    pub fn get(&self) -> ConstPtr<T> {
        ConstPtr { given: self.give(false, Site::caller()), pointer: self.data.get() }
    }

    /// A pointer for writing, which is an access until it is dropped.
    ///
    /// # Panics
    /// If another access is under way.
    #[track_caller]
    pub fn get_mut(&self) -> MutPtr<T> {
        MutPtr { given: self.give(true, Site::caller()), pointer: self.data.get() }
    }

    /// The access begins. `None` if it is none of an execution's.
    #[inline]
    #[track_caller]
    fn begin(&self, write: bool, site: Site) -> bool {
        let done = match write {
            true => ops::write(self, Verb::CellWrite, site),
            false => ops::read(self, Verb::CellRead, site),
        };
        match done {
            Ok(()) => {
                let given = if self.given.get() { given(self.address(), |active| *active) } else { 0 };
                exclude(write, self.active.get());
                exclude(write, given);
                true
            }
            Err(Absent::Outside) => {
                crate::outside::step();
                false
            }
            Err(Absent::TearDown) => false,
        }
    }

    #[inline]
    #[track_caller]
    fn access(&self, write: bool, site: Site) -> Option<Access<'_>> {
        if !self.begin(write, site) {
            return None;
        }
        self.active.set(if write { -1 } else { self.active.get() + 1 });
        Some(Access { active: &self.active, write })
    }

    #[track_caller]
    fn give(&self, write: bool, site: Site) -> Option<Given> {
        if !self.begin(write, site) {
            return None;
        }
        self.given.set(true);
        let address = self.address();
        given(address, |active| *active = if write { -1 } else { *active + 1 });
        Some(Given { address, write })
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).cast::<u8>() as usize
    }
}

/// Whether an access may begin beside those under way.
#[inline]
#[track_caller]
fn exclude(write: bool, active: i32) {
    match (write, active) {
        (_, 0) | (false, 1..) => {}
        (true, 1..) => panic!("a cell is written while it is being read"),
        (true, _) => panic!("a cell is written while it is being written"),
        (false, _) => panic!("a cell is read while it is being written"),
    }
}

/// An access by a closure.
struct Access<'a> {
    active: &'a std::cell::Cell<i32>,
    write: bool,
}

impl Drop for Access<'_> {
    #[inline]
    fn drop(&mut self) {
        self.active.set(if self.write { 0 } else { self.active.get() - 1 });
    }
}

/// An access by a pointer, which may outlive the cell: kept beside it, by its address.
struct Given {
    address: usize,
    write: bool,
}

impl Drop for Given {
    fn drop(&mut self) {
        given(self.address, |active| *active = if self.write { 0 } else { *active - 1 });
    }
}

type Pointers = RefCell<HashMap<usize, i32>>;

static KEY: u8 = 0;

/// What accesses by pointers are under way.
fn given<R: Default>(address: usize, f: impl FnOnce(&mut i32) -> R) -> R {
    let key = std::ptr::from_ref(&KEY) as usize;
    let done = ops::with_global(key, Pointers::default, |pointers: &Pointers| {
        f(pointers.borrow_mut().entry(address).or_default())
    });
    done.ok().flatten().unwrap_or_default()
}

/// A pointer to the value of an [`UnsafeCell`] for reading.
pub struct ConstPtr<T: ?Sized> {
    given: Option<Given>,
    pointer: *const T,
}

impl<T: ?Sized> ConstPtr<T> {
    /// The value.
    ///
    /// # Safety
    /// As for dereferencing `std::cell::UnsafeCell::get`: the cell is alive and nobody writes.
    pub unsafe fn deref(&self) -> &T {
        // SAFETY: passed on to the caller.
        unsafe { &*self.pointer }
    }

    /// Gives `f` the pointer.
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.pointer)
    }
}

/// A pointer to the value of an [`UnsafeCell`] for writing.
pub struct MutPtr<T: ?Sized> {
    given: Option<Given>,
    pointer: *mut T,
}

impl<T: ?Sized> MutPtr<T> {
    /// The value.
    ///
    /// # Safety
    /// As for dereferencing `std::cell::UnsafeCell::get`: the cell is alive and nobody else uses it.
    #[expect(clippy::mut_from_ref, reason = "loom's signature")]
    pub unsafe fn deref(&self) -> &mut T {
        // SAFETY: passed on to the caller.
        unsafe { &mut *self.pointer }
    }

    /// Gives `f` the pointer.
    pub fn with<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.pointer)
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for ConstPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConstPtr").field("access", &self.given.is_some()).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for MutPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutPtr").field("access", &self.given.is_some()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for UnsafeCell<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
