//! `Weak`: a reference that does not keep its value.

use super::{Arc, cloned, outside, raw};
use racefuzz_runtime::Site;
use racefuzz_runtime::ops::{self, CountRead};
use std::fmt;
use std::mem::ManuallyDrop;

/// `std::sync::Weak`; [`upgrade`](Self::upgrade) is a step that looks at the count.
pub struct Weak<T: ?Sized> {
    inner: std::sync::Weak<T>,
    counted: Option<ops::Counted>,
}

impl<T> Weak<T> {
    /// A reference to nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { inner: std::sync::Weak::new(), counted: None }
    }
}

impl<T: ?Sized> Weak<T> {
    pub(super) fn of(inner: std::sync::Weak<T>, counted: Option<ops::Counted>) -> Self {
        Self { inner, counted }
    }

    /// A strong reference, if the value is still there: a step.
    #[track_caller]
    pub fn upgrade(&self) -> Option<Arc<T>> {
        self.observe(Site::caller(), CountRead::Relaxed);
        Some(Arc::of(self.inner.upgrade()?, self.counted))
    }

    /// How many strong references there are: a step.
    #[track_caller]
    pub fn strong_count(&self) -> usize {
        self.observe(Site::caller(), CountRead::Relaxed);
        self.inner.strong_count()
    }

    /// How many weak references there are, 0 if the value is gone: a step.
    #[track_caller]
    pub fn weak_count(&self) -> usize {
        self.observe(Site::caller(), CountRead::Unordered);
        self.inner.weak_count()
    }

    /// Whether two references are to one value, or both to nothing.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.inner.ptr_eq(&other.inner)
    }

    fn observe(&self, site: Site, reads: CountRead) {
        match self.counted {
            Some(counted) => {
                let _ = ops::counted_observe(counted, site, || reads);
            }
            None => outside(),
        }
    }

    /// The address of the value, which may be gone.
    pub fn as_ptr(&self) -> *const T
    where
        T: Sized,
    {
        self.inner.as_ptr()
    }

    /// Gives the reference out as a pointer, to be brought back by [`from_raw`](Self::from_raw).
    #[must_use = "losing the pointer will leak memory"]
    pub fn into_raw(self) -> *const T
    where
        T: Sized,
    {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used nor dropped after the read.
        let pointer = unsafe { std::ptr::read(&raw const this.inner) }.into_raw();
        if let Some(counted) = this.counted {
            raw::remember(pointer, Some(counted));
        }
        pointer
    }

    /// Takes a pointer from [`into_raw`](Self::into_raw) back.
    ///
    /// # Safety
    /// As for `std::sync::Weak::from_raw`.
    pub unsafe fn from_raw(pointer: *const T) -> Self
    where
        T: Sized,
    {
        // SAFETY: passed on to the caller.
        let inner = unsafe { std::sync::Weak::from_raw(pointer) };
        let dangling = inner.ptr_eq(&std::sync::Weak::new());
        Self { inner, counted: if dangling { None } else { raw::recall(pointer) } }
    }
}

impl<T: ?Sized> Clone for Weak<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        cloned(self.counted, Site::caller());
        Self { inner: self.inner.clone(), counted: self.counted }
    }
}

impl<T: ?Sized> Drop for Weak<T> {
    fn drop(&mut self) {
        if let Some(counted) = self.counted {
            let _ = ops::counted_drop_weak(counted, counted.created());
        }
    }
}

impl<T> Default for Weak<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ?Sized> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(Weak)")
    }
}
