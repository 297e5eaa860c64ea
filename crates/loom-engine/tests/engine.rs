//! What the loom engine makes of small programs, each beside the graph engine.

use racefuzz_check::Options;
use racefuzz_loom_engine::{Checked, Exception, Verdict, agree_despite, check_watched};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use racefuzz_primitives::thread;
use racefuzz_primitives::var::Var;
use racefuzz_trace::{FailureKind, Outcome, RunReport};

fn both(program: impl Fn() + Sync) -> (RunReport, Checked) {
    let options = Options { minimise: false, ..Options::default() };
    (racefuzz_check::check(&options, &program, &()), check_watched(&options, &program, &()))
}

fn agreed(program: impl Fn() + Sync) -> (RunReport, Checked) {
    let (graph, loom) = both(program);
    let agreement = agree_despite(&graph, &loom);
    assert!(agreement.holds(), "{agreement}");
    (graph, loom)
}

fn lost_update() {
    let n = Arc::new(Var::new("n", 5));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let n = Arc::clone(&n);
            thread::spawn(move || n.set(n.get() + 1))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(n.get(), 7, "an increment was lost");
}

#[test]
fn an_assertion_that_fails_is_a_panic_with_its_message() {
    let (_, loom) = agreed(lost_update);
    let failure = &loom.report.failures()[0];
    assert_eq!(failure.kind(), FailureKind::Panic);
    assert!(failure.message().contains("an increment was lost"), "{}", failure.message());
    assert_eq!(loom.exceptions, []);
}

#[test]
fn a_lock_is_loom_s_lock() {
    let (graph, loom) = agreed(|| {
        let n = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let n = Arc::clone(&n);
                thread::spawn(move || *n.lock().unwrap() += 1)
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*n.lock().unwrap(), 2);
    });
    assert_eq!(graph.executions(), 2);
    assert!(loom.report.proof.unwrap().whole);
    // The same on loom itself.
    let iterations = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&iterations);
    loom::model(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let n = std::sync::Arc::new(loom::sync::Mutex::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let n = std::sync::Arc::clone(&n);
                loom::thread::spawn(move || *n.lock().unwrap() += 1)
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*n.lock().unwrap(), 2);
    });
    assert_eq!(loom.report.executions(), iterations.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn deadlocks_races_and_leaks_have_their_kinds() {
    let kind = |loom: &Checked| loom.report.failures()[0].kind();
    let (_, loom) = agreed(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let other = Arc::clone(&locks);
        let thread = thread::spawn(move || {
            let _second = other.1.lock().unwrap();
            let _first = other.0.lock().unwrap();
        });
        let _first = locks.0.lock().unwrap();
        let _second = locks.1.lock().unwrap();
        drop((_first, _second));
        thread.join().unwrap();
    });
    assert_eq!(kind(&loom), FailureKind::Deadlock);

    struct Racy(UnsafeCell<u32>);
    // SAFETY: what races is found before it happens: only one thread runs at a time.
    unsafe impl Sync for Racy {}
    let (_, loom) = agreed(|| {
        let cell = Arc::new(Racy(UnsafeCell::new(0)));
        let other = Arc::clone(&cell);
        // SAFETY: as above.
        let thread = thread::spawn(move || other.0.with_mut(|value| unsafe { *value += 1 }));
        // SAFETY: as above.
        cell.0.with(|value| unsafe { *value });
        thread.join().unwrap();
    });
    assert_eq!(kind(&loom), FailureKind::DataRace);

    let (_, loom) = agreed(|| std::mem::forget(Arc::new(1)));
    assert_eq!(kind(&loom), FailureKind::Leak);
}

#[test]
fn a_panic_that_is_taken_is_no_failure() {
    agreed(|| {
        let thread = thread::spawn(|| panic!("on purpose"));
        assert!(thread.join().is_err());
    });
    let (_, loom) = agreed(|| {
        thread::spawn(|| panic!("nobody takes this"));
    });
    assert_eq!(loom.report.failures()[0].message(), "nobody takes this");
    let (_, loom) = agreed(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("the first cause"));
        })
    });
    assert_eq!(loom.report.failures()[0].message(), "the first cause");
}

