//! The atomic of a truth value.

use super::operations::{common_operations, common_traits, modify, real_basics};
use super::{Inner, Ordering, Real};
use racefuzz_runtime::{Shown, Site};
use racefuzz_trace::{Value, Verb};

impl Real for std::sync::atomic::AtomicBool {
    type Value = bool;

    real_basics!();

    #[inline]
    fn to_word(value: bool) -> u64 {
        u64::from(value)
    }

    #[inline]
    fn from_word(word: u64) -> bool {
        word != 0
    }

    fn show(word: u64) -> Shown {
        Shown::Value(Value::Bool(word != 0))
    }
}

/// `std::sync::atomic::AtomicBool` whose operations are steps.
///
/// It is larger than a `bool`, so there is no `from_ptr`.
pub struct AtomicBool(Inner<std::sync::atomic::AtomicBool>);

impl AtomicBool {
    common_operations!(
        bool,
        pub const fn new(value: bool) -> Self {
            Self(Inner::new(std::sync::atomic::AtomicBool::new(value)))
        }
    );
    modify!(bool, fetch_and, FetchAnd, |a, b| a & b, "Ands and returns the value before: a step.");
    modify!(bool, fetch_nand, FetchNand, |a, b| !(a & b), "Nands and returns the value before: a step.");
    modify!(bool, fetch_or, FetchOr, |a, b| a | b, "Ors and returns the value before: a step.");
    modify!(bool, fetch_xor, FetchXor, |a, b| a ^ b, "Xors and returns the value before: a step.");

    /// Negates and returns the value before: a step.
    #[inline]
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.0.modify(order, Verb::FetchNot, Site::caller(), |old| !old, |real| real.fetch_not(order))
    }
}

common_traits!(AtomicBool, bool);
