//! `std::hint`, with an `unreachable_unchecked` that says when it was reached.

pub use racefuzz::hint::{assert_unchecked, black_box, spin_loop};

/// `std::hint::unreachable_unchecked`, which here always panics.
///
/// # Safety
/// Safe to call here; std's is not.
///
/// # Panics
/// Always.
#[track_caller]
#[expect(unsafe_code, reason = "std's signature")]
pub unsafe fn unreachable_unchecked() -> ! {
    unreachable!("unreachable_unchecked was reached!");
}
