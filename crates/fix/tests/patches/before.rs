//! What `patches.rs` has repaired.

use racefuzz::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use racefuzz::sync::{Arc, RwLock};
use racefuzz::{Var, thread};

pub fn increment() {
    let count = Arc::new(Var::new("count", 0));
    let other = Arc::clone(&count);
    let thread = thread::spawn(move || add(&other));
    add(&count);
    thread.join().unwrap();
    assert_eq!(count.get(), 2);
}

fn add(count: &Var<u32>) {
    let next = count.get() + 1;
    count.set(next);
}

pub fn publish() {
    let letter = Arc::new((AtomicU32::new(0), AtomicBool::new(false)));
    let sender = Arc::clone(&letter);
    let thread = thread::spawn(move || {
        sender.0.store(42, Relaxed);
        sender.1.store(true, Relaxed);
    });
    if letter.1.load(Relaxed) {
        assert_eq!(letter.0.load(Relaxed), 42);
    }
    thread.join().unwrap();
}

pub fn renew() {
    let settings = Arc::new((RwLock::new(()), Var::new("version", 1)));
    let _reading = settings.0.read().unwrap();
    if settings.1.get() == 1 {
        let writing = settings.0.write().unwrap();
        settings.1.set(2);
        drop(writing);
    }
}
