//! Executions of a correct program, done again, do the same.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering::SeqCst};
use racefuzz_primitives::thread;
use racefuzz_trace::{MemoryModel, Outcome};

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
