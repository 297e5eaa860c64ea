//! A ring buffer for one producer and one consumer, without locks.
//!
//! The producer alone moves `tail`, the consumer alone moves `head`; an item belongs to the
//! consumer from the moment `tail` is past it, and its slot to the producer again from the moment
//! `head` is. So each of the two counters hands over memory, and must be stored with `Release` and
//! read by the other side with `Acquire`. With `Relaxed` the counter arrives and the item does not.
//!
//! Source: Lamport, "Proving the Correctness of Multiprocess Programs" (TSE 1977), section 3; with
//! C11 orderings: Lê, Guatto, Cohen, Pop, "Correct and Efficient Bounded FIFO Queues" (SBAC-PAD
//! 2013).

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Param, Params, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

const SOURCE: Source = Source { file: file!(), text: include_str!("spsc_ring.rs") };
const PARAMS: &[Param] =
    &[Param { name: "items", default: 1, min: 1, max: 64, about: "items that are sent, if there is room" }];

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "spsc-ring",
    summary: "a ring buffer hands its slots over with Relaxed counters",
    teaches: "`tail` says that a slot is filled. Stored and read with `Relaxed` it says so without ordering the \
              consumer's read behind the producer's write: a data race on the slot.",
    expected: Expected::Fails { kind: FailureKind::DataRace, anomaly: "data race" },
    twin: Some("spsc-ring-fixed"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, Ring::push, Ring::pop),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "spsc-ring-fixed",
    summary: "a ring buffer hands its slots over with Release and Acquire",
    teaches: "Each side stores its own counter with `Release` and reads the other's with `Acquire`. Its own counter it \
              may read `Relaxed`, because nobody else writes it.",
    expected: Expected::Holds,
    twin: Some("spsc-ring"),
    params: PARAMS,
    source: SOURCE,
    run: |params| play(params, Ring::push_fixed, Ring::pop_fixed),
};

const CAPACITY: usize = 2;

struct Ring {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: [UnsafeCell<usize>; CAPACITY],
}

// SAFETY: a slot is the producer's or the consumer's, as `head` and `tail` say. In the racy version
// the hand-over orders nothing; racefuzz runs one thread at a time and reports the race.
unsafe impl Sync for Ring {}

impl Ring {
    fn put(&self, position: usize, item: usize) {
        // SAFETY: the slot is the producer's; see also at `Sync`.
        self.slots[position % CAPACITY].with_mut(|slot| unsafe { *slot = item });
    }

    fn take(&self, position: usize) -> usize {
        // SAFETY: the slot is the consumer's; see also at `Sync`.
        self.slots[position % CAPACITY].with(|slot| unsafe { *slot })
    }

    /// Racy.
    fn push(&self, item: usize) -> bool {
        let tail = self.tail.load(Relaxed);
        if tail - self.head.load(Relaxed) == CAPACITY {
            return false;
        }
        self.put(tail, item);
        self.tail.store(tail + 1, Relaxed);
        true
    }

    /// Racy.
    fn pop(&self) -> Option<usize> {
        let head = self.head.load(Relaxed);
        if head == self.tail.load(Relaxed) {
            return None;
        }
        let item = self.take(head);
        self.head.store(head + 1, Relaxed);
        Some(item)
    }

    /// Repaired.
    fn push_fixed(&self, item: usize) -> bool {
        let tail = self.tail.load(Relaxed);
        if tail - self.head.load(Acquire) == CAPACITY {
            return false;
        }
        self.put(tail, item);
        self.tail.store(tail + 1, Release);
        true
    }

    /// Repaired.
    fn pop_fixed(&self) -> Option<usize> {
        let head = self.head.load(Relaxed);
        if head == self.tail.load(Acquire) {
            return None;
        }
        let item = self.take(head);
        self.head.store(head + 1, Release);
        Some(item)
    }
}

fn play(params: &Params, push: fn(&Ring, usize) -> bool, pop: fn(&Ring) -> Option<usize>) {
    let items = params.count("items");
    let ring = Arc::new(Ring {
        head: AtomicUsize::new(0),
        tail: AtomicUsize::new(0),
        slots: [UnsafeCell::new(0), UnsafeCell::new(0)],
    });
    let producer = spawn("producer", {
        let ring = Arc::clone(&ring);
        move || {
            let mut next = 1;
            for _ in 0..items {
                next += usize::from(push(&ring, next));
            }
        }
    });
    let consumer = spawn("consumer", move || {
        let mut expected = 1;
        for _ in 0..items {
            let Some(found) = pop(&ring) else { continue };
            assert!(found == expected, "expected item {expected}, found {found}");
            expected += 1;
        }
    });
    producer.join().unwrap();
    consumer.join().unwrap();
}
