//! A seqlock: readers take no lock, they look whether they were disturbed.
//!
//! The writer makes a sequence number odd, writes, and makes it even again. A reader notes the
//! number, reads, and looks at the number once more: if it was even and is the same, nobody wrote
//! in between. The last look must not be older than the data: it takes an Acquire fence between
//! the two, because an ordinary load, of whatever ordering, may return the number from before.
//!
//! Source: Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?" (MSPC 2012).

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

const SOURCE: Source = Source { file: file!(), text: include_str!("seqlock.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "seqlock",
    summary: "a seqlock's reader looks at the sequence number without a fence",
    teaches: "The reader's second look is to come after its reads of the data. Without an Acquire fence it need not: \
              it may return the old sequence number although the data was new, and half of the old pair is taken \
              together with half of the new.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "unsafe publication" },
    twin: Some("seqlock-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Seqlock::read),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "seqlock-fixed",
    summary: "an Acquire fence stands before the reader's last look",
    teaches: "If the reader saw a new half, the writer's Release fence and the reader's Acquire fence make it see the \
              odd sequence number as well: it notices the writer and tries again.",
    expected: Expected::Holds,
    twin: Some("seqlock"),
    params: &[],
    source: SOURCE,
    run: |_| play(Seqlock::read_fixed),
};

struct Seqlock {
    sequence: AtomicU32,
    left: AtomicU32,
    right: AtomicU32,
}

impl Seqlock {
    fn write(&self, value: u32) {
        self.sequence.store(1, Relaxed);
        fence(Release);
        self.left.store(value, Relaxed);
        self.right.store(value, Relaxed);
        self.sequence.store(2, Release);
    }

    /// Racy: the last load may be older than the data.
    fn read(&self) -> Option<(u32, u32)> {
        let before = self.sequence.load(Acquire);
        let pair = (self.left.load(Relaxed), self.right.load(Relaxed));
        let after = self.sequence.load(Relaxed);
        (before == after && before.is_multiple_of(2)).then_some(pair)
    }

    /// Repaired: what was read is not newer than the last look.
    fn read_fixed(&self) -> Option<(u32, u32)> {
        let before = self.sequence.load(Acquire);
        let pair = (self.left.load(Relaxed), self.right.load(Relaxed));
        fence(Acquire);
        let after = self.sequence.load(Relaxed);
        (before == after && before.is_multiple_of(2)).then_some(pair)
    }
}

fn play(read: fn(&Seqlock) -> Option<(u32, u32)>) {
    let lock =
        Arc::new(Seqlock { sequence: AtomicU32::new(0), left: AtomicU32::new(0), right: AtomicU32::new(0) });
    let writer = spawn("writer", {
        let lock = Arc::clone(&lock);
        move || lock.write(7)
    });
    let reader = spawn("reader", move || {
        // A real reader would try again where it was disturbed.
        if let Some((left, right)) = read(&lock) {
            assert!(left == right, "expected both halves equal, found {left} and {right}");
        }
    });
    writer.join().unwrap();
    reader.join().unwrap();
}
