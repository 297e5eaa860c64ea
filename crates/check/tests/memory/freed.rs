//! Memory that is used, or freed again, after it was freed.

use crate::{always_fails, checked, found, fuzzed, passes};
use racefuzz_primitives::cell::{Cell, UnsafeCell};
use racefuzz_primitives::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::*, fence};
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, RwLock};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureDetail, FailureKind, Inject, MemoryModel, Verb};
use std::ptr::null_mut;

/// One thread takes a box away and frees it; another may still have its address.
fn swing<T: 'static>(make: impl Fn() -> T, consume: impl Fn(&T) + Send + 'static) {
    let shared = Arc::new(AtomicPtr::new(Box::into_raw(Box::new(make()))));
    let theirs = Arc::clone(&shared);
    let other = thread::spawn(move || {
        let pointer = theirs.load(Acquire);
        if !pointer.is_null() {
            // SAFETY: perhaps not: that is what the tests are about.
            consume(unsafe { &*pointer });
        }
    });
    // SAFETY: made by `Box::into_raw`, and given back once.
    drop(unsafe { Box::from_raw(shared.swap(null_mut(), AcqRel)) });
    other.join().unwrap();
}

#[test]
fn a_cell() {
    // SAFETY: nobody writes.
    let read = |cell: &UnsafeCell<u32>| assert_eq!(cell.with(|value| unsafe { *value }), 7);
    always_fails(FailureKind::UseAfterFree, || swing(|| UnsafeCell::new(7), read));
    always_fails(FailureKind::UseAfterFree, || swing(|| Cell::new(7), |cell| assert_eq!(cell.get(), 7)));
}

/// The destructor writes to the cell: it races with the read before the memory is freed.
#[test]
fn a_cell_that_its_destructor_writes() {
    struct Dies(UnsafeCell<u32>);
    impl Drop for Dies {
        fn drop(&mut self) {
            // SAFETY: the destructor has the cell to itself, if the program is right.
            self.0.with_mut(|value| unsafe { *value = 0 });
        }
    }
    let program = || {
        // SAFETY: as above.
        swing(|| Dies(UnsafeCell::new(7)), |dies| assert_eq!(dies.0.with(|value| unsafe { *value }), 7));
    };
    for (how, found) in found(&program) {
        assert!(matches!(found, Some(FailureKind::UseAfterFree | FailureKind::DataRace)), "{how}: {found:?}");
    }
}

#[test]
fn an_atomic() {
    let load = |atomic: &AtomicU32| assert_eq!(atomic.load(Acquire), 7);
    always_fails(FailureKind::UseAfterFree, move || swing(|| AtomicU32::new(7), load));
    let add = |atomic: &AtomicU32| assert!(atomic.fetch_add(1, Relaxed) < 8);
    always_fails(FailureKind::UseAfterFree, move || swing(|| AtomicU32::new(7), add));
}

#[test]
fn locks() {
    let lock = |mutex: &Mutex<u32>| assert_eq!(*mutex.lock().unwrap(), 7);
    always_fails(FailureKind::UseAfterFree, move || swing(|| Mutex::new(7), lock));
    let read = |lock: &RwLock<u32>| assert_eq!(*lock.read().unwrap(), 7);
    always_fails(FailureKind::UseAfterFree, move || swing(|| RwLock::new(7), read));
    always_fails(FailureKind::UseAfterFree, || swing(Condvar::new, Condvar::notify_all));
}

/// Deep inside of the block that is freed.
#[test]
fn one_of_many() {
    let program = || {
        swing(
            || std::array::from_fn::<_, 40, _>(|_| AtomicU32::new(7)),
            |all| assert_eq!(all[39].load(Relaxed), 7),
        );
    };
    always_fails(FailureKind::UseAfterFree, program);
}

