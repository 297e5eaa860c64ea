//! Executions of the longest kind are explained without delay.

use crate::fixture::{Fixture, T, int};
use racefuzz_report::explain;
use racefuzz_trace::{MemoryOrder, Verb};

const ROUNDS: u32 = 10_000;

/// Many threads, objects and steps of every sort that a detector looks at, and a failure.
fn large(children: u32) -> (Fixture, racefuzz_trace::Failure) {
    let mut f = Fixture::new("large", "Mutex::new(());\n", children);
    let objects: Vec<_> = (0..100).map(|i| f.var(&format!("v{i}"), 0)).collect();
    let lock = f.mutex("Mutex::new");
    for round in 0..ROUNDS {
        let thread = T(1 + round % children);
        let object = objects[(round / 7) as usize % objects.len()];
        f.lock(thread, lock, "");
        f.load(thread, object, MemoryOrder::Relaxed, "");
        f.rmw(thread, Verb::CompareExchange, object, int(i128::from(round % 5)), "");
        f.get(T(1 + (round + 1) % children), object, "");
        f.set(thread, object, int(2), "");
        f.set(T(1 + (round + 1) % children), object, int(1), "");
        f.unlock(thread, lock, "");
    }
    f.join_all();
    let failure = f.oracle("expected 8, found 1");
    (f, failure)
}

#[test]
fn a_long_execution_and_one_of_many_threads() {
    for children in [2, 1_000] {
        let (fixture, failure) = large(children);
        let start = std::time::Instant::now();
        let story = explain(&failure, &fixture);
        let took = start.elapsed();
        assert!(story.rows.len() < 200, "{} rows", story.rows.len());
        // Far above what it takes; a detector that compares all pairs needs minutes.
        assert!(took.as_secs() < 10, "{took:?}");
        eprintln!("{children} threads: {took:?}, {}", story.headline);
    }
}
