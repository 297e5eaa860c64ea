//! Loops that spin: endless ones wait, bounded ones are explored round by round.

use racefuzz_check::{Options, check};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_primitives::{hint, thread};
use racefuzz_trace::{FailureKind, Outcome, RunReport};

fn run(program: impl Fn() + Sync) -> RunReport {
    check(&Options { keep_going: true, minimise: false, ..Options::default() }, &program, &())
}

/// The reader may see the store in any of its rounds, or never.
#[test]
fn a_bounded_loop_without_a_hint_is_explored_in_full() {
    let report = run(|| {
        let x = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&x);
        let writer = thread::spawn(move || other.store(1, Relaxed));
        for _ in 0..8 {
            x.load(Relaxed);
        }
        writer.join().unwrap();
    });
    assert_eq!((report.outcome(), report.executions(), report.blocked()), (Outcome::Passed, 9, 0));
}

/// Two rounds that find nothing, then it gives up: that way must not be lost.
#[test]
fn a_bounded_spin_gives_up() {
    let report = run(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&flag);
        let setter = thread::spawn(move || other.store(true, Release));
        let mut seen = false;
        for _ in 0..3 {
            seen |= flag.load(Acquire);
            if seen {
                break;
            }
            hint::spin_loop();
        }
        setter.join().unwrap();
        assert!(seen, "gave up");
    });
    assert_eq!(report.executions(), 4);
    assert_eq!(report.stats.failing, 1);
}

#[test]
fn an_endless_spin_waits() {
    let report = run(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&flag);
        let setter = thread::spawn(move || other.store(true, Release));
        while !flag.load(Acquire) {
            hint::spin_loop();
        }
        setter.join().unwrap();
    });
    assert!(report.failures().is_empty(), "{}", report.failures()[0].message());
    // However many rounds there are, the last one sees the store, and the others might as well not be.
    assert_eq!((report.outcome(), report.executions()), (Outcome::Passed, 1));
    assert!(report.blocked() <= 2, "{} blocked", report.blocked());
}

/// The second thread to come meets the lock taken, not at all, once, or until it waits.
#[test]
fn a_lock_that_swaps_is_verified() {
    let report = run(|| {
        let lock = Arc::new((AtomicBool::new(false), AtomicU32::new(0)));
        let enter = |lock: &(AtomicBool, AtomicU32)| {
            while lock.0.swap(true, Acquire) {
                hint::spin_loop();
            }
            let count = lock.1.load(Relaxed);
            lock.1.store(count + 1, Relaxed);
            lock.0.store(false, Release);
        };
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || enter(&other));
        enter(&lock);
        thread.join().unwrap();
        assert_eq!(lock.1.load(Relaxed), 2);
    });
    assert_eq!((report.outcome(), report.stats.failing), (Outcome::Passed, 0));
}

#[test]
fn a_spin_that_nobody_ends_is_a_livelock() {
    let report = run(|| {
        let flag = AtomicBool::new(false);
        while !flag.load(Acquire) {
            hint::spin_loop();
        }
    });
    assert_eq!(report.failures()[0].kind(), FailureKind::StepLimit);
}

/// Looks again and again, under a lock that whoever changes it needs, too.
fn poll_under_a_lock(shared: &(Mutex<u32>, AtomicBool), ends: impl Fn(u32, bool) -> bool) {
    loop {
        let locked = shared.0.lock().unwrap();
        if ends(*locked, shared.1.load(Relaxed)) {
            break;
        }
        drop(locked);
        hint::spin_loop();
    }
}

/// One thread polls, or several, until another has changed what they look at.
fn polled(pollers: usize, change: fn(&mut u32, &AtomicBool), ends: fn(u32, bool) -> bool) -> RunReport {
    run(move || {
        let shared = Arc::new((Mutex::new(0), AtomicBool::new(false)));
        let pollers: Vec<_> = (0..pollers)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || poll_under_a_lock(&shared, ends))
            })
            .collect();
        change(&mut shared.0.lock().unwrap(), &shared.1);
        pollers.into_iter().for_each(|poller| poller.join().unwrap());
    })
}

