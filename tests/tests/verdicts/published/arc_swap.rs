//! arc-swap#200 and #204: a writer settles a reader's debt by a compare_exchange. Where that fails,
//! because there is no debt, its failure ordering was too weak to have to see one that a reader had
//! written before it confirmed the pointer.

use crate::{fails, holds};
use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{self, *},
};
use racefuzz::thread;
use std::ptr::null_mut;

struct Counted {
    strong: AtomicUsize,
    value: AtomicUsize,
}

impl Counted {
    fn allocate(value: usize) -> *mut Self {
        let value = Self { strong: AtomicUsize::new(1), value: AtomicUsize::new(value) };
        // SAFETY: the layout is that of what is written.
        unsafe {
            let pointer = alloc(Layout::new::<Self>()).cast::<Self>();
            pointer.write(value);
            pointer
        }
    }

    /// # Safety
    /// The caller owns one count; if it does not, racefuzz reports the use after the free.
    unsafe fn release(this: *mut Self) {
        // SAFETY: as the caller says.
        unsafe {
            if (*this).strong.fetch_sub(1, AcqRel) == 1 {
                dealloc(this.cast(), Layout::new::<Self>());
            }
        }
    }
}

struct Swap {
    storage: AtomicPtr<Counted>,
    debt: AtomicPtr<Counted>,
    failure: Ordering,
}

impl Swap {
    /// Borrows without touching the count: leaves a debt, then looks whether the pointer still holds.
    fn peek(&self) -> Option<usize> {
        let pointer = self.storage.load(Acquire);
        self.debt.swap(pointer, SeqCst);
        let holds = self.storage.load(SeqCst) == pointer;
        // SAFETY: the debt keeps it alive, if the writer sees the debt.
        let value = holds.then(|| unsafe { (*pointer).value.load(Relaxed) });
        // Pays it back; if somebody has paid it, one count is ours.
        if self.debt.compare_exchange(pointer, null_mut(), AcqRel, Acquire).is_err() {
            // SAFETY: the count that the writer took for this reader.
            unsafe { Counted::release(pointer) };
        }
        value
    }

    fn replace(&self, new: *mut Counted) {
        let old = self.storage.swap(new, SeqCst);
        // SAFETY: the swap gives the storage's count to this thread; the other one is made here.
        unsafe {
            // In advance, for the reader.
            (*old).strong.fetch_add(1, Relaxed);
            if self.debt.compare_exchange(old, null_mut(), SeqCst, self.failure).is_err() {
                Counted::release(old);
            }
            Counted::release(old);
        }
    }
}

fn program(failure: Ordering) {
    let (storage, debt) = (AtomicPtr::new(Counted::allocate(1)), AtomicPtr::new(null_mut()));
    let swap = Arc::new(Swap { storage, debt, failure });
    let theirs = Arc::clone(&swap);
    let writer = thread::spawn(move || theirs.replace(Counted::allocate(2)));
    swap.peek();
    writer.join().unwrap();
    // SAFETY: the storage's own count.
    unsafe { Counted::release(swap.storage.load(Relaxed)) };
}

#[test]
fn no_debt_seen_by_acquire() {
    fails("use after free", || program(Acquire));
}

#[test]
fn no_debt_seen_by_seqcst() {
    holds(|| program(SeqCst));
}
