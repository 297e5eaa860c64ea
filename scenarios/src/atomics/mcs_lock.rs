//! The MCS queue lock: each waiting thread spins on a flag of its own.
//!
//! The lock is the tail of a queue of threads. Who comes puts itself at the tail and, if there was
//! somebody, tells that predecessor and waits. Who leaves wakes its successor; if it sees none, it
//! empties the queue. But a successor may already stand at the tail and not have said so yet. If
//! the queue is emptied by a plain store, that successor is forgotten and waits for ever. A
//! compare-exchange notices it, and the owner waits until the successor has made itself known.
//!
//! Source: Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory
//! Multiprocessors" (TOCS 1991), section 2.4.

use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use racefuzz::{FailureKind, hint, thread};

const SOURCE: Source = Source { file: file!(), text: include_str!("mcs_lock.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "mcs-lock",
    summary: "a queue lock forgets a thread that has just joined the queue",
    teaches: "\"There is no successor, so empty the queue\" is a check and an act. A thread that joins in between is \
              forgotten and spins for ever on a flag that nobody will clear. Mutual exclusion holds; progress does \
              not.",
    expected: Expected::Fails { kind: FailureKind::StepLimit, anomaly: "livelock" },
    twin: Some("mcs-lock-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(McsLock::unlock),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "mcs-lock-fixed",
    summary: "a queue lock empties its queue by compare-exchange",
    teaches: "The compare-exchange empties the queue only while the owner is still its tail. If that fails a successor \
              is on its way; the owner waits for it and hands the lock over.",
    expected: Expected::Holds,
    twin: Some("mcs-lock"),
    params: &[],
    source: SOURCE,
    run: |_| play(McsLock::unlock_fixed),
};

/// No thread; threads count from 1.
const NOBODY: usize = 0;

struct Waiter {
    /// Whether the thread must still wait.
    waiting: AtomicBool,
    /// Who comes after it.
    next: AtomicUsize,
}

struct McsLock {
    tail: AtomicUsize,
    waiters: [Waiter; 2],
    /// Threads in the critical section: what the lock is to keep at one.
    inside: AtomicUsize,
}

impl McsLock {
    fn waiter(&self, thread: usize) -> &Waiter {
        &self.waiters[thread - 1]
    }

    fn lock(&self, me: usize) {
        let before = self.tail.swap(me, AcqRel);
        if before != NOBODY {
            self.waiter(before).next.store(me, Release);
            while self.waiter(me).waiting.load(Acquire) {
                hint::spin_loop();
            }
        }
    }

    /// Racy: a thread may join the queue between the two steps.
    fn unlock(&self, me: usize) {
        let next = self.waiter(me).next.load(Acquire);
        if next == NOBODY {
            self.tail.store(NOBODY, Release);
        } else {
            self.waiter(next).waiting.store(false, Release);
        }
    }

    /// Repaired: empties the queue only if nobody has joined it.
    fn unlock_fixed(&self, me: usize) {
        let mut next = self.waiter(me).next.load(Acquire);
        if next == NOBODY {
            if self.tail.compare_exchange(me, NOBODY, Release, Relaxed).is_ok() {
                return;
            }
            next = loop {
                match self.waiter(me).next.load(Acquire) {
                    NOBODY => hint::spin_loop(),
                    next => break next,
                }
            };
        }
        self.waiter(next).waiting.store(false, Release);
    }
}

fn play(unlock: fn(&McsLock, usize)) {
    let waiter = || Waiter { waiting: AtomicBool::new(true), next: AtomicUsize::new(NOBODY) };
    let lock = Arc::new(McsLock {
        tail: AtomicUsize::new(NOBODY),
        waiters: [waiter(), waiter()],
        inside: AtomicUsize::new(0),
    });
    let threads = [1, 2].map(|me| {
        let lock = Arc::clone(&lock);
        thread::spawn(move || {
            lock.lock(me);
            let others = lock.inside.fetch_add(1, Relaxed);
            assert!(others == 0, "two threads are in the critical section");
            lock.inside.fetch_sub(1, Relaxed);
            unlock(&lock, me);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}
