//! Waits that are sampled: no strategy may take a schedule that starves a thread for a program that never
//! ends, and each is to find those that do not.

use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz::{FailureKind, Fuzzer, MemoryModel, Outcome, Report, Strategy, hint, thread};
use std::time::Duration;

const EXECUTIONS: u64 = 200;

fn fuzz(executions: u64, strategy: Strategy, memory: MemoryModel, program: &(dyn Fn() + Sync)) -> Report {
    Fuzzer::new().iterations(executions).strategy(strategy).memory_model(memory).fuzz(program)
}

/// Panics if some strategy finds a failure.
#[track_caller]
pub(crate) fn passes(executions: u64, program: &(dyn Fn() + Sync)) {
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        for strategy in Strategy::ALL {
            let report = fuzz(executions, *strategy, memory, program);
            let failures: Vec<_> =
                report.failures().iter().map(|failure| (failure.message(), failure.iteration)).collect();
            assert_eq!((report.outcome(), failures), (Outcome::Passed, vec![]), "{memory} {strategy}");
        }
    }
}

/// Panics unless each strategy finds that the program does not end, and the schedule that is shown says so
/// again.
#[track_caller]
fn never_ends(program: fn()) {
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        for strategy in Strategy::ALL {
            let report = fuzz(EXECUTIONS, *strategy, memory, &program);
            let Some(failure) = report.failures().first() else { panic!("{memory} {strategy}: none") };
            assert_eq!(failure.kind(), FailureKind::StepLimit, "{memory} {strategy}: {}", failure.message());
            let again = Fuzzer::new().replay(failure.schedule(), program);
            assert_eq!(again.diverged, None, "{memory} {strategy}");
            assert_eq!(again.report.failures()[0].kind(), FailureKind::StepLimit, "{memory} {strategy}");
        }
    }
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Those that wait change a word each time, so that nobody ever seems to wait.
#[test]
fn two_that_take_back_what_they_announce() {
    passes(EXECUTIONS, &|| {
        let state = Arc::new(AtomicUsize::new(0));
        let waiting = [0, 1].map(|_| {
            let state = Arc::clone(&state);
            thread::spawn(
                move || while state.fetch_add(1, AcqRel) & 64 == 0 && state.fetch_sub(1, AcqRel) > 0 {},
            )
        });
        let other = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        for number in 0..20 {
            other.0.store(number, SeqCst);
            other.1.load(SeqCst);
        }
        state.fetch_or(64, AcqRel);
        join(waiting);
    });
}

/// Two that spin race with each other at each step, the third with nobody.
#[test]
fn much_to_do_for_the_holder_of_a_lock() {
    passes(30, &|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        join([0, 1, 2].map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while shared.0.swap(true, Acquire) {}
                (0..400).for_each(|number| shared.1.store(number, Relaxed));
                shared.0.store(false, Release);
            })
        }));
    });
}

/// The lock is free again and again, but never for long.
#[test]
fn a_lock_that_is_taken_again_at_once() {
    passes(EXECUTIONS, &|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let lock = |shared: &(AtomicBool, AtomicBool), set: bool| {
            while shared.0.swap(true, Acquire) {
                hint::spin_loop();
            }
            let seen = shared.1.fetch_or(set, Relaxed);
            shared.0.store(false, Release);
            seen
        };
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || _ = lock(&theirs, true));
        while !lock(&shared, false) {}
        other.join().unwrap();
    });
}

#[test]
fn a_reader_writer_lock() {
    for pause in [hint::spin_loop as fn(), thread::yield_now, || ()] {
        passes(EXECUTIONS, &move || {
            let lock = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let readers = [0, 1].map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || {
                    while lock.0.fetch_add(2, Acquire) & 1 != 0 {
                        lock.0.fetch_sub(2, Release);
                        pause();
                    }
                    lock.1.load(Relaxed);
                    lock.0.fetch_sub(2, Release);
                })
            });
            while lock.0.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
                pause();
            }
            lock.1.store(1, Relaxed);
            lock.0.fetch_sub(1, Release);
            join(readers);
        });
    }
}

/// Somebody can always go on, and yet the time is up in the end.
#[test]
fn a_limited_time_beside_a_thread_that_spins() {
    let beside = |wait: fn()| {
        passes(10, &move || {
            let flag = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&flag);
            let other = thread::spawn(move || {
                wait();
                theirs.store(true, Release);
            });
            while !flag.load(Acquire) {
                hint::spin_loop();
            }
            other.join().unwrap();
        });
    };
    beside(|| thread::park_timeout(Duration::from_millis(10)));
    beside(|| {
        let (lock, condition) = (Mutex::new(()), Condvar::new());
        drop(condition.wait_timeout(lock.lock().unwrap(), Duration::from_secs(3_600)).unwrap());
    });
    beside(|| {
        let (_sender, receiver) = mpsc::channel::<()>();
        (0..3).for_each(|_| assert!(receiver.recv_timeout(Duration::from_millis(5)).is_err()));
    });
}

#[test]
fn a_lock_that_is_never_given_back() {
    never_ends(|| {
        let lock = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || {
            if theirs.swap(true, Acquire) {
                theirs.store(false, Release);
            }
        });
        while lock.swap(true, Acquire) {
            hint::spin_loop();
        }
        lock.store(false, Release);
        other.join().unwrap();
    });
}

#[test]
fn a_value_that_never_comes() {
    never_ends(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let threads = [0, 1].map(|_| {
            let count = Arc::clone(&count);
            thread::spawn(move || _ = count.fetch_add(1, Relaxed))
        });
        while count.load(Acquire) < 3 {
            thread::yield_now();
        }
        join(threads);
    });
}

#[test]
fn each_waits_for_the_other() {
    never_ends(|| {
        let flags = Arc::new(<[AtomicBool; 2]>::default());
        let wait = |flags: &[AtomicBool; 2], me: usize| {
            while !flags[1 - me].load(Acquire) {}
            flags[me].store(true, Release);
        };
        let theirs = Arc::clone(&flags);
        let other = thread::spawn(move || wait(&theirs, 1));
        wait(&flags, 0);
        other.join().unwrap();
    });
}

/// Whoever goes first ends it; taking turns, they never do.
#[test]
fn stepping_back_for_each_other() {
    let report = fuzz(EXECUTIONS, Strategy::RoundRobin, MemoryModel::Sc, &|| {
        let flags = Arc::new(<[AtomicBool; 2]>::default());
        let enter = |flags: &[AtomicBool; 2], me: usize| {
            flags[me].store(true, SeqCst);
            while flags[1 - me].load(SeqCst) {
                flags[me].store(false, SeqCst);
                flags[me].store(true, SeqCst);
            }
            flags[me].store(false, SeqCst);
        };
        let theirs = Arc::clone(&flags);
        let other = thread::spawn(move || enter(&theirs, 1));
        enter(&flags, 0);
        other.join().unwrap();
    });
    assert_eq!(report.failures().first().map(|failure| failure.kind()), Some(FailureKind::StepLimit));
}