#[test]
fn waits_messages_and_scopes_work() {
    agreed(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut ready = shared.0.lock().unwrap();
        while !*ready {
            ready = shared.1.wait(ready).unwrap();
        }
        drop(ready);
        thread.join().unwrap();
    });
    agreed(|| {
        let (sender, receiver) = mpsc::channel();
        let second = sender.clone();
        let one = thread::spawn(move || sender.send(1).unwrap());
        let two = thread::spawn(move || second.send(2).unwrap());
        assert_eq!(receiver.iter().sum::<i32>(), 3);
        one.join().unwrap();
        two.join().unwrap();
    });
    agreed(|| {
        let n = RwLock::new(1);
        thread::scope(|scope| {
            scope.spawn(|| *n.write().unwrap() += 1);
            scope.spawn(|| assert!(*n.read().unwrap() >= 1));
        });
        assert_eq!(*n.read().unwrap(), 2);
    });
    agreed(|| {
        let thread = thread::spawn(thread::park);
        thread.thread().unpark();
        thread.join().unwrap();
    });
}

#[test]
fn narrow_integers_and_initial_values_are_kept() {
    agreed(|| {
        let n = Arc::new(AtomicU8::new(7));
        let other = Arc::clone(&n);
        let thread = thread::spawn(move || other.fetch_sub(3, Ordering::Relaxed));
        n.fetch_add(5, Ordering::Relaxed);
        let seen = thread.join().unwrap();
        assert!(seen == 7 || seen == 12);
        assert_eq!(n.load(Ordering::Relaxed), 9);
        assert_eq!(n.compare_exchange(9, 1, Ordering::Relaxed, Ordering::Relaxed), Ok(9));
        assert_eq!(n.swap(2, Ordering::Relaxed), 1);
    });
    // It wraps, which 64 bits do not.
    let (graph, loom) = both(|| {
        let n = AtomicU8::new(255);
        assert_eq!(n.fetch_add(1, Ordering::Relaxed), 255);
        assert_eq!(n.load(Ordering::Relaxed), 0);
    });
    assert_eq!(graph.outcome(), Outcome::Passed);
    assert_eq!(loom.exceptions[0], Exception::Rmw);
}

#[test]
fn message_passing_needs_release_and_acquire_on_both() {
    let program = |store: Ordering, load: Ordering| {
        move || {
            let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let other = Arc::clone(&shared);
            let thread = thread::spawn(move || {
                other.0.store(1, Ordering::Relaxed);
                other.1.store(1, store);
            });
            if shared.1.load(load) == 1 {
                assert_eq!(shared.0.load(Ordering::Relaxed), 1);
            }
            thread.join().unwrap();
        }
    };
    let (graph, _) = agreed(program(Ordering::Release, Ordering::Acquire));
    assert_eq!(graph.outcome(), Outcome::Passed);
    let (graph, _) = agreed(program(Ordering::Relaxed, Ordering::Relaxed));
    assert_eq!(graph.outcome(), Outcome::Failed);
}

#[test]
fn reference_counts_are_events_where_they_are_looked_at() {
    let (graph, _) = agreed(|| {
        let shared = Arc::new(());
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || drop(other));
        assert_eq!(Arc::strong_count(&shared), 2, "the other may be gone");
        thread.join().unwrap();
    });
    assert_eq!(graph.outcome(), Outcome::Failed);
}

#[test]
fn what_loom_lacks_is_refused_by_name() {
    let refused = |program: &(dyn Fn() + Sync)| {
        let loom = check_watched(&Options::default(), program, &());
        assert_eq!(loom.report.outcome(), Outcome::Incomplete);
        assert_eq!(loom.report.stopped.as_deref(), Some(&*loom.exceptions[0].to_string()));
        loom.exceptions[0]
    };
    assert_eq!(refused(&|| _ = racefuzz_primitives::choose::nondet(2)), Exception::Nondet);
    assert_eq!(refused(&|| racefuzz_primitives::choose::assume(false)), Exception::Assume);
    assert_eq!(refused(&|| thread::park_timeout(std::time::Duration::from_secs(1))), Exception::Timeout);
    assert_eq!(refused(&|| _ = thread::spawn(|| ()).is_finished()), Exception::IsFinished);
    assert_eq!(refused(&|| _ = racefuzz_primitives::time::Instant::now()), Exception::Time);
    let many = || {
        for _ in 0..5 {
            thread::spawn(|| ());
        }
    };
    assert_eq!(refused(&many), Exception::Threads);
    let endless = || loop {
        fence(Ordering::SeqCst);
        thread::yield_now();
    };
    assert_eq!(refused(&endless), Exception::Branches);
}

#[test]
fn a_limit_is_no_answer() {
    let options = Options { max_executions: Some(1), ..Options::default() };
    let loom = check_watched(&options, &|| lost_update(), &());
    assert_eq!(loom.report.outcome(), Outcome::Incomplete);
    assert_eq!(loom.report.executions(), 1);
    let graph = racefuzz_check::check(&Options::default(), &|| lost_update(), &());
    assert_eq!(agree_despite(&graph, &loom).verdict, Verdict::Undecided);
}
