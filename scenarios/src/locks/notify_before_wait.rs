//! A notification that nobody was there to hear.
//!
//! One thread waits on a condition variable until another one says that it is ready. A condition
//! variable keeps nothing: if the other thread says so first, nobody hears it, and the one that comes
//! later sleeps for ever.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Gate {
    gate_lock: Mutex<()>,
    ready: Var<bool>,
    opened: Condvar,
}

fn new_gate() -> Arc<Gate> {
    Arc::new(Gate { gate_lock: Mutex::new(()), ready: Var::new("ready", false), opened: Condvar::new() })
}

fn run(_: &Params) {
    let gate = new_gate();
    let other = Arc::clone(&gate);

    let waiter = thread::spawn(move || {
        let locked = gate.gate_lock.lock().unwrap();
        drop(gate.opened.wait(locked).unwrap());
    });
    let notifier = thread::spawn(move || other.opened.notify_one());
    waiter.join().unwrap();
    notifier.join().unwrap();
}

fn run_fixed(_: &Params) {
    let gate = new_gate();
    let other = Arc::clone(&gate);

    let waiter = thread::spawn(move || {
        let mut locked = gate.gate_lock.lock().unwrap();
        while !gate.ready.get() {
            locked = gate.opened.wait(locked).unwrap();
        }
    });
    let notifier = thread::spawn(move || {
        let _locked = other.gate_lock.lock().unwrap();
        other.ready.set(true);
        other.opened.notify_one();
    });
    waiter.join().unwrap();
    notifier.join().unwrap();
}

/// The lost wake-up.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "notify-before-wait",
    summary: "a thread is notified before it waits, and sleeps for ever",
    teaches: "A condition variable does not remember. Who waits on it without first looking whether there \
              is still something to wait for may have missed the only notification there will ever be.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "lost wake-up" },
    twin: Some("notify-before-wait-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("notify_before_wait.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "notify-before-wait-fixed",
    summary: "a flag under the lock remembers the notification",
    teaches: "The flag keeps what the condition variable forgets. It is set and looked at under the lock, so \
              that no notification can fall between the look and the wait.",
    expected: Expected::Holds,
    twin: Some("notify-before-wait"),
    params: &[],
    source: Source { file: file!(), text: include_str!("notify_before_wait.rs") },
    run: run_fixed,
};
