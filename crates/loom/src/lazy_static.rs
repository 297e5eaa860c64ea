//! What [`lazy_static!`](macro@crate::lazy_static) declares a static of.

pub use racefuzz::thread::{AccessError, panicking, yield_now};

use racefuzz_runtime::{Site, ops};
use racefuzz_trace::ThreadId;
use std::fmt;

/// A static that is made once in each execution, at its first use.
///
/// As under loom it is there until the model's closure has returned: a thread that outlives it, and
/// uses the static then, panics. (The value itself is destroyed when all threads have ended.)
pub struct Lazy<T: 'static>(racefuzz_primitives::local::Lazy<T>);

impl<T: 'static> Lazy<T> {
    #[doc(hidden)]
    pub const fn __new(name: &'static str, initial: fn() -> T) -> Self {
        Self(racefuzz_primitives::local::Lazy::__new(name, initial))
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn __get(&'static self) -> &'static T {
        let main_itself = ops::current_thread() == Ok(ThreadId::ROOT);
        if !main_itself && ops::has_ended(ThreadId::ROOT, Site::caller()) == Ok(true) {
            panic!("attempted to access lazy_static during shutdown");
        }
        self.0.__get()
    }
}

impl<T> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Declares statics that are made at first use, in the syntax of the `lazy_static` crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __loom_lazy_static {
    ($($declarations:tt)*) => {
        $crate::__private::lazy_static_of!([$crate::lazy_static::Lazy] $($declarations)*);
    };
}
