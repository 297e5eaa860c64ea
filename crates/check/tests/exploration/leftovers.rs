//! What an operation was told must not hold for the next one of its thread.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, Outcome, RunReport};
use std::time::Duration;

fn explore(program: impl Fn() + Sync) -> RunReport {
    check(&Options { minimise: false, ..Options::default() }, &program, &())
}

/// A receiver that finds nobody only reads its channel; a reference count that is looked at next does
/// not only read: taken so, two looks read one write, which no order of the program's steps shows.
#[test]
fn a_count_is_no_wait_after_one_that_was_refused() {
    let report = explore(|| {
        let first = Arc::new(());
        let second = Arc::clone(&first);
        let (send, receive) = mpsc::channel::<u32>();
        drop(send);
        let one = thread::spawn(move || drop(Arc::try_unwrap(first)));
        let two = thread::spawn(move || {
            receive.recv().unwrap_err();
            drop(Arc::try_unwrap(second));
        });
        one.join().unwrap();
        two.join().unwrap();
    });
    assert_eq!((report.outcome(), report.executions()), (Outcome::Passed, 6), "{report:?}");
}

/// Somebody who waited for a limited time, and now waits for a thread that never ends, waits for ever.
#[test]
fn a_join_has_no_limit_after_a_wait_that_had_one() {
    let limit = Duration::from_millis(1);
    let waits: [fn(Duration); 3] = [
        |limit| {
            let (_send, receive) = mpsc::channel::<u32>();
            let _ = receive.recv_timeout(limit);
        },
        thread::park_timeout,
        |limit| {
            let lock = Mutex::new(());
            drop(Condvar::new().wait_timeout(lock.lock().unwrap(), limit));
        },
    ];
    for wait in waits {
        let report = explore(|| {
            let stuck = thread::spawn(thread::park);
            wait(limit);
            stuck.join().unwrap();
        });
        let kinds: Vec<FailureKind> = report.failures.iter().map(|failure| failure.kind).collect();
        assert_eq!(kinds, [FailureKind::Deadlock], "{report:?}");
    }
}
