//! Two threads take a reference each, and one of the two is forgotten.
//!
//! An object is referred to five times. Two threads each take one more reference: each reads the
//! count, adds one and stores the sum. If both read before either stores, both store the same sum.
//! From then on the count is one too low, and one day the object is freed while somebody still uses
//! it.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::{FailureKind, Var, note, thread};

fn run(params: &Params) {
    let threads = params.number("threads");
    let references = Arc::new(Var::new("references", 5));

    let takers: Vec<_> = (0..threads)
        .map(|_| {
            let references = Arc::clone(&references);
            thread::spawn(move || {
                let next = references.get() + 1;
                note!("add 1 ⇒ {next}");
                references.set(next);
            })
        })
        .collect();
    for taker in takers {
        taker.join().unwrap();
    }

    let (expected, found) = (5 + threads, references.get());
    assert!(found == expected, "expected {expected}, found {found}");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "refcount",
    summary: "two threads increment a reference count of 5, and it ends at 6",
    teaches: "An increment is three steps: read, add, store. Another thread may come between any two of \
              them. If both threads read before either stores, they store the same sum, and one of the \
              two increments is lost without a trace.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("refcount-locked"),
    params: &[Param { name: "threads", default: 2, min: 2, max: 8, about: "threads that take a reference" }],
    source: Source { file: file!(), text: include_str!("refcount.rs") },
    run,
};