/// A vector that grows frees what it had.
#[test]
fn a_vector_that_moved() {
    let program = || {
        let mut all = vec![AtomicU32::new(7)];
        let first = Arc::new(AtomicPtr::new(&raw mut all[0]));
        let theirs = Arc::clone(&first);
        let other = thread::spawn(move || {
            // SAFETY: not so once the vector has grown.
            unsafe { &*theirs.load(Acquire) }.load(Relaxed)
        });
        all.reserve_exact(64);
        other.join().unwrap();
    };
    always_fails(FailureKind::UseAfterFree, program);
}

#[test]
fn freed_twice() {
    let take = |shared: &AtomicPtr<u64>| {
        let pointer = shared.load(SeqCst);
        if !pointer.is_null() {
            shared.store(null_mut(), SeqCst);
            // SAFETY: another thread may have loaded it, too.
            drop(unsafe { Box::from_raw(pointer) });
        }
    };
    always_fails(FailureKind::UseAfterFree, move || {
        let shared = Arc::new(AtomicPtr::new(Box::into_raw(Box::new(7u64))));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || take(&theirs));
        take(&shared);
        other.join().unwrap();
    });
}

/// One thread alone does it, too.
#[test]
fn freed_twice_by_one_thread() {
    always_fails(FailureKind::UseAfterFree, || {
        let pointer = Box::into_raw(Box::new(Mutex::new(7)));
        // SAFETY: the second is wrong.
        unsafe {
            assert_eq!(*(*pointer).lock().unwrap(), 7);
            drop(Box::from_raw(pointer));
            drop(Box::from_raw(std::hint::black_box(pointer)));
        }
    });
}

/// What is behind a freed box is reached by a pointer that is the pattern.
#[test]
fn a_box_of_a_box_freed_twice() {
    always_fails(FailureKind::UseAfterFree, || {
        let pointer = Box::into_raw(Box::new(Box::new(7u8)));
        // SAFETY: the second is wrong.
        unsafe {
            drop(Box::from_raw(pointer));
            drop(Box::from_raw(std::hint::black_box(pointer)));
        }
    });
    always_fails(FailureKind::UseAfterFree, || {
        let pointer = Box::into_raw(Box::new(Arc::new(7)));
        // SAFETY: the second is wrong.
        unsafe {
            drop(Box::from_raw(pointer));
            drop(Box::from_raw(std::hint::black_box(pointer)));
        }
    });
}

/// Plain data shows nothing when it is read but what is in it: the pattern.
#[test]
fn plain_data() {
    let program = || swing(|| (1u64, 7u64), |pair| assert_eq!(pair.1, 7));
    let rc11 = MemoryModel::Rc11;
    let (fuzz, check) =
        (fuzzed(rc11, Inject::default(), &program), checked(rc11, Inject::default(), &program));
    for (how, report) in [("fuzz", fuzz), ("check", check)] {
        assert_eq!(report.failures.first().map(|failure| failure.kind), Some(FailureKind::Panic), "{how}");
        assert!(report.failures[0].message.contains("15625477333024561368"), "{:?}", report.failures[0]);
    }
    // Under `sc` there is no step between the load and the use: see the limits of the allocator.
    assert!(fuzzed(MemoryModel::Sc, Inject::default(), &program).failures.is_empty());
}

/// With a step between, fuzzing finds it under `sc`, too.
#[test]
fn plain_data_behind_a_step() {
    let consume = |pair: &(u64, u64)| {
        thread::yield_now();
        assert_eq!(pair.1, 7);
    };
    let program = move || swing(|| (1u64, 7u64), consume);
    for memory in crate::MODELS {
        let report = fuzzed(memory, Inject::default(), &program);
        assert_eq!(report.failures.first().map(|failure| failure.kind), Some(FailureKind::Panic));
    }
    let report = checked(MemoryModel::Rc11, Inject::default(), &program);
    assert_eq!(report.failures.first().map(|failure| failure.kind), Some(FailureKind::Panic));
}

