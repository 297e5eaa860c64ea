//! Addresses: a function of the execution.

use crate::random::Random;
use crate::{checked, passes};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz_primitives::thread;
use racefuzz_runtime::{Config, Record, Runner};
use racefuzz_trace::{FailureKind, Inject, MemoryModel, Outcome};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

/// Three threads allocate and free; where what they allocate lies, by thread and number.
fn scatter(places: &Mutex<BTreeMap<(u32, u32), usize>>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|me| {
            let turn = Arc::clone(&turn);
            let addresses = move || {
                let mut addresses = Vec::with_capacity(8);
                for number in 0..4 {
                    let one = Box::new([me; 3]);
                    addresses.push(std::ptr::from_ref(&*one) as usize);
                    turn.fetch_add(1, SeqCst);
                    if number % 2 == 0 {
                        drop(one);
                    } else {
                        std::mem::forget(one);
                    }
                }
                addresses
            };
            thread::spawn(addresses)
        })
        .collect();
    for (me, thread) in threads.into_iter().enumerate() {
        for (number, address) in thread.join().unwrap().into_iter().enumerate() {
            places.lock().unwrap().insert((me as u32, number as u32), address);
        }
    }
}

#[test]
fn whatever_order_threads_run_in() {
    let mut runner = Runner::new(Config::default());
    let seen = Mutex::new(BTreeMap::new());
    let outside = std::thread::current().id();
    let mut explorer = Random(0x9e37_79b9_7f4a_7c15);
    let mut layouts = HashSet::new();
    for _ in 0..50 {
        // What a program leaves is in the way of the next execution: each has a runner of its own.
        let ended = runner.run(&|| scatter(&seen), &mut explorer, Record::Choices);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert!(ended.outlived.blocks >= 6, "{:?}", ended.outlived);
        let places = std::mem::take(&mut *seen.lock().unwrap());
        let distinct: HashSet<usize> = places.values().copied().collect();
        assert_eq!(distinct.len(), places.len(), "an address was given out twice");
        layouts.insert(places.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(std::thread::current().id(), outside);
    assert_eq!(layouts.len(), 50, "what was not freed stays where it is");
}

/// Nothing is left: every execution has the same addresses.
#[test]
fn equal_in_every_execution() {
    let mut runner = Runner::new(Config::default());
    let mut explorer = Random(0x9e37_79b9_7f4a_7c15);
    let mut layouts = HashSet::new();
    for _ in 0..200 {
        let seen = Mutex::new([0; 3]);
        let program = || {
            let turn = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let turn = Arc::clone(&turn);
                    thread::spawn(move || {
                        turn.fetch_add(1, SeqCst);
                        drop(Box::new(7));
                        turn.fetch_add(1, SeqCst);
                        std::ptr::from_ref(&*Box::new(7)) as usize
                    })
                })
                .collect();
            for (me, thread) in threads.into_iter().enumerate() {
                seen.lock().unwrap()[me] = thread.join().unwrap();
            }
        };
        let ended = runner.run(&program, &mut explorer, Record::Choices);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(ended.outlived.blocks, 0);
        layouts.insert(*seen.lock().unwrap());
    }
    assert_eq!(layouts.len(), 1, "{layouts:?}");
}

/// A stack whose nodes are freed and whose addresses are compared: nothing diverges.
#[test]
fn compared_addresses() {
    struct Node {
        next: AtomicPtr<Node>,
    }
    fn push(head: &AtomicPtr<Node>) {
        let node = Box::into_raw(Box::new(Node { next: AtomicPtr::new(std::ptr::null_mut()) }));
        let mut old = head.load(Acquire);
        loop {
            // SAFETY: not published yet.
            unsafe { &*node }.next.store(old, Release);
            match head.compare_exchange(old, node, AcqRel, Acquire) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
    }
    fn free_all(head: &AtomicPtr<Node>) {
        let mut node = head.swap(std::ptr::null_mut(), Acquire);
        while !node.is_null() {
            // SAFETY: taken by the swap, with all that hangs on it.
            let next = unsafe { &*node }.next.load(Relaxed);
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(node) });
            node = next;
        }
    }
    let report = checked(MemoryModel::Rc11, Inject::default(), &|| {
        let head = Arc::new(AtomicPtr::new(std::ptr::null_mut()));
        let theirs = Arc::clone(&head);
        let other = thread::spawn(move || {
            push(&theirs);
            free_all(&theirs);
        });
        push(&head);
        free_all(&head);
        push(&head);
        other.join().unwrap();
        free_all(&head);
    });
    assert_eq!(report.outcome, Outcome::Passed, "{:?}", report.failures.first());
}

