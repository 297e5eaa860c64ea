//! A lock that one of three threads forgets.
//!
//! A lock locks nothing: it is a sign that those who look at it respect. Two threads take it around
//! their increment. The third was added later and does not, and so even the first two lose what they
//! have counted.

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
    let object = Arc::new(Object { ref_lock: Mutex::new(()), references: Var::new("references", 5) });

    let mut takers = Vec::new();
    for _ in 0..2 {
        let object = Arc::clone(&object);
        takers.push(thread::spawn(move || {
            let _acquired = object.ref_lock.lock().unwrap();
            object.take_reference();
        }));
    }
    let same = Arc::clone(&object);
    takers.push(thread::spawn(move || {
        // Nothing makes this thread take the lock.
        same.take_reference();
    }));
    for taker in takers {
        taker.join().unwrap();
    }

    let found = object.references.get();
    assert!(found == 8, "expected 8, found {found}");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "lock-not-respected",
    summary: "two threads take the lock, the third forgets it",
    teaches: "A lock protects nothing by itself: it only works if everybody who touches the data takes it. \
              One careless access in a large program is enough, and it breaks those who were careful. \
              (In Rust, put the data inside the `Mutex` and nobody can forget.)",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("refcount-locked"),
    params: &[],
    source: Source { file: file!(), text: include_str!("lock_not_respected.rs") },
    run,
};
