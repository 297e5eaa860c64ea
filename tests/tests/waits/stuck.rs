//! Waits that nobody ends.

use crate::fails;
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{hint, thread};

pub(crate) const ENDLESS: &str = "the execution did not end";

#[test]
fn nobody_is_left() {
    fails(ENDLESS, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.load(Acquire));
        while !flag.load(Acquire) {
            hint::spin_loop();
        }
        other.join().unwrap();
    });
}

#[test]
fn nobody_is_left_and_no_hint() {
    fails(ENDLESS, || while !AtomicBool::new(false).load(Acquire) {});
}

#[test]
fn each_waits_for_the_other() {
    fails(ENDLESS, || {
        let flags = Arc::new(<[AtomicBool; 2]>::default());
        let theirs = Arc::clone(&flags);
        let other = thread::spawn(move || {
            while !theirs[0].load(Acquire) {
                hint::spin_loop();
            }
            theirs[1].store(true, Release);
        });
        while !flags[1].load(Acquire) {
            hint::spin_loop();
        }
        flags[0].store(true, Release);
        other.join().unwrap();
    });
}

#[test]
fn what_a_lock_guards_never_changes() {
    fails(ENDLESS, || {
        let flag = Mutex::new(false);
        while !*flag.lock().unwrap() {
            thread::yield_now();
        }
    });
}

#[test]
fn announced_for_nobody() {
    fails(ENDLESS, || {
        let state = AtomicUsize::new(0);
        while state.fetch_add(1, AcqRel) & 4 == 0 {
            state.fetch_sub(1, AcqRel);
            thread::yield_now();
        }
    });
}

/// Each withdraws because it has seen the other: they may do so for ever.
#[test]
fn undoing_each_others_work() {
    fn enter(mine: &AtomicBool, theirs: &AtomicBool) {
        loop {
            mine.store(true, SeqCst);
            if !theirs.load(SeqCst) {
                break;
            }
            mine.store(false, SeqCst);
            hint::spin_loop();
        }
        mine.store(false, SeqCst);
    }
    fails(ENDLESS, || {
        let flags = Arc::new(<[AtomicBool; 2]>::default());
        let theirs = Arc::clone(&flags);
        let other = thread::spawn(move || enter(&theirs[0], &theirs[1]));
        enter(&flags[1], &flags[0]);
        other.join().unwrap();
    });
}

/// Two locks in two orders, each given back where the other is not to be had.
#[test]
fn giving_back_the_first_lock() {
    fn both(first: &Mutex<()>, second: &Mutex<()>) {
        loop {
            let held = first.lock().unwrap();
            if second.try_lock().is_ok() {
                break;
            }
            drop(held);
            thread::yield_now();
        }
    }
    fails(ENDLESS, || {
        let locks = Arc::new(<[Mutex<()>; 2]>::default());
        let theirs = Arc::clone(&locks);
        let other = thread::spawn(move || both(&theirs[0], &theirs[1]));
        both(&locks[1], &locks[0]);
        other.join().unwrap();
    });
}

#[test]
fn a_loop_that_does_something_each_time_ends_at_the_limit() {
    fails(ENDLESS, || {
        let count = AtomicUsize::new(0);
        loop {
            count.store(count.load(Relaxed) + 1, Relaxed);
        }
    });
}

/// Loops that no wait is in end at the limit of steps, however many stores there are by then.
#[test]
fn endless_stores() {
    fails(ENDLESS, || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        thread::spawn(move || {
            theirs.load(Relaxed);
            theirs.store(7, Relaxed);
        });
        for now in 1.. {
            number.store(now, Relaxed);
            number.load(Relaxed);
        }
    });
}

#[test]
fn endless_updates() {
    fails(ENDLESS, || {
        let number = AtomicUsize::new(0);
        loop {
            number.fetch_add(1, AcqRel);
        }
    });
    fails(ENDLESS, || {
        let number = AtomicUsize::new(0);
        loop {
            let now = number.load(Relaxed);
            let _ = number.compare_exchange(now, now + 1, AcqRel, Relaxed);
        }
    });
}

/// Each finds the lock as if the other had never had it.
#[test]
fn two_that_look_under_a_lock_and_nobody_else() {
    fails(ENDLESS, || {
        let shared = Arc::new((Mutex::new(()), AtomicUsize::new(0)));
        let threads = [1, 2].map(|wanted| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while {
                    let _held = shared.0.lock().unwrap();
                    shared.1.load(SeqCst) != wanted
                } {
                    hint::spin_loop();
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
