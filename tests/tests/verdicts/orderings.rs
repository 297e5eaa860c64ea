//! Orderings that are too weak: failed compare_exchanges, counts, locks.

use crate::{fails, holds};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{self, *},
    fence,
};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Checker, FailureKind, Fuzzer, hint, thread};

/// Two threads announce themselves, by a swap or a store, and look for each other, one of them by a
/// compare_exchange that may fail.
fn announced(swaps: bool, announcement: Ordering, success: Ordering, failure: Ordering) {
    let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let announce = move |flag: &AtomicUsize| match swaps {
        true => drop(flag.swap(1, announcement)),
        false => flag.store(1, announcement),
    };
    let other = thread::spawn(move || {
        announce(&theirs.0);
        theirs.1.compare_exchange(1, 2, success, failure).is_err()
    });
    announce(&shared.1);
    let missed = shared.0.load(SeqCst) == 0;
    assert!(!(other.join().unwrap() && missed), "both missed the other");
}

/// A failed compare_exchange reads by its failure ordering: that it would have been SeqCst had it
/// succeeded is of no use.
#[test]
fn a_compare_exchange_that_fails_by_acquire() {
    for (swaps, success) in [(true, SeqCst), (true, AcqRel), (false, SeqCst)] {
        for text in fails("order violation", || announced(swaps, SeqCst, success, Acquire)) {
            assert!(!text.contains("both accesses are SeqCst"), "{text}");
        }
    }
}

/// The explanation names the ordering that counts.
#[test]
fn the_failure_ordering_is_named() {
    for text in fails("order violation", || announced(false, SeqCst, SeqCst, Acquire)) {
        assert!(text.contains("failure ordering, Acquire"), "{text}");
    }
}

#[test]
fn a_compare_exchange_that_fails_by_seqcst() {
    holds(|| announced(true, SeqCst, SeqCst, SeqCst));
    holds(|| announced(false, SeqCst, AcqRel, SeqCst));
}

/// A value that is guarded by something weaker than a lock.
struct Shared<T>(T, UnsafeCell<u32>);

// SAFETY: accesses that nothing orders are what racefuzz reports.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn increment(&self) {
        // SAFETY: see at `Sync`.
        self.1.with_mut(|value| unsafe { *value += 1 });
    }
}

/// rust#117485: `strong_count` is Relaxed, so that a count of one says nothing about what the other
/// owner did before it let go.
fn last_owner(fences: bool) {
    let owner = Arc::new(());
    let data = Arc::new(Shared((), UnsafeCell::new(0)));
    let (their_owner, their_data) = (Arc::clone(&owner), Arc::clone(&data));
    let other = thread::spawn(move || {
        their_data.increment();
        drop(their_owner);
    });
    if Arc::strong_count(&owner) == 1 {
        if fences {
            fence(Acquire);
        }
        data.increment();
    }
    other.join().unwrap();
}

#[test]
fn a_count_that_nobody_acquires() {
    fails("data race", || last_owner(false));
}

#[test]
fn a_count_and_a_fence() {
    holds(|| last_owner(true));
}

/// A lock by swapping, which one thread takes outside of a mutex and the other one inside of it.
#[test]
fn a_spin_lock_and_a_mutex_in_opposite_orders() {
    fails("livelock", || {
        let shared = Arc::new((Shared(AtomicUsize::new(0), UnsafeCell::new(0)), Mutex::new(())));
        let lock = |flag: &AtomicUsize| {
            while flag.swap(1, Acquire) == 1 {
                hint::spin_loop();
            }
        };
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let guard = theirs.1.lock().unwrap();
            lock(&theirs.0.0);
            theirs.0.increment();
            drop(guard);
            theirs.0.0.store(0, Relaxed);
        });
        lock(&shared.0.0);
        let guard = shared.1.lock().unwrap();
        shared.0.increment();
        shared.0.0.store(0, Relaxed);
        drop(guard);
        other.join().unwrap();
    });
}

/// A flag that is set by a store and tried by a compare_exchange that may fail for no reason: then it
/// has read the flag by its failure ordering.
fn tried_weakly(failure: Ordering) {
    let shared = Arc::new(Shared(AtomicUsize::new(0), UnsafeCell::new(0)));
    let theirs = Arc::clone(&shared);
    let other = thread::spawn(move || {
        theirs.increment();
        theirs.0.store(1, Release);
    });
    match shared.0.compare_exchange_weak(1, 2, Acquire, failure) {
        Ok(_) | Err(1) => shared.increment(),
        Err(_) => {}
    }
    other.join().unwrap();
}

#[test]
fn a_compare_exchange_that_fails_for_no_reason_reads_by_its_failure_ordering() {
    holds(|| tried_weakly(Acquire));
    holds(|| tried_weakly(SeqCst));
    // Fuzzing lets it fail only if told to.
    let report = Checker::new().check(|| tried_weakly(Relaxed));
    assert_eq!(report.failures()[0].kind(), FailureKind::DataRace);
    let inject = racefuzz::Inject { spurious: true, ..racefuzz::Inject::default() };
    let report = Fuzzer::new().seed(42).iterations(10_000).inject(inject).fuzz(|| tried_weakly(Relaxed));
    assert_eq!(report.failures()[0].kind(), FailureKind::DataRace);
}

/// An initialisation in three states: whoever finds it done has read that by a failed compare_exchange.
fn initialised(failure: Ordering, fences: bool) {
    const RUNNING: usize = 1;
    const DONE: usize = 2;
    let once = Arc::new(Shared(AtomicUsize::new(0), UnsafeCell::new(0)));
    let get = move |once: &Shared<AtomicUsize>| {
        match once.0.compare_exchange(0, RUNNING, Acquire, failure) {
            Ok(_) => {
                once.increment();
                once.0.store(DONE, Release);
            }
            Err(DONE) => {
                if fences {
                    fence(Acquire);
                }
                // SAFETY: see at `Sync`.
                assert_eq!(once.1.with(|value| unsafe { *value }), 1);
            }
            Err(_) => {}
        }
    };
    let theirs = Arc::clone(&once);
    let other = thread::spawn(move || get(&theirs));
    get(&once);
    other.join().unwrap();
}

#[test]
fn an_initialisation_that_is_found_done() {
    holds(|| initialised(Acquire, false));
    holds(|| initialised(Relaxed, true));
    fails("data race", || initialised(Relaxed, false));
}

/// Two flags and a tie: by compare_exchanges of which at least one fails.
fn claimed(failure: Ordering) {
    let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let claim = move |mine: &AtomicUsize, other: &AtomicUsize| {
        mine.store(1, SeqCst);
        other.compare_exchange(2, 3, SeqCst, failure) == Err(0)
    };
    let other = thread::spawn(move || claim(&theirs.0, &theirs.1));
    let mine = claim(&shared.1, &shared.0);
    assert!(!(other.join().unwrap() && mine), "both have it");
}

#[test]
fn claims_that_fail() {
    holds(|| claimed(SeqCst));
    fails("order violation", || claimed(Relaxed));
}
