//! racefuzz's `future`, with a [`block_on`] that polls once more than it must, as loom's may.

pub use racefuzz::future::{AtomicWaker, JoinHandle, YieldNow, spawn, yield_now};

use std::future::{Future, poll_fn};
use std::pin::pin;

/// Runs a future on the calling thread until it is ready. Once in its life it may be polled although
/// nobody woke it.
#[track_caller]
pub fn block_on<F: Future>(f: F) -> F::Output {
    let mut f = pin!(f);
    let mut spurious = false;
    racefuzz::future::block_on(poll_fn(|context| {
        let poll = f.as_mut().poll(context);
        if poll.is_ready() || spurious || racefuzz::nondet(2) == 0 {
            return poll;
        }
        spurious = true;
        f.as_mut().poll(context)
    }))
}
