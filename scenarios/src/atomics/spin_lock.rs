//! The smallest lock: a flag that is swapped in and stored out.
//!
//! Taking the lock with `Acquire` is only one half. If it is given back with a `Relaxed` store,
//! the next owner does not see what the last one wrote: the lock keeps the threads apart, but it
//! does not hand the data over. `Release` on the unlock is the other half.
//!
//! Source: Mara Bos, "Rust Atomics and Locks", chapter 4, "Building Our Own Spin Lock".

use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use racefuzz::{FailureKind, hint, thread};

const SOURCE: Source = Source { file: file!(), text: include_str!("spin_lock.rs") };
const PARAMS: &[Param] =
    &[Param { name: "threads", default: 2, min: 1, max: 16, about: "threads that take the lock once each" }];

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "spin-lock",
    summary: "a spin lock is given back with a Relaxed store",
    teaches: "A lock has two duties: to keep others out, and to show the next owner what the last one did. A \
              `Relaxed` unlock does the first only. The two owners' accesses are not ordered, which is a data race \
              although they never hold the lock at the same time.",
    expected: Expected::Fails { kind: FailureKind::DataRace, anomaly: "data race" },
    twin: Some("spin-lock-fixed"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, SpinLock::unlock),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "spin-lock-fixed",
    summary: "a spin lock is given back with a Release store",
    teaches: "The `Release` store that unlocks and the `Acquire` swap that locks next order one owner behind the \
              other, and all their accesses with them.",
    expected: Expected::Holds,
    twin: Some("spin-lock"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, SpinLock::unlock_fixed),
};

struct SpinLock {
    locked: AtomicBool,
    count: UnsafeCell<u64>,
}

// SAFETY: `count` is accessed by the owner of `locked` only. In the racy version one owner is not
// ordered behind the other; racefuzz runs one thread at a time and reports the race.
unsafe impl Sync for SpinLock {}

impl SpinLock {
    fn lock(&self) {
        while self.locked.swap(true, Acquire) {
            hint::spin_loop();
        }
    }

    /// Racy: keeps nobody's writes.
    fn unlock(&self) {
        self.locked.store(false, Relaxed);
    }

    /// Repaired: publishes the owner's writes.
    fn unlock_fixed(&self) {
        self.locked.store(false, Release);
    }
}

fn play(params: &Params, unlock: fn(&SpinLock)) {
    let lock = Arc::new(SpinLock { locked: AtomicBool::new(false), count: UnsafeCell::new(0) });
    let threads: Vec<_> = (0..params.number("threads"))
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                lock.lock();
                // SAFETY: this thread has the lock; see also at `Sync`.
                lock.count.with_mut(|count| unsafe { *count += 1 });
                unlock(&lock);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // SAFETY: all other threads have ended.
    let found = lock.count.with(|count| unsafe { *count });
    let expected = params.number("threads");
    assert!(found == expected, "expected {expected}, found {found}");
}
