//! One lost update in many shapes of code: where a guard as text and a lock over events may differ.

use racefuzz::sync::atomic::{AtomicU32, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Var, hint, thread};

type Count = Arc<Var<u32>>;

/// Two threads add; main looks at the sum behind them.
fn beside(expected: u32, add: fn(&Count)) {
    let count = Arc::new(Var::new("count", 0));
    let other = Arc::clone(&count);
    let thread = thread::spawn(move || add(&other));
    add(&count);
    thread.join().unwrap();
    assert_eq!(count.get(), expected);
}

fn add(count: &Count) {
    let seen = count.get();
    count.set(seen + 1);
}

/// In a function that both call.
pub fn plain() {
    beside(2, add);
}

fn added(count: &Count, more: u32) {
    let before = count.get();
    let total = before + more;
    count.set(total);
}

/// With other names, and a statement in between.
pub fn renamed() {
    beside(2, |count| added(count, 1));
}

/// With a thread that has nothing to do with it.
pub fn beside_another() {
    let idle = thread::spawn(|| {
        let own = Var::new("own", 0);
        own.set(own.get() + 1);
    });
    beside(2, add);
    idle.join().unwrap();
}

fn look(count: &Count) -> u32 {
    count.get()
}

fn keep(count: &Count, value: u32) {
    count.set(value);
}

/// With each step in a helper of its own.
pub fn helpers() {
    beside(2, |count| {
        let seen = look(count);
        keep(count, seen + 1);
    });
}

/// Twice, in a loop.
pub fn looped() {
    beside(4, |count| {
        for _ in 0..2 {
            let seen = count.get();
            count.set(seen + 1);
        }
    });
}

/// Twice, written out.
pub fn written_out() {
    beside(4, |count| {
        add(count);
        add(count);
    });
}

fn tried(count: &Count) -> Option<u32> {
    let seen = count.get();
    let next = seen.checked_add(1)?;
    count.set(next);
    Some(next)
}

/// With a way out in between.
pub fn question() {
    beside(2, |count| {
        tried(count);
    });
}

fn early(count: &Count) {
    let seen = count.get();
    if seen > 5 {
        return;
    }
    count.set(seen + 1);
}

/// With an early return in between.
pub fn returning() {
    beside(2, early);
}

/// In the arms of a match.
pub fn matched() {
    beside(2, |count| match count.get() {
        0 => count.set(1),
        seen => count.set(seen + 1),
    });
}

fn with(count: &Count, change: impl Fn(u32) -> u32) {
    let seen = count.get();
    let next = change(seen);
    count.set(next);
}

/// With a closure that has events of its own.
pub fn passed_in() {
    let limit = Arc::new(Mutex::new(9));
    let count = Arc::new(Var::new("count", 0));
    let (other, theirs) = (Arc::clone(&count), Arc::clone(&limit));
    let thread = thread::spawn(move || with(&other, |seen| (seen + 1).min(*theirs.lock().unwrap())));
    with(&count, |seen| (seen + 1).min(*limit.lock().unwrap()));
    thread.join().unwrap();
    assert_eq!(count.get(), 2);
}

/// With a lock of the program's that is taken inside and lasts longer.
pub fn inner_lock() {
    let log = Arc::new(Mutex::new(0));
    let count = Arc::new(Var::new("count", 0));
    let (other, theirs) = (Arc::clone(&count), Arc::clone(&log));
    let body = |count: &Count, log: &Mutex<u32>| {
        let seen = count.get();
        let mut lines = log.lock().unwrap();
        *lines += 1;
        drop(lines);
        count.set(seen + 1);
    };
    let thread = thread::spawn(move || body(&other, &theirs));
    body(&count, &log);
    thread.join().unwrap();
    assert_eq!(count.get(), 2);
}

/// A flag waited for inside of what has to be one step.
pub fn waits_inside() {
    let ready = Arc::new(AtomicU32::new(0));
    let count = Arc::new(Var::new("count", 0));
    let (other, theirs) = (Arc::clone(&count), Arc::clone(&ready));
    let thread = thread::spawn(move || {
        let seen = other.get();
        while theirs.load(Acquire) == 0 {
            hint::spin_loop();
        }
        other.set(seen + 1);
    });
    let seen = count.get();
    ready.store(1, Release);
    count.set(seen + 1);
    thread.join().unwrap();
    assert_eq!(count.get(), 2);
}
