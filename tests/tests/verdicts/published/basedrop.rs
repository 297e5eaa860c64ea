//! basedrop#10: a reader announces itself, loads a pointer and counts itself as an owner; a writer swaps
//! the pointer and waits until no reader is announced. Without fences either may miss the other.

use crate::{fails, holds};
use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*, fence};
use racefuzz::{hint, thread};

struct Node {
    count: AtomicUsize,
}

impl Node {
    fn allocate() -> *mut Self {
        // SAFETY: the layout is that of what is written.
        unsafe {
            let node = alloc(Layout::new::<Self>()).cast::<Self>();
            node.write(Self { count: AtomicUsize::new(1) });
            node
        }
    }

    /// # Safety
    /// The caller owns one count; if it does not, racefuzz reports the use after the free.
    unsafe fn release(this: *mut Self) {
        // SAFETY: as the caller says.
        unsafe {
            if (*this).count.fetch_sub(1, AcqRel) == 1 {
                dealloc(this.cast(), Layout::new::<Self>());
            }
        }
    }
}

struct SharedCell {
    readers: AtomicUsize,
    node: AtomicPtr<Node>,
    fenced: bool,
}

impl SharedCell {
    fn fence(&self) {
        if self.fenced {
            fence(SeqCst);
        }
    }

    fn get(&self) -> *mut Node {
        self.readers.fetch_add(1, Relaxed);
        self.fence();
        let node = self.node.load(Acquire);
        // SAFETY: the announcement keeps it alive, if the writer sees the announcement.
        unsafe { (*node).count.fetch_add(1, Relaxed) };
        self.readers.fetch_sub(1, if self.fenced { Release } else { Relaxed });
        node
    }

    fn replace(&self, new: *mut Node) -> *mut Node {
        let old = self.node.swap(new, AcqRel);
        self.fence();
        while self.readers.load(Relaxed) != 0 {
            hint::spin_loop();
        }
        fence(Acquire);
        old
    }
}

fn program(fenced: bool) {
    let cell = SharedCell { readers: AtomicUsize::new(0), node: AtomicPtr::new(Node::allocate()), fenced };
    let cell = Arc::new(cell);
    let theirs = Arc::clone(&cell);
    let writer = thread::spawn(move || {
        let old = theirs.replace(Node::allocate());
        // SAFETY: the cell's count, which the swap gives to this thread.
        unsafe { Node::release(old) };
    });
    let node = cell.get();
    // SAFETY: the count that `get` took.
    unsafe { Node::release(node) };
    writer.join().unwrap();
    // SAFETY: the cell's own count.
    unsafe { Node::release(cell.node.load(Relaxed)) };
}

#[test]
fn announced_without_a_fence() {
    fails("use after free", || program(false));
}

#[test]
fn announced_before_a_fence() {
    holds(|| program(true));
}