#[test]
fn a_spin_that_takes_a_lock_in_each_round_waits() {
    for pollers in 1..=3 {
        let report = polled(pollers, |_, flag| flag.store(true, Relaxed), |_, flag| flag);
        assert_eq!(report.outcome(), Outcome::Passed, "{pollers}: {:?}", report.failures);
    }
}

/// What the lock guards is no event; a round that does not know of a change of it is no failure.
#[test]
fn a_spin_that_looks_at_what_its_lock_guards_waits() {
    for pollers in 1..=3 {
        let report = polled(pollers, |guarded, _| *guarded = 1, |guarded, _| guarded == 1);
        assert_eq!(report.outcome(), Outcome::Passed, "{pollers}: {:?}", report.failures);
    }
}

#[test]
fn a_spin_with_a_lock_that_nobody_ends_is_a_livelock() {
    let report = polled(1, |_, flag| flag.store(false, Relaxed), |_, flag| flag);
    assert_eq!(report.failures()[0].kind(), FailureKind::StepLimit);
}

/// A queue whose consumers lock it by trying, look at what the lock guards, and try again where a producer
/// has said that it will put something there, but has not yet. A round that is only tried once more reads the
/// lock as it was, so that it does not hold it: its use of the cell is none.
#[test]
fn a_cell_that_each_round_uses_under_its_lock() {
    #[derive(Default)]
    struct Queue {
        head: AtomicU32,
        ready: AtomicU32,
        busy: AtomicBool,
        tail: UnsafeCell<u32>,
    }
    // SAFETY: `tail` is used under `busy` only.
    unsafe impl Sync for Queue {}
    impl Queue {
        fn put(&self) {
            self.head.fetch_add(1, AcqRel);
            self.ready.fetch_add(1, Release);
        }
        /// Whether something was taken; false if there is nothing.
        fn take(&self) -> bool {
            loop {
                if self.busy.compare_exchange(false, true, AcqRel, Acquire).is_ok() {
                    let taken = self.tail.with_mut(|tail| {
                        // SAFETY: the lock is held.
                        let tail = unsafe { &mut *tail };
                        if self.ready.load(Acquire) > *tail {
                            *tail += 1;
                            return Some(true);
                        }
                        (self.head.load(Acquire) == *tail).then_some(false)
                    });
                    self.busy.store(false, Release);
                    if let Some(taken) = taken {
                        return taken;
                    }
                }
                hint::spin_loop();
            }
        }
    }
    let consume: [fn(&Queue); 2] = [|queue| while queue.take() {}, |queue| _ = queue.take()];
    for consume in consume {
        let report = run(|| {
            let queue = Arc::new(Queue::default());
            let theirs = Arc::clone(&queue);
            let producer = thread::spawn(move || theirs.put());
            let theirs = Arc::clone(&queue);
            let other = thread::spawn(move || consume(&theirs));
            consume(&queue);
            producer.join().unwrap();
            other.join().unwrap();
        });
        // That rounds which see each other have no end is said, and is no failure.
        assert!(report.failures.is_empty() && report.executions() > 0, "{report:?}");
    }
}

/// References that are counted by hand, each clone a round of a loop: a trial of it counts on, so that the
/// destructors at its end do not release more than there is.
#[test]
fn references_that_are_cloned_in_a_loop() {
    static BELOW_ZERO: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    struct Handle(std::sync::Arc<AtomicU32>);
    impl Clone for Handle {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Relaxed);
            Self(self.0.clone())
        }
    }
    impl Drop for Handle {
        fn drop(&mut self) {
            if self.0.fetch_sub(1, Relaxed) == 0 {
                BELOW_ZERO.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
    let report = run(|| {
        let first = Handle(std::sync::Arc::new(AtomicU32::new(1)));
        let clones: Vec<Handle> = (0..3).map(|_| first.clone()).collect();
        let other = thread::spawn(move || drop(clones));
        drop(first);
        other.join().unwrap();
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
    assert!(!BELOW_ZERO.load(std::sync::atomic::Ordering::Relaxed));
}
