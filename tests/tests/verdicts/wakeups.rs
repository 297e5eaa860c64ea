//! Threads that sleep for ever: notifications and park tokens that come too early.

use crate::{fails, holds, rows};
use racefuzz::sync::atomic::{AtomicBool, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread;

/// A flag is set and a thread notified that looks at the flag under a mutex and then waits.
fn notify(locks: bool) {
    let shared = Arc::new((Mutex::new(()), Condvar::new(), AtomicBool::new(false)));
    let theirs = Arc::clone(&shared);
    let other = thread::spawn(move || {
        let _guard = locks.then(|| theirs.0.lock().unwrap());
        theirs.2.store(true, SeqCst);
        theirs.1.notify_one();
    });
    let mut guard = shared.0.lock().unwrap();
    while !shared.2.load(SeqCst) {
        guard = shared.1.wait(guard).unwrap();
    }
    drop(guard);
    other.join().unwrap();
}

/// The trace is one that can happen: whoever is notified sleeps, and nobody does.
#[test]
fn a_notification_between_the_look_and_the_wait() {
    for text in fails("lost wake-up", || notify(false)) {
        let number =
            |part: &str| rows(&text).iter().find(|(_, row)| row.contains(part)).map(|(number, _)| *number);
        let numbers =
            ["shared.2 = true", "notify_one shared.1 (nobody waits)", "wait on shared.1"].map(number);
        assert!(numbers.iter().all(Option::is_some) && numbers.is_sorted(), "{numbers:?}: {text}");
        assert!(!text.contains("stale") && text.contains(" replay  racefuzz::replay("), "{text}");
    }
}

#[test]
fn a_notification_under_the_mutex() {
    holds(|| notify(true));
}

/// A thread is unparked if it has said that it is about to park, and parks unless it sees the flag.
fn park(announcement: racefuzz::sync::atomic::Ordering) {
    let shared = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
    let theirs = Arc::clone(&shared);
    let (store, load) = match announcement {
        SeqCst => (SeqCst, SeqCst),
        _ => (Release, Acquire),
    };
    let other = thread::spawn(move || {
        theirs.1.store(true, store);
        if !theirs.0.load(load) {
            thread::park();
        }
    });
    shared.0.store(true, store);
    if shared.1.load(load) {
        other.thread().unpark();
    }
    other.join().unwrap();
}

/// Each of the two misses what the other has stored, which no order of the steps explains.
#[test]
fn a_thread_that_parks_unseen() {
    for text in fails("lost wake-up", || park(Release)) {
        assert!(text.contains("because it read false"), "{text}");
    }
}

#[test]
fn a_thread_that_is_seen_to_park() {
    holds(|| park(SeqCst));
}
