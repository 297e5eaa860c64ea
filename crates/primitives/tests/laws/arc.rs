//! Laws of `Arc`, `Weak` and tracked memory.

use crate::common::{explore, explore_with, outcomes, spawn};
use racefuzz_primitives::alloc::{Layout, Track, alloc, alloc_zeroed, dealloc, realloc};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, Mutex, Weak};
use racefuzz_runtime::Config;
use racefuzz_trace::FailureKind;
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Debug;

#[test]
fn a_cycle_is_a_leak() {
    struct Node(Mutex<Option<Arc<Node>>>);
    let explored = explore(|| {
        let node = Arc::new(Node(Mutex::new(None)));
        *node.0.lock().unwrap() = Some(Arc::clone(&node));
    });
    explored.only_fails(FailureKind::Leak);
    explore(|| {
        let node = Arc::new(Node(Mutex::new(None)));
        *node.0.lock().unwrap() = Some(Arc::clone(&node));
        *node.0.lock().unwrap() = None;
    })
    .passes();
}

#[test]
fn a_forgotten_reference_is_a_leak() {
    explore(|| std::mem::forget(Arc::new(1))).only_fails(FailureKind::Leak);
    explore(|| {
        let _ = Arc::into_raw(Arc::new(1));
    })
    .only_fails(FailureKind::Leak);
    explore(|| std::mem::forget(Track::new(1))).only_fails(FailureKind::Leak);
    explore(|| assert_eq!(Track::new(1).into_inner(), 1)).passes();
}

#[test]
fn the_destructor_sees_what_every_holder_did() {
    struct Shared(UnsafeCell<[i32; 2]>);
    // SAFETY: the threads below write different parts.
    unsafe impl Sync for Shared {}
    impl Drop for Shared {
        fn drop(&mut self) {
            // SAFETY: nobody else is left.
            self.0.with_mut(|value| unsafe { *value = [7, 7] });
        }
    }
    explore(|| {
        let shared = Arc::new(Shared(UnsafeCell::new([0, 0])));
        let theirs = Arc::clone(&shared);
        let _other = spawn(move || {
            // SAFETY: only read.
            theirs.0.with(|value| unsafe { (*value)[0] });
        });
        // SAFETY: only read.
        shared.0.with(|value| unsafe { (*value)[1] });
    })
    .passes();
}

#[test]
fn counts_are_looked_at_in_every_order() {
    let config = || Config { count_points: true, ..Config::default() };
    let seen = std::cell::RefCell::new(BTreeSet::new());
    explore_with(config(), || {
        let mut shared = Arc::new(5);
        let theirs = Arc::clone(&shared);
        let other = spawn(move || drop(theirs));
        let count = Arc::strong_count(&shared);
        let alone = Arc::get_mut(&mut shared).is_some();
        assert!(alone || count == 2);
        seen.borrow_mut().insert((count, alone));
        other.join();
    })
    .passes();
    assert_eq!(seen.into_inner(), BTreeSet::from([(2, false), (2, true), (1, true)]));
}

#[test]
fn get_mut_learns_what_earlier_holders_did() {
    struct Cell(UnsafeCell<i32>);
    // SAFETY: not in itself; the test is that the accesses are ordered.
    unsafe impl Sync for Cell {}
    explore_with(Config { count_points: true, ..Config::default() }, || {
        let mut shared = Arc::new(Cell(UnsafeCell::new(0)));
        let theirs = Arc::clone(&shared);
        let other = spawn(move || {
            // SAFETY: see above.
            theirs.0.with_mut(|value| unsafe { *value = 1 });
        });
        if let Some(cell) = Arc::get_mut(&mut shared) {
            // SAFETY: see above.
            cell.0.with_mut(|value| unsafe { *value += 1 });
        }
        other.join();
    })
    .passes();
}

#[test]
fn one_of_two_that_unwrap_gets_the_value_with_into_inner() {
    let ends = outcomes(|| {
        let shared = Arc::new(5);
        let theirs = Arc::clone(&shared);
        let other = spawn(move || Arc::into_inner(theirs));
        let mine = Arc::into_inner(shared);
        (mine, other.join())
    });
    assert_eq!(ends, BTreeSet::from([(Some(5), None), (None, Some(5))]));
}

