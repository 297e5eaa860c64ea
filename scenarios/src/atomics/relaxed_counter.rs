//! A counter of requests, bumped by every thread.
//!
//! Making the counter atomic makes each load and each store atomic. It does not make the pair of
//! them atomic: between `load` and `store` another thread may count, and its count is overwritten.
//! That is as true with `SeqCst` as with `Relaxed`. The repair is one read-modify-write,
//! `fetch_add`; for a mere statistic it may well stay `Relaxed`.
//!
//! Source: the first example of every text on atomics, e.g. Mara Bos, "Rust Atomics and Locks",
//! chapter 2.

use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicU32, Ordering::Relaxed};
use racefuzz::thread;

const SOURCE: Source = Source { file: file!(), text: include_str!("relaxed_counter.rs") };
const PARAMS: &[Param] =
    &[Param { name: "threads", default: 2, min: 1, max: 64, about: "threads that count one request each" }];

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "relaxed-counter",
    summary: "threads bump an atomic counter by load and store",
    teaches: "An atomic variable does not make `load`, add, `store` one step. Two threads may read the same count, \
              and one of the increments is lost. No memory ordering helps: only a read-modify-write such as \
              `fetch_add` does.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("relaxed-counter-fixed"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, count),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "relaxed-counter-fixed",
    summary: "threads bump an atomic counter by fetch_add",
    teaches: "`fetch_add` reads and writes in one step that nothing can come between, even with `Relaxed`: a \
              read-modify-write always reads the newest value. `Relaxed` is enough for a statistic, because nobody \
              concludes anything else from it.",
    expected: Expected::Holds,
    twin: Some("relaxed-counter"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, count_fixed),
};

/// Racy: another thread may count between the two steps.
fn count(requests: &AtomicU32) {
    let n = requests.load(Relaxed);
    requests.store(n + 1, Relaxed);
}

/// Repaired: one step.
fn count_fixed(requests: &AtomicU32) {
    requests.fetch_add(1, Relaxed);
}

fn play(params: &Params, count: fn(&AtomicU32)) {
    let threads = params.count("threads");
    let requests = Arc::new(AtomicU32::new(0));
    let counting: Vec<_> = (0..threads)
        .map(|_| {
            let requests = Arc::clone(&requests);
            thread::spawn(move || count(&requests))
        })
        .collect();
    for thread in counting {
        thread.join().unwrap();
    }
    let found = requests.load(Relaxed);
    assert!(found as usize == threads, "expected {threads} requests, found {found}");
}
