//! Philosophers at a round table, with one fork between any two.
//!
//! To eat, a philosopher takes the fork on the left, then the one on the right. If all of them take
//! the left one at once, all forks are gone, everybody waits for the right one, and nobody eats.

use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, note, thread};

struct Table {
    forks: Vec<Mutex<()>>,
}

impl Table {
    fn eat_with(&self, first: usize, second: usize) {
        let _first = self.forks[first].lock().unwrap();
        let _second = self.forks[second].lock().unwrap();
        note!("eat");
    }
}

fn run(params: &Params) {
    dinner(params, |table, left, right| table.eat_with(left, right));
}

fn run_fixed(params: &Params) {
    dinner(params, |table, left, right| table.eat_with(left.min(right), left.max(right)));
}

fn dinner(params: &Params, eat: fn(&Table, usize, usize)) {
    let philosophers = params.count("philosophers");
    let forks = (0..philosophers).map(|_| Mutex::new(())).collect();
    let table = Arc::new(Table { forks });

    let seated: Vec<_> = (0..philosophers)
        .map(|seat| {
            let table = Arc::clone(&table);
            let philosopher = thread::Builder::new().name(format!("philosopher {}", seat + 1));
            philosopher.spawn(move || eat(&table, seat, (seat + 1) % philosophers)).unwrap()
        })
        .collect();
    for philosopher in seated {
        philosopher.join().unwrap();
    }
}

const PHILOSOPHERS: &[Param] =
    &[Param { name: "philosophers", default: 3, min: 2, max: 10, about: "philosophers, and forks" }];

/// The deadlock.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "dining-philosophers",
    summary: "every philosopher takes the left fork and waits for the right one",
    teaches: "A cycle can be of any length, and the longer it is the rarer the schedule that closes it. All \
              philosophers must have taken their first fork before anyone takes a second.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "deadlock" },
    twin: Some("dining-philosophers-fixed"),
    params: PHILOSOPHERS,
    source: Source { file: file!(), text: include_str!("dining_philosophers.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "dining-philosophers-fixed",
    summary: "every philosopher takes the fork with the lower number first",
    teaches: "One philosopher reaches to the other side first, and the circle is broken. Whoever holds the \
              fork with the highest number has both.",
    expected: Expected::Holds,
    twin: Some("dining-philosophers"),
    params: PHILOSOPHERS,
    source: Source { file: file!(), text: include_str!("dining_philosophers.rs") },
    run: run_fixed,
};
