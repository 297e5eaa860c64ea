//! Vyukov's bounded queue for many producers and many consumers.
//!
//! Every slot carries a sequence number that says whose turn it is: equal to a producer's position
//! it is free for it, one more and it holds an item. A producer first claims its position by moving
//! `tail` on, then writes the slot, then publishes it by its sequence number. With one producer
//! the claim may be a plain store. With two it must be a compare-exchange: otherwise both take the
//! same position and write the same slot.
//!
//! Source: Dmitry Vyukov, "Bounded MPMC queue" (1024cores.net, 2010).

use racefuzz::FailureKind;
use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use racefuzz::thread;

const SOURCE: Source = Source { file: file!(), text: include_str!("mpmc_queue.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "mpmc-queue",
    summary: "two producers of a bounded queue claim the same slot",
    teaches: "A queue that is right for one producer is not right for two. Looking whether the slot is free and \
              claiming it must be one step; with a plain store both producers may claim it, and both write it: a \
              data race, and one item is lost.",
    expected: Expected::Fails { kind: FailureKind::DataRace, anomaly: "data race" },
    twin: Some("mpmc-queue-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Queue::claim),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "mpmc-queue-fixed",
    summary: "producers of a bounded queue claim a slot by compare-exchange",
    teaches: "The compare-exchange on `tail` gives each position to one producer. It may be `Relaxed`, because the \
              item is handed over by the slot's sequence number, with `Release` and `Acquire`.",
    expected: Expected::Holds,
    twin: Some("mpmc-queue"),
    params: &[],
    source: SOURCE,
    run: |_| play(Queue::claim_fixed),
};

const CAPACITY: usize = 2;

struct Slot {
    sequence: AtomicUsize,
    item: UnsafeCell<u32>,
}

struct Queue {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: [Slot; CAPACITY],
}

// SAFETY: an item is accessed by whoever the slot's sequence number says, and who has claimed its
// position. In the racy version two producers claim one; racefuzz runs one thread at a time and
// reports the race.
unsafe impl Sync for Queue {}

impl Queue {
    fn new() -> Self {
        let slot = |position| Slot { sequence: AtomicUsize::new(position), item: UnsafeCell::new(0) };
        Self { head: AtomicUsize::new(0), tail: AtomicUsize::new(0), slots: [slot(0), slot(1)] }
    }

    /// Racy: another producer may claim the position as well.
    fn claim(&self, position: usize) -> bool {
        self.tail.store(position + 1, Relaxed);
        true
    }

    /// Repaired: one producer wins the position.
    fn claim_fixed(&self, position: usize) -> bool {
        self.tail.compare_exchange(position, position + 1, Relaxed, Relaxed).is_ok()
    }

    /// False if the queue is full.
    fn push(&self, item: u32, claim: fn(&Self, usize) -> bool) -> bool {
        loop {
            let position = self.tail.load(Relaxed);
            let slot = &self.slots[position % CAPACITY];
            let sequence = slot.sequence.load(Acquire);
            if sequence < position {
                return false;
            }
            if sequence == position && claim(self, position) {
                // SAFETY: the position is claimed; see also at `Sync`.
                slot.item.with_mut(|place| unsafe { *place = item });
                slot.sequence.store(position + 1, Release);
                return true;
            }
        }
    }

    /// `None` if the queue is empty.
    fn pop(&self) -> Option<u32> {
        loop {
            let position = self.head.load(Relaxed);
            let slot = &self.slots[position % CAPACITY];
            let sequence = slot.sequence.load(Acquire);
            if sequence < position + 1 {
                return None;
            }
            if sequence == position + 1
                && self.head.compare_exchange(position, position + 1, Relaxed, Relaxed).is_ok()
            {
                // SAFETY: the position is claimed.
                let item = slot.item.with(|place| unsafe { *place });
                slot.sequence.store(position + CAPACITY, Release);
                return Some(item);
            }
        }
    }
}

fn play(claim: fn(&Queue, usize) -> bool) {
    let queue = Arc::new(Queue::new());
    let producers = [10, 20].map(|item| {
        let queue = Arc::clone(&queue);
        thread::spawn(move || assert!(queue.push(item, claim), "there is room for two items"))
    });
    // Main is a consumer beside the producers, and takes what is left behind them.
    let early = queue.pop();
    for producer in producers {
        producer.join().unwrap();
    }
    let mut found: Vec<u32> = early.into_iter().chain(std::iter::from_fn(|| queue.pop())).collect();
    found.sort_unstable();
    assert!(found == [10, 20], "expected items [10, 20], found {found:?}");
}
