//! Five threads count under two locks, one at a time.
//!
//! The counter, repaired: `counter_lock` around all that a thread does, `printer_lock` around what
//! it prints, and the main thread joins the threads before it prints that it is finished. This is
//! right. It is also sequential: every thread does all its work under one lock, so five threads take
//! as long as one, and longer by what the locks cost.

use super::counter_check::{SEPARATOR, check};
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Var, println, thread};

struct Shared {
    counter_lock: Mutex<()>,
    printer_lock: Mutex<()>,
    counter: Var<u64>,
}

fn run(params: &Params) {
    let threads = params.number("threads");
    let shared = Arc::new(Shared {
        counter_lock: Mutex::new(()),
        printer_lock: Mutex::new(()),
        counter: Var::new("counter", 0),
    });
    let last = Arc::clone(&shared);
    racefuzz::finally(move || check(threads, last.counter.get(), &racefuzz::console_lines()));

    {
        let _printing = shared.printer_lock.lock().unwrap();
        println!("Starting");
    }
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let _counting = shared.counter_lock.lock().unwrap();
                let count = shared.counter.get() + 1;
                shared.counter.set(count);
                let _printing = shared.printer_lock.lock().unwrap();
                println!("The count is {count}");
                println!("{SEPARATOR}");
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let _printing = shared.printer_lock.lock().unwrap();
    println!("Finished");
}

/// The repair.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "counter-locked",
    summary: "the counter with a lock for counting, one for printing, and joins",
    teaches: "Two locks and a join make the counter right. But where all of a thread's work happens under \
              one lock, the threads run one after the other: the program is sequential, only slower and \
              harder to read. One of the two locks is not even needed.",
    expected: Expected::Holds,
    twin: Some("counter"),
    params: &[Param { name: "threads", default: 5, min: 1, max: 20, about: "threads that count" }],
    source: Source { file: file!(), text: include_str!("counter_locked.rs") },
    run,
};
