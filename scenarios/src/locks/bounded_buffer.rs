//! A buffer with room for one, and one bell for everybody.
//!
//! A producer waits while the buffer is full, consumers wait while it is empty, all on one condition
//! variable. Whoever changes something wakes one thread: any one. A consumer that has made room may
//! wake the other consumer, who finds nothing and goes back to sleep; the producer, for whom the
//! call was, never hears it.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Buffer {
    buffer_lock: Mutex<()>,
    full: Var<bool>,
    changed: Condvar,
    /// What is called after a change.
    wake: fn(&Condvar),
}

impl Buffer {
    fn put(&self) {
        let mut locked = self.buffer_lock.lock().unwrap();
        while self.full.get() {
            locked = self.changed.wait(locked).unwrap();
        }
        self.full.set(true);
        (self.wake)(&self.changed);
    }

    fn take(&self) {
        let mut locked = self.buffer_lock.lock().unwrap();
        while !self.full.get() {
            locked = self.changed.wait(locked).unwrap();
        }
        self.full.set(false);
        (self.wake)(&self.changed);
    }
}

fn run(_: &Params) {
    one_producer_two_consumers(|changed| changed.notify_one());
}

fn run_fixed(_: &Params) {
    one_producer_two_consumers(|changed| changed.notify_all());
}

fn one_producer_two_consumers(wake: fn(&Condvar)) {
    let buffer = Arc::new(Buffer {
        buffer_lock: Mutex::new(()),
        full: Var::new("full", false),
        changed: Condvar::new(),
        wake,
    });

    let mut threads = Vec::new();
    for name in ["consumer 1", "consumer 2"] {
        let buffer = Arc::clone(&buffer);
        let consumer = thread::Builder::new().name(name.into());
        threads.push(consumer.spawn(move || buffer.take()).unwrap());
    }
    let producer = thread::Builder::new().name("producer".into());
    threads.push(
        producer
            .spawn(move || {
                buffer.put();
                buffer.put();
            })
            .unwrap(),
    );
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The lost wake-up.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "bounded-buffer",
    summary: "producer and consumers wait on one condition variable, and the wrong one is woken",
    teaches: "`notify_one` wakes any one of those who wait. If they wait for different things, the wake-up \
              can go to one that has no use for it, and is lost for the one that had. Then everybody \
              sleeps.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "lost wake-up" },
    twin: Some("bounded-buffer-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bounded_buffer.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "bounded-buffer-fixed",
    summary: "every change wakes all who wait, and each looks for itself",
    teaches: "`notify_all` reaches the right one among others. With two condition variables, one for room \
              and one for items, `notify_one` would do, as all who wait on one want the same.",
    expected: Expected::Holds,
    twin: Some("bounded-buffer"),
    params: &[],
    source: Source { file: file!(), text: include_str!("bounded_buffer.rs") },
    run: run_fixed,
};
