//! Steering the exploration from inside a program: values to choose, executions to exclude, notes.
//!
//! Outside an execution there is nothing to steer: [`nondet`] is 0, [`assume`] and [`note`](fn@note)
//! do nothing.

use std::borrow::Cow;

#[cfg(feature = "model")]
use crate::outside;
#[cfg(feature = "model")]
use racefuzz_runtime::{Site, ops};

/// Excludes the present execution unless `condition` holds: it ends here, as *blocked*, which is
/// neither a pass nor a failure.
///
/// Outside an execution it does nothing, whatever the condition: there is no other execution to
/// look at instead, and ending the thread would be worse.
#[inline]
#[track_caller]
pub fn assume(condition: bool) {
    #[cfg(feature = "model")]
    // Torn down already: nothing is left to exclude.
    let _ = ops::assume(condition, Site::caller());
    #[cfg(not(feature = "model"))]
    let _ = condition;
}

/// One of the values below `n`; every one of them is explored. Outside an execution 0.
///
/// # Panics
/// If `n` is 0: there is no value to choose.
#[inline]
#[track_caller]
pub fn nondet(n: usize) -> usize {
    assert!(n != 0, "nondet(0): there is no value to choose");
    #[cfg(feature = "model")]
    {
        ops::choose(n, Site::caller()).unwrap_or(0)
    }
    #[cfg(not(feature = "model"))]
    0
}

/// A step of its own with a text, shown in the trace. Outside an execution it does nothing.
///
/// The macro [`note!`](macro@crate::note) makes its text only where a trace is recorded.
#[inline]
#[track_caller]
pub fn note(label: impl Into<Cow<'static, str>>) {
    #[cfg(feature = "model")]
    {
        let label = label.into();
        __note(|| label.into_owned());
    }
    #[cfg(not(feature = "model"))]
    let _ = label;
}

/// What [`note!`](macro@crate::note) calls.
#[doc(hidden)]
#[inline]
#[track_caller]
pub fn __note(text: impl FnOnce() -> String) {
    #[cfg(feature = "model")]
    if ops::note(Site::caller(), text) == Err(racefuzz_runtime::Absent::Outside) {
        outside::step();
    }
    #[cfg(not(feature = "model"))]
    let _ = text;
}

/// A step of its own with a formatted text, which is made only where a trace is recorded.
///
/// ```
/// let n = 6;
/// racefuzz_primitives::note!("add 1 => {n}");
/// ```
#[macro_export]
macro_rules! note {
    ($($text:tt)+) => {
        $crate::choose::__note(|| ::std::format!($($text)+))
    };
}
