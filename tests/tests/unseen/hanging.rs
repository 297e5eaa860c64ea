//! Calls of the standard library that block, and loops that racefuzz does not see: the execution fails,
//! and everything else goes on.

use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use racefuzz::{Checker, Failure, FailureDetail, Fixer, Fuzzer, Outcome, Unseen, thread};
use std::sync::{Barrier, Condvar, Mutex, RwLock, mpsc};
use std::time::{Duration, Instant};

const PATIENCE: Option<Duration> = Some(Duration::from_millis(500));

/// The failure that both explorers end with.
fn hangs(program: impl Fn() + Sync, look: impl Fn(&Failure)) {
    let began = Instant::now();
    let fuzzed = Fuzzer::new().iterations(50).watchdog(PATIENCE).fuzz(&program);
    let checked = Checker::new().watchdog(PATIENCE).check(&program);
    for report in [fuzzed, checked] {
        assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
        look(&report.failures()[0]);
        assert!(racefuzz::render(&report).contains("hanging.rs:"), "{}", racefuzz::render(&report));
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// The program waits in this call.
#[track_caller]
fn blocks(wanted: &str, program: impl Fn() + Sync) {
    hangs(program, |failure| {
        let FailureDetail::Unseen(Unseen::Blocked { call, site, .. }) = &failure.detail else {
            panic!("{wanted}: {failure:?}")
        };
        assert_eq!(call, wanted);
        let site = site.as_ref().expect("tests have debug information");
        assert!(site.file.ends_with("unseen/hanging.rs"), "{site}");
    });
}

/// A step of two threads, so that the program is an ordinary one.
fn step() {
    let x = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&x);
    let other = thread::spawn(move || theirs.fetch_add(1, Ordering::SeqCst));
    x.fetch_add(1, Ordering::SeqCst);
    other.join().unwrap();
}

#[test]
fn a_mutex() {
    blocks("std::sync::Mutex::lock", || {
        step();
        let lock = Mutex::new(());
        let _held = lock.lock().unwrap();
        drop(lock.lock());
    });
}

#[test]
fn a_mutex_that_another_thread_of_the_program_holds() {
    blocks("std::sync::Mutex::lock", || {
        let lock = std::sync::Arc::new(Mutex::new(()));
        let theirs = std::sync::Arc::clone(&lock);
        let x = Arc::new(AtomicUsize::new(0));
        let their_x = Arc::clone(&x);
        let other = thread::spawn(move || {
            let _held = theirs.lock().unwrap();
            their_x.fetch_add(1, Ordering::SeqCst);
            their_x.fetch_add(1, Ordering::SeqCst);
        });
        while x.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let held = x.load(Ordering::SeqCst) == 1;
        if held {
            drop(lock.lock());
        }
        other.join().unwrap();
    });
}

#[test]
fn a_rwlock() {
    blocks("std::sync::RwLock", || {
        step();
        let lock = RwLock::new(());
        let _held = lock.write().unwrap();
        drop(lock.read());
    });
}

#[test]
fn a_condvar() {
    blocks("std::sync::Condvar::wait", || {
        step();
        let lock = Mutex::new(());
        drop(Condvar::new().wait(lock.lock().unwrap()));
    });
}

#[test]
fn a_channel() {
    blocks("std::sync::mpsc::Receiver::recv", || {
        step();
        let (sender, receiver) = mpsc::channel::<u8>();
        let _ = receiver.recv();
        drop(sender);
    });
}

#[test]
fn a_barrier() {
    blocks("std::sync::Barrier::wait", || {
        step();
        Barrier::new(2).wait();
    });
}

#[test]
fn a_thread() {
    blocks("std::thread::JoinHandle::join", || {
        step();
        let _ = std::thread::spawn(|| std::thread::sleep(Duration::from_secs(5))).join();
    });
}

#[test]
fn sleep_and_park() {
    blocks("std::thread::sleep", || {
        step();
        std::thread::sleep(Duration::from_secs(1_000));
        step();
    });
    blocks("std::thread::park", || {
        step();
        std::thread::park();
        step();
    });
}

#[inline(never)]
fn spin() {
    let flag = std::sync::atomic::AtomicBool::new(false);
    while !std::hint::black_box(&flag).load(Ordering::Relaxed) {}
}

#[test]
fn a_loop() {
    hangs(
        || {
            step();
            spin();
        },
        |failure| {
            let FailureDetail::Unseen(Unseen::SilentLoop { function, after, .. }) = &failure.detail else {
                panic!("{failure:?}")
            };
            assert!(function.as_ref().unwrap().contains("spin"), "{function:?}");
            assert!(after.as_ref().unwrap().file.ends_with("unseen/hanging.rs"));
        },
    );
}

#[test]
fn a_loop_in_a_thread_while_others_borrow_from_it() {
    hangs(
        || {
            let flag = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| flag.store(true, Ordering::SeqCst));
                scope.spawn(|| {
                    flag.load(Ordering::SeqCst);
                    spin();
                });
            });
        },
        |failure| {
            assert!(matches!(failure.detail, FailureDetail::Unseen(Unseen::SilentLoop { .. })), "{failure:?}")
        },
    );
}

#[test]
fn what_was_left_does_no_harm_to_what_follows() {
    for _ in 0..3 {
        let report = Checker::new().watchdog(PATIENCE).check(|| {
            step();
            let (_sender, receiver) = mpsc::channel::<u8>();
            let _ = receiver.recv();
        });
        assert_eq!(report.outcome(), Outcome::Failed);
        // The same operating-system thread, with the same token of `park`.
        let (sender, receiver) = mpsc::channel();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            sender.send(1)
        });
        assert_eq!(receiver.recv(), Ok(1));
        other.join().unwrap().unwrap();
        assert_eq!(Checker::new().check(step).executions(), 2);
    }
}

#[test]
fn fix_says_so() {
    // Other tests of this process use much memory meanwhile.
    let report = Fixer::new().max_memory(None).fix(|| {
        step();
        let lock = Mutex::new(());
        let _held = lock.lock().unwrap();
        drop(lock.lock());
    });
    let failure = report.failure.unwrap_or_else(|| panic!("it blocks: {:?}", report.stopped));
    assert!(matches!(failure.detail, FailureDetail::Unseen(Unseen::Blocked { .. })), "{failure:?}");
}
