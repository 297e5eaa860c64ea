//! Counting without threads.
//!
//! What is left of the counter when everything that its locks make sequential is written so: a loop.
//! It prints the same lines in the same order, and there is nothing to lock, to join or to test
//! under ten thousand schedules.

use super::counter_check::{SEPARATOR, check};
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::{Var, println};

fn run(params: &Params) {
    let times = params.number("times");
    let counter = Var::new("counter", 0);

    println!("Starting");
    for _ in 0..times {
        let count = counter.get() + 1;
        counter.set(count);
        println!("The count is {count}");
        println!("{SEPARATOR}");
    }
    println!("Finished");

    check(times, counter.get(), &racefuzz::console_lines());
}

/// The program that was meant.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "counter-sequential",
    summary: "the counter as a plain loop: the same output without a thread",
    teaches: "Work that must happen in one order gains nothing from threads. The loop does what the locked \
              counter does, in fewer lines and with no lock to forget.",
    expected: Expected::Holds,
    twin: Some("counter-locked"),
    params: &[Param { name: "times", default: 5, min: 1, max: 20, about: "times to count" }],
    source: Source { file: file!(), text: include_str!("counter_sequential.rs") },
    run,
};
