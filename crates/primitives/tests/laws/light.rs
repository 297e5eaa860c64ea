//! An execution that does without clocks and store histories, as long as nothing asks for them, is the
//! execution that has them.

use crate::common::spawn;
use crate::random::Random;
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use racefuzz_primitives::thread;
use racefuzz_runtime::{Config, Ended, Record, Runner};
use racefuzz_trace::MemoryModel;

/// What is said of an execution, and whether it could do without.
fn told(runner: &Runner, ended: &Ended) -> String {
    let failure = ended.failure.as_ref().map(|failure| (failure.kind, &failure.message, failure.step));
    let Ended { blocked, threads, steps, class, output, left_over, .. } = ended;
    let ended = (failure, blocked, threads, steps, class, output, left_over);
    format!("{ended:?} {:?} {:?}", runner.choices(), runner.log())
}

/// Runs a program under many schedules with and without, and says whether it never asked for more.
#[track_caller]
fn same(program: impl Fn()) -> bool {
    let mut lights = Vec::new();
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        let mut full = Runner::new(Config { memory, ..Config::default() });
        let mut light = Runner::new(Config { memory, light: true, ..Config::default() });
        for seed in 1..60u64 {
            let explorer = || Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let expected = full.run(&program, &mut explorer(), Record::Choices);
            let mut ended = light.run(&program, &mut explorer(), Record::Choices);
            if ended.again {
                assert!(!light.is_light());
                ended = light.run(&program, &mut explorer(), Record::Choices);
                assert!(!ended.again);
            }
            assert_eq!(told(&light, &ended), told(&full, &expected), "{memory:?}, seed {seed}");
        }
        lights.push(light.is_light());
    }
    assert!(lights[0] || !lights[1], "rc11 asks for all that sc asks for");
    lights[1]
}

#[test]
fn seq_cst_atomics_and_locks_ask_for_nothing() {
    let atomics = || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let threads: Vec<_> = (0..3)
            .map(|id| {
                let shared = Arc::clone(&shared);
                spawn(move || {
                    let value = shared.0.load(Ordering::SeqCst);
                    shared.0.store(value + id, Ordering::SeqCst);
                    shared.0.fetch_add(1, Ordering::SeqCst);
                    shared.1.swap(true, Ordering::SeqCst);
                    _ = shared.0.compare_exchange(2, 9, Ordering::SeqCst, Ordering::SeqCst);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join());
        assert_ne!(shared.0.load(Ordering::SeqCst), 9, "unlucky");
    };
    assert!(same(atomics));
    assert!(same(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new(), RwLock::new(0)));
        let theirs = Arc::clone(&shared);
        let waiter = spawn(move || {
            let mut ready = theirs.0.lock().unwrap();
            while *ready == 0 {
                ready = theirs.1.wait(ready).unwrap();
            }
            *theirs.2.write().unwrap() += *ready;
        });
        *shared.0.lock().unwrap() = 1;
        shared.1.notify_one();
        let seen = *shared.2.read().unwrap();
        waiter.join();
        assert_eq!(seen, 0, "unlucky");
    }));
    assert!(same(|| {
        let (sender, receiver) = mpsc::channel();
        let waiter = thread::current();
        let sending = spawn(move || {
            waiter.unpark();
            sender.send(3).unwrap();
        });
        thread::park();
        assert_eq!(receiver.recv(), Ok(3));
        drop(sending);
        fence(Ordering::SeqCst);
    }));
}

#[test]
fn locks_that_wait_for_each_other_are_found_without() {
    assert!(same(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let theirs = Arc::clone(&locks);
        let other = spawn(move || {
            let _second = theirs.1.lock().unwrap();
            let _first = theirs.0.lock().unwrap();
        });
        let _first = locks.0.lock().unwrap();
        let _second = locks.1.lock().unwrap();
        drop(other);
    }));
}

#[test]
fn weaker_orders_ask_for_store_histories() {
    for (success, failure) in [
        (Ordering::Relaxed, Ordering::Relaxed),
        (Ordering::Acquire, Ordering::Acquire),
        (Ordering::SeqCst, Ordering::Relaxed),
    ] {
        let light = same(move || {
            let words = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let theirs = Arc::clone(&words);
            let other = spawn(move || {
                theirs.0.store(1, Ordering::SeqCst);
                _ = theirs.1.compare_exchange(7, 8, success, failure);
            });
            words.1.store(1, Ordering::SeqCst);
            let seen = words.0.load(Ordering::SeqCst);
            other.join();
            assert_eq!(seen, 0, "unlucky");
        });
        assert!(!light);
    }
}

#[test]
fn memory_that_is_not_atomic_asks_for_clocks() {
    struct Racy(UnsafeCell<u32>, AtomicUsize);
    // SAFETY: that it is not is what is found.
    unsafe impl Sync for Racy {}
    // SAFETY: as above.
    unsafe impl Send for Racy {}

    let light = same(|| {
        let shared = Arc::new(Racy(UnsafeCell::new(0), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let other = spawn(move || {
            // SAFETY: threads of an execution never run at one time.
            theirs.0.with_mut(|value| unsafe { *value = 1 });
            theirs.1.store(1, Ordering::SeqCst);
        });
        if shared.1.load(Ordering::SeqCst) == 1 {
            // SAFETY: as above; what the other wrote happens before.
            shared.0.with(|value| assert_eq!(unsafe { *value }, 1));
        }
        other.join();
    });
    assert!(!light);
}
