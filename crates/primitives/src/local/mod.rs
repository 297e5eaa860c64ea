//! `thread_local!` and `lazy_static!`.
//!
//! Inside an execution a thread-local value belongs to one of its threads and is destroyed at that
//! thread's end; async tasks share those of the thread that runs them. A lazy static belongs to the
//! execution and is destroyed when all its threads have ended. Outside, both are as in std and in
//! the `lazy_static` crate.

#[cfg(feature = "model")]
mod key;
mod lazy;

#[cfg(feature = "model")]
pub use self::key::{AccessError, LocalKey};
pub use self::lazy::{Lazy, LazyStatic, initialize};
#[cfg(not(feature = "model"))]
pub use std::thread::{AccessError, LocalKey};

/// Declares thread-local values, as `std::thread_local!`.
///
/// ```
/// use racefuzz_primitives::local::thread_local;
/// use std::cell::{Cell, RefCell};
///
/// thread_local! {
///     /// How many.
///     pub static COUNT: Cell<u32> = const { Cell::new(1) };
///     static NAMES: RefCell<Vec<String>> = RefCell::new(Vec::new())
/// }
/// COUNT.set(COUNT.get() + 1);
/// NAMES.with_borrow_mut(|names| names.push("first".into()));
/// assert_eq!((COUNT.get(), NAMES.take().len()), (2, 1));
/// ```
#[cfg(feature = "model")]
#[doc(hidden)]
#[macro_export]
macro_rules! __racefuzz_thread_local {
    () => {};
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = const $initial:block; $($rest:tt)*) => {
        $crate::__racefuzz_thread_local!(@key [$(#[$attribute])*] $visible $name, $type, const $initial);
        $crate::__racefuzz_thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = const $initial:block) => {
        $crate::__racefuzz_thread_local!(@key [$(#[$attribute])*] $visible $name, $type, const $initial);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = $initial:expr; $($rest:tt)*) => {
        $crate::__racefuzz_thread_local!(@key [$(#[$attribute])*] $visible $name, $type, $initial);
        $crate::__racefuzz_thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = $initial:expr) => {
        $crate::__racefuzz_thread_local!(@key [$(#[$attribute])*] $visible $name, $type, $initial);
    };
    (@key [$(#[$attribute:meta])*] $visible:vis $name:ident, $type:ty, $($initial:tt)*) => {
        $(#[$attribute])*
        $visible static $name: $crate::local::LocalKey<$type> = {
            fn initial() -> $type {
                $($initial)*
            }
            ::std::thread_local! {
                static OUTSIDE: $type = $($initial)*;
            }
            $crate::local::LocalKey::__new(initial, &OUTSIDE)
        };
    };
}

#[cfg(feature = "model")]
#[doc(inline)]
pub use crate::__racefuzz_thread_local as thread_local;
#[cfg(not(feature = "model"))]
pub use std::thread_local;

/// Declares statics that are made at first use, in the syntax of the `lazy_static` crate.
///
/// ```
/// use racefuzz_primitives::local::lazy_static;
///
/// lazy_static! {
///     /// Squares.
///     pub static ref SQUARES: Vec<u32> = (0..10).map(|n| n * n).collect();
/// }
/// assert_eq!(SQUARES[7], 49);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __racefuzz_lazy_static {
    ($(#[$attribute:meta])* $visible:vis static ref $($rest:tt)*) => {
        $crate::__racefuzz_lazy_static_of!([$crate::local::Lazy] $(#[$attribute])* $visible static ref $($rest)*);
    };
    () => {};
}

/// `lazy_static!` with statics of another type that has `__new` and `__get`.
#[doc(hidden)]
#[macro_export]
macro_rules! __racefuzz_lazy_static_of {
    ([$($lazy:tt)*]) => {};
    (
        [$($lazy:tt)*]
        $(#[$attribute:meta])* $visible:vis static ref $name:ident: $type:ty = $initial:expr; $($rest:tt)*
    ) => {
        #[allow(missing_copy_implementations, non_camel_case_types, dead_code)]
        $(#[$attribute])*
        $visible struct $name {
            __private: (),
        }
        #[doc(hidden)]
        #[allow(non_upper_case_globals)]
        $visible static $name: $name = $name { __private: () };
        impl ::std::ops::Deref for $name {
            type Target = $type;

            #[track_caller]
            fn deref(&self) -> &$type {
                static LAZY: $($lazy)*<$type> = $($lazy)*::__new(::std::stringify!($name), || $initial);
                LAZY.__get()
            }
        }
        impl $crate::local::LazyStatic for $name {
            #[track_caller]
            fn initialize(lazy: &Self) {
                let _ = &**lazy;
            }
        }
        $crate::__racefuzz_lazy_static_of!([$($lazy)*] $($rest)*);
    };
}

#[doc(inline)]
pub use crate::__racefuzz_lazy_static as lazy_static;
