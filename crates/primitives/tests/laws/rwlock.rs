//! Laws of `RwLock`.

use crate::common::{explore, outcomes, spawn};
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, RwLock, RwLockWriteGuard};
use racefuzz_trace::FailureKind;
use std::collections::BTreeSet;
use std::sync::TryLockError;

#[test]
fn readers_share_and_a_writer_excludes() {
    let most = outcomes(|| {
        let lock = Arc::new((RwLock::new(0), AtomicUsize::new(0)));
        let inside = |lock: &(RwLock<i32>, AtomicUsize)| lock.1.fetch_add(1, Ordering::Relaxed) + 1;
        let reader = |lock: Arc<(RwLock<i32>, AtomicUsize)>| {
            spawn(move || {
                let _guard = lock.0.read().unwrap();
                let count = inside(&lock);
                lock.1.fetch_sub(1, Ordering::Relaxed);
                count
            })
        };
        let first = reader(Arc::clone(&lock));
        let second = reader(Arc::clone(&lock));
        {
            let mut guard = lock.0.write().unwrap();
            assert_eq!(inside(&lock), 1);
            *guard += 1;
            lock.1.fetch_sub(1, Ordering::Relaxed);
        }
        first.join().max(second.join())
    });
    assert_eq!(most, BTreeSet::from([1, 2]));
}

/// Both are possible, and no more: the second read is let in, or waits for the writer that waits for
/// the first.
#[test]
fn a_reader_is_let_in_or_kept_out_while_a_writer_waits() {
    let explored = explore(|| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let writer = spawn(move || *theirs.write().unwrap() += 1);
        let first = lock.read().unwrap();
        let second = lock.read().unwrap();
        assert_eq!(*first, *second);
        drop((first, second));
        writer.join();
    });
    let kept_out = explored.only_fails(FailureKind::Deadlock);
    assert!(0 < kept_out && kept_out < explored.executions);
    let message = explored.first.unwrap().0.message;
    assert!(message.contains("kept out by thread 1, which waits to write"), "{message}");
}

/// Once the writer has had its turn, or while none waits, a reader that was kept out is as any other.
#[test]
fn a_reader_that_was_kept_out_competes_again() {
    let read = outcomes(|| {
        let lock = Arc::new(RwLock::new(0));
        let (one, two) = (Arc::clone(&lock), Arc::clone(&lock));
        let writer = spawn(move || *one.write().unwrap() += 1);
        let reader = spawn(move || *two.read().unwrap());
        drop(lock.read().unwrap());
        writer.join();
        // Nobody waits to write any more: the reader is let in although it was kept out earlier.
        let held = lock.read().unwrap();
        (*held, reader.join())
    });
    assert_eq!(read, BTreeSet::from([(1, 0), (1, 1)]));
}

#[test]
fn an_upgrade_waits_for_itself() {
    let explored = explore(|| {
        let lock = RwLock::new(0);
        let _read = lock.read().unwrap();
        let _write = lock.write().unwrap();
    });
    assert_eq!(explored.only_fails(FailureKind::Deadlock), explored.executions);
    assert!(explored.first.unwrap().0.message.contains("which it holds itself"));
}

#[test]
fn two_upgrades_wait_for_each_other_in_some_schedule() {
    let explored = explore(|| {
        let lock = Arc::new(RwLock::new(0));
        let upgrade = |lock: Arc<RwLock<i32>>| {
            let n = *lock.read().unwrap();
            *lock.write().unwrap() = n + 1;
            n
        };
        let theirs = Arc::clone(&lock);
        let other = spawn(move || upgrade(theirs));
        upgrade(Arc::clone(&lock));
        other.join();
        // Nothing deadlocks (the read guards are dropped), but an update is lost.
        assert_eq!(*lock.read().unwrap(), 2);
    });
    let lost = explored.only_fails(FailureKind::Panic);
    assert!(0 < lost && lost < explored.executions);
}

#[test]
fn the_try_forms_fail_exactly_while_they_would_wait() {
    explore(|| {
        let lock = RwLock::new(0);
        let first = lock.read().unwrap();
        let second = lock.try_read().unwrap();
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop((first, second));
        let write = lock.try_write().unwrap();
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        let read = RwLockWriteGuard::downgrade(write);
        assert_eq!(*lock.try_read().unwrap(), *read);
        drop(read);
        assert_eq!(format!("{lock:?}"), "RwLock { data: 0, poisoned: false, .. }");
        assert!(lock.try_write().is_ok());
    })
    .passes();
}

#[test]
fn nobody_writes_between_a_write_and_the_read_it_is_downgraded_to() {
    explore(|| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let other = spawn(move || *theirs.write().unwrap() += 10);
        let mut write = lock.write().unwrap();
        *write += 1;
        let before = *write;
        let read = RwLockWriteGuard::downgrade(write);
        assert_eq!(*read, before);
        drop(read);
        other.join();
        assert_eq!(*lock.read().unwrap(), 11);
    })
    .passes();
}

#[test]
fn only_writers_poison() {
    explore(|| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let reader = spawn(move || {
            let _guard = theirs.read().unwrap();
            panic!("reading");
        });
        assert!(reader.outcome().is_err());
        assert!(!lock.is_poisoned());
        let theirs = Arc::clone(&lock);
        let writer = spawn(move || {
            let _guard = theirs.write().unwrap();
            panic!("writing");
        });
        assert!(writer.outcome().is_err());
        assert!(lock.is_poisoned());
        assert!(lock.read().is_err());
        lock.clear_poison();
        assert!(lock.read().is_ok());
    })
    .passes();
}

static TABLE: RwLock<Vec<u8>> = RwLock::new(Vec::new());

#[test]
fn statics_start_anew_in_each_execution() {
    let explored = explore(|| {
        let other = spawn(|| TABLE.write().unwrap().push(1));
        let seen = TABLE.read().unwrap().len();
        assert!(seen < 2);
        other.join();
        assert_eq!(TABLE.read().unwrap().len(), 1);
    })
    .passes();
    assert!(explored.executions > 1 && explored.left_over.is_empty());
}

#[test]
fn outside_an_execution_it_is_a_lock_like_any_other() {
    let lock = RwLock::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    *lock.write().unwrap() += 1;
                    assert!(*lock.read().unwrap() > 0);
                }
            });
        }
    });
    assert_eq!(*lock.read().unwrap(), 2000);
    let write = lock.write().unwrap();
    assert!(lock.try_read().is_err());
    let read = RwLockWriteGuard::downgrade(write);
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    drop(read);
    assert!(lock.try_write().is_ok());
}
