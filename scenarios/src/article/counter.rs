//! Five threads count, and everything that can go wrong does.
//!
//! Each thread increments a counter and prints what it counted to and a separator; the main thread
//! prints a line before and a line after. Run it, and it will most likely print what you expect:
//! each thread is over before the next one starts. But nothing says so. Increments get lost, counts
//! appear twice or out of order, lines get mixed up, and "Finished" is printed while threads still
//! count, because nobody waits for them.

use super::counter_check::{SEPARATOR, check};
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::{FailureKind, Var, println, thread};

fn run(params: &Params) {
    let threads = params.number("threads");
    let counter = Arc::new(Var::new("counter", 0));
    let last = Arc::clone(&counter);
    racefuzz::finally(move || check(threads, last.get(), &racefuzz::console_lines()));

    println!("Starting");
    for _ in 0..threads {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            let count = counter.get() + 1;
            counter.set(count);
            println!("The count is {count}");
            println!("{SEPARATOR}");
        });
    }
    println!("Finished");
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "counter",
    summary: "five threads increment a counter and print it, without any lock",
    teaches: "Code can pass every test and still be full of races: here an increment can get lost, a count \
              can be printed late or twice, a line can land between another thread's two, and \
              \"Finished\" can come first, as nobody joins the threads. A delay in the right place shows \
              each of them.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "lost update" },
    twin: Some("counter-locked"),
    params: &[Param { name: "threads", default: 5, min: 1, max: 20, about: "threads that count" }],
    source: Source { file: file!(), text: include_str!("counter.rs") },
    run,
};
