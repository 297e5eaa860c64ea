//! Laws of `Condvar`.

use crate::common::{explore, explore_with, outcomes, record, spawn};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex};
use racefuzz_runtime::Config;
use racefuzz_trace::{FailureKind, Inject, ThreadId, Verb};
use std::collections::BTreeSet;
use std::time::Duration;

type Pair = Arc<(Mutex<u32>, Condvar)>;

fn pair() -> Pair {
    Arc::new((Mutex::new(0), Condvar::new()))
}

#[test]
fn a_waiter_that_checks_its_condition_is_always_woken() {
    explore(|| {
        let pair = pair();
        let theirs = Arc::clone(&pair);
        let waiter = spawn(move || {
            let (lock, condvar) = &*theirs;
            let guard = condvar.wait_while(lock.lock().unwrap(), |n| *n == 0).unwrap();
            assert_eq!(*guard, 1);
        });
        *pair.0.lock().unwrap() = 1;
        pair.1.notify_one();
        waiter.join();
    })
    .passes();
}

#[test]
fn a_notification_before_the_wait_is_lost() {
    let explored = explore(|| {
        let pair = pair();
        let theirs = Arc::clone(&pair);
        let waiter = spawn(move || {
            let guard = theirs.0.lock().unwrap();
            drop(theirs.1.wait(guard).unwrap());
        });
        pair.1.notify_one();
        waiter.join();
    });
    let lost = explored.only_fails(FailureKind::Deadlock);
    assert!(lost < explored.executions);
    let (_, trace) = explored.first.unwrap();
    let notify = trace.events.iter().find(|event| event.verb == Verb::NotifyOne).unwrap();
    assert_eq!(notify.other, None);
}

#[test]
fn a_notification_names_whom_it_wakes() {
    let trace = record(|| {
        let pair = pair();
        let theirs = Arc::clone(&pair);
        let waiter = spawn(move || {
            let guard = theirs.1.wait_while(theirs.0.lock().unwrap(), |n| *n == 0);
            drop(guard.unwrap());
        });
        // Lets the waiter come first.
        let _ = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_secs(1)).unwrap();
        *pair.0.lock().unwrap() = 1;
        pair.1.notify_one();
        waiter.join();
    });
    let notify = trace.events.iter().find(|event| event.verb == Verb::NotifyOne).unwrap();
    assert_eq!(notify.other, Some(ThreadId(1)));
    let mut words = trace.events.iter().filter(|event| event.thread == ThreadId(1)).map(|event| event.verb);
    assert!(words.any(|verb| verb == Verb::Wait));
    assert_eq!(words.by_ref().take(3).collect::<Vec<_>>(), [Verb::Unlock, Verb::Woken, Verb::Lock]);
}

/// `threads` wait for one turn each; how many get past, over all schedules in which all wait.
fn woken(all: bool) -> BTreeSet<(bool, bool)> {
    outcomes(|| {
        let pair = pair();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let theirs = Arc::clone(&pair);
                spawn(move || {
                    let mut guard = theirs.0.lock().unwrap();
                    *guard += 1;
                    let (_guard, result) = theirs.1.wait_timeout(guard, Duration::from_secs(1)).unwrap();
                    !result.timed_out()
                })
            })
            .collect();
        let both = loop {
            let guard = pair.0.lock().unwrap();
            racefuzz_runtime::ops::assume(*guard == 2, racefuzz_runtime::Site::caller()).unwrap();
            if *guard == 2 {
                break true;
            }
        };
        assert!(both);
        if all {
            pair.1.notify_all();
        } else {
            pair.1.notify_one();
        }
        let ends: Vec<_> = threads.into_iter().map(crate::common::Thread::join).collect();
        (ends[0], ends[1])
    })
}

#[test]
fn notify_one_wakes_exactly_one_of_them_whichever() {
    assert_eq!(woken(false), BTreeSet::from([(true, false), (false, true)]));
}

#[test]
fn notify_all_wakes_all_of_them() {
    assert_eq!(woken(true), BTreeSet::from([(true, true)]));
}

#[test]
fn a_wait_with_a_timeout_ends_without_a_notification() {
    explore(|| {
        let pair = pair();
        let guard = pair.0.lock().unwrap();
        let (guard, result) = pair.1.wait_timeout(guard, Duration::from_secs(3600)).unwrap();
        assert!(result.timed_out());
        let (guard, result) =
            pair.1.wait_timeout_while(guard, Duration::from_secs(3600), |n| *n == 0).unwrap();
        assert!(result.timed_out());
        let (_guard, result) =
            pair.1.wait_timeout_while(guard, Duration::from_secs(3600), |n| *n == 1).unwrap();
        assert!(!result.timed_out());
        // Neither left a waiter behind.
        pair.1.notify_one();
    })
    .passes();
}

