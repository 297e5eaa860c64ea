//! Raise your flag, look for the other's: the heart of Dekker's mutual exclusion.
//!
//! Each of two threads says that it wants to enter and then looks whether the other wants it too;
//! it enters only if not. In any interleaving the second to look sees the first one's flag. But a
//! processor keeps a store in its buffer while the load behind it goes ahead, and so both may see
//! no flag and both enter. Not even `Release` and `Acquire` forbid that: it takes a SeqCst fence
//! between the store and the load, in both threads.
//!
//! Source: Dijkstra, "Cooperating Sequential Processes" (1965), section 2.1; the "store buffering"
//! litmus test (SB).

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};

const SOURCE: Source = Source { file: file!(), text: include_str!("dekker.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "dekker",
    summary: "two threads raise a flag, see none at the other, and both enter",
    teaches: "A load may take place before an earlier store to another variable becomes visible: store buffering, \
              which even x86 does. No interleaving of the steps shows it.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "order violation" },
    twin: Some("dekker-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(try_enter),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "dekker-fixed",
    summary: "a SeqCst fence between raising the flag and looking",
    teaches: "Two SeqCst fences have an order. Whoever's fence comes second sees the flag that was raised before the \
              first. Both fences are needed.",
    expected: Expected::Holds,
    twin: Some("dekker"),
    params: &[],
    source: SOURCE,
    run: |_| play(try_enter_fixed),
};

/// Racy: the load may overtake the store.
fn try_enter(mine: &AtomicBool, theirs: &AtomicBool) -> bool {
    mine.store(true, Relaxed);
    !theirs.load(Relaxed)
}

/// Repaired.
fn try_enter_fixed(mine: &AtomicBool, theirs: &AtomicBool) -> bool {
    mine.store(true, Relaxed);
    fence(SeqCst);
    !theirs.load(Relaxed)
}

struct Flags {
    left_up: AtomicBool,
    right_up: AtomicBool,
}

fn play(try_enter: fn(&AtomicBool, &AtomicBool) -> bool) {
    let flags = Arc::new(Flags { left_up: AtomicBool::new(false), right_up: AtomicBool::new(false) });
    let left = spawn("left", {
        let flags = Arc::clone(&flags);
        move || try_enter(&flags.left_up, &flags.right_up)
    });
    let right = spawn("right", move || try_enter(&flags.right_up, &flags.left_up));
    let (left_entered, right_entered) = (left.join().unwrap(), right.join().unwrap());
    assert!(!(left_entered && right_entered), "left and right are both in the critical section");
}
