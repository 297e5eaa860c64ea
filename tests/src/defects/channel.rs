//! A channel whose first block is installed in two steps, tail and head; the receiver's end takes `head !=
//! tail` to mean that the head has its block (rust-lang/rust 110001, crossbeam-rs/crossbeam 972).

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz::{hint, thread};
use std::ops::Range;
use std::ptr::null_mut;

/// In an index: the receiver has gone.
const MARK: usize = 1;
const STEP: usize = 2;

struct Block {
    written: [AtomicUsize; 4],
}

impl Block {
    fn allocate() -> *mut Self {
        // SAFETY: the layout is that of what is written.
        unsafe {
            let block = alloc(Layout::new::<Self>()).cast::<Self>();
            block.write(Self { written: [const { AtomicUsize::new(0) }; 4] });
            block
        }
    }
}

struct List {
    head_index: AtomicUsize,
    head_block: AtomicPtr<Block>,
    tail_index: AtomicUsize,
    tail_block: AtomicPtr<Block>,
}

impl List {
    fn send(&self) -> Result<(), ()> {
        let mut tail = self.tail_index.load(Acquire);
        while tail & MARK == 0 {
            let mut block = self.tail_block.load(Acquire);
            if block.is_null() {
                let new = Block::allocate();
                if self.tail_block.compare_exchange(null_mut(), new, Release, Relaxed).is_ok() {
                    self.head_block.store(new, Release);
                    block = new;
                } else {
                    // SAFETY: nobody else has seen it.
                    unsafe { dealloc(new.cast(), Layout::new::<Block>()) };
                    block = self.tail_block.load(Acquire);
                }
            }
            match self.tail_index.compare_exchange(tail, tail + STEP, SeqCst, Acquire) {
                Ok(_) => {
                    // SAFETY: blocks are freed after all threads have ended.
                    unsafe { &*block }.written[tail / STEP].store(1, Release);
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
        Err(())
    }

    fn disconnect(&self) {
        let tail = self.tail_index.fetch_or(MARK, SeqCst);
        let head = self.head_index.load(Acquire);
        let block = self.head_block.load(Acquire);
        Self::discard(block, head / STEP..tail / STEP);
    }

    fn disconnect_when_ready(&self) {
        let tail = self.tail_index.fetch_or(MARK, SeqCst);
        let head = self.head_index.load(Acquire);
        let mut block = self.head_block.load(Acquire);
        if head / STEP != tail / STEP {
            while block.is_null() {
                hint::spin_loop();
                block = self.head_block.load(Acquire);
            }
        }
        Self::discard(block, head / STEP..tail / STEP);
    }

    fn discard(block: *const Block, places: Range<usize>) {
        for place in places {
            assert!(!block.is_null(), "the head has no block");
            // SAFETY: as in `send`.
            while unsafe { &*block }.written[place].load(Acquire) == 0 {
                hint::spin_loop();
            }
        }
    }
}

/// The receiver goes on without a block.
pub fn list_channel() {
    program(List::disconnect);
}

/// The same as it is now upstream.
pub fn list_channel_repaired() {
    program(List::disconnect_when_ready);
}

fn program(disconnect: fn(&List)) {
    let list = Arc::new(List {
        head_index: AtomicUsize::new(0),
        head_block: AtomicPtr::new(null_mut()),
        tail_index: AtomicUsize::new(0),
        tail_block: AtomicPtr::new(null_mut()),
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let list = Arc::clone(&list);
            thread::spawn(move || list.send())
        })
        .collect();
    disconnect(&list);
    for thread in threads {
        let _ = thread.join().unwrap();
    }
    let block = list.tail_block.load(Relaxed);
    if !block.is_null() {
        // SAFETY: the others have ended.
        unsafe { dealloc(block.cast(), Layout::new::<Block>()) };
    }
}
