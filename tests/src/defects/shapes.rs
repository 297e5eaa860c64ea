//! A lost update, a publication and a count under a lock, each in many shapes of code: where a change of the text and
//! what is explored may differ, and what a repair must not depend on.

use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
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

/// A value, and a flag that says that it is there.
struct Published {
    ready: AtomicBool,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is written before `ready` is set and read afterwards, or so it is meant; racefuzz says where
// that is not so.
unsafe impl Sync for Published {}

impl Published {
    fn new() -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(false), value: UnsafeCell::new(0) })
    }

    fn put(&self) {
        // SAFETY: see at `Sync`.
        self.value.with_mut(|value| unsafe { *value = 1 });
        self.ready.store(true, Relaxed);
    }

    fn look(&self) {
        if self.ready.load(Relaxed) {
            self.read();
        }
    }

    fn read(&self) {
        // SAFETY: see at `Sync`.
        self.value.with(|value| unsafe { assert_eq!(*value, 1) });
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }
}

fn beside_a_reader(put: fn(&Published), look: fn(&Published)) {
    let published = Published::new();
    let other = Arc::clone(&published);
    let thread = thread::spawn(move || put(&other));
    look(&published);
    thread.join().unwrap();
}

/// Published by a store that releases nothing.
pub fn published() {
    beside_a_reader(Published::put, Published::look);
}

/// With other names, and statements in between.
pub fn published_renamed() {
    beside_a_reader(Published::put, |slot| {
        let there = slot.ready.load(Relaxed);
        let wanted = true;
        if there == wanted {
            slot.read();
        }
    });
}

/// With a thread that has nothing to do with it.
pub fn published_beside_another() {
    let idle = thread::spawn(|| {
        let own = AtomicU32::new(0);
        own.store(own.load(Relaxed) + 1, Relaxed);
    });
    beside_a_reader(Published::put, Published::look);
    idle.join().unwrap();
}

/// With each access in a helper of its own.
pub fn published_by_helpers() {
    beside_a_reader(
        |slot| {
            // SAFETY: see at `Sync`.
            slot.value.with_mut(|value| unsafe { *value = 1 });
            slot.set_ready(true);
        },
        |slot| {
            if slot.is_ready() {
                slot.read();
            }
        },
    );
}

/// Looked for twice, in a loop.
pub fn published_looped() {
    beside_a_reader(Published::put, |slot| {
        for _ in 0..2 {
            slot.look();
        }
    });
}

/// Looked for twice, written out.
pub fn published_written_out() {
    beside_a_reader(Published::put, |slot| {
        slot.look();
        slot.look();
    });
}

type Hits = Arc<Mutex<u32>>;

/// Two threads add under a lock; main looks at the sum behind them.
fn counted_beside(expected: u32, hit: fn(&Hits)) {
    let hits = Arc::new(Mutex::new(0));
    let other = Arc::clone(&hits);
    let thread = thread::spawn(move || hit(&other));
    hit(&hits);
    thread.join().unwrap();
    assert_eq!(*hits.lock().unwrap(), expected);
}

fn hit(hits: &Hits) {
    let seen = *hits.lock().unwrap();
    *hits.lock().unwrap() = seen + 1;
}

/// Read under the lock, and written under the lock.
pub fn sections() {
    counted_beside(2, hit);
}

/// With other names, and a statement in between.
pub fn sections_renamed() {
    counted_beside(2, |total| {
        let before = *total.lock().unwrap();
        let behind = before + 1;
        *total.lock().unwrap() = behind;
    });
}

/// With a thread that has nothing to do with it.
pub fn sections_beside_another() {
    let idle = thread::spawn(|| {
        let own = Mutex::new(0);
        *own.lock().unwrap() += 1;
    });
    counted_beside(2, hit);
    idle.join().unwrap();
}

fn seen(hits: &Hits) -> u32 {
    *hits.lock().unwrap()
}

fn set(hits: &Hits, value: u32) {
    *hits.lock().unwrap() = value;
}

/// With each section in a helper of its own.
pub fn sections_by_helpers() {
    counted_beside(2, |hits| {
        let now = seen(hits);
        set(hits, now + 1);
    });
}

/// Twice, in a loop.
pub fn sections_looped() {
    counted_beside(4, |hits| {
        for _ in 0..2 {
            hit(hits);
        }
    });
}

/// Twice, written out.
pub fn sections_written_out() {
    counted_beside(4, |hits| {
        hit(hits);
        hit(hits);
    });
}
