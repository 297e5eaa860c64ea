//! Executions of a correct program, done again, do the same.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering::SeqCst};
use racefuzz_primitives::thread;
use racefuzz_trace::{MemoryModel, Outcome};
use std::time::Duration;

/// Found by the soak: one thread parks behind a store, another one wakes it behind an increment.
#[test]
fn a_park_behind_a_store() {
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        for spurious in [false, true] {
            let mut options = Options { minimise: false, ..Options::default() };
            options.settings.memory = memory;
            options.settings.inject.spurious = spurious;
            let report = check(
                &options,
                &|| {
                    let x = Arc::new(AtomicU32::new(0));
                    let other = Arc::clone(&x);
                    let parks = thread::spawn(move || {
                        other.store(1, SeqCst);
                        thread::park();
                    });
                    let target = parks.thread().clone();
                    let wakes = thread::spawn(move || {
                        x.fetch_add(1, SeqCst);
                        target.unpark();
                    });
                    parks.join().unwrap();
                    wakes.join().unwrap();
                },
                &(),
            );
            assert_eq!(report.outcome(), Outcome::Passed, "{memory:?}: {report:?}");
        }
    }
}

/// Found by the soak: a park that was about to time out, for want of a token, has one to take when a
/// token comes first. Whether it may still time out is looked at again.
#[test]
fn a_park_that_times_out_before_it_is_woken() {
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        let mut options = Options { minimise: false, ..Options::default() };
        options.settings.memory = memory;
        options.settings.inject.spurious = false;
        let report = check(
            &options,
            &|| {
                let x = Arc::new(AtomicU32::new(0));
                let (loads, parks) = (Arc::clone(&x), Arc::clone(&x));
                let loads = thread::spawn(move || loads.load(SeqCst));
                let parks = thread::spawn(move || {
                    parks.load(SeqCst);
                    thread::park_timeout(Duration::from_millis(5));
                    parks.fetch_add(1, SeqCst);
                });
                let target = parks.thread().clone();
                let wakes = thread::spawn(move || target.unpark());
                assert!(loads.join().unwrap() <= 1);
                parks.join().unwrap();
                wakes.join().unwrap();
                assert_eq!(x.load(SeqCst), 1);
            },
            &(),
        );
        assert_eq!(report.outcome(), Outcome::Passed, "{memory:?}: {report:?}");
        // The token comes in time or not, and the other thread's load is before or behind the increment.
        assert_eq!(report.executions(), 4, "{memory:?}");
    }
}
