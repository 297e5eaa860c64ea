//! The atomic of a raw pointer.

use super::operations::{common_operations, real_basics};
use super::{Inner, Ordering, Real};
use racefuzz_runtime::{Shown, Site};
use racefuzz_trace::Verb;
use std::fmt;

impl<T> Real for std::sync::atomic::AtomicPtr<T> {
    type Value = *mut T;

    real_basics!();

    #[inline]
    fn to_word(value: *mut T) -> u64 {
        value.expose_provenance() as u64
    }

    #[inline]
    fn from_word(word: u64) -> *mut T {
        std::ptr::with_exposed_provenance_mut(word as usize)
    }

    fn show(word: u64) -> Shown {
        Shown::Address(word)
    }
}

/// `std::sync::atomic::AtomicPtr` whose operations are steps.
///
/// It is larger than a pointer, so there is no `from_ptr`.
pub struct AtomicPtr<T>(Inner<std::sync::atomic::AtomicPtr<T>>);

macro_rules! modify_address {
    ($name:ident, $verb:ident, $unit:expr, $f:expr, $doc:literal) => {
        #[doc = $doc]
        #[inline]
        #[track_caller]
        pub fn $name(&self, value: usize, order: Ordering) -> *mut T {
            let f: fn(usize, usize) -> usize = $f;
            let change = |old: *mut T| old.map_addr(|old| f(old, value.wrapping_mul($unit)));
            self.0.modify(order, Verb::$verb, Site::caller(), change, |real| {
                loop {
                    let old = real.load(Ordering::Relaxed);
                    if real.compare_exchange_weak(old, change(old), order, Ordering::Relaxed).is_ok() {
                        break old;
                    }
                }
            })
        }
    };
}

impl<T> AtomicPtr<T> {
    common_operations!(
        *mut T,
        pub const fn new(value: *mut T) -> Self {
            Self(Inner::new(std::sync::atomic::AtomicPtr::new(value)))
        }
    );
    modify_address!(
        fetch_ptr_add,
        FetchAdd,
        size_of::<T>(),
        usize::wrapping_add,
        "Moves the pointer on by so many values and returns the one before: a step."
    );
    modify_address!(
        fetch_ptr_sub,
        FetchSub,
        size_of::<T>(),
        usize::wrapping_sub,
        "Moves the pointer back by so many values and returns the one before: a step."
    );
    modify_address!(
        fetch_byte_add,
        FetchAdd,
        1,
        usize::wrapping_add,
        "Moves the pointer on by so many bytes and returns the one before: a step."
    );
    modify_address!(
        fetch_byte_sub,
        FetchSub,
        1,
        usize::wrapping_sub,
        "Moves the pointer back by so many bytes and returns the one before: a step."
    );
    modify_address!(
        fetch_or,
        FetchOr,
        1,
        |a, b| a | b,
        "Ors bits into the address and returns the pointer before: a step."
    );
    modify_address!(
        fetch_and,
        FetchAnd,
        1,
        |a, b| a & b,
        "Ands the address and returns the pointer before: a step."
    );
    modify_address!(
        fetch_xor,
        FetchXor,
        1,
        |a, b| a ^ b,
        "Xors the address and returns the pointer before: a step."
    );
}

impl<T> fmt::Debug for AtomicPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.shown(), f)
    }
}

impl<T> fmt::Pointer for AtomicPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0.shown(), f)
    }
}

impl<T> Default for AtomicPtr<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}

impl<T> From<*mut T> for AtomicPtr<T> {
    #[track_caller]
    fn from(value: *mut T) -> Self {
        Self::new(value)
    }
}
