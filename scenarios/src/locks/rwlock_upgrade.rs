//! A reader that wants to write, and does not let go of what it reads.
//!
//! Two threads read a setting that is out of date, under the lock for reading. Each of them then
//! takes the same lock for writing, to renew it. A writer waits until all readers are gone; but the
//! readers are the two themselves, and each would wait for itself even if it were alone.

use racefuzz::scenario::{Expected, Params, Scenario, Source};
use racefuzz::sync::{Arc, RwLock};
use racefuzz::{FailureKind, Var, thread};

struct Settings {
    settings_lock: RwLock<()>,
    version: Var<u32>,
}

fn renew(settings: &Settings) {
    let _reading = settings.settings_lock.read().unwrap();
    if settings.version.get() == 1 {
        let _writing = settings.settings_lock.write().unwrap();
        settings.version.set(2);
    }
}

fn renew_after_reading(settings: &Settings) {
    let reading = settings.settings_lock.read().unwrap();
    let outdated = settings.version.get() == 1;
    drop(reading);
    if outdated {
        let _writing = settings.settings_lock.write().unwrap();
        // Another thread may have been here since.
        if settings.version.get() == 1 {
            settings.version.set(2);
        }
    }
}

fn run(_: &Params) {
    two_threads(renew);
}

fn run_fixed(_: &Params) {
    two_threads(renew_after_reading);
}

fn two_threads(renew: fn(&Settings)) {
    let settings = Arc::new(Settings { settings_lock: RwLock::new(()), version: Var::new("version", 1) });

    let renewers: Vec<_> = (0..2)
        .map(|_| {
            let settings = Arc::clone(&settings);
            thread::spawn(move || renew(&settings))
        })
        .collect();
    for renewer in renewers {
        renewer.join().unwrap();
    }

    let found = settings.version.get();
    assert!(found == 2, "expected version 2, found {found}");
}

/// The deadlock.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "rwlock-upgrade",
    summary: "two readers want to write while they still read",
    teaches: "A read lock cannot be turned into a write lock: the writer waits for all readers, itself among \
              them. std's `RwLock` has no upgrade; holding `read()` and calling `write()` never ends.",
    expected: Expected::Fails { kind: FailureKind::Deadlock, anomaly: "self-deadlock" },
    twin: Some("rwlock-upgrade-fixed"),
    params: &[],
    source: Source { file: file!(), text: include_str!("rwlock_upgrade.rs") },
    run,
};

/// The repair.
pub(super) const FIXED: Scenario = Scenario {
    name: "rwlock-upgrade-fixed",
    summary: "the read lock is released before the write lock is taken",
    teaches: "Let go, take the lock for writing, and look again. What was read before may have changed in \
              between.",
    expected: Expected::Holds,
    twin: Some("rwlock-upgrade"),
    params: &[],
    source: Source { file: file!(), text: include_str!("rwlock_upgrade.rs") },
    run: run_fixed,
};
