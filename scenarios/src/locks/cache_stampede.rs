//! A cache that computes one value twice.
//!
//! A thread looks into the cache, finds nothing, computes the value and inserts it: a map under a
//! mutex, `get` and then `insert`. The lock is free while it computes, so a second thread finds
//! nothing either, and computes and inserts the same value again. With a thousand threads that is a
//! stampede.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{FailureKind, Var, note, thread};

/// A map with one key.
struct Cache {
    cache_lock: Mutex<()>,
    entry: Var<Option<u32>>,
}

impl Cache {
    fn get(&self) -> Option<u32> {
        let _locked = self.cache_lock.lock().unwrap();
        self.entry.get()
    }

    fn insert(&self, value: u32) {
        let _locked = self.cache_lock.lock().unwrap();
        self.insert_locked(value);
    }

    fn get_or_insert_with(&self, compute: fn() -> u32) -> u32 {
        let _locked = self.cache_lock.lock().unwrap();
        self.entry.get().unwrap_or_else(|| {
            let value = compute();
            self.insert_locked(value);
            value
        })
    }

    /// Only for those who hold the lock.
    fn insert_locked(&self, value: u32) {
        let before = self.entry.get();
        self.entry.set(Some(value));
        assert!(before.is_none(), "the value was computed twice");
    }
}

fn compute() -> u32 {
    note!("compute the value");
    42
}

fn look_up(cache: &Cache) -> u32 {
    cache.get().unwrap_or_else(|| {
        let value = compute();
        cache.insert(value);
        value
    })
}

fn look_up_once(cache: &Cache) -> u32 {
    cache.get_or_insert_with(compute)
}

fn run(_: &Params) {
    two_threads(look_up);
}

fn run_fixed(_: &Params) {
    two_threads(look_up_once);
}

fn two_threads(look_up: fn(&Cache) -> u32) {
    let cache = Arc::new(Cache { cache_lock: Mutex::new(()), entry: Var::new("entry", None) });

    let users: Vec<_> = (0..2)
        .map(|_| {
            let cache = Arc::clone(&cache);
            thread::spawn(move || look_up(&cache))
        })
        .collect();
    for user in users {
        let found = user.join().unwrap();
        assert!(found == 42, "expected 42, found {found}");
    }
}

/// The race.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "cache-stampede",
    summary: "two threads miss in a cache, and both compute the value",
    teaches: "`get` and then `insert` are two critical sections, even though the map is behind a mutex. What \
              `get` has found out may no longer be so when `insert` comes.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("cache-stampede-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("cache_stampede.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "cache-stampede-fixed",
    summary: "looking and inserting is one operation under the lock",
    teaches: "An operation that looks and inserts under one lock computes the value once. Whoever comes \
              second waits for it.",
    expected: Expected::Holds,
    twin: Some("cache-stampede"),
    params: &[],
    source: Source { file: file!(), text: include_str!("cache_stampede.rs") },
    run: run_fixed,
};