#[test]
fn everything_else_is_std_s() {
    let program = || {
        let mut value = Arc::new(1);
        *Arc::make_mut(&mut value) += 1;
        let other = Arc::clone(&value);
        *Arc::make_mut(&mut value) += 1;
        assert_eq!((*value, *other), (3, 2));
        let weak = Arc::downgrade(&value);
        *Arc::make_mut(&mut value) += 1;
        assert!(weak.upgrade().is_none());
        assert_eq!(Arc::try_unwrap(value), Ok(4));
        assert_eq!(Arc::unwrap_or_clone(other), 2);

        let cyclic = Arc::new_cyclic(|me: &Weak<(i32, Weak<i32>)>| {
            assert!(me.upgrade().is_none());
            (1, Weak::new())
        });
        assert_eq!(Arc::weak_count(&cyclic), 0);
        let weak = Arc::downgrade(&cyclic);
        assert!(weak.upgrade().is_some_and(|strong| Arc::ptr_eq(&strong, &cyclic)));
        assert_eq!((weak.strong_count(), weak.weak_count()), (1, 1));
        // SAFETY: the pointers come from `into_raw`, each taken back once.
        let weak = unsafe { Weak::from_raw(weak.into_raw()) };
        drop(cyclic);
        assert!(weak.upgrade().is_none());

        let text: Arc<str> = "abc".into();
        assert_eq!(&*text, "abc");
        let list: Arc<[i32]> = (0..3).collect();
        assert_eq!(*list, [0, 1, 2]);
        let boxed: Arc<dyn Debug> = Arc::from(Box::new(5) as Box<dyn Debug>);
        assert_eq!(format!("{boxed:?} {text} {:?}", Arc::pin(1)), "5 abc 1");
        let any: Arc<dyn Any + Send + Sync> = Arc::from_std(std::sync::Arc::new(5));
        let any = any.downcast::<u8>().unwrap_err();
        assert_eq!(*any.downcast::<i32>().unwrap(), 5);
    };
    explore(program).passes();
    program();
}

#[test]
fn raw_pointers_keep_their_count() {
    let program = || {
        let pointer = Arc::into_raw(Arc::new(5));
        // SAFETY: the reference is given out, one is added, and both are dropped; in between one
        // is looked at without being dropped.
        unsafe {
            Arc::increment_strong_count(pointer);
            let looked_at = std::mem::ManuallyDrop::new(Arc::from_raw(pointer));
            assert_eq!(Arc::strong_count(&looked_at), 2);
            Arc::decrement_strong_count(pointer);
            drop(Arc::from_raw(pointer));
        }
    };
    explore(program).passes();
    program();
}

#[test]
fn memory_that_is_not_released_or_released_twice() {
    let layout = Layout::new::<AtomicUsize>();
    // SAFETY: the memory is released with its layout, or not, which is what is found.
    unsafe {
        explore(|| {
            let memory = alloc_zeroed(layout);
            assert_eq!(*memory, 0);
            *memory = 3;
            let memory = realloc(memory, layout, 100);
            assert_eq!(*memory, 3);
            dealloc(memory, Layout::from_size_align(100, layout.align()).unwrap());
        })
        .passes();
        explore(|| {
            alloc(layout);
        })
        .only_fails(FailureKind::Leak);
        explore(|| {
            let memory = alloc(layout);
            dealloc(memory, layout);
            dealloc(memory, layout);
        })
        .only_fails(FailureKind::UseAfterFree);
        explore(|| {
            let memory = alloc(layout).cast::<AtomicUsize>();
            memory.write(AtomicUsize::new(1));
            let address = memory as usize;
            let other = spawn(move || (*(address as *const AtomicUsize)).load(Ordering::Relaxed));
            dealloc(memory.cast(), layout);
            other.join();
        })
        .fails(FailureKind::UseAfterFree);
    }
    // SAFETY: as above.
    unsafe { dealloc(alloc(layout), layout) };
}
