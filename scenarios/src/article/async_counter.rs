//! Tasks that count without a lock, and lose nothing.
//!
//! Tasks on one executor switch cooperatively: only at an `.await`. Between the read and the store
//! of this increment there is none, so nobody can come between, and no lock is needed.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::{Var, future, note};

async fn increment(counter: Arc<Var<u64>>) {
    let next = counter.get() + 1;
    note!("add 1 ⇒ {next}");
    counter.set(next);
    future::yield_now().await;
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

/// Safe as it is.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "async-counter",
    summary: "tasks of one executor increment a counter, with no await in between",
    teaches: "Threads are switched at any step, tasks only where they await. What stands between two awaits \
              is one step for all tasks of the same executor: no lock is needed there.",
    expected: Expected::Holds,
    twin: Some("async-counter-await"),
    params: &[Param { name: "tasks", default: 3, min: 2, max: 20, about: "tasks that count" }],
    source: Source { file: file!(), text: include_str!("async_counter.rs") },
    run,
};
