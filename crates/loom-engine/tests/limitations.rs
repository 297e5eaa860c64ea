//! What loom 0.7.3 is documented to get wrong, one test each, named after the issue or the part of
//! loom: what loom says, and that the graph engine is right. When a newer loom is right too, the test
//! fails, and the table of exceptions can lose an entry.

use racefuzz_check::Options;
use racefuzz_loom_engine::{Checked, Exception, Verdict, agree_despite, check_watched};
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, Outcome, RunReport};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::time::Duration;

fn both(program: impl Fn() + Sync) -> (RunReport, Checked) {
    let options = Options { minimise: false, ..Options::default() };
    (racefuzz_check::check(&options, &program, &()), check_watched(&options, &program, &()))
}

/// The graph engine verifies the program; loom reports this kind of failure, for this reason.
fn invented(program: impl Fn() + Sync, kind: FailureKind, because: Exception) {
    let (graph, loom) = both(program);
    assert_eq!(graph.outcome(), Outcome::Passed);
    assert_eq!(loom.report.failures()[0].kind(), kind);
    let agreement = agree_despite(&graph, &loom);
    match &agreement.verdict {
        Verdict::Excused(excuses) => assert!(excuses.contains(&because), "{agreement}"),
        _ => panic!("{agreement}"),
    }
}

/// What loom itself says: the message of its panic, if any.
fn native(program: fn()) -> Result<(), String> {
    let thread = std::thread::spawn(move || catch_unwind(|| loom::model(program)));
    thread.join().unwrap().map_err(|payload| match payload.downcast_ref::<&'static str>() {
        Some(text) => (*text).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    })
}

#[test]
fn loom_180_sequentially_consistent_store_buffering_shows_zero_zero() {
    let program = || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            other.0.store(1, Ordering::SeqCst);
            other.1.load(Ordering::SeqCst)
        });
        shared.1.store(1, Ordering::SeqCst);
        let mine = shared.0.load(Ordering::SeqCst);
        assert!(thread.join().unwrap() + mine > 0);
    };
    invented(program, FailureKind::Panic, Exception::SeqCst);
}

#[test]
fn loom_254_a_store_comes_between_the_halves_of_a_swap() {
    let program = || {
        let flag = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&flag);
        let thread = thread::spawn(move || other.swap(false, Ordering::Relaxed));
        flag.store(true, Ordering::Relaxed);
        let before = thread.join().unwrap();
        assert!(before || flag.load(Ordering::Relaxed), "the store is gone");
    };
    invented(program, FailureKind::Panic, Exception::RmwAtomicity);
}

/// What the second thread can see, with and without a load in the first that nobody needs.
fn outcomes(extra: bool, check: impl Fn(&(dyn Fn() + Sync))) -> BTreeSet<(usize, usize)> {
    let seen = std::sync::Mutex::new(BTreeSet::new());
    check(&|| {
        let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let (one, two) = (Arc::clone(&shared), Arc::clone(&shared));
        let writer = thread::spawn(move || {
            one.0.store(1, Ordering::SeqCst);
            one.1.store(1, Ordering::SeqCst);
            one.1.store(0, Ordering::SeqCst);
            if extra {
                one.0.load(Ordering::SeqCst);
            }
            one.0.store(0, Ordering::SeqCst);
        });
        let reader = thread::spawn(move || (two.1.load(Ordering::SeqCst), two.0.load(Ordering::SeqCst)));
        writer.join().unwrap();
        seen.lock().unwrap().insert(reader.join().unwrap());
    });
    seen.into_inner().unwrap()
}

#[test]
fn loom_166_a_load_that_nobody_needs_drops_outcomes() {
    let graph =
        |extra| outcomes(extra, |program| drop(racefuzz_check::check(&Options::default(), program, &())));
    let loom = |extra| {
        outcomes(extra, |program| {
            let checked = check_watched(&Options::default(), program, &());
            assert_eq!(checked.exceptions.contains(&Exception::DroppedOutcomes), extra);
        })
    };
    assert_eq!(graph(true), graph(false));
    assert!(graph(true).is_subset(&loom(false)));
    assert!(!graph(true).is_subset(&loom(true)), "loom sees {:?}", loom(true));
}

#[test]
fn loom_376_try_lock_deadlocks() {
    let program = || {
        let lock = Arc::new(Mutex::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || drop(other.try_lock()));
        let guard = lock.try_lock();
        thread.join().unwrap();
        drop(guard);
    };
    invented(program, FailureKind::Deadlock, Exception::TryLock);
}

