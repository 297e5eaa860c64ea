//! tokio#7450, smol-rs/atomic-waker#25: `AtomicWaker::wake` gives its lock back by a store instead of a
//! read-modify-write, which cuts the release sequence of a `wake` that came meanwhile.

use crate::{fails, holds};
use racefuzz_tests::defects::waking::{atomic_waker, atomic_waker_repaired};

#[test]
fn given_back_by_a_store() {
    fails("lost wake-up", atomic_waker);
}

#[test]
fn given_back_by_a_swap() {
    holds(atomic_waker_repaired);
}
