//! A clock that shows a time that never was.
//!
//! It is 1:59, and a thread turns the clock to 2:00: hours and minutes, under the clock's lock.
//! Another thread reads the hours and then the minutes, taking the lock for each. It may read the
//! hours before the change and the minutes after it: 1:00, an hour too early.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, thread};

struct Clock {
    clock_lock: Mutex<()>,
    hours: Var<u32>,
    minutes: Var<u32>,
}

impl Clock {
    fn turn_to(&self, hours: u32, minutes: u32) {
        let _locked = self.clock_lock.lock().unwrap();
        self.hours.set(hours);
        self.minutes.set(minutes);
    }

    fn hours(&self) -> u32 {
        let _locked = self.clock_lock.lock().unwrap();
        self.hours.get()
    }

    fn minutes(&self) -> u32 {
        let _locked = self.clock_lock.lock().unwrap();
        self.minutes.get()
    }

    /// Both at once.
    fn time(&self) -> (u32, u32) {
        let _locked = self.clock_lock.lock().unwrap();
        (self.hours.get(), self.minutes.get())
    }
}

fn run(_: &Params) {
    turn_and_read(|clock| (clock.hours(), clock.minutes()));
}

fn run_fixed(_: &Params) {
    turn_and_read(Clock::time);
}

fn turn_and_read(read: fn(&Clock) -> (u32, u32)) {
    let clock = Arc::new(Clock {
        clock_lock: Mutex::new(()),
        hours: Var::new("hours", 1),
        minutes: Var::new("minutes", 59),
    });
    let (turned, seen) = (Arc::clone(&clock), Arc::clone(&clock));

    let turner = thread::spawn(move || turned.turn_to(2, 0));
    let reader = thread::spawn(move || {
        let (hours, minutes) = read(&seen);
        assert!(
            matches!((hours, minutes), (1, 59) | (2, 0)),
            "expected 1:59 or 2:00, found {hours}:{minutes:02}"
        );
    });
    turner.join().unwrap();
    reader.join().unwrap();
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "read-skew",
    summary: "a clock turns from 1:59 to 2:00, and a reader sees 1:00",
    teaches: "Two values that belong together must be read together. Each read alone is locked and right; \
              the pair of them was never there.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "read skew" },
    twin: Some("read-skew-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("read_skew.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "read-skew-fixed",
    summary: "hours and minutes are read under one lock",
    teaches: "A reader that changes nothing needs the lock as well. It must hold it for as long as what \
              it reads must fit together.",
    expected: Expected::Holds,
    twin: Some("read-skew"),
    params: &[],
    source: Source { file: file!(), text: include_str!("read_skew.rs") },
    run: run_fixed,
};
