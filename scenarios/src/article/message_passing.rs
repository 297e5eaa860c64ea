//! Workers that share nothing.
//!
//! Processes have no memory in common: who wants something from another sends a message. Here the
//! count belongs to one thread. The workers send it their increments, and it adds them up, one
//! message at a time, in whatever order they arrive.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::mpsc;
use racefuzz::{note, thread};

fn run(params: &Params) {
    let workers = params.number("workers");
    let (increments, inbox) = mpsc::channel();

    let owner = thread::spawn(move || {
        let mut count = 0;
        for increment in inbox {
            count += increment;
            note!("add {increment} ⇒ {count}");
        }
        count
    });
    let started: Vec<_> = (0..workers)
        .map(|_| {
            let increments = increments.clone();
            thread::spawn(move || increments.send(1).unwrap())
        })
        .collect();
    drop(increments); // the owner is done when the last sender is gone
    for worker in started {
        worker.join().unwrap();
    }

    let found = owner.join().unwrap();
    assert!(found == workers, "expected {workers}, found {found}");
}

/// Safe as it is.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "message-passing",
    summary: "workers send their increments to one owner of the count",
    teaches: "What is not shared needs no lock. One thread owns the count and receives what the others \
              want added. The price is the message: made, sent and received for every increment.",
    expected: Expected::Holds,
    twin: None,
    params: &[Param { name: "workers", default: 3, min: 1, max: 10, about: "workers that send" }],
    source: Source { file: file!(), text: include_str!("message_passing.rs") },
    run,
};
