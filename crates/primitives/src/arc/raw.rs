//! References that are out as raw pointers: which counted object they belong to.

use super::Arc;
use racefuzz_runtime::{Site, ops};
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;

/// By address. An entry is replaced when a later value at its address is given out, and is of no
/// use to anybody before.
type Given = RefCell<HashMap<usize, Option<ops::Counted>>>;

static KEY: u8 = 0;

fn given<R>(f: impl FnOnce(&mut HashMap<usize, Option<ops::Counted>>) -> R) -> Option<R> {
    let key = std::ptr::from_ref(&KEY) as usize;
    ops::with_global(key, Given::default, |given: &Given| f(&mut given.borrow_mut())).ok().flatten()
}

pub(super) fn remember<T: ?Sized>(pointer: *const T, counted: Option<ops::Counted>) {
    given(|given| given.insert(pointer.cast::<u8>() as usize, counted));
}

pub(super) fn recall<T: ?Sized>(pointer: *const T) -> Option<ops::Counted> {
    given(|given| given.get(&(pointer.cast::<u8>() as usize)).copied()).flatten().flatten()
}

impl<T: ?Sized> Arc<T> {
    /// The address of the value.
    #[inline]
    pub fn as_ptr(this: &Self) -> *const T {
        std::sync::Arc::as_ptr(&this.inner)
    }

    /// Gives the reference out as a pointer, to be brought back by [`from_raw`](Self::from_raw). An
    /// execution at whose end it is still out has leaked it.
    #[must_use = "losing the pointer will leak memory"]
    pub fn into_raw(this: Self) -> *const T {
        let this = ManuallyDrop::new(this);
        let pointer = Self::as_ptr(&this);
        remember(pointer, this.counted);
        pointer
    }

    /// Takes a pointer from [`into_raw`](Self::into_raw) back.
    ///
    /// # Safety
    /// As for `std::sync::Arc::from_raw`: the pointer came from this type's `into_raw`, and the
    /// reference it stands for was not dropped.
    pub unsafe fn from_raw(pointer: *const T) -> Self {
        // SAFETY: `into_raw` gave std's pointer out; the rest is passed on to the caller.
        Self::of(unsafe { std::sync::Arc::from_raw(pointer) }, recall(pointer))
    }

    /// Adds a reference to a value that is out as a pointer.
    ///
    /// # Safety
    /// As for `std::sync::Arc::increment_strong_count`.
    #[track_caller]
    pub unsafe fn increment_strong_count(pointer: *const T) {
        super::cloned(recall(pointer), Site::caller());
        // SAFETY: passed on to the caller.
        unsafe { std::sync::Arc::increment_strong_count(pointer) };
    }

    /// Drops a reference to a value that is out as a pointer.
    ///
    /// # Safety
    /// As for `std::sync::Arc::decrement_strong_count`.
    pub unsafe fn decrement_strong_count(pointer: *const T) {
        // SAFETY: passed on to the caller.
        let inner = unsafe { std::sync::Arc::from_raw(pointer) };
        // As any other reference.
        drop(Arc::of(inner, recall(pointer)));
    }
}
