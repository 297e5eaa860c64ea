//! Objects that nobody has made: memory that consists of zeros holds valid ones where std's are.

use crate::{always_fails, passes};
use racefuzz_primitives::alloc::{Layout, alloc_zeroed, dealloc};
use racefuzz_primitives::cell::{Cell, UnsafeCell};
use racefuzz_primitives::sync::atomic::*;
use racefuzz_primitives::sync::{Arc, Condvar, Mutex, RwLock};
use racefuzz_primitives::thread;
use racefuzz_trace::FailureKind;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::*;

/// A value of zeros.
///
/// # Safety
/// Zeros must be a valid `T`.
unsafe fn zeroed<T>() -> T {
    // SAFETY: passed on to the caller.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

#[test]
fn atomics() {
    passes(|| {
        // SAFETY: std's atomics are valid as zeros.
        let (a, b, c) = unsafe { zeroed::<(AtomicUsize, AtomicBool, AtomicPtr<u8>)>() };
        assert_eq!(a.fetch_add(1, AcqRel), 0);
        assert!(!b.swap(true, AcqRel) && c.load(Acquire).is_null());
        assert_eq!((a.load(Relaxed), b.load(Relaxed)), (1, true));
        assert!(format!("{a:?} {b:?}").contains("1 true"));
    });
    passes(|| {
        // SAFETY: as above.
        let shared = Arc::new(unsafe { zeroed::<[AtomicU64; 4]>() });
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs[3].store(1, Release));
        assert!(shared[3].load(Acquire) <= 1);
        other.join().unwrap();
    });
}

#[test]
fn cells() {
    passes(|| {
        // SAFETY: zeros are valid cells of numbers.
        let (one, two) = unsafe { zeroed::<(Cell<u32>, UnsafeCell<u32>)>() };
        one.set(one.get() + 1);
        // SAFETY: nobody else is there.
        two.with_mut(|value| unsafe { *value += 1 });
        // SAFETY: as above.
        let two = two.with(|value| unsafe { *value });
        assert_eq!((one.get(), two), (1, 1));
    });
}

#[test]
fn locks() {
    passes(|| {
        // SAFETY: std's locks are valid as zeros where they are made of futexes.
        let shared = Arc::new(unsafe { zeroed::<(Mutex<u32>, RwLock<u32>, Condvar)>() });
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            *theirs.0.lock().unwrap() = 1;
            *theirs.1.write().unwrap() += 1;
            theirs.2.notify_all();
        });
        let mut value = shared.0.lock().unwrap();
        while *value == 0 {
            value = shared.2.wait(value).unwrap();
        }
        assert!(*shared.1.read().unwrap() <= 1);
        drop(value);
        other.join().unwrap();
    });
}

#[test]
fn in_tracked_memory() {
    passes(|| {
        let layout = Layout::new::<AtomicUsize>();
        // SAFETY: zeros are a valid atomic, and the memory is released once, after its uses.
        unsafe {
            let atomic = alloc_zeroed(layout).cast::<AtomicUsize>();
            (*atomic).store(1, Release);
            assert_eq!((*atomic).load(Acquire), 1);
            dealloc(atomic.cast(), layout);
        }
    });
}

/// A block that is published wrongly is found, though nobody has made what is in it.
#[test]
fn published_wrongly() {
    let program = |order| {
        let slot = Arc::new(AtomicPtr::new(std::ptr::null_mut::<AtomicU32>()));
        let theirs = Arc::clone(&slot);
        let maker = thread::spawn(move || {
            // SAFETY: as above.
            theirs.store(Box::into_raw(unsafe { Box::<AtomicU32>::new_zeroed().assume_init() }), order);
        });
        let found = slot.load(Acquire);
        if !found.is_null() {
            // SAFETY: freed below.
            assert_eq!(unsafe { &*found }.load(Relaxed), 0);
        }
        maker.join().unwrap();
        // SAFETY: made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(slot.load(Relaxed)) });
    };
    passes(|| program(Release));
    always_fails(FailureKind::DataRace, || program(Relaxed));
}