/// What a program keeps beyond an execution stays valid: it is no memory of a later one.
#[test]
fn kept_by_the_caller() {
    let kept = Mutex::new(Vec::<Box<[u64; 9]>>::new());
    passes(|| {
        let mut kept = kept.lock().unwrap();
        if kept.len() < 100 {
            let number = kept.len() as u64;
            kept.push(Box::new([number; 9]));
        }
        for (number, one) in kept.iter().enumerate() {
            assert_eq!(**one, [number as u64; 9]);
        }
    });
    let kept = kept.into_inner().unwrap();
    assert!(kept.len() > 1);
    for (number, one) in kept.iter().enumerate() {
        assert_eq!(**one, [number as u64; 9]);
    }
}

/// Memory from before an execution, given back inside it, and a collection that grows across many.
#[test]
fn from_outside_and_back() {
    let boxes = Mutex::new((0..50).map(|number| vec![number; 5]).collect::<Vec<_>>());
    let grows = Mutex::new(Vec::new());
    passes(|| {
        drop(boxes.lock().unwrap().pop());
        let mut grows = grows.lock().unwrap();
        if grows.len() < 5_000 {
            grows.extend_from_slice(&[7u8; 50]);
        }
        assert!(grows.iter().all(|byte| *byte == 7));
    });
    assert!(grows.into_inner().unwrap().iter().all(|byte| *byte == 7));
}

/// What std keeps for good, although it was first used inside an execution.
#[test]
fn kept_by_std() {
    static ONCE: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    std::thread_local! {
        static LOCAL: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    passes(|| {
        let once = ONCE.get_or_init(|| (0..30).map(|number| format!("number {number}")).collect());
        assert!(once.iter().enumerate().all(|(number, text)| *text == format!("number {number}")));
        LOCAL.with_borrow_mut(|local| {
            if local.len() < 1_000 {
                local.extend_from_slice(b"local");
            }
            assert!(local.chunks(5).all(|chunk| chunk == b"local"));
        });
        println!("captured by the test harness, which keeps it");
    });
    assert_eq!(ONCE.get().unwrap()[29], "number 29");
}

/// Every layout is honoured, also through `realloc`.
#[test]
fn aligned_and_as_long_as_asked_for() {
    use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
    let program = || {
        for align in [1, 2, 8, 16, 64, 4096] {
            for size in [1, 15, 16, 17, 4097, 300_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the size is not zero; every block is used within its size and freed once.
                unsafe {
                    let (one, two) = (alloc(layout), alloc_zeroed(layout));
                    assert!((one as usize).is_multiple_of(align) && (two as usize).is_multiple_of(align));
                    assert!(std::slice::from_raw_parts(two, size).iter().all(|byte| *byte == 0));
                    one.write_bytes(1, size);
                    two.write_bytes(2, size);
                    let longer = realloc(one, layout, size + 100);
                    assert!(std::slice::from_raw_parts(longer, size).iter().all(|byte| *byte == 1));
                    assert!((longer as usize).is_multiple_of(align));
                    let shorter = realloc(two, layout, size.div_ceil(2));
                    assert!(
                        std::slice::from_raw_parts(shorter, size.div_ceil(2)).iter().all(|byte| *byte == 2)
                    );
                    dealloc(longer, Layout::from_size_align(size + 100, align).unwrap());
                    dealloc(shorter, Layout::from_size_align(size.div_ceil(2), align).unwrap());
                }
            }
        }
    };
    let ended = Runner::new(Config::default()).run(&program, &mut Random(1), Record::Choices);
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(ended.outlived.blocks, 0);
}

/// Executions that run at the same time do not get in each other's way.
#[test]
fn side_by_side() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut runner = Runner::new(Config::default());
                for seed in 1..200 {
                    let ended = runner.run(&pile, &mut Random(seed), Record::Choices);
                    assert!(ended.failure.is_none(), "{:?}", ended.failure);
                }
            });
        }
    });
    fn pile() {
        let all = Arc::new(std::sync::Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..3u32)
            .map(|me| {
                let all = Arc::clone(&all);
                thread::spawn(move || {
                    for number in 0..5 {
                        all.lock().unwrap().push(vec![me; number]);
                        thread::yield_now();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(all.lock().unwrap().iter().map(Vec::len).sum::<usize>(), 30);
    }
}

/// What leaks in every execution takes its own room, and costs later executions nothing else.
#[test]
fn leaks_in_every_execution() {
    let program = || {
        drop(std::hint::black_box(Box::new([1u64; 4])));
        std::mem::forget(std::hint::black_box(Box::new([2u64; 3])));
        drop(std::hint::black_box(Box::new([3u64; 6])));
    };
    let mut runner = Runner::new(Config::default());
    for seed in 1..50_000 {
        let ended = runner.run(&program, &mut Random(seed), Record::Choices);
        assert_eq!((ended.outlived.blocks, ended.outlived.bytes), (1, 24));
    }
}

/// A leak of what racefuzz counts is found as before; one of a plain box is no failure.
#[test]
fn leaks() {
    passes(|| std::mem::forget(Box::new(7)));
    crate::always_fails(FailureKind::Leak, || std::mem::forget(Arc::new(7)));
}
