//! RUSTSEC-2019-0031, GHSA-hv7x-f3pv-gpwr: spin's `RwLock` gave its lock back with `Relaxed`.

use crate::{fails, holds};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{self, *},
};
use racefuzz::{hint, thread};

const WRITER: usize = 1;
const READER: usize = 2;

struct RwLock {
    state: AtomicUsize,
    data: UnsafeCell<u32>,
    unlock: Ordering,
}

// SAFETY: guarded by `state`; with a Relaxed `unlock` it is not quite, which racefuzz reports.
unsafe impl Sync for RwLock {}

impl RwLock {
    fn read(&self) -> u32 {
        while self.state.fetch_add(READER, Acquire) & WRITER != 0 {
            self.state.fetch_sub(READER, Release);
            hint::spin_loop();
        }
        // SAFETY: see at `Sync`.
        let seen = self.data.with(|data| unsafe { *data });
        self.state.fetch_sub(READER, Release);
        seen
    }

    fn increment(&self) {
        while self.state.compare_exchange(0, WRITER, Acquire, Relaxed).is_err() {
            hint::spin_loop();
        }
        // SAFETY: see at `Sync`.
        self.data.with_mut(|data| unsafe { *data += 1 });
        self.state.fetch_and(!WRITER, self.unlock);
    }
}

fn program(unlock: Ordering) {
    let lock = Arc::new(RwLock { state: AtomicUsize::new(0), data: UnsafeCell::new(0), unlock });
    let theirs = Arc::clone(&lock);
    let writer = thread::spawn(move || theirs.increment());
    assert!(lock.read() <= 1);
    writer.join().unwrap();
}

#[test]
fn given_back_relaxed() {
    fails("data race", || program(Relaxed));
}

#[test]
fn given_back_released() {
    holds(|| program(Release));
}
