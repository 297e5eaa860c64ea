//! rust#145816: a `OnceLock` that waits by `thread::park` takes the token that the program meant for a
//! park of its own.

use crate::{fails, holds};
use racefuzz::sync::atomic::{AtomicBool, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::thread::{self, Thread};

/// A once whose waiter parks.
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

    fn wait(&self, gives_token_back: bool) {
        *self.waiter.lock().unwrap() = Some(thread::current());
        let mut taken = false;
        while !self.done.load(Acquire) {
            thread::park();
            taken = true;
        }
        if gives_token_back && taken {
            // It may have been meant for somebody else.
            thread::current().unpark();
        }
    }
}

fn program(gives_token_back: bool) {
    let once = Arc::new(Once { done: AtomicBool::new(false), waiter: Mutex::new(None) });
    let theirs = Arc::clone(&once);
    let parked = thread::spawn(move || {
        theirs.wait(gives_token_back);
        thread::park();
    });
    once.complete();
    parked.thread().unpark();
    parked.join().unwrap();
}

#[test]
fn a_token_that_another_wait_took() {
    for text in fails("lost wake-up", || program(false)) {
        assert!(text.contains("took the token"), "{text}");
    }
}

#[test]
fn a_token_that_is_given_back() {
    holds(|| program(true));
}
