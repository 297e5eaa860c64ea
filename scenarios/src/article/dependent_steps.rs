//! Two steps that follow each other, in two threads.
//!
//! `x = f()`, then `y = g(x)`: the second step needs what the first one computes. Two threads cannot
//! do them at once. Either the second thread waits for the first, and then one thread would have
//! done; or it does not wait, and then `g` starts before there is an `x`.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::{FailureKind, Var, note, thread};

struct Results {
    x: Var<Option<u64>>,
    y: Var<Option<u64>>,
}

impl Results {
    fn new() -> Arc<Self> {
        Arc::new(Self { x: Var::new("x", None), y: Var::new("y", None) })
    }
}

fn f(results: &Results) {
    note!("f computes 6");
    results.x.set(Some(6));
}

fn g(results: &Results) {
    let x = results.x.get();
    assert!(x.is_some(), "g started before f was done: there is no x");
    let y = x.map(|x| x * 7);
    note!("g computes 42");
    results.y.set(y);
}

fn run(_: &Params) {
    let results = Results::new();
    let (for_f, for_g) = (Arc::clone(&results), Arc::clone(&results));

    let first = thread::spawn(move || f(&for_f));
    let second = thread::spawn(move || {
        first.join().unwrap(); // nothing else to do meanwhile
        g(&for_g);
    });
    second.join().unwrap();

    assert!(results.y.get() == Some(42), "expected 42, found {:?}", results.y.get());
}

fn run_unjoined(_: &Params) {
    let results = Results::new();
    let (for_f, for_g) = (Arc::clone(&results), Arc::clone(&results));

    let first = thread::spawn(move || f(&for_f));
    let second = thread::spawn(move || g(&for_g));
    first.join().unwrap();
    second.join().unwrap();

    assert!(results.y.get() == Some(42), "expected 42, found {:?}", results.y.get());
}

/// Right, and no faster than without threads.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "dependent-steps",
    summary: "x = f(), y = g(x): the second thread waits for the first",
    teaches: "A step that needs another's result cannot run beside it. Two threads do no more here than one \
              would, they only add the cost of starting them and of passing the result on.",
    expected: Expected::Holds,
    twin: Some("dependent-steps-unjoined"),
    params: &[],
    source: Source { file: file!(), text: include_str!("dependent_steps.rs") },
    run,
};

/// The race.
pub(super) const UNJOINED: Scenario = Scenario {
    name: "dependent-steps-unjoined",
    summary: "x = f(), y = g(x): the second thread does not wait for the first",
    teaches: "Started first is not finished first. Without a join, a lock or a message between them, nothing \
              keeps `g` from running before `f` has stored what it needs.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "order violation" },
    twin: Some("dependent-steps"),
    params: &[],
    source: Source { file: file!(), text: include_str!("dependent_steps.rs") },
    run: run_unjoined,
};
