//! Double-checked locking: look, lock, look again, initialise.
//!
//! A lazily made value is protected by a lock that is only needed once, so everybody first looks
//! at a flag without taking the lock. If that flag is `Relaxed`, a thread may see it raised
//! without seeing the value behind it: the fast path reads memory that nothing orders behind the
//! write. `Acquire` on the first look and `Release` on raising the flag repair it.
//!
//! Source: Bacon et al., "The 'Double-Checked Locking is Broken' Declaration" (2000); Meyers and
//! Alexandrescu, "C++ and the Perils of Double-Checked Locking" (2004).

use racefuzz::FailureKind;
use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::thread;

const SOURCE: Source = Source { file: file!(), text: include_str!("double_checked_init.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "double-checked-init",
    summary: "double-checked locking with a Relaxed flag",
    teaches: "The second check is under the lock and safe; the first is not. A thread that sees a `Relaxed` flag \
              skips the lock and reads the value with nothing that orders its read behind the write: a data race, \
              and on real hardware a half-made value.",
    expected: Expected::Fails { kind: FailureKind::DataRace, anomaly: "data race" },
    twin: Some("double-checked-init-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Lazy::get),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "double-checked-init-fixed",
    summary: "double-checked locking with a Release/Acquire flag",
    teaches: "The flag is stored with `Release` behind the value and first looked at with `Acquire`, so whoever sees \
              it sees the value. The second look may stay `Relaxed`, because the lock orders it. `OnceLock` is this, \
              ready made.",
    expected: Expected::Holds,
    twin: Some("double-checked-init"),
    params: &[],
    source: SOURCE,
    run: |_| play(Lazy::get_fixed),
};

struct Lazy {
    ready: AtomicBool,
    init: Mutex<()>,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is written once, under `init`, and read behind `ready`. In the racy version the
// read is not ordered behind the write; racefuzz runs one thread at a time and reports the race.
unsafe impl Sync for Lazy {}

impl Lazy {
    /// Racy: `ready` does not carry `value` along.
    fn get(&self) -> u32 {
        if !self.ready.load(Relaxed) {
            let _guard = self.init.lock().unwrap();
            if !self.ready.load(Relaxed) {
                self.make();
                self.ready.store(true, Relaxed);
            }
        }
        self.read()
    }

    /// Repaired.
    fn get_fixed(&self) -> u32 {
        if !self.ready.load(Acquire) {
            let _guard = self.init.lock().unwrap();
            if !self.ready.load(Relaxed) {
                self.make();
                self.ready.store(true, Release);
            }
        }
        self.read()
    }

    fn make(&self) {
        // SAFETY: under the lock, and nobody reads before `ready` is set.
        self.value.with_mut(|value| unsafe { *value = 42 });
    }

    fn read(&self) -> u32 {
        // SAFETY: `ready` was seen, so nobody writes any more; see also at `Sync`.
        self.value.with(|value| unsafe { *value })
    }
}

fn play(get: fn(&Lazy) -> u32) {
    let lazy =
        Arc::new(Lazy { ready: AtomicBool::new(false), init: Mutex::new(()), value: UnsafeCell::new(0) });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let lazy = Arc::clone(&lazy);
            thread::spawn(move || {
                let found = get(&lazy);
                assert!(found == 42, "expected 42, found {found}");
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
