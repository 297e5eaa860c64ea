//! Memory that is freed while somebody may still use it.

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::{hint, thread};
use std::ptr;

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

/// A node, and how many read it.
pub struct Announced {
    /// The node, or null when it has been taken out.
    pub node: AtomicPtr<AtomicU32>,
    /// How many have announced themselves.
    pub readers: AtomicUsize,
}

impl Announced {
    /// With a node that holds 7.
    pub fn new() -> Arc<Self> {
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

/// A list whose block is given up by whoever discards it.
struct List {
    block: AtomicPtr<u64>,
}

impl List {
    fn discard(&self) {
        let block = self.block.load(Acquire);
        self.block.store(ptr::null_mut(), Release);
        if !block.is_null() {
            // SAFETY: it is this thread's now, or so it is meant; racefuzz reports a second release.
            unsafe { dealloc(block.cast(), Layout::new::<u64>()) };
        }
    }
}

/// The block is loaded and then taken away, so that two may free it (crossbeam-channel,
/// RUSTSEC-2025-0024). Upstream: a swap.
pub fn discarded_twice() {
    // SAFETY: the layout has a size.
    let block = unsafe { alloc(Layout::new::<u64>()).cast::<u64>() };
    let list = Arc::new(List { block: AtomicPtr::new(block) });
    let other = Arc::clone(&list);
    let thread = thread::spawn(move || other.discard());
    list.discard();
    thread.join().unwrap();
}

/// Whoever waits frees the condition variable, and the one who notifies, behind the mutex, may be late.
pub fn notified_when_gone() {
    let shared = Box::into_raw(Box::new((Mutex::new(false), Condvar::new()))) as usize;
    let get = move || shared as *const (Mutex<bool>, Condvar);
    let notifier = thread::spawn(move || {
        // SAFETY: freed by whoever waits, when the notification has come, or so it is meant.
        let (ready, changed) = unsafe { &*get() };
        *ready.lock().unwrap() = true;
        changed.notify_one();
    });
    // SAFETY: freed below.
    let (ready, changed) = unsafe { &*get() };
    drop(changed.wait_while(ready.lock().unwrap(), |ready| !*ready).unwrap());
    // SAFETY: made above; that the other thread has gone is what the program relies on.
    drop(unsafe { Box::from_raw(shared as *mut (Mutex<bool>, Condvar)) });
    notifier.join().unwrap();
}
