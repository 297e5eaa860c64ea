//! Loops that wait for a while each time.

use crate::{verified, verified_in};
use racefuzz::sync::atomic::{AtomicBool, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz::{hint, thread};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn sleeping() {
    verified_in(1, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        while !flag.load(Acquire) {
            thread::sleep(SHORT);
        }
        other.join().unwrap();
    });
}

#[test]
fn parked() {
    verified(20, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        while !flag.load(Acquire) {
            thread::park_timeout(SHORT);
        }
        other.join().unwrap();
    });
}

#[test]
fn spinning_and_then_parked() {
    verified(60, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let main = thread::current();
        let other = thread::spawn(move || {
            theirs.store(true, Release);
            main.unpark();
        });
        let mut rounds = 0;
        while !flag.load(Acquire) {
            rounds += 1;
            if rounds > 2 {
                thread::park();
            } else {
                hint::spin_loop();
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn receiving() {
    verified(20, || {
        let (sender, receiver) = mpsc::channel();
        let other = thread::spawn(move || sender.send(1).unwrap());
        while receiver.recv_timeout(SHORT).is_err() {}
        other.join().unwrap();
    });
}

#[test]
fn on_a_condition_variable() {
    verified(60, || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_one();
        });
        let mut is_set = shared.0.lock().unwrap();
        while !*is_set {
            is_set = shared.1.wait_timeout(is_set, SHORT).unwrap().0;
        }
        drop(is_set);
        other.join().unwrap();
    });
}