#[test]
fn a_wait_ends_for_no_reason_only_where_that_is_injected() {
    let program = || {
        let pair = pair();
        let guard = pair.0.lock().unwrap();
        drop(pair.1.wait(guard).unwrap());
    };
    let explored = explore(program);
    assert_eq!(explored.only_fails(FailureKind::Deadlock), explored.executions);
    let config = Config { inject: Inject { spurious: true, ..Inject::default() }, ..Config::default() };
    let explored = explore_with(config, program);
    assert_eq!((explored.only_fails(FailureKind::Deadlock), explored.executions), (1, 2));
}

#[test]
fn waiting_releases_the_lock_and_orders_nothing_by_itself() {
    // The flag is written without the lock and read after the wake-up alone.
    use racefuzz_primitives::cell::UnsafeCell;
    struct Shared(UnsafeCell<i32>, Mutex<()>, Condvar);
    // SAFETY: not safe to share, which is what is tested.
    unsafe impl Sync for Shared {}
    explore(|| {
        let shared = Arc::new(Shared(UnsafeCell::new(0), Mutex::new(()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let waiter = spawn(move || {
            let guard = theirs.1.lock().unwrap();
            let (_guard, result) = theirs.2.wait_timeout(guard, Duration::from_secs(1)).unwrap();
            if !result.timed_out() {
                // SAFETY: executions are serial.
                theirs.0.with(|value| unsafe { *value });
            }
        });
        // SAFETY: executions are serial.
        shared.0.with_mut(|value| unsafe { *value = 1 });
        shared.2.notify_one();
        waiter.join();
    })
    .only_fails(FailureKind::DataRace);
}

#[test]
fn more_waiters_than_a_word_has_bits() {
    let trace = record(|| {
        let pair = pair();
        let threads: Vec<_> = (0..100)
            .map(|_| {
                let theirs = Arc::clone(&pair);
                spawn(move || {
                    let mut guard = theirs.0.lock().unwrap();
                    *guard += 1;
                    drop(theirs.1.wait(guard).unwrap());
                })
            })
            .collect();
        while *pair.0.lock().unwrap() < 100 {
            racefuzz_primitives::hint::spin_loop();
        }
        for _ in 0..50 {
            pair.1.notify_one();
        }
        pair.1.notify_all();
        threads.into_iter().for_each(crate::common::Thread::join);
    });
    let notified = trace.events.iter().filter(|event| event.verb == Verb::NotifyOne);
    assert!(notified.into_iter().all(|event| event.other.is_some()));
    assert_eq!(trace.events.iter().filter(|event| event.verb == Verb::Woken && event.ok).count(), 100);
}

#[test]
fn a_poisoned_lock_comes_back_as_an_error() {
    explore(|| {
        let pair = pair();
        let theirs = Arc::clone(&pair);
        let other = spawn(move || {
            let mut guard = theirs.0.lock().unwrap();
            *guard = 1;
            theirs.1.notify_all();
            panic!("with the lock held");
        });
        let ended = match pair.0.lock() {
            Ok(guard) => pair.1.wait_while(guard, |n| *n == 0).is_err(),
            Err(_) => true,
        };
        assert!(ended);
        assert!(other.outcome().is_err());
    })
    .passes();
}

#[test]
fn outside_an_execution_it_is_a_condition_variable_like_any_other() {
    let pair = std::sync::Arc::new((Mutex::new(0), Condvar::new()));
    let theirs = std::sync::Arc::clone(&pair);
    let waiter = std::thread::spawn(move || {
        let (lock, condvar) = &*theirs;
        *condvar.wait_while(lock.lock().unwrap(), |n| *n == 0).unwrap()
    });
    *pair.0.lock().unwrap() = 7;
    pair.1.notify_all();
    assert_eq!(waiter.join().unwrap(), 7);
    let (_, result) = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(1)).unwrap();
    assert!(result.timed_out());
    let (_, result) =
        pair.1.wait_timeout_while(pair.0.lock().unwrap(), Duration::from_millis(1), |n| *n == 7).unwrap();
    assert!(result.timed_out());
}
