//! Freed memory that is given out again, where that is asked for.

use crate::{checked, fuzzed, passes};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, Inject, MemoryModel, Outcome, Schedule};
use std::ptr::null_mut;

const REUSE: Inject = Inject { panic: false, kill: false, spurious: false, timeout: false, reuse: true };

struct Node {
    value: u32,
    next: *mut Node,
}

struct Stack(AtomicPtr<Node>);

impl Stack {
    fn push(&self, value: u32) {
        let node = Box::into_raw(Box::new(Node { value, next: null_mut() }));
        let mut old = self.0.load(Acquire);
        loop {
            // SAFETY: not published yet.
            unsafe { (*node).next = old };
            match self.0.compare_exchange(old, node, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Reads the node behind the head before it has taken it: it may be freed, or another by then.
    /// `freed` is where nodes go.
    fn pop(&self, freed: impl FnOnce(*mut Node)) -> Option<u32> {
        let mut old = self.0.load(Acquire);
        loop {
            if old.is_null() {
                return None;
            }
            // SAFETY: not in general: that is the bug.
            let next = unsafe { (*old).next };
            match self.0.compare_exchange(old, next, AcqRel, Acquire) {
                Ok(_) => {
                    // SAFETY: taken by the exchange.
                    let value = unsafe { (*old).value };
                    freed(old);
                    return Some(value);
                }
                Err(now) => old = now,
            }
        }
    }
}

fn free(node: *mut Node) {
    // SAFETY: made by `Box::into_raw`.
    drop(unsafe { Box::from_raw(node) });
}

/// Two threads pop, and one of them pushes what it has popped: no value is had twice.
fn values_are_had_once() {
    let stack = Arc::new(Stack(AtomicPtr::new(null_mut())));
    let taken = Arc::new([const { AtomicU32::new(0) }; 4]);
    for value in [2, 1] {
        stack.push(value);
    }
    let note = |taken: &[AtomicU32; 4], value: Option<u32>| {
        if let Some(value) = value {
            assert!(value < 4 && taken[value as usize].fetch_add(1, Relaxed) == 0, "{value} was had twice");
        }
    };
    let (theirs, their_taken) = (Arc::clone(&stack), Arc::clone(&taken));
    let other = thread::spawn(move || {
        note(&their_taken, theirs.pop(free));
        note(&their_taken, theirs.pop(free));
        theirs.push(3);
    });
    note(&taken, stack.pop(free));
    note(&taken, stack.pop(free));
    other.join().unwrap();
}

/// A thread knows its box by the address. Where no address is given out twice that is right.
fn known_by_address() {
    let mine = Box::into_raw(Box::new(1u64));
    let slot = Arc::new(AtomicPtr::new(mine));
    let theirs = Arc::clone(&slot);
    let other = thread::spawn(move || {
        let old = theirs.swap(null_mut(), AcqRel);
        if !old.is_null() {
            // SAFETY: taken by the swap.
            drop(unsafe { Box::from_raw(old) });
        }
        theirs.store(Box::into_raw(Box::new(2u64)), Release);
    });
    if slot.compare_exchange(mine, null_mut(), AcqRel, Acquire).is_ok() {
        // SAFETY: taken by the exchange.
        let taken = unsafe { Box::from_raw(mine) };
        assert_eq!(*taken, 1, "another box at the same address");
    }
    other.join().unwrap();
    let left = slot.load(Acquire);
    if !left.is_null() {
        // SAFETY: both threads are done with it.
        drop(unsafe { Box::from_raw(left) });
    }
}

/// A stack that takes the head for unchanged if it has the same address. Nobody reads what a node
/// that was freed says, as long as no address comes back.
#[test]
fn a_stack_that_trusts_addresses() {
    passes(values_are_had_once);
    for memory in crate::MODELS {
        let found = fuzzed(memory, REUSE, &values_are_had_once);
        assert_eq!(found.outcome, Outcome::Failed, "{memory:?}");
        assert_eq!(found.failures[0].schedule.settings.inject, REUSE);
    }
}

#[test]
fn addresses_come_back_only_where_that_is_asked_for() {
    let again = |inject| {
        let seen = std::sync::Mutex::new(false);
        let program = || {
            let first = std::ptr::from_ref(&*std::hint::black_box(Box::new(7u64))) as usize;
            let second = std::hint::black_box(Box::new(7u64));
            *seen.lock().unwrap() |= std::ptr::from_ref(&*second) as usize == first;
        };
        for memory in crate::MODELS {
            assert_eq!(fuzzed(memory, inject, &program).outcome, Outcome::Passed);
            assert_eq!(checked(memory, inject, &program).outcome, Outcome::Passed);
        }
        seen.into_inner().unwrap()
    };
    assert!(!again(Inject::default()));
    assert!(again(REUSE));
}

/// A compare_exchange that finds the address of a box that was freed and made anew.
#[test]
fn aba() {
    passes(known_by_address);
    for memory in crate::MODELS {
        for report in [fuzzed(memory, REUSE, &known_by_address), checked(memory, REUSE, &known_by_address)] {
            let failure = report.failures.first().expect("found");
            assert_eq!(failure.kind, FailureKind::Panic);
            assert!(failure.message.contains("another box at the same address"), "{failure:?}");
        }
    }
}

/// A token carries the choices of the allocator, too.
#[test]
fn replayed() {
    let report = fuzzed(MemoryModel::Rc11, REUSE, &known_by_address);
    let token: Schedule = report.failures[0].schedule.to_string().parse().unwrap();
    assert_eq!(token.settings.inject, REUSE);
    let options = racefuzz_fuzz::Options::default();
    let again = racefuzz_fuzz::replay(&token, &options, &known_by_address);
    assert!(again.diverged.is_none());
    assert_eq!(again.report.failures[0].message, report.failures[0].message);
}

/// A new object in old memory is a new object: neither its number nor its value is the old one's.
#[test]
fn new_objects_in_old_memory() {
    let program = || {
        let first = Box::new(AtomicU32::new(1));
        first.store(2, Relaxed);
        drop(first);
        let second = Box::new(AtomicU32::new(3));
        assert_eq!(second.load(Relaxed), 3);
        let shared = Arc::new(AtomicPtr::new(Box::into_raw(second)));
        let theirs = Arc::clone(&shared);
        // SAFETY: it lives until the thread has ended.
        let other = thread::spawn(move || unsafe { &*theirs.load(Acquire) }.fetch_add(1, Relaxed));
        assert!(other.join().unwrap() == 3);
        // SAFETY: made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(shared.load(Relaxed)) });
    };
    for memory in crate::MODELS {
        let fuzz = fuzzed(memory, REUSE, &program);
        assert_eq!(fuzz.outcome, Outcome::Passed, "{:?}", fuzz.failures.first());
        let check = checked(memory, REUSE, &program);
        assert_eq!(check.outcome, Outcome::Passed, "{:?}", check.failures.first());
    }
}
