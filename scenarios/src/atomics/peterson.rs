//! Peterson's lock: mutual exclusion for two threads with loads and stores only.
//!
//! A thread says that it wants to enter, gives the other precedence, and waits while the other
//! wants to enter and has precedence. The proof assumes that all see all stores in one order.
//! `Release` and `Acquire` do not give that: a thread may read its neighbour's flag from before
//! and enter although the neighbour is inside. With `SeqCst` the proof holds.
//!
//! Source: Peterson, "Myths About the Mutual Exclusion Problem" (IPL 1981).

use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use racefuzz::{FailureKind, hint, thread};

const SOURCE: Source = Source { file: file!(), text: include_str!("peterson.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "peterson",
    summary: "Peterson's lock with Release and Acquire lets both threads in",
    teaches: "`Release` and `Acquire` order what is behind a value that was seen. They do not say that a value must \
              be seen: after its own stores a thread may still read the other's flag from before. Algorithms that \
              store one variable and then read another need `SeqCst`.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "order violation" },
    twin: Some("peterson-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Peterson::lock),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "peterson-fixed",
    summary: "Peterson's lock with SeqCst",
    teaches: "All SeqCst accesses have one order that all threads agree on, and Peterson's proof is about that order.",
    expected: Expected::Holds,
    twin: Some("peterson"),
    params: &[],
    source: SOURCE,
    run: |_| play(Peterson::lock_fixed),
};

struct Peterson {
    wants: [AtomicBool; 2],
    /// Whom both let go first.
    first: AtomicUsize,
    /// Threads in the critical section: what the lock is to keep at one.
    inside: AtomicUsize,
}

impl Peterson {
    /// Racy: the loads may overtake the stores.
    fn lock(&self, me: usize) {
        let other = 1 - me;
        self.wants[me].store(true, Release);
        self.first.store(other, Release);
        while self.wants[other].load(Acquire) && self.first.load(Acquire) == other {
            hint::spin_loop();
        }
    }

    /// Repaired.
    fn lock_fixed(&self, me: usize) {
        let other = 1 - me;
        self.wants[me].store(true, SeqCst);
        self.first.store(other, SeqCst);
        while self.wants[other].load(SeqCst) && self.first.load(SeqCst) == other {
            hint::spin_loop();
        }
    }

    fn unlock(&self, me: usize) {
        self.wants[me].store(false, Release);
    }
}

fn play(lock: fn(&Peterson, usize)) {
    let peterson = Arc::new(Peterson {
        wants: [AtomicBool::new(false), AtomicBool::new(false)],
        first: AtomicUsize::new(0),
        inside: AtomicUsize::new(0),
    });
    let threads = [0, 1].map(|me| {
        let peterson = Arc::clone(&peterson);
        thread::spawn(move || {
            lock(&peterson, me);
            let others = peterson.inside.fetch_add(1, Relaxed);
            assert!(others == 0, "two threads are in the critical section");
            peterson.inside.fetch_sub(1, Relaxed);
            peterson.unlock(me);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}
