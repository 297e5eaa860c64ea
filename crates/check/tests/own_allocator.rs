//! A crate with a global allocator of its own: wrapped, it serves what no execution allocates.

use racefuzz_check::{Options, check};
use racefuzz_primitives::alloc::Allocator;
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering::SeqCst};
use racefuzz_primitives::thread;
use racefuzz_trace::Outcome;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what it gives and what it gets back.
struct Counting;

/// A size that nobody else asks for.
const MINE: usize = 77_777;
static GIVEN: AtomicUsize = AtomicUsize::new(0);
static BACK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        GIVEN.fetch_add(usize::from(layout.size() == MINE), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BACK.fetch_add(usize::from(layout.size() == MINE), Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static GLOBAL: Allocator<Counting> = Allocator::wrap(Counting);

fn mine() -> Vec<u8> {
    std::hint::black_box(Vec::with_capacity(MINE))
}

#[test]
fn whose_memory_is_whose() {
    let counts = || (GIVEN.load(Ordering::Relaxed), BACK.load(Ordering::Relaxed));
    drop(mine());
    assert_eq!(counts(), (1, 1));
    let outside = std::sync::Mutex::new(vec![mine(), mine()]);
    assert_eq!(counts(), (3, 1));
    let report = check(
        &Options::default(),
        &|| {
            drop(mine());
            // What came from outside goes back there.
            drop(outside.lock().unwrap().pop());
            let shared = Arc::new(AtomicU32::new(0));
            let theirs = Arc::clone(&shared);
            let other = thread::spawn(move || (theirs.fetch_add(1, SeqCst), mine()));
            shared.fetch_add(1, SeqCst);
            other.join().unwrap();
        },
        &(),
    );
    assert_eq!(report.outcome, Outcome::Passed, "{:?}", report.failures.first());
    assert_eq!(counts(), (3, 3));
}
