//! Woken for an item that somebody else has taken.
//!
//! Two consumers take items from a queue. One finds it empty and waits; the producer puts an item in
//! and wakes it. But before it has the lock again, the other consumer comes by and takes the item.
//! The first one was woken rightly, and finds nothing: it should have looked again.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Queue {
    queue_lock: Mutex<()>,
    items: Var<u32>,
    filled: Condvar,
}

impl Queue {
    fn put(&self) {
        let _locked = self.queue_lock.lock().unwrap();
        self.items.set(self.items.get() + 1);
        self.filled.notify_one();
    }

    fn take_if(&self) {
        let mut _locked = self.queue_lock.lock().unwrap();
        if self.items.get() == 0 {
            _locked = self.filled.wait(_locked).unwrap();
        }
        self.take_locked();
    }

    fn take_while(&self) {
        let mut _locked = self.queue_lock.lock().unwrap();
        while self.items.get() == 0 {
            _locked = self.filled.wait(_locked).unwrap();
        }
        self.take_locked();
    }

    /// Only for those who hold the lock.
    fn take_locked(&self) {
        let items = self.items.get();
        assert!(items > 0, "expected an item to take, found none");
        self.items.set(items - 1);
    }
}

fn run(_: &Params) {
    two_consumers(Queue::take_if);
}

fn run_fixed(_: &Params) {
    two_consumers(Queue::take_while);
}

fn two_consumers(take: fn(&Queue)) {
    let queue =
        Arc::new(Queue { queue_lock: Mutex::new(()), items: Var::new("items", 0), filled: Condvar::new() });

    let mut threads = Vec::new();
    for name in ["consumer 1", "consumer 2"] {
        let queue = Arc::clone(&queue);
        let consumer = thread::Builder::new().name(name.into());
        threads.push(consumer.spawn(move || take(&queue)).unwrap());
    }
    let producer = thread::Builder::new().name("producer".into());
    threads.push(
        producer
            .spawn(move || {
                queue.put();
                queue.put();
            })
            .unwrap(),
    );
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "condvar-if-instead-of-while",
    summary: "a consumer is woken for an item that another one takes first",
    teaches: "To be woken means that there was something, not that there still is. Between the notification \
              and the moment the thread has its lock again, anybody else may hold it. Spurious wake-ups \
              are not even needed for this to fail.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("condvar-if-instead-of-while-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("condvar_if.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "condvar-if-instead-of-while-fixed",
    summary: "a consumer that is woken looks again",
    teaches: "Wait in a loop that looks at the condition, or with `wait_while`, which is that loop. Whoever \
              finds nothing just goes back to sleep.",
    expected: Expected::Holds,
    twin: Some("condvar-if-instead-of-while"),
    params: &[],
    source: Source { file: file!(), text: include_str!("condvar_if.rs") },
    run: run_fixed,
};
