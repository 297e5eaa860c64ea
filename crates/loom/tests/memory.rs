//! Boxes that loom's types lie in: freed while another thread may still use them, and freed rightly.

use loom::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use loom::sync::{Arc, Mutex};
use loom::{cell::UnsafeCell, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

/// The report of a model that fails.
#[track_caller]
fn report(model: impl Fn() + Send + Sync + 'static) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| loom::model(model))).expect_err("it fails");
    payload.downcast_ref::<String>().expect("a report").clone()
}

/// A box is taken away and freed while another thread may hold its address (left-right#144).
fn swing<T: 'static>(
    make: impl Fn() -> T + Send + Sync + 'static,
    look: impl Fn(&T) + Send + Sync + Copy + 'static,
) -> String {
    report(move || {
        let shared = Arc::new(AtomicPtr::new(Box::into_raw(Box::new(make()))));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let pointer = theirs.load(Acquire);
            if !pointer.is_null() {
                // SAFETY: perhaps freed: that is the bug.
                look(unsafe { &*pointer });
            }
        });
        // SAFETY: made by `Box::into_raw`, and given back once.
        drop(unsafe { Box::from_raw(shared.swap(null_mut(), AcqRel)) });
        other.join().unwrap();
    })
}

#[test]
fn objects_in_a_box_that_is_freed() {
    // SAFETY: nobody writes.
    let cell = swing(|| UnsafeCell::new(7), |cell| assert_eq!(cell.with(|value| unsafe { *value }), 7));
    let atomic = swing(|| AtomicU32::new(7), |atomic| assert_eq!(atomic.load(Acquire), 7));
    let mutex = swing(|| Mutex::new(7), |mutex| assert_eq!(*mutex.lock().unwrap(), 7));
    for report in [cell, atomic, mutex] {
        assert!(report.contains("use after free"), "{report}");
        assert!(report.contains("memory.rs"), "{report}");
    }
}

#[test]
fn a_cell_that_its_destructor_writes() {
    struct Dies(UnsafeCell<u32>);
    impl Drop for Dies {
        fn drop(&mut self) {
            // SAFETY: the destructor has the cell to itself, if the program is right.
            self.0.with_mut(|value| unsafe { *value = 0xdead });
        }
    }
    let report = swing(
        || Dies(UnsafeCell::new(7)),
        // SAFETY: as above.
        |dies| assert_eq!(dies.0.with(|value| unsafe { *value }), 7),
    );
    assert!(report.contains("use after free") || report.contains("data race"), "{report}");
}

#[test]
fn plain_data_in_a_box_that_is_freed() {
    for report in [
        swing(|| (1u64, 7u64), |pair| assert_eq!(pair.1, 7)),
        swing(
            || (1u64, 7u64),
            |pair| {
                thread::yield_now();
                assert_eq!(pair.1, 7);
            },
        ),
    ] {
        assert!(report.contains("15625477333024561368"), "{report}");
    }
}

struct Node {
    _payload: usize,
    next: AtomicPtr<Node>,
}

/// A stack that is emptied as a whole, as haphazard's list of retired objects.
struct Stack(AtomicPtr<Node>);

impl Stack {
    fn push(&self) {
        let node = Box::into_raw(Box::new(Node { _payload: 0, next: AtomicPtr::new(null_mut()) }));
        let mut old = self.0.load(Acquire);
        loop {
            // SAFETY: not published yet.
            unsafe { &*node }.next.store(old, Release);
            match self.0.compare_exchange(old, node, AcqRel, Acquire) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
    }

    fn free_all(&self) {
        let mut node = self.0.swap(null_mut(), Acquire);
        while !node.is_null() {
            // SAFETY: the swap has taken the whole list.
            let next = unsafe { &*node }.next.load(Relaxed);
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(node) });
            node = next;
        }
    }
}

fn verified(threads: usize, rounds: usize, twice: bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let stack = Arc::new(Stack(AtomicPtr::new(null_mut())));
        let work = move |stack: &Stack| {
            for _ in 0..rounds {
                stack.push();
                if twice {
                    stack.push();
                }
                stack.free_all();
            }
        };
        let others: Vec<_> = (0..threads)
            .map(|_| {
                let stack = Arc::clone(&stack);
                thread::spawn(move || {
                    work(&stack);
                    if !twice {
                        stack.push();
                    }
                })
            })
            .collect();
        work(&stack);
        others.into_iter().for_each(|other| other.join().unwrap());
        stack.free_all();
    });
}

#[test]
fn a_stack_of_boxes() {
    verified(1, 2, true);
    verified(2, 1, false);
}

/// The last owner of a value looks at an atomic in it, without a step; which owner that is, an execution
/// leaves open.
#[test]
fn whoever_is_the_last_may_look() {
    struct Looked(AtomicU32);
    impl Drop for Looked {
        fn drop(&mut self) {
            self.0.with_mut(|value| assert_eq!(*value, 5));
        }
    }
    loom::model(|| {
        let mine = Arc::new(Looked(AtomicU32::new(1)));
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || {
            theirs.0.fetch_or(4, Acquire);
            theirs.0.fetch_and(5, AcqRel);
        });
        mine.0.load(Relaxed);
        drop(mine);
        other.join().unwrap();
    });
}
