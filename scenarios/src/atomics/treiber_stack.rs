//! Treiber's stack and the ABA problem.
//!
//! A stack is a list whose head is exchanged by compare-exchange. `pop` reads the head A, reads
//! A's successor B, and replaces A by B if the head is still A. But "still A" is not "unchanged":
//! meanwhile another thread may have popped A and B and pushed A again. The exchange succeeds and
//! makes B the head, which is no longer on the stack. The repair counts: the head carries a version
//! that every change increments, so that no head ever comes back.
//!
//! The nodes lie in an array and are named by their number, as in an allocator's free list; 0 is
//! no node.
//!
//! Source: Treiber, "Systems Programming: Coping with Parallelism" (IBM RJ 5118, 1986); the problem
//! and the version count: IBM System/370 Principles of Operation (1983), appendix A.

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

const SOURCE: Source = Source { file: file!(), text: include_str!("treiber_stack.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "treiber-stack",
    summary: "a lock-free stack mistakes a head that came back for one that never left",
    teaches: "A compare-exchange compares values, not histories. If a node is popped and pushed again between another \
              thread's read and its exchange, the exchange succeeds with a successor from the past: ABA. The list \
              then contains a node that somebody owns.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "ABA" },
    twin: Some("treiber-stack-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Stack::pop, Stack::push),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "treiber-stack-fixed",
    summary: "a lock-free stack counts the versions of its head",
    teaches: "Every change of the head also increments a version in the same word, so a head never comes back and the \
              compare-exchange notices every change.",
    expected: Expected::Holds,
    twin: Some("treiber-stack"),
    params: &[],
    source: SOURCE,
    run: |_| play(Stack::pop_fixed, Stack::push_fixed),
};

const NODES: u32 = 2;
/// What the head counts versions in, above the node's number.
const VERSION: u32 = 100;

struct Stack {
    head: AtomicU32,
    /// The node below each node.
    below: [AtomicU32; NODES as usize + 1],
}

impl Stack {
    /// Node 1 on top of node 2.
    fn new() -> Self {
        Self { head: AtomicU32::new(1), below: [AtomicU32::new(0), AtomicU32::new(2), AtomicU32::new(0)] }
    }

    fn below(&self, node: u32) -> &AtomicU32 {
        &self.below[node as usize]
    }

    /// Racy: the head may have left and come back.
    fn pop(&self) -> Option<u32> {
        loop {
            let node = self.head.load(Acquire);
            if node == 0 {
                return None;
            }
            let below = self.below(node).load(Relaxed);
            if self.head.compare_exchange(node, below, AcqRel, Relaxed).is_ok() {
                return Some(node);
            }
        }
    }

    fn push(&self, node: u32) {
        loop {
            let head = self.head.load(Acquire);
            self.below(node).store(head, Relaxed);
            if self.head.compare_exchange(head, node, AcqRel, Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Repaired: every change makes a new version.
    fn pop_fixed(&self) -> Option<u32> {
        loop {
            let head = self.head.load(Acquire);
            let (version, node) = (head / VERSION, head % VERSION);
            if node == 0 {
                return None;
            }
            let below = self.below(node).load(Relaxed);
            let new = (version + 1) * VERSION + below;
            if self.head.compare_exchange(head, new, AcqRel, Relaxed).is_ok() {
                return Some(node);
            }
        }
    }

    fn push_fixed(&self, node: u32) {
        loop {
            let head = self.head.load(Acquire);
            let (version, below) = (head / VERSION, head % VERSION);
            self.below(node).store(below, Relaxed);
            let new = (version + 1) * VERSION + node;
            if self.head.compare_exchange(head, new, AcqRel, Relaxed).is_ok() {
                return;
            }
        }
    }
}

fn play(pop: fn(&Stack) -> Option<u32>, push: fn(&Stack, u32)) {
    let stack = Arc::new(Stack::new());
    let slow = spawn("slow", {
        let stack = Arc::clone(&stack);
        move || pop(&stack)
    });
    let fast = spawn("fast", {
        let stack = Arc::clone(&stack);
        move || {
            let (first, second) = (pop(&stack), pop(&stack));
            if let Some(node) = first {
                push(&stack, node);
            }
            second
        }
    });
    // The nodes that somebody took; the stack is not to have them any more.
    let taken = [slow.join().unwrap(), fast.join().unwrap()];
    let mut owned: Vec<u32> = taken.into_iter().flatten().collect();
    owned.extend(std::iter::from_fn(|| pop(&stack)).take(NODES as usize));
    owned.sort_unstable();
    assert!(owned == [1, 2], "expected to find nodes [1, 2], found {owned:?}");
}
