//! A thread dies with a lock in its hand.
//!
//! A thread takes the lock and ends without giving it back, as one that was killed does: its guard
//! is never dropped. Every other thread that wants the lock now waits for ever, and so does whoever
//! waits for those.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, note, thread};

struct Object {
    ref_lock: Mutex<()>,
    references: Var<u64>,
}

impl Object {
    fn take_reference(&self) {
        let next = self.references.get() + 1;
        note!("add 1 ⇒ {next}");
        self.references.set(next);
    }
}

fn run(_: &Params) {
    two_threads(|object| {
        let acquired = object.ref_lock.lock().unwrap();
        object.take_reference();
        // What is left of a thread that is killed here: a lock that nobody will release.
        std::mem::forget(acquired);
    });
}

fn run_released(_: &Params) {
    two_threads(|object| {
        let acquired = object.ref_lock.lock().unwrap();
        object.take_reference();
        drop(acquired);
    });
}

fn two_threads(first: fn(&Object)) {
    let object = Arc::new(Object { ref_lock: Mutex::new(()), references: Var::new("references", 5) });
    let (one, other) = (Arc::clone(&object), Arc::clone(&object));

    let careless = thread::spawn(move || first(&one));
    let careful = thread::spawn(move || {
        let _acquired = other.ref_lock.lock().unwrap();
        other.take_reference();
    });
    careless.join().unwrap();
    careful.join().unwrap();

    let found = object.references.get();
    assert!(found == 7, "expected 7, found {found}");
}

/// The deadlock.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "lock-never-released",
    summary: "a thread dies holding the lock, and the other waits for ever",
    teaches: "A lock that is never released stops everybody who comes after. That is what killing a thread \
              by force does: it ends, and what it held stays held. Nothing computes a wrong result here, \
              the program just never ends.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "deadlock" },
    twin: Some("lock-released"),
    params: &[],
    source: Source { file: file!(), text: include_str!("lock_never_released.rs") },
    run,
};

/// The repair.
pub(super) const RELEASED: Scenario = Scenario {
    name: "lock-released",
    summary: "both threads release the lock, and both get it",
    teaches: "Where every way out of the critical section releases the lock, nobody waits for ever. Rust's \
              guards do that by themselves, on every path including a panic, unless they are forgotten \
              on purpose.",
    expected: Expected::Holds,
    twin: Some("lock-never-released"),
    params: &[],
    source: Source { file: file!(), text: include_str!("lock_never_released.rs") },
    run: run_released,
};