#[test]
fn loom_422_a_condition_variable_takes_the_park_token() {
    let program = || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&shared);
        let main = thread::current();
        let thread = thread::spawn(move || {
            main.unpark();
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut ready = shared.0.lock().unwrap();
        while !*ready {
            ready = shared.1.wait(ready).unwrap();
        }
        drop(ready);
        thread::park();
        thread.join().unwrap();
    };
    invented(program, FailureKind::Deadlock, Exception::ParkToken);
}

#[test]
fn loom_213_a_channel_without_senders_deadlocks() {
    let said = native(|| {
        let (sender, receiver) = loom::sync::mpsc::channel::<u32>();
        drop(sender);
        let _ = receiver.recv();
    });
    assert!(said.is_err_and(|text| text.starts_with("deadlock")));
    // Here channels are state words on both engines.
    let (graph, loom) = both(|| {
        let (sender, receiver) = mpsc::channel::<u32>();
        drop(sender);
        assert!(receiver.recv().is_err());
    });
    assert_eq!((graph.outcome(), loom.report.outcome()), (Outcome::Passed, Outcome::Passed));
}

#[test]
fn loom_86_wait_timeout_never_times_out() {
    let said = native(|| {
        let (lock, changed) = (loom::sync::Mutex::new(()), loom::sync::Condvar::new());
        let _ = changed.wait_timeout(lock.lock().unwrap(), Duration::from_secs(1));
    });
    assert!(said.is_err_and(|text| text.starts_with("deadlock")));
    let (graph, loom) = both(|| {
        let (lock, changed) = (Mutex::new(()), Condvar::new());
        drop(changed.wait_timeout(lock.lock().unwrap(), Duration::from_secs(1)));
    });
    assert_eq!(graph.outcome(), Outcome::Passed);
    assert_eq!(loom.exceptions[0], Exception::Timeout);
}

#[test]
fn loom_weak_compare_exchange_never_fails_for_no_reason() {
    let program = || {
        let n = AtomicUsize::new(0);
        assert!(n.compare_exchange_weak(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok());
    };
    let (graph, loom) = both(program);
    assert_eq!((graph.outcome(), loom.report.outcome()), (Outcome::Failed, Outcome::Passed));
    assert_eq!(agree_despite(&graph, &loom).verdict, Verdict::Excused(vec![Exception::WeakExchange]));
    assert!(!loom.report.proof.unwrap().whole, "and loom's word is no proof");
}

#[test]
fn loom_waits_never_end_for_no_reason() {
    let (graph, loom) = both(|| {
        let thread = thread::current();
        let woken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let by = std::sync::Arc::clone(&woken);
        let waker = thread::spawn(move || {
            by.store(true, std::sync::atomic::Ordering::Relaxed);
            thread.unpark();
        });
        thread::park();
        assert!(woken.load(std::sync::atomic::Ordering::Relaxed), "woken for no reason");
        waker.join().unwrap();
    });
    assert_eq!((graph.outcome(), loom.report.outcome()), (Outcome::Failed, Outcome::Passed));
    assert_eq!(agree_despite(&graph, &loom).verdict, Verdict::Excused(vec![Exception::Spurious]));
}

#[test]
fn loom_runs_five_threads_at_most() {
    let said = native(|| {
        for _ in 0..5 {
            loom::thread::spawn(|| ());
        }
    });
    assert!(said.is_err());
    let (graph, loom) = both(|| {
        for _ in 0..5 {
            thread::spawn(|| ());
        }
    });
    assert_eq!((graph.outcome(), graph.executions()), (Outcome::Passed, 1));
    assert_eq!(loom.exceptions[0], Exception::Threads);
}

#[test]
fn loom_has_no_barrier() {
    let said = native(|| {
        loom::sync::Barrier::new(1).wait();
    });
    assert!(said.is_err());
    let (graph, loom) = both(|| {
        let barrier = Arc::new(Barrier::new(2));
        let other = Arc::clone(&barrier);
        let thread = thread::spawn(move || other.wait().is_leader());
        let mine = barrier.wait().is_leader();
        assert!(thread.join().unwrap() != mine);
    });
    assert!(agree_despite(&graph, &loom).holds());
    assert_eq!(graph.outcome(), Outcome::Passed);
}

#[test]
fn loom_gives_up_after_a_thousand_branches() {
    let (graph, loom) = both(|| {
        let n = AtomicUsize::new(0);
        for _ in 0..600 {
            n.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(n.load(Ordering::Relaxed), 600);
    });
    assert_eq!((graph.outcome(), graph.executions()), (Outcome::Passed, 1));
    assert_eq!(loom.exceptions[0], Exception::Branches);
}
