//! The atomics of integers.

use super::operations::{common_operations, common_traits, modify, real_basics};
use super::{Inner, Ordering, Real};
use racefuzz_runtime::{Shown, Site};
use racefuzz_trace::{Value, Verb};

macro_rules! integer {
    ($name:ident, $value:ty) => {
        impl Real for std::sync::atomic::$name {
            type Value = $value;

            real_basics!();

            #[inline]
            fn to_word(value: $value) -> u64 {
                value as u64
            }

            #[inline]
            fn from_word(word: u64) -> $value {
                word as $value
            }

            fn show(word: u64) -> Shown {
                Shown::Value(Value::Int(word as $value as i128))
            }
        }

        #[doc = concat!("`std::sync::atomic::", stringify!($name), "` whose operations are steps.")]
        #[doc = ""]
        #[doc = "It is larger than a plain integer, so there is no `from_ptr`."]
        pub struct $name(Inner<std::sync::atomic::$name>);

        impl $name {
            common_operations!(
                $value,
                pub const fn new(value: $value) -> Self {
                    Self(Inner::new(std::sync::atomic::$name::new(value)))
                }
            );
            modify!(
                $value,
                fetch_add,
                FetchAdd,
                <$value>::wrapping_add,
                "Adds and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_sub,
                FetchSub,
                <$value>::wrapping_sub,
                "Subtracts and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_and,
                FetchAnd,
                |a, b| a & b,
                "Ands the bits and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_nand,
                FetchNand,
                |a, b| !(a & b),
                "Nands the bits and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_or,
                FetchOr,
                |a, b| a | b,
                "Ors the bits and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_xor,
                FetchXor,
                |a, b| a ^ b,
                "Xors the bits and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_max,
                FetchMax,
                Ord::max,
                "Keeps the larger and returns the value before: a step."
            );
            modify!(
                $value,
                fetch_min,
                FetchMin,
                Ord::min,
                "Keeps the smaller and returns the value before: a step."
            );
        }

        common_traits!($name, $value);
    };
}

integer!(AtomicU8, u8);
integer!(AtomicU16, u16);
integer!(AtomicU32, u32);
integer!(AtomicU64, u64);
integer!(AtomicUsize, usize);
integer!(AtomicI8, i8);
integer!(AtomicI16, i16);
integer!(AtomicI32, i32);
integer!(AtomicI64, i64);
integer!(AtomicIsize, isize);
