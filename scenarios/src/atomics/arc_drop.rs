//! The last owner destroys the value: a reference count by hand.
//!
//! Every owner gives up its reference with `fetch_sub(1, Release)`; the one that finds the count
//! at 1 was the last and destroys the value. All that the others did with the value must come
//! before. Their `Release` is one half of that; the last owner needs the other half, an `Acquire`
//! fence. Without it the destruction is a data race with the last use by another owner.
//!
//! Source: `std::sync::Arc`, whose `drop` explains this fence at length; Boost's documentation of
//! atomics, "Reference counting".

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Release},
    fence,
};

const SOURCE: Source = Source { file: file!(), text: include_str!("arc_drop.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "arc-drop",
    summary: "the last owner destroys a shared value without an Acquire fence",
    teaches: "To know that one is the last owner is not to have seen what the others did. The decrement's `Release` \
              publishes their uses; without an `Acquire` on the last owner's side the destruction may come before \
              them.",
    expected: Expected::Fails { kind: FailureKind::DataRace, anomaly: "data race" },
    twin: Some("arc-drop-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Counted::release),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "arc-drop-fixed",
    summary: "the last owner destroys a shared value behind an Acquire fence",
    teaches: "The fence is paid only once, by the last owner. With it every other owner's `Release` decrement, and so \
              every use, comes before the destruction.",
    expected: Expected::Holds,
    twin: Some("arc-drop"),
    params: &[],
    source: SOURCE,
    run: |_| play(Counted::release_fixed),
};

struct Counted {
    owners: AtomicUsize,
    value: UnsafeCell<Option<&'static str>>,
}

// SAFETY: owners only read `value`; the last one is to write it when no other is left. In the racy
// version the write is not ordered behind their reads; racefuzz runs one thread at a time and
// reports the race.
unsafe impl Sync for Counted {}

impl Counted {
    fn read(&self) -> &'static str {
        // SAFETY: this thread is an owner, so nobody writes.
        self.value.with(|value| unsafe { *value }).expect("an owner's value is alive")
    }

    fn destroy(&self) {
        // SAFETY: this thread was the last owner; see also at `Sync`.
        self.value.with_mut(|value| unsafe { *value = None });
    }

    /// Racy: nothing is acquired from the other owners.
    fn release(&self) {
        if self.owners.fetch_sub(1, Release) == 1 {
            self.destroy();
        }
    }

    /// Repaired.
    fn release_fixed(&self) {
        if self.owners.fetch_sub(1, Release) == 1 {
            fence(Acquire);
            self.destroy();
        }
    }
}

fn play(release: fn(&Counted)) {
    // The memory itself is kept by a real `Arc`: the story is about the value in it.
    let shared = Arc::new(Counted { owners: AtomicUsize::new(2), value: UnsafeCell::new(Some("shared")) });
    let user = spawn("user", {
        let shared = Arc::clone(&shared);
        move || {
            let found = shared.read();
            assert!(found == "shared", "expected \"shared\", found {found:?}");
            release(&shared);
        }
    });
    let other = spawn("other", {
        let shared = Arc::clone(&shared);
        move || release(&shared)
    });
    user.join().unwrap();
    other.join().unwrap();
}
