//! tokio#7450, smol-rs/atomic-waker#25: `AtomicWaker::wake` gives its lock back by a store instead of a
//! read-modify-write, which cuts the release sequence of a `wake` that came meanwhile.

use crate::{fails, holds};
use racefuzz::cell::UnsafeCell;
use racefuzz::hint;
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicUsize, Ordering::*};
use racefuzz::thread::{self, Thread};

const WAITING: usize = 0;
const REGISTERING: usize = 1;
const WAKING: usize = 2;

struct AtomicWaker {
    state: AtomicUsize,
    waker: UnsafeCell<Option<Thread>>,
    swaps: bool,
}

// SAFETY: `state` says who may access the waker.
unsafe impl Sync for AtomicWaker {}

impl AtomicWaker {
    fn take(&self) -> Option<Thread> {
        // SAFETY: see at `Sync`.
        self.waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    fn register(&self, waker: Thread) {
        if self.state.compare_exchange(WAITING, REGISTERING, Acquire, Acquire).is_err() {
            // Being woken: the caller is to try again.
            waker.unpark();
            hint::spin_loop();
            return;
        }
        // SAFETY: see at `Sync`.
        self.waker.with_mut(|place| unsafe { *place = Some(waker) });
        if self.state.compare_exchange(REGISTERING, WAITING, AcqRel, Acquire).is_err() {
            let waker = self.take();
            self.state.swap(WAITING, AcqRel);
            waker.iter().for_each(Thread::unpark);
        }
    }

    fn wake(&self) {
        if self.state.fetch_or(WAKING, AcqRel) == WAITING {
            let waker = self.take();
            if self.swaps {
                self.state.swap(WAITING, Release);
            } else {
                self.state.store(WAITING, Release);
            }
            waker.iter().for_each(Thread::unpark);
        }
    }
}

fn program(swaps: bool) {
    let waker = AtomicWaker { state: AtomicUsize::new(WAITING), waker: UnsafeCell::new(None), swaps };
    let shared = Arc::new((waker, AtomicUsize::new(0)));
    let (one, two) = (Arc::clone(&shared), Arc::clone(&shared));
    let for_another_reason = thread::spawn(move || one.0.wake());
    let ready = thread::spawn(move || {
        two.1.store(1, Relaxed);
        two.0.wake();
    });
    loop {
        shared.0.register(thread::current());
        if shared.1.load(Relaxed) == 1 {
            break;
        }
        thread::park();
    }
    for_another_reason.join().unwrap();
    ready.join().unwrap();
}

#[test]
fn given_back_by_a_store() {
    fails("lost wake-up", || program(false));
}

#[test]
fn given_back_by_a_swap() {
    holds(|| program(true));
}
