//! `std::hint`, with a `spin_loop` that gives way to the other threads.

pub use std::hint::{assert_unchecked, black_box, unreachable_unchecked};

/// `std::hint::spin_loop`: in an execution a step after which another thread runs first.
#[inline]
#[track_caller]
pub fn spin_loop() {
    #[cfg(feature = "model")]
    {
        use racefuzz_runtime::{Absent, Site, ops};
        match ops::yield_now(racefuzz_trace::Verb::SpinLoop, Site::caller()) {
            Ok(()) | Err(Absent::TearDown) => return,
            Err(Absent::Outside) => crate::outside::step(),
        }
    }
    std::hint::spin_loop();
}
