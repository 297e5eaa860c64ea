//! Accesses that are ordered too weakly, or not at all.

use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{hint, thread};
use std::ptr;

/// What is guarded by a lock that is written by hand.
struct Guarded {
    locked: AtomicUsize,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is accessed by who has `locked`; racefuzz runs one thread at a time and says where that
// is not enough.
unsafe impl Sync for Guarded {}

/// A lock given back `Relaxed` (spin, RUSTSEC-2019-0031). Upstream: `Release`.
pub fn unlock_relaxed() {
    let shared = Arc::new(Guarded { locked: AtomicUsize::new(0), value: UnsafeCell::new(0) });
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || add(&other));
    add(&shared);
    thread.join().unwrap();
}

fn add(shared: &Guarded) {
    while shared.locked.swap(1, Acquire) == 1 {
        hint::spin_loop();
    }
    // SAFETY: this thread has the lock; see also at `Sync`.
    shared.value.with_mut(|value| unsafe { *value += 1 });
    shared.locked.store(0, Relaxed);
}

/// A value, and the number of those who may use it.
struct Shared {
    owners: AtomicUsize,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is accessed by owners; racefuzz runs one thread at a time and reports accesses that are
// not ordered.
unsafe impl Sync for Shared {}

impl Shared {
    fn new(owners: usize) -> Arc<Self> {
        Arc::new(Self { owners: AtomicUsize::new(owners), value: UnsafeCell::new(0) })
    }

    fn use_and_leave(&self) {
        // SAFETY: see at `Sync`.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.owners.fetch_sub(1, Release);
    }
}

/// Whoever is the only owner takes the value without a lock, and does not look at what the others did
/// before they left (rust-lang/rust 51780, servo/servo 21186). Upstream: `Acquire`.
pub fn get_mut() {
    let shared = Shared::new(2);
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || other.use_and_leave());
    if shared.owners.load(Relaxed) == 1 {
        // SAFETY: see at `Sync`.
        shared.value.with_mut(|value| unsafe { *value += 1 });
    }
    thread.join().unwrap();
}

/// The last owner takes the value although its own step acquires nothing (Manishearth/triomphe 103).
/// Upstream: `AcqRel`.
pub fn into_unique() {
    let shared = Shared::new(2);
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || other.use_and_leave());
    if shared.owners.fetch_sub(1, Release) == 1 {
        // SAFETY: see at `Sync`.
        shared.value.with_mut(|value| unsafe { *value += 1 });
    }
    thread.join().unwrap();
}

/// A slot of a queue, and how far its writer and its reader are.
struct Slot {
    written: AtomicUsize,
    read: AtomicUsize,
    value: UnsafeCell<u32>,
}

// SAFETY: as for `Shared`.
unsafe impl Sync for Slot {}

impl Slot {
    fn new(written: usize) -> Arc<Self> {
        Arc::new(Self {
            written: AtomicUsize::new(written),
            read: AtomicUsize::new(0),
            value: UnsafeCell::new(0),
        })
    }
}

/// Every ordering is `Relaxed`, the one that publishes a message too (filipdulic/bus-queue 3). Upstream:
/// `Release` and `Acquire`.
pub fn message_published() {
    let slot = Slot::new(0);
    let other = Arc::clone(&slot);
    let writer = thread::spawn(move || {
        // SAFETY: see at `Sync`.
        other.value.with_mut(|value| unsafe { *value = 7 });
        other.written.store(1, Relaxed);
    });
    if slot.written.load(Relaxed) == 1 {
        // SAFETY: see at `Sync`.
        assert_eq!(slot.value.with(|value| unsafe { *value }), 7);
    }
    writer.join().unwrap();
}

