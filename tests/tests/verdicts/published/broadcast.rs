//! tokio#2134: the last receiver of a slot notifies the sender's condition variable without the tail
//! mutex; the sender looks at the slot under it and then waits.

use crate::{fails, holds};
use racefuzz::sync::atomic::{AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread;

struct Shared {
    tail: Mutex<u64>,
    freed: Condvar,
    remaining: AtomicUsize,
}

impl Shared {
    fn send(&self) {
        let mut tail = self.tail.lock().unwrap();
        while self.remaining.load(SeqCst) != 0 {
            tail = self.freed.wait(tail).unwrap();
        }
        *tail += 1;
    }

    fn received(&self, locks: bool) {
        if self.remaining.fetch_sub(1, SeqCst) == 1 {
            let _tail = locks.then(|| self.tail.lock().unwrap());
            self.freed.notify_one();
        }
    }
}

fn program(locks: bool) {
    let shared =
        Arc::new(Shared { tail: Mutex::new(0), freed: Condvar::new(), remaining: AtomicUsize::new(1) });
    let theirs = Arc::clone(&shared);
    let receiver = thread::spawn(move || theirs.received(locks));
    shared.send();
    receiver.join().unwrap();
}

#[test]
fn notified_without_the_mutex() {
    fails("lost wake-up", || program(false));
}

#[test]
fn notified_under_the_mutex() {
    holds(|| program(true));
}
