//! Defects of published crates and of the field, each reduced to what it takes. What maintainers did
//! about them stands at each.

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread::{self, Thread};
use racefuzz::{Var, hint};
use std::ptr;

/// What is guarded by a lock that is written by hand.
struct Guarded {
    locked: AtomicUsize,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is accessed by who has `locked`; racefuzz runs one thread at a time and says where that
// is not enough.
unsafe impl Sync for Guarded {}

/// A lock given back `Relaxed` (spin, RUSTSEC-2019-0031). Upstream: `Release`.
pub fn unlock_relaxed() {
    let shared = Arc::new(Guarded { locked: AtomicUsize::new(0), value: UnsafeCell::new(0) });
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || add(&other));
    add(&shared);
    thread.join().unwrap();
}

fn add(shared: &Guarded) {
    while shared.locked.swap(1, Acquire) == 1 {
        hint::spin_loop();
    }
    // SAFETY: this thread has the lock; see also at `Sync`.
    shared.value.with_mut(|value| unsafe { *value += 1 });
    shared.locked.store(0, Relaxed);
}

/// A notification between the look and the wait.
pub fn notify_unlocked() {
    let shared = Arc::new((Mutex::new(()), Condvar::new(), AtomicBool::new(false)));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        other.2.store(true, SeqCst);
        other.1.notify_one();
    });
    let mut guard = shared.0.lock().unwrap();
    while !shared.2.load(SeqCst) {
        guard = shared.1.wait(guard).unwrap();
    }
    drop(guard);
    thread.join().unwrap();
}

/// A channel whose last receiver frees a slot.
struct Broadcast {
    tail: Mutex<u64>,
    freed: Condvar,
    remaining: AtomicUsize,
}

impl Broadcast {
    fn send(&self) {
        let mut tail = self.tail.lock().unwrap();
        while self.remaining.load(SeqCst) != 0 {
            tail = self.freed.wait(tail).unwrap();
        }
        *tail += 1;
    }

    fn received(&self) {
        if self.remaining.fetch_sub(1, SeqCst) == 1 {
            self.freed.notify_one();
        }
    }
}

/// The same in tokio's broadcast channel (tokio-rs/tokio 2134). Upstream: the lock around the
/// notification.
pub fn broadcast() {
    let channel =
        Arc::new(Broadcast { tail: Mutex::new(0), freed: Condvar::new(), remaining: AtomicUsize::new(1) });
    let other = Arc::clone(&channel);
    let receiver = thread::spawn(move || other.received());
    channel.send();
    receiver.join().unwrap();
}

struct Counted {
    strong: AtomicUsize,
    value: AtomicUsize,
}

fn counted(value: usize) -> *mut Counted {
    // SAFETY: the layout has a size, and the memory is written before it is used.
    unsafe {
        let counted = alloc(Layout::new::<Counted>()).cast::<Counted>();
        counted.write(Counted { strong: AtomicUsize::new(1), value: AtomicUsize::new(value) });
        counted
    }
}

fn release(counted: *mut Counted) {
    // SAFETY: the caller owns a count.
    unsafe {
        if (*counted).strong.fetch_sub(1, AcqRel) == 1 {
            dealloc(counted.cast(), Layout::new::<Counted>());
        }
    }
}

/// A pointer that readers borrow by leaving a debt.
struct Swapped {
    storage: AtomicPtr<Counted>,
    debt: AtomicPtr<Counted>,
}

impl Swapped {
    fn peek(&self) {
        let current = self.storage.load(Acquire);
        self.debt.swap(current, SeqCst);
        if self.storage.load(SeqCst) == current {
            // SAFETY: a debt keeps it, or so it is meant; racefuzz reports a use after release.
            unsafe { (*current).value.load(Relaxed) };
        }
        if self.debt.compare_exchange(current, ptr::null_mut(), AcqRel, Acquire).is_err() {
            release(current);
        }
    }

    fn replace(&self, new: *mut Counted) {
        let old = self.storage.swap(new, SeqCst);
        // SAFETY: the count that `storage` had is this thread's.
        unsafe { (*old).strong.fetch_add(1, Relaxed) };
        if self.debt.compare_exchange(old, ptr::null_mut(), SeqCst, Acquire).is_err() {
            release(old);
        }
        release(old);
    }
}

