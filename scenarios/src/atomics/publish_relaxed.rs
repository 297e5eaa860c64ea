//! A letter and a flag that says it is there.
//!
//! The writer puts a letter into the mailbox and then raises the flag; the reader looks at the
//! flag and then takes the letter. With `Relaxed` nothing ties the two together: the reader may
//! see the flag and yet the mailbox as it was before. `Release` on the flag's store and `Acquire`
//! on its load make everything before the one visible after the other.
//!
//! Source: the "message passing" litmus test (MP), e.g. Maranget, Sarkar, Sewell, "A Tutorial
//! Introduction to the ARM and POWER Relaxed Memory Models", section 3.

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

const SOURCE: Source = Source { file: file!(), text: include_str!("publish_relaxed.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "publish-relaxed",
    summary: "a Relaxed flag says that data is there",
    teaches: "Stores to two variables may become visible in either order, unless something orders them. A `Relaxed` \
              flag does not: a thread that sees it may still read the data from before. No interleaving of the steps \
              shows this bug; weak memory does.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "unsafe publication" },
    twin: Some("publish-relaxed-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(deliver, collect),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "publish-relaxed-fixed",
    summary: "a Release/Acquire flag says that data is there",
    teaches: "A `Release` store publishes all that its thread did before, to whoever reads it with `Acquire`. The data \
              itself may stay `Relaxed`.",
    expected: Expected::Holds,
    twin: Some("publish-relaxed"),
    params: &[],
    source: SOURCE,
    run: |_| play(deliver_fixed, collect_fixed),
};

struct Mailbox {
    letter: AtomicU32,
    flag: AtomicBool,
}

/// Racy: nothing orders the two stores.
fn deliver(mailbox: &Mailbox) {
    mailbox.letter.store(42, Relaxed);
    mailbox.flag.store(true, Relaxed);
}

/// Racy: nothing orders the two loads.
fn collect(mailbox: &Mailbox) -> Option<u32> {
    mailbox.flag.load(Relaxed).then(|| mailbox.letter.load(Relaxed))
}

/// Repaired: the flag publishes the letter.
fn deliver_fixed(mailbox: &Mailbox) {
    mailbox.letter.store(42, Relaxed);
    mailbox.flag.store(true, Release);
}

/// Repaired: who sees the flag sees the letter.
fn collect_fixed(mailbox: &Mailbox) -> Option<u32> {
    mailbox.flag.load(Acquire).then(|| mailbox.letter.load(Relaxed))
}

fn play(deliver: fn(&Mailbox), collect: fn(&Mailbox) -> Option<u32>) {
    let mailbox = Arc::new(Mailbox { letter: AtomicU32::new(0), flag: AtomicBool::new(false) });
    let writer = spawn("writer", {
        let mailbox = Arc::clone(&mailbox);
        move || deliver(&mailbox)
    });
    let reader = spawn("reader", move || {
        if let Some(found) = collect(&mailbox) {
            assert!(found == 42, "the flag is up: expected letter 42, found {found}");
        }
    });
    writer.join().unwrap();
    reader.join().unwrap();
}
