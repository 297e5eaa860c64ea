//! Programs whose bug is seldom told well.

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::cell::UnsafeCell;
use racefuzz::hint;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread::{self, Thread};
use std::ptr;

/// A notification between the look and the wait.
pub fn lost_notify() {
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

/// A store buffer by a compare-exchange that fails.
pub fn stale_exchange() {
    let x = Arc::new(AtomicUsize::new(0));
    let y = Arc::new(AtomicUsize::new(0));
    let (other_x, other_y) = (Arc::clone(&x), Arc::clone(&y));
    let thread = thread::spawn(move || {
        other_x.store(1, SeqCst);
        other_y.compare_exchange(1, 2, SeqCst, Acquire).is_err()
    });
    y.store(1, SeqCst);
    let missed = x.load(SeqCst) == 0;
    assert!(!(thread.join().unwrap() && missed), "both missed the other");
}

struct Announced {
    node: AtomicPtr<AtomicU32>,
    readers: AtomicUsize,
}

impl Announced {
    fn new() -> Arc<Self> {
        // SAFETY: the layout has a size, and the memory is written before it is used.
        let node = unsafe {
            let node = alloc(Layout::new::<AtomicU32>()).cast::<AtomicU32>();
            node.write(AtomicU32::new(7));
            node
        };
        Arc::new(Self { node: AtomicPtr::new(node), readers: AtomicUsize::new(0) })
    }

    fn read(&self) {
        self.readers.fetch_add(1, Relaxed);
        let node = self.node.load(Acquire);
        if !node.is_null() {
            // SAFETY: readers are waited for, or so it is meant; racefuzz reports a use after release.
            unsafe { &*node }.load(Relaxed);
        }
        self.readers.fetch_sub(1, Release);
    }

    fn release(&self) {
        let node = self.node.swap(ptr::null_mut(), AcqRel);
        while self.readers.load(Acquire) != 0 {
            hint::spin_loop();
        }
        // SAFETY: it was allocated so, and the swap left it to this thread.
        unsafe { dealloc(node.cast(), Layout::new::<AtomicU32>()) };
    }
}

/// A reader that announces itself too weakly; it is the thread that allocated.
pub fn used_by_main() {
    let shared = Announced::new();
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || other.release());
    shared.read();
    thread.join().unwrap();
}

/// The same, where it is another thread.
pub fn used_by_other() {
    let shared = Announced::new();
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || other.read());
    shared.release();
    thread.join().unwrap();
}

const WAITING: usize = 0;
const REGISTERING: usize = 1;
const WAKING: usize = 2;

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

/// A wake whose release sequence a plain store cuts (tokio-rs/tokio 7450).
pub fn cut_sequence() {
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

/// A wait that parks takes the token of another one (rust-lang/rust 145816).
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
