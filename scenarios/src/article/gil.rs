//! A lock around every instruction, and still a lost increment.
//!
//! Python's global interpreter lock lets one thread at a time run an instruction. That protects the
//! interpreter, not the program: an increment is several instructions, and the lock may change hands
//! between any two of them. To be one step, the whole increment must happen in one turn of the lock.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, note, thread};

struct Interpreter {
    gil: Mutex<()>,
    counter: Var<u64>,
}

impl Interpreter {
    /// Runs instructions while nobody else runs any.
    fn holding_gil<R>(&self, instructions: impl FnOnce() -> R) -> R {
        let _held = self.gil.lock().unwrap();
        instructions()
    }
}

/// `counter += 1`, instruction by instruction, each with the lock held.
fn increment(python: &Interpreter) {
    let count = python.holding_gil(|| python.counter.get());
    let next = python.holding_gil(|| {
        note!("add 1 ⇒ {}", count + 1);
        count + 1
    });
    python.holding_gil(|| python.counter.set(next));
}

/// The same instructions, the lock held from the first to the last.
fn increment_held(python: &Interpreter) {
    python.holding_gil(|| {
        let next = python.counter.get() + 1;
        note!("add 1 ⇒ {next}");
        python.counter.set(next);
    });
}

fn run(params: &Params) {
    threads_that(increment, params);
}

fn run_held(params: &Params) {
    threads_that(increment_held, params);
}

fn threads_that(increment: fn(&Interpreter), params: &Params) {
    let threads = params.number("threads");
    let python = Arc::new(Interpreter { gil: Mutex::new(()), counter: Var::new("counter", 0) });

    let threads_started: Vec<_> = (0..threads)
        .map(|_| {
            let python = Arc::clone(&python);
            thread::spawn(move || increment(&python))
        })
        .collect();
    for thread in threads_started {
        thread.join().unwrap();
    }

    let found = python.counter.get();
    assert!(found == threads, "expected {threads}, found {found}");
}

const THREADS: &[Param] =
    &[Param { name: "threads", default: 2, min: 2, max: 8, about: "threads that increment" }];

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "gil",
    summary: "every instruction runs under one global lock, yet an increment is lost",
    teaches: "A global interpreter lock makes each instruction atomic, not each statement. No two threads \
              ever run at once, so nothing is parallel; but they still take turns in the middle of an \
              increment, and races stay.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("gil-held"),
    params: THREADS,
    source: Source { file: file!(), text: include_str!("gil.rs") },
    run,
};

/// The repair.
pub(super) const HELD: Scenario = Scenario {
    name: "gil-held",
    summary: "the global lock is held over the whole increment",
    teaches: "What counts is not that there is a lock, but how long it is held. It must be held from the read \
              that a decision rests on to the write that it leads to.",
    expected: Expected::Holds,
    twin: Some("gil"),
    params: THREADS,
    source: Source { file: file!(), text: include_str!("gil.rs") },
    run: run_held,
};
