//! The old name of `compare_exchange`.
#![expect(deprecated, reason = "the old name is what is tested")]

use crate::common::{explore, spawn};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};

#[test]
fn compare_and_swap_returns_the_value_before_in_every_order() {
    for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
        let check = move || {
            let n = AtomicUsize::new(1);
            assert_eq!((n.compare_and_swap(1, 2, order), n.compare_and_swap(1, 3, order)), (1, 2));
            assert_eq!(n.into_inner(), 2);
            let b = AtomicBool::new(false);
            assert!(!b.compare_and_swap(false, true, order) && b.into_inner());
            let p = AtomicPtr::new(std::ptr::null_mut::<u8>());
            assert!(p.compare_and_swap(std::ptr::dangling_mut(), std::ptr::null_mut(), order).is_null());
        };
        check();
        explore(check).passes();
    }
}

#[test]
fn one_of_two_swaps_succeeds() {
    explore(|| {
        let mine = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&mine);
        let other = spawn(move || theirs.compare_and_swap(0, 1, Relaxed));
        let before = mine.compare_and_swap(0, 2, Relaxed);
        let pair = (before, other.join());
        assert!(pair == (0, 2) || pair == (1, 0), "{pair:?}");
    })
    .passes();
}
