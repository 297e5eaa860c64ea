//! Programs whose control flow depends on addresses.

use crate::{fails, holds};
use racefuzz::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::thread;
use racefuzz::{Checker, Fuzzer, Outcome, Report};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ptr::null_mut;

/// Two locks are taken in the order of their addresses, or as they come.
fn transfer(sorts: bool) {
    let accounts: [Arc<Mutex<i32>>; 2] = [Arc::new(Mutex::new(10)), Arc::new(Mutex::new(10))];
    let take = move |from: &Arc<Mutex<i32>>, to: &Arc<Mutex<i32>>| {
        let swaps = sorts && Arc::as_ptr(from) > Arc::as_ptr(to);
        let (first, second) = if swaps { (to, from) } else { (from, to) };
        let (mut first, mut second) = (first.lock().unwrap(), second.lock().unwrap());
        let (from, to) = if swaps { (&mut *second, &mut *first) } else { (&mut *first, &mut *second) };
        *from -= 1;
        *to += 1;
    };
    let theirs = accounts.clone();
    let other = thread::spawn(move || take(&theirs[1], &theirs[0]));
    take(&accounts[0], &accounts[1]);
    other.join().unwrap();
    assert_eq!(*accounts[0].lock().unwrap(), 10);
}

#[test]
fn locks_in_the_order_of_their_addresses() {
    holds(|| transfer(true));
    fails("deadlock", || transfer(false));
}

/// A map whose order is that of hashed addresses decides what a thread does next.
#[test]
fn a_map_by_address() {
    holds(|| {
        let map: Mutex<HashMap<usize, Box<AtomicU64>, BuildHasherDefault<DefaultHasher>>> = Mutex::default();
        let map = Arc::new(map);
        let insert = |map: &Mutex<HashMap<_, _, _>>, count| {
            for _ in 0..count {
                let new = Box::new(AtomicU64::new(1));
                map.lock().unwrap().insert(std::ptr::from_ref(&*new) as usize, new);
            }
        };
        let theirs = Arc::clone(&map);
        let other = thread::spawn(move || insert(&theirs, 2));
        insert(&map, 1);
        let first = map.lock().unwrap().values().map(|one| one.fetch_add(1, Relaxed)).next();
        assert_eq!(first, Some(1));
        other.join().unwrap();
        assert_eq!(map.lock().unwrap().len(), 3);
    });
}

/// A stack of nodes, popped and pushed again; a pop compares what it has read with the address, or with
/// the address and a number that grows.
struct Stack {
    head: AtomicPtr<Node>,
    /// How often something was popped, in the high half; the number of the node on top in the low half.
    tagged: AtomicU64,
}

struct Node {
    value: u32,
    next: *mut Node,
}

impl Stack {
    fn new(values: &[u32]) -> Self {
        let push = |next, value: &u32| Box::into_raw(Box::new(Node { value: *value, next }));
        let head = values.iter().fold(null_mut(), push);
        Self { head: AtomicPtr::new(head), tagged: AtomicU64::new(values.len() as u64) }
    }

    /// Takes the head off, by its address alone.
    fn pop(&self) -> Option<Box<Node>> {
        let mut head = self.head.load(Acquire);
        while !head.is_null() {
            // SAFETY: perhaps freed; then the compare_exchange fails, unless an address has come back.
            let next = unsafe { (*head).next };
            match self.head.compare_exchange(head, next, AcqRel, Acquire) {
                // SAFETY: taken off by this thread.
                Ok(_) => return Some(unsafe { Box::from_raw(head) }),
                Err(now) => head = now,
            }
        }
        None
    }

    fn push(&self, value: u32) {
        let new = Box::into_raw(Box::new(Node { value, next: null_mut() }));
        let mut head = self.head.load(Acquire);
        loop {
            // SAFETY: not published yet.
            unsafe { (*new).next = head };
            match self.head.compare_exchange(head, new, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes a number off, by number and tag.
    fn take(&self) -> Option<u64> {
        let mut word = self.tagged.load(Acquire);
        while word & 0xffff_ffff != 0 {
            let next = ((word >> 32) + 1) << 32 | ((word & 0xffff_ffff) - 1);
            match self.tagged.compare_exchange(word, next, AcqRel, Acquire) {
                Ok(_) => return Some(word & 0xffff_ffff),
                Err(now) => word = now,
            }
        }
        None
    }
}

fn reusing(program: &(dyn Fn() + Sync)) -> [Report; 2] {
    let inject = racefuzz::Inject { reuse: true, ..racefuzz::Inject::default() };
    let fuzzer = Fuzzer::new().seed(42).iterations(10_000).inject(inject);
    [fuzzer.fuzz(program), Checker::new().inject(inject).check(program)]
}

/// Where addresses come back, a stack that trusts them hands out a node twice, or one that is gone.
#[test]
fn a_stack_that_trusts_addresses() {
    let program = || {
        let stack = Arc::new(Stack::new(&[1, 2]));
        let theirs = Arc::clone(&stack);
        let other = thread::spawn(move || {
            let (first, second) = (theirs.pop(), theirs.pop());
            let values = [&first, &second].map(|node| node.as_ref().map(|node| node.value));
            drop((first, second));
            theirs.push(3);
            values
        });
        let mine = stack.pop().map(|node| node.value);
        let theirs = other.join().unwrap();
        let mut left = Vec::new();
        while let Some(node) = stack.pop() {
            left.push(node.value);
        }
        let mut all: Vec<u32> = left.into_iter().chain(mine).chain(theirs.into_iter().flatten()).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    };
    for report in reusing(&program) {
        assert_eq!(report.outcome(), Outcome::Failed, "{}", racefuzz::render(&report));
    }
}

#[test]
fn a_stack_with_tags() {
    let program = || {
        let stack = Arc::new(Stack::new(&[]));
        stack.tagged.store(3, Relaxed);
        let theirs = Arc::clone(&stack);
        let other = thread::spawn(move || [theirs.take(), theirs.take()]);
        let mine = stack.take();
        let theirs = other.join().unwrap();
        let mut all: Vec<u64> = theirs.into_iter().flatten().chain(mine).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    };
    for report in reusing(&program) {
        assert_eq!(report.outcome(), Outcome::Passed, "{}", racefuzz::render(&report));
    }
}