/// Debts settled by a compare-exchange that is too weak where it fails (vorner/arc-swap 200). Upstream:
/// `SeqCst` as its failure ordering.
pub fn debts() {
    let swapped =
        Arc::new(Swapped { storage: AtomicPtr::new(counted(1)), debt: AtomicPtr::new(ptr::null_mut()) });
    let other = Arc::clone(&swapped);
    let writer = thread::spawn(move || other.replace(counted(2)));
    swapped.peek();
    writer.join().unwrap();
    release(swapped.storage.load(Relaxed));
}

const WAITING: usize = 0;
const REGISTERING: usize = 1;
const WAKING: usize = 2;

/// The waker of one task.
struct AtomicWaker {
    state: AtomicUsize,
    waker: UnsafeCell<Option<Thread>>,
}

// SAFETY: `waker` is accessed by who has brought `state` out of `WAITING`.
unsafe impl Sync for AtomicWaker {}

impl AtomicWaker {
    fn register(&self, waker: Thread) {
        if self.state.compare_exchange(WAITING, REGISTERING, Acquire, Acquire).is_err() {
            return waker.unpark();
        }
        // SAFETY: the state is this thread's.
        self.waker.with_mut(|place| unsafe { *place = Some(waker) });
        if self.state.compare_exchange(REGISTERING, WAITING, AcqRel, Acquire).is_err() {
            // SAFETY: as before.
            let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
            self.state.swap(WAITING, AcqRel);
            if let Some(waker) = waker {
                waker.unpark();
            }
        }
    }

    fn wake(&self) {
        if self.state.fetch_or(WAKING, AcqRel) == WAITING {
            // SAFETY: the state was nobody's and is this thread's.
            let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
            self.state.store(WAITING, Release);
            if let Some(waker) = waker {
                waker.unpark();
            }
        }
    }
}

/// A wake that comes while another one is at it is lost, because a plain store cuts its release sequence
/// (tokio-rs/tokio 7450, smol-rs/atomic-waker 25). Upstream: a swap.
pub fn atomic_waker() {
    let waker = AtomicWaker { state: AtomicUsize::new(WAITING), waker: UnsafeCell::new(None) };
    let shared = Arc::new((waker, AtomicUsize::new(0)));
    let one = Arc::clone(&shared);
    let first = thread::spawn(move || one.0.wake());
    let other = Arc::clone(&shared);
    let second = thread::spawn(move || {
        other.1.store(1, Relaxed);
        other.0.wake();
    });
    shared.0.register(thread::current());
    if shared.1.load(Relaxed) == 0 {
        thread::park();
    }
    first.join().unwrap();
    second.join().unwrap();
}

/// A once whose waiters park.
struct Once {
    done: AtomicBool,
    waiter: Mutex<Option<Thread>>,
}

impl Once {
    fn complete(&self) {
        self.done.store(true, Release);
        if let Some(thread) = self.waiter.lock().unwrap().take() {
            thread.unpark();
        }
    }

    fn wait(&self) {
        *self.waiter.lock().unwrap() = Some(thread::current());
        while !self.done.load(Acquire) {
            thread::park();
        }
    }
}

/// A wait that parks takes the token of another one (rust-lang/rust 145816). Upstream: it unparks itself
/// when it is over.
pub fn eaten_token() {
    let once = Arc::new(Once { done: AtomicBool::new(false), waiter: Mutex::new(None) });
    let other = Arc::clone(&once);
    let parked = thread::spawn(move || {
        other.wait();
        thread::park();
    });
    once.complete();
    parked.thread().unpark();
    parked.join().unwrap();
}

/// Set before somebody looks, in the test's own body: whatever makes main wait earlier makes the test
/// sequential.
pub fn counted_twice() {
    let counts = Arc::new((Var::new("hits", 0), Var::new("misses", 0)));
    let other = Arc::clone(&counts);
    let thread = thread::spawn(move || {
        let hits = other.0.get();
        other.0.set(hits + 1);
    });
    let hits = counts.0.get();
    counts.0.set(hits + 1);
    thread.join().unwrap();
    assert_eq!(counts.0.get() + counts.1.get(), 2);
}
