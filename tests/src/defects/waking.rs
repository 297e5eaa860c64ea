//! Wake-ups that are lost: notified without the mutex, by a token that somebody else took, or because one
//! side does not see what the other has stored.

use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread::{self, Thread};

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

    fn received_locked(&self) {
        if self.remaining.fetch_sub(1, SeqCst) == 1 {
            let _tail = self.tail.lock().unwrap();
            self.freed.notify_one();
        }
    }
}

/// The same in tokio's broadcast channel (tokio-rs/tokio 2134). Upstream: the lock around the
/// notification.
pub fn broadcast() {
    sent(Broadcast::received);
}

/// The same as it is now upstream.
pub fn broadcast_repaired() {
    sent(Broadcast::received_locked);
}

fn sent(received: fn(&Broadcast)) {
    let channel =
        Arc::new(Broadcast { tail: Mutex::new(0), freed: Condvar::new(), remaining: AtomicUsize::new(1) });
    let other = Arc::clone(&channel);
    let receiver = thread::spawn(move || received(&other));
    channel.send();
    receiver.join().unwrap();
}

/// What is waited for changes under the lock, and the notification is outside; the sleeper looks at an
/// atomic besides (spacejam/sled 709). Upstream: notified while the lock is held.
pub fn stable_interval() {
    let log = Arc::new((Mutex::new(()), Condvar::new(), AtomicUsize::new(0)));
    let other = Arc::clone(&log);
    let flusher = thread::spawn(move || {
        other.2.fetch_max(1, SeqCst);
        other.1.notify_all();
    });
    let mut intervals = log.0.lock().unwrap();
    while log.2.load(SeqCst) < 1 {
        intervals = log.1.wait(intervals).unwrap();
    }
    drop(intervals);
    flusher.join().unwrap();
}

/// The smallest lost wake-up by parking.
pub fn lost_park() {
    let flag = Arc::new(AtomicBool::new(false));
    let parked = Arc::new(AtomicBool::new(false));
    let (seen, told) = (Arc::clone(&flag), Arc::clone(&parked));
    let thread = thread::spawn(move || {
        told.store(true, Release);
        if !seen.load(Acquire) {
            thread::park();
        }
    });
    flag.store(true, Release);
    if parked.load(Acquire) {
        thread.thread().unpark();
    }
    thread.join().unwrap();
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

    fn wake_by_swap(&self) {
        if self.state.fetch_or(WAKING, AcqRel) == WAITING {
            // SAFETY: as before.
            let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
            self.state.swap(WAITING, Release);
            if let Some(waker) = waker {
                waker.unpark();
            }
        }
    }
}

/// A wake that comes while another one is at it is lost, because a plain store cuts its release sequence
/// (tokio-rs/tokio 7450, smol-rs/atomic-waker 25). Upstream: a swap.
pub fn atomic_waker() {
    woken(AtomicWaker::wake);
}

/// The same as it is now upstream.
pub fn atomic_waker_repaired() {
    woken(AtomicWaker::wake_by_swap);
}

fn woken(wake: fn(&AtomicWaker)) {
    let waker = AtomicWaker { state: AtomicUsize::new(WAITING), waker: UnsafeCell::new(None) };
    let shared = Arc::new((waker, AtomicUsize::new(0)));
    let one = Arc::clone(&shared);
    let first = thread::spawn(move || wake(&one.0));
    let other = Arc::clone(&shared);
    let second = thread::spawn(move || {
        other.1.store(1, Relaxed);
        wake(&other.0);
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

    fn wait_and_give_back(&self) {
        self.wait();
        // A token that it took may have been meant for somebody else.
        thread::current().unpark();
    }
}

/// A wait that parks takes the token of another one (rust-lang/rust 145816). Upstream: it unparks itself
/// when it is over.
pub fn eaten_token() {
    parked_behind(Once::wait);
}

/// The same as it is now upstream.
pub fn eaten_token_repaired() {
    parked_behind(Once::wait_and_give_back);
}

fn parked_behind(wait: fn(&Once)) {
    let once = Arc::new(Once { done: AtomicBool::new(false), waiter: Mutex::new(None) });
    let other = Arc::clone(&once);
    let parked = thread::spawn(move || {
        wait(&other);
        thread::park();
    });
    once.complete();
    parked.thread().unpark();
    parked.join().unwrap();
}