/// The writer takes a slot again that the reader says it is done with, with nothing that orders its write
/// behind the read (eclipse-iceoryx/iceoryx2 119). Upstream: a `Release` store of the read position and an
/// `Acquire` load.
pub fn slot_reused() {
    let slot = Slot::new(1);
    let other = Arc::clone(&slot);
    let reader = thread::spawn(move || {
        // SAFETY: see at `Sync`.
        other.value.with(|value| unsafe { *value });
        other.read.store(1, Relaxed);
    });
    if slot.read.load(Relaxed) == 1 {
        // SAFETY: see at `Sync`.
        slot.value.with_mut(|value| unsafe { *value = 2 });
    }
    reader.join().unwrap();
}

/// A flag that says that a thread's entry is there does not bring it along (thread_local,
/// RUSTSEC-2022-0006). Upstream: `Release` and `Acquire`.
pub fn entry_iterated() {
    let entries = Arc::new([Entry::new(), Entry::new()]);
    let other = Arc::clone(&entries);
    let inserter = thread::spawn(move || other[1].insert(5));
    let sum: u32 = entries.iter().filter_map(Entry::get).sum();
    assert!(sum == 0 || sum == 5);
    inserter.join().unwrap();
}

struct Entry {
    present: AtomicBool,
    value: UnsafeCell<u32>,
}

// SAFETY: as for `Shared`.
unsafe impl Sync for Entry {}

impl Entry {
    fn new() -> Self {
        Self { present: AtomicBool::new(false), value: UnsafeCell::new(0) }
    }

    fn insert(&self, new: u32) {
        // SAFETY: see at `Sync`.
        self.value.with_mut(|value| unsafe { *value = new });
        self.present.store(true, Relaxed);
    }

    fn get(&self) -> Option<u32> {
        // SAFETY: see at `Sync`.
        self.present.load(Relaxed).then(|| self.value.with(|value| unsafe { *value }))
    }
}

/// Memory that is allocated by whoever comes first.
struct Slab {
    cells: AtomicPtr<AtomicU32>,
    lock: Mutex<()>,
}

impl Slab {
    fn get(&self) -> u32 {
        let mut cells = self.cells.load(Relaxed);
        if cells.is_null() {
            self.fill();
            cells = self.cells.load(Acquire);
        }
        // SAFETY: it is not freed before the threads have ended.
        unsafe { (*cells).load(Relaxed) }
    }

    fn fill(&self) {
        let _guard = self.lock.lock().unwrap();
        if self.cells.load(Relaxed).is_null() {
            // SAFETY: the layout has a size, and the memory is written before it is shown.
            let cells = unsafe { alloc(Layout::new::<AtomicU32>()).cast::<AtomicU32>() };
            // SAFETY: as before.
            unsafe { cells.write(AtomicU32::new(3)) };
            self.cells.store(cells, Release);
        }
    }
}

/// The pointer to what another thread has made is read `Relaxed` (tokio-rs/loom 260). Upstream: `Acquire`.
pub fn slab() {
    let slab = Arc::new(Slab { cells: AtomicPtr::new(ptr::null_mut()), lock: Mutex::new(()) });
    let other = Arc::clone(&slab);
    let thread = thread::spawn(move || other.get());
    slab.get();
    thread.join().unwrap();
    let cells = slab.cells.load(Relaxed);
    // SAFETY: nobody has it any more.
    unsafe { dealloc(cells.cast(), Layout::new::<AtomicU32>()) };
}

/// A store buffer by a compare-exchange that fails.
pub fn stale_exchange() {
    let x = Arc::new(AtomicUsize::new(0));
    let y = Arc::new(AtomicUsize::new(0));
    let (other_x, other_y) = (Arc::clone(&x), Arc::clone(&y));
    let thread = thread::spawn(move || {
        other_x.store(1, SeqCst);
        other_y.compare_exchange(1, 2, SeqCst, Acquire).is_err()
    });
    y.store(1, SeqCst);
    let missed = x.load(SeqCst) == 0;
    assert!(!(thread.join().unwrap() && missed), "both missed the other");
}
