//! Read-write locks that wait for their own readers.

use crate::{fails, holds};
use racefuzz::sync::{Arc, Condvar, Mutex, RwLock};
use racefuzz::thread;

/// A thread reads twice, and another one writes.
fn twice(releases: bool) {
    let lock = Arc::new(RwLock::new(0));
    let theirs = Arc::clone(&lock);
    let writer = thread::spawn(move || *theirs.write().unwrap() += 1);
    let first = lock.read().unwrap();
    let seen = *first;
    let first = (!releases).then_some(first);
    let second = lock.read().unwrap();
    assert!(seen <= *second);
    drop((first, second));
    writer.join().unwrap();
}

/// parking_lot#212, rust-lightning#2006: a writer that waits between the two reads keeps the second out.
#[test]
fn a_thread_that_reads_twice() {
    fails("deadlock", || twice(false));
}

#[test]
fn a_thread_that_reads_again_after_it_has_released() {
    holds(|| twice(true));
}

/// shuttle#66: the guard in the scrutinee of a match lives through its arms.
#[test]
fn a_guard_that_lives_through_a_match() {
    fails("self-deadlock", || {
        let state = RwLock::new(Some(42));
        match *state.read().unwrap() {
            Some(number) if number > 0 => *state.write().unwrap() = Some(number - 1),
            Some(_) | None => {}
        }
    });
    holds(|| {
        let state = RwLock::new(Some(42));
        let found = *state.read().unwrap();
        match found {
            Some(number) if number > 0 => *state.write().unwrap() = Some(number - 1),
            Some(_) | None => {}
        }
    });
}

/// A writer that becomes a reader and reads once more.
#[test]
fn a_writer_that_becomes_a_reader_reads_again() {
    let program = |tries: bool| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let writer = thread::spawn(move || *theirs.write().unwrap() += 1);
        let mut guard = lock.write().unwrap();
        *guard += 1;
        let first = racefuzz::sync::RwLockWriteGuard::downgrade(guard);
        if tries {
            assert_eq!(*lock.try_read().unwrap(), *first);
        } else {
            assert_eq!(*lock.read().unwrap(), *first);
        }
        drop(first);
        writer.join().unwrap();
    };
    fails("deadlock", || program(false));
    holds(|| program(true));
}

/// A reader waits, with its guard, for a notification that another reader sends.
#[test]
fn a_reader_that_waits_for_another_reader() {
    let program = |writers: usize, keeps: bool| {
        let shared = Arc::new((RwLock::new(0), Mutex::new(false), Condvar::new()));
        let writers: Vec<_> = (0..writers)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || *shared.0.write().unwrap() += 1)
            })
            .collect();
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            assert!(*theirs.0.read().unwrap() <= 1);
            *theirs.1.lock().unwrap() = true;
            theirs.2.notify_one();
        });
        let held = shared.0.read().unwrap();
        let held = keeps.then_some(held);
        let ready = shared.2.wait_while(shared.1.lock().unwrap(), |ready| !*ready).unwrap();
        drop((ready, held));
        other.join().unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    };
    fails("deadlock", || program(1, true));
    holds(|| program(0, true));
    holds(|| program(1, false));
}

/// A lock that is given up before it is taken for writing, and one that is not.
#[test]
fn readers_that_become_writers() {
    let program = |gives_up: bool| {
        let lock = Arc::new(RwLock::new(0));
        let increment = move |lock: &RwLock<u32>| {
            let guard = lock.read().unwrap();
            if *guard < 2 {
                let guard = (!gives_up).then_some(guard);
                *lock.write().unwrap() += 1;
                drop(guard);
            }
        };
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || increment(&theirs));
        increment(&lock);
        other.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 2);
    };
    holds(|| program(true));
    fails("self-deadlock", || program(false));
}
