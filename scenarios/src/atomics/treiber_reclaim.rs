//! Treiber's stack and the memory of its nodes.
//!
//! `pop` reads the head and then the head's successor. Between the two steps another thread may pop
//! the same node and free it; the successor is then read from memory that is gone. That the
//! compare-exchange would fail afterwards does not help: the read itself is the bug. A node may be
//! freed only when nobody can still look at it. The repair here is the simplest such moment: when
//! all threads have ended. `hazard-pointer` and `read-copy-update` show two that come sooner.
//!
//! Source: Michael, "Safe Memory Reclamation for Dynamic Lock-Free Objects Using Atomic Reads and
//! Writes" (PODC 2002), section 1.

use racefuzz::FailureKind;
use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use racefuzz::thread;
use std::ptr;

const SOURCE: Source = Source { file: file!(), text: include_str!("treiber_reclaim.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "treiber-reclaim",
    summary: "a lock-free stack frees a node that another thread still looks at",
    teaches: "Taking a node off a lock-free list makes it unreachable for those who come, not for those who are \
              there. A thread that read the head before still follows it, into freed memory.",
    expected: Expected::Fails { kind: FailureKind::UseAfterFree, anomaly: "use after free" },
    twin: Some("treiber-reclaim-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| run(),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "treiber-reclaim-fixed",
    summary: "nodes of a lock-free stack are freed when all threads have ended",
    teaches: "Reclamation needs a moment when no thread can hold an old pointer. The end of all threads is the \
              simplest; epochs, hazard pointers and RCU find earlier ones.",
    expected: Expected::Holds,
    twin: Some("treiber-reclaim"),
    params: &[],
    source: SOURCE,
    run: |_| run_fixed(),
};

struct Node {
    below: AtomicPtr<Node>,
}

/// A node taken off the stack; dropped, it is freed.
struct Popped(*mut Node);

// SAFETY: who popped the node owns it.
unsafe impl Send for Popped {}

impl Drop for Popped {
    fn drop(&mut self) {
        // SAFETY: the node came from `alloc` with this layout, and only its owner frees it. In the
        // racy version others still look at it; racefuzz keeps freed memory until the execution
        // ends and reports the use.
        unsafe { dealloc(self.0.cast(), Layout::new::<Node>()) };
    }
}

struct Stack {
    head: AtomicPtr<Node>,
}

impl Stack {
    fn push(&self) {
        // SAFETY: `Node` is not zero-sized.
        let node = unsafe { alloc(Layout::new::<Node>()) }.cast::<Node>();
        let below = self.head.load(Acquire);
        // SAFETY: fresh memory for a `Node`.
        unsafe { node.write(Node { below: AtomicPtr::new(below) }) };
        self.head.store(node, Release);
    }

    fn pop(&self) -> Option<Popped> {
        loop {
            let node = self.head.load(Acquire);
            if node.is_null() {
                return None;
            }
            // SAFETY: the node was the head just now. That it still exists is what the two versions
            // differ in; a use after its release is reported instead of done.
            let below = unsafe { (*node).below.load(Relaxed) };
            if self.head.compare_exchange(node, below, AcqRel, Relaxed).is_ok() {
                return Some(Popped(node));
            }
        }
    }

    /// A stack of two nodes.
    fn two() -> Arc<Self> {
        let stack = Arc::new(Self { head: AtomicPtr::new(ptr::null_mut()) });
        stack.push();
        stack.push();
        stack
    }
}

/// Racy: each thread frees its node at once.
fn run() {
    let stack = Stack::two();
    let threads = [1, 2].map(|_| {
        let stack = Arc::clone(&stack);
        thread::spawn(move || drop(stack.pop()))
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Repaired: each thread hands its node to main, which frees them when both threads have ended.
fn run_fixed() {
    let stack = Stack::two();
    let threads = [1, 2].map(|_| {
        let stack = Arc::clone(&stack);
        thread::spawn(move || stack.pop())
    });
    let popped = threads.map(|thread| thread.join().unwrap());
    drop(popped);
}
