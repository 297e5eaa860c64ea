//! The work-stealing deque of Chase and Lev: one owner, many thieves.
//!
//! The owner takes from the bottom with hardly any synchronisation; thieves take from the top by
//! compare-exchange. Only for the very last item must they compete. So the owner first moves
//! `bottom` down and then looks at `top`, a thief first looks at `top` and then at `bottom`, and at
//! least one of them must notice the other. That is store buffering again (see `dekker`): without
//! a SeqCst fence between the owner's two steps both may see the past, and one item is taken twice.
//!
//! Source: Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005); orderings as proved
//! by Lê, Pop, Cohen, Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models"
//! (PPoPP 2013), figure 1.

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};

const SOURCE: Source = Source { file: file!(), text: include_str!("chase_lev.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "chase-lev",
    summary: "a work-stealing deque without its fence gives one item to two threads",
    teaches: "The owner announces that it takes the bottom item, then checks how far the thieves are. Without a \
              SeqCst fence in between it may check before the announcement is visible: the thief takes the item \
              too, and a task runs twice.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "order violation" },
    twin: Some("chase-lev-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Deque::pop),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "chase-lev-fixed",
    summary: "a work-stealing deque with the fences of Lê et al.",
    teaches: "The owner's fence and the thief's have an order: either the thief sees the new bottom, or the owner sees \
              the new top and competes for the item by compare-exchange.",
    expected: Expected::Holds,
    twin: Some("chase-lev"),
    params: &[],
    source: SOURCE,
    run: |_| play(Deque::pop_fixed),
};

/// The items lie from `top` to below `bottom`. This one neither grows nor wraps.
struct Deque {
    top: AtomicUsize,
    bottom: AtomicUsize,
    items: [AtomicU32; 2],
}

impl Deque {
    /// The owner takes the bottom item. Racy: `top` may be read before `bottom` is visible.
    fn pop(&self) -> Option<u32> {
        let bottom = self.bottom.load(Relaxed) - 1;
        self.bottom.store(bottom, Relaxed);
        let top = self.top.load(Relaxed);
        self.take_bottom(bottom, top)
    }

    /// Repaired.
    fn pop_fixed(&self) -> Option<u32> {
        let bottom = self.bottom.load(Relaxed) - 1;
        self.bottom.store(bottom, Relaxed);
        fence(SeqCst);
        let top = self.top.load(Relaxed);
        self.take_bottom(bottom, top)
    }

    fn take_bottom(&self, bottom: usize, top: usize) -> Option<u32> {
        if top < bottom {
            return Some(self.items[bottom].load(Relaxed));
        }
        // The last item, if any: compete with the thieves.
        let won = top == bottom && self.top.compare_exchange(top, top + 1, SeqCst, Relaxed).is_ok();
        self.bottom.store(bottom + 1, Relaxed);
        won.then(|| self.items[bottom].load(Relaxed))
    }

    /// A thief takes the top item.
    fn steal(&self) -> Option<u32> {
        let top = self.top.load(Acquire);
        fence(SeqCst);
        let bottom = self.bottom.load(Acquire);
        if top >= bottom {
            return None;
        }
        let item = self.items[top].load(Relaxed);
        self.top.compare_exchange(top, top + 1, SeqCst, Relaxed).is_ok().then_some(item)
    }
}

fn play(pop: fn(&Deque) -> Option<u32>) {
    let deque = Arc::new(Deque {
        top: AtomicUsize::new(0),
        bottom: AtomicUsize::new(2),
        items: [AtomicU32::new(10), AtomicU32::new(20)],
    });
    let owner = spawn("owner", {
        let deque = Arc::clone(&deque);
        move || pop(&deque)
    });
    let thief = spawn("thief", move || [deque.steal(), deque.steal()]);
    let (owned, stolen) = (owner.join().unwrap(), thief.join().unwrap());
    let twice = owned.filter(|item| stolen.contains(&Some(*item)));
    assert!(twice.is_none(), "item {} was taken by the owner and by the thief", twice.unwrap_or_default());
}
