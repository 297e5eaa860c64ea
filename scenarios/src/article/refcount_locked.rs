//! Two threads take a reference each, one after the other.
//!
//! The reference count again, now under a lock: acquire, read, add, store, release. Whoever comes
//! second finds the lock taken and waits; when it gets its turn it reads the count that the first
//! has stored. No increment is lost. The price is that the second thread stands still meanwhile.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Var, note, thread};

struct Object {
    ref_lock: Mutex<()>,
    references: Var<u64>,
}

fn run(params: &Params) {
    let threads = params.number("threads");
    let object = Arc::new(Object { ref_lock: Mutex::new(()), references: Var::new("references", 5) });

    let takers: Vec<_> = (0..threads)
        .map(|_| {
            let object = Arc::clone(&object);
            thread::spawn(move || {
                let _acquired = object.ref_lock.lock().unwrap();
                let next = object.references.get() + 1;
                note!("add 1 ⇒ {next}");
                object.references.set(next);
                // The lock is released here, at the end of the guard's scope.
            })
        })
        .collect();
    for taker in takers {
        taker.join().unwrap();
    }

    let (expected, found) = (5 + threads, object.references.get());
    assert!(found == expected, "expected {expected}, found {found}");
}

/// The repair.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "refcount-locked",
    summary: "the reference count under a lock: always 7",
    teaches: "A lock makes the three steps of an increment one: whoever finds it taken waits until it is \
              released, and then reads what the other has stored. That costs time, the lock's own and \
              that of the thread that waits.",
    expected: Expected::Holds,
    twin: Some("refcount"),
    params: &[Param { name: "threads", default: 2, min: 2, max: 8, about: "threads that take a reference" }],
    source: Source { file: file!(), text: include_str!("refcount_locked.rs") },
    run,
};