/// A thread that waits in a lock that is freed.
#[test]
fn freed_under_a_waiting_thread() {
    let program = || {
        let mutex = Box::into_raw(Box::new(Mutex::new(0)));
        let address = mutex as usize;
        // SAFETY: the other thread may come too late.
        let guard = unsafe { &*mutex }.lock().unwrap();
        let other = thread::spawn(move || {
            // SAFETY: none; that it may be freed is what is tested.
            drop(unsafe { &*(address as *const Mutex<i32>) }.lock());
        });
        std::mem::forget(guard);
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(mutex) });
        other.join().unwrap();
    };
    always_fails(FailureKind::UseAfterFree, program);
}

/// The last of two owners frees: it must have acquired what the other did before.
#[test]
fn the_last_owner() {
    struct Owned {
        owners: AtomicUsize,
        data: UnsafeCell<u32>,
    }
    let give_up = |address: usize, acquire: bool| {
        let owned = address as *mut Owned;
        // SAFETY: owned until the count says otherwise.
        unsafe {
            (*owned).data.with(|value| *value);
            if (*owned).owners.fetch_sub(1, Release) == 1 {
                if acquire {
                    fence(Acquire);
                }
                drop(Box::from_raw(owned));
            }
        }
    };
    let program = move |acquire| {
        let owned = Box::new(Owned { owners: AtomicUsize::new(2), data: UnsafeCell::new(7) });
        let address = Box::into_raw(owned) as usize;
        let other = thread::spawn(move || give_up(address, acquire));
        give_up(address, acquire);
        other.join().unwrap();
    };
    passes(|| program(true));
    always_fails(FailureKind::UseAfterFree, || program(false));
}

/// Readers announce what they use, and a writer waits for them.
#[test]
fn waited_for() {
    passes(|| {
        let readers = Arc::new(AtomicUsize::new(0));
        let slot = Arc::new(AtomicPtr::new(Box::into_raw(Box::new(AtomicU32::new(7)))));
        let (their_readers, theirs) = (Arc::clone(&readers), Arc::clone(&slot));
        let other = thread::spawn(move || {
            their_readers.fetch_add(1, SeqCst);
            let found = theirs.load(SeqCst);
            if !found.is_null() {
                // SAFETY: the writer waits.
                assert_eq!(unsafe { &*found }.load(Relaxed), 7);
            }
            their_readers.fetch_sub(1, SeqCst);
        });
        let taken = slot.swap(null_mut(), SeqCst);
        while readers.load(SeqCst) != 0 {
            racefuzz_primitives::hint::spin_loop();
        }
        // SAFETY: nobody has it.
        drop(unsafe { Box::from_raw(taken) });
        other.join().unwrap();
    });
}

/// An object that is moved out of memory which is freed later is no longer in it.
#[test]
fn moved_out_before() {
    passes(|| {
        let place = Box::into_raw(Box::new(AtomicU32::new(7)));
        // SAFETY: the box is freed as memory only, once.
        unsafe {
            (*place).store(8, Relaxed);
            let moved = Arc::new(place.read());
            let theirs = Arc::clone(&moved);
            let other = thread::spawn(move || theirs.store(9, Relaxed));
            moved.load(Relaxed);
            drop(Box::from_raw(place.cast::<std::mem::MaybeUninit<AtomicU32>>()));
            other.join().unwrap();
        }
    });
}

/// The report names the free, by the step before it, and the use.
#[test]
fn both_places_are_known() {
    let program = || swing(|| AtomicU32::new(7), |atomic| assert_eq!(atomic.load(Acquire), 7));
    for report in [
        fuzzed(MemoryModel::Rc11, Inject::default(), &program),
        checked(MemoryModel::Rc11, Inject::default(), &program),
    ] {
        let failure = &report.failures[0];
        let FailureDetail::UseAfterFree { freed, used, .. } = &failure.detail else { panic!("{failure:?}") };
        assert_eq!((freed.verb, used.verb), (Verb::Free, Verb::Load));
        assert_eq!((freed.thread.0, used.thread.0), (0, 1));
        let before = &failure.trace.events[freed.step.unwrap() as usize];
        assert_eq!((before.verb, before.thread.0), (Verb::Swap, 0));
        let file = |site| &failure.trace.site(site).file;
        assert!(file(freed.site).ends_with("freed.rs") && file(used.site).ends_with("freed.rs"));
    }
}

