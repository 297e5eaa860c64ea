//! An await in the wrong place.
//!
//! The increment again, but the new count is, say, sent to a database before it is stored. While a
//! task awaits that, the others run: they read the count that it is about to replace.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::{FailureKind, Var, future, note};

async fn increment(counter: Arc<Var<u64>>) {
    let next = counter.get() + 1;
    note!("add 1 ⇒ {next}");
    future::yield_now().await; // other tasks run here
    counter.set(next);
}

fn run(params: &Params) {
    let tasks = params.number("tasks");
    let counter = Arc::new(Var::new("counter", 0));

    let all = Arc::clone(&counter);
    future::block_on(async move {
        let started: Vec<_> = (0..tasks).map(|_| future::spawn(increment(Arc::clone(&all)))).collect();
        for task in started {
            task.await.unwrap();
        }
    });

    let found = counter.get();
    assert!(found == tasks, "expected {tasks}, found {found}");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "async-counter-await",
    summary: "tasks increment a counter, with an await between read and store",
    teaches: "One thread is enough for a race. Every await is a place where all other tasks may run; what \
              was read before it may be out of date behind it. That is when async code needs a lock too.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("async-counter"),
    params: &[Param { name: "tasks", default: 2, min: 2, max: 20, about: "tasks that count" }],
    source: Source { file: file!(), text: include_str!("async_counter_await.rs") },
    run,
};