/// std's own `Arc` counts unseen: that its owners' uses happen before it frees is not held against it.
#[test]
fn in_an_arc_of_std() {
    /// With something that its destructor frees.
    struct Shared {
        flag: AtomicU32,
        cell: UnsafeCell<u32>,
        boxed: Box<(AtomicU32, UnsafeCell<u32>)>,
    }
    fn shared() -> std::sync::Arc<Shared> {
        let boxed = Box::new((AtomicU32::new(0), UnsafeCell::new(7)));
        std::sync::Arc::new(Shared { flag: AtomicU32::new(0), cell: UnsafeCell::new(7), boxed })
    }
    fn uses(shared: &Shared) {
        shared.flag.fetch_add(1, Relaxed);
        shared.boxed.0.fetch_add(1, Relaxed);
        // SAFETY: nobody writes.
        assert_eq!(shared.cell.with(|value| unsafe { *value }), 7);
        // SAFETY: as above.
        assert_eq!(shared.boxed.1.with(|value| unsafe { *value }), 7);
    }
    // SAFETY: both threads only read the cells.
    unsafe impl Sync for Shared {}
    passes(|| {
        let mine = shared();
        for _ in 0..2 {
            let theirs = std::sync::Arc::clone(&mine);
            drop(thread::spawn(move || uses(&theirs)));
        }
        uses(&mine);
        drop(mine);
    });
    // One of std in one that is seen, and the other way round.
    passes(|| {
        let mine = Arc::new(shared());
        let theirs = Arc::clone(&mine);
        drop(thread::spawn(move || uses(&theirs)));
        uses(&mine);
    });
    passes(|| {
        let mine = std::sync::Arc::new(Arc::new(AtomicU32::new(0)));
        let theirs = std::sync::Arc::clone(&mine);
        drop(thread::spawn(move || theirs.fetch_add(1, Relaxed)));
        mine.fetch_add(1, Relaxed);
    });
    // A weak reference that is the last to go.
    passes(|| {
        let mine = shared();
        let weak = std::sync::Arc::downgrade(&mine);
        let other = thread::spawn(move || drop(weak));
        uses(&mine);
        drop(mine);
        other.join().unwrap();
    });
}

/// A weak reference that is the last to go frees the memory, and learns from the count that it may.
#[test]
fn by_a_weak_reference() {
    passes(|| {
        let mine = Arc::new(AtomicU32::new(0));
        let weak = Arc::downgrade(&mine);
        let other = thread::spawn(move || drop(weak));
        mine.store(1, Relaxed);
        drop(mine);
        other.join().unwrap();
    });
}

/// What a box frees is not excused by a std `Arc` elsewhere in the program.
#[test]
fn a_box_is_no_arc() {
    always_fails(FailureKind::UseAfterFree, || {
        let value = Box::into_raw(Box::new(UnsafeCell::new(7))) as usize;
        let kept = std::sync::Arc::new(AtomicU32::new(0));
        let theirs = std::sync::Arc::clone(&kept);
        let other = thread::spawn(move || {
            // SAFETY: perhaps not.
            assert_eq!(unsafe { &*(value as *const UnsafeCell<u32>) }.with(|value| unsafe { *value }), 7);
            theirs.fetch_add(1, Relaxed);
        });
        if kept.load(Relaxed) == 1 {
            // SAFETY: made by `Box::into_raw`.
            drop(unsafe { Box::from_raw(value as *mut UnsafeCell<u32>) });
        }
        other.join().unwrap();
    });
}
