//! Laws of atomics: std's results, and the outcomes that the memory model allows.

use crate::common::{explore, explore_with, outcomes, record, sample, spawn};
use racefuzz_primitives::console;
use racefuzz_primitives::hint::spin_loop;
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use racefuzz_primitives::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize, Ordering, compiler_fence, fence,
};
use racefuzz_runtime::Config;
use racefuzz_trace::{FailureKind, Inject, Value};
use std::collections::BTreeSet;

type Two = Arc<(AtomicUsize, AtomicUsize)>;

/// The outcomes of two threads over two atomics.
fn litmus(
    first: impl Fn(&AtomicUsize, &AtomicUsize) -> usize + Copy + 'static,
    second: impl Fn(&AtomicUsize, &AtomicUsize) -> usize + Copy + 'static,
) -> BTreeSet<(usize, usize)> {
    outcomes(|| {
        let shared: Two = Arc::default();
        let theirs = Arc::clone(&shared);
        let other = spawn(move || first(&theirs.0, &theirs.1));
        let mine = second(&shared.0, &shared.1);
        (other.join(), mine)
    })
}

#[test]
fn store_buffering() {
    let run = |order: fn() -> (Ordering, Ordering), fenced: bool| {
        litmus(
            move |x, y| {
                x.store(1, order().0);
                if fenced {
                    fence(SeqCst);
                }
                y.load(order().1)
            },
            move |x, y| {
                y.store(1, order().0);
                if fenced {
                    fence(SeqCst);
                }
                x.load(order().1)
            },
        )
    };
    let strong = BTreeSet::from([(0, 1), (1, 0), (1, 1)]);
    let weak = BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert_eq!(run(|| (SeqCst, SeqCst), false), strong);
    assert_eq!(run(|| (Release, Acquire), false), weak);
    assert_eq!(run(|| (Relaxed, Relaxed), false), weak);
    assert_eq!(run(|| (Relaxed, Relaxed), true), strong);
}

#[test]
fn message_passing() {
    let run = |store: Ordering, load: Ordering, fences: bool| {
        let seen = litmus(
            move |x, y| {
                x.store(1, Relaxed);
                if fences {
                    fence(Release);
                }
                y.store(1, store);
                0
            },
            move |x, y| {
                let flag = y.load(load);
                if fences {
                    fence(Acquire);
                }
                2 * flag + x.load(Relaxed)
            },
        );
        seen.into_iter().map(|(_, seen)| seen).collect::<Vec<_>>()
    };
    assert_eq!(run(Release, Acquire, false), [0, 1, 3]);
    assert_eq!(run(Relaxed, Acquire, false), [0, 1, 2, 3]);
    assert_eq!(run(Release, Relaxed, false), [0, 1, 2, 3]);
    assert_eq!(run(Relaxed, Relaxed, true), [0, 1, 3]);
}

#[test]
fn load_buffering_and_coherence() {
    let load_buffering = litmus(
        |x, y| {
            let seen = x.load(Relaxed);
            y.store(1, Relaxed);
            seen
        },
        |x, y| {
            let seen = y.load(Relaxed);
            x.store(1, Relaxed);
            seen
        },
    );
    assert!(!load_buffering.contains(&(1, 1)));
    let coherence = litmus(
        |x, _| {
            x.store(1, Relaxed);
            x.store(2, Relaxed);
            0
        },
        |x, _| 10 * x.load(Relaxed) + x.load(Relaxed),
    );
    let seen: Vec<_> = coherence.into_iter().map(|(_, seen)| seen).collect();
    assert_eq!(seen, [0, 1, 2, 11, 12, 22]);
}

#[test]
fn read_modify_writes_lose_nothing() {
    sample(2_000, || {
        let shared: Two = Arc::default();
        let theirs = Arc::clone(&shared);
        let other = spawn(move || {
            theirs.0.fetch_add(1, Relaxed);
            theirs.0.fetch_update(Relaxed, Relaxed, |n| Some(n + 1)).unwrap();
        });
        shared.0.fetch_add(1, Relaxed);
        while shared.0.compare_exchange_weak(3, 4, Relaxed, Relaxed).is_err() {
            spin_loop();
        }
        other.join();
        assert_eq!(shared.0.load(Relaxed), 4);
    });
}

#[test]
fn a_spin_lock_excludes_and_a_spin_that_never_ends_is_found() {
    sample(2_000, || {
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let enter = |shared: &(AtomicBool, AtomicUsize)| {
            while shared.0.swap(true, Acquire) {
                spin_loop();
            }
            let n = shared.1.load(Relaxed);
            shared.1.store(n + 1, Relaxed);
            shared.0.store(false, Release);
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || enter(&theirs));
        enter(&shared);
        other.join();
        assert_eq!(shared.1.load(Relaxed), 2);
    });
    let config = Config { max_steps: 200, ..Config::default() };
    explore_with(config, || {
        let flag = AtomicBool::new(false);
        while !flag.load(Relaxed) {}
    })
    .only_fails(FailureKind::StepLimit);
}

#[test]
fn a_weak_exchange_fails_for_no_reason_only_where_that_is_injected() {
    let program = || {
        let flag = AtomicBool::new(false);
        assert_eq!(flag.compare_exchange_weak(false, true, AcqRel, Relaxed), Ok(false));
    };
    explore(program).passes();
    let config = Config { inject: Inject { spurious: true, ..Inject::default() }, ..Config::default() };
    assert_eq!(explore_with(config, program).only_fails(FailureKind::Panic), 1);
}

#[test]
fn exclusive_access_goes_round_the_history() {
    explore(|| {
        let mut atomic = AtomicUsize::new(1);
        atomic.store(2, Relaxed);
        *atomic.get_mut() += 1;
        assert_eq!(atomic.load(Relaxed), 3);
        atomic.with_mut(|value| *value += 1);
        // SAFETY: nobody else uses it.
        assert_eq!(unsafe { atomic.unsync_load() }, 4);
        assert_eq!(atomic.fetch_add(1, Relaxed), 4);
        assert_eq!(atomic.into_inner(), 5);
    })
    .passes();
    explore(|| {
        let shared = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&shared);
        let other = spawn(move || theirs.store(1, SeqCst));
        spin_loop();
        // SAFETY: executions are serial; that it is not ordered is what is found.
        unsafe { shared.unsync_load() };
        other.join();
    })
    .only_fails(FailureKind::DataRace);
}

macro_rules! same_as_std {
    ($($name:ident)*) => {$(
        {
            let (ours, std) = ($name::new(100), std::sync::atomic::$name::new(100));
            let (a, b) = (3, 77);
            assert_eq!(ours.swap(a, AcqRel), std.swap(a, AcqRel));
            assert_eq!(ours.fetch_sub(b, AcqRel), std.fetch_sub(b, AcqRel));
            assert_eq!(ours.fetch_add(a, AcqRel), std.fetch_add(a, AcqRel));
            assert_eq!(ours.fetch_max(b, AcqRel), std.fetch_max(b, AcqRel));
            assert_eq!(ours.fetch_min(a, AcqRel), std.fetch_min(a, AcqRel));
            assert_eq!(ours.fetch_nand(b, AcqRel), std.fetch_nand(b, AcqRel));
            assert_eq!(ours.fetch_or(b, AcqRel), std.fetch_or(b, AcqRel));
            assert_eq!(ours.fetch_xor(a, AcqRel), std.fetch_xor(a, AcqRel));
            assert_eq!(ours.fetch_and(b, AcqRel), std.fetch_and(b, AcqRel));
            let old = std.load(Acquire);
            assert_eq!(ours.compare_exchange(a, b, SeqCst, Relaxed), std.compare_exchange(a, b, SeqCst, Relaxed));
            assert_eq!(ours.compare_exchange(old, b, SeqCst, Relaxed), Ok(old));
            std.store(b, Release);
            assert_eq!(ours.try_update(SeqCst, Relaxed, |_| None), Err(b));
            assert_eq!(ours.update(SeqCst, Relaxed, |n| n.wrapping_add(a)), b);
            std.fetch_add(a, Release);
            assert_eq!(format!("{ours:?}"), format!("{std:?}"));
            assert_eq!(ours.into_inner(), std.into_inner());
        }
    )*};
}

#[test]
fn every_operation_gives_what_std_s_gives() {
    let program = || {
        same_as_std!(AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize AtomicI8 AtomicI64 AtomicIsize);
        let flag = AtomicBool::default();
        assert!(!flag.fetch_not(Relaxed) && flag.fetch_nand(true, Relaxed));
        assert!(!flag.fetch_or(true, Relaxed) && flag.fetch_and(false, Relaxed));
        assert!(!flag.fetch_xor(true, Relaxed) && flag.swap(false, SeqCst) && !flag.into_inner());
        let mut values = [1, 2, 3];
        let pointer = AtomicPtr::new(values.as_mut_ptr());
        let first = pointer.fetch_ptr_add(2, Relaxed);
        // SAFETY: both point into the array.
        assert_eq!(unsafe { (*first, *pointer.load(Relaxed)) }, (1, 3));
        assert_eq!(pointer.fetch_byte_sub(4, Relaxed), first.wrapping_add(2));
        assert_eq!(pointer.compare_exchange(first, first, SeqCst, Relaxed), Err(first.wrapping_add(1)));
        pointer.store(std::ptr::null_mut(), Release);
        assert!(pointer.into_inner().is_null());
        compiler_fence(SeqCst);
    };
    explore(program).passes();
    program();
}

#[test]
fn orders_that_make_no_sense_are_refused_as_by_std() {
    for program in [
        || {
            AtomicU8::new(0).load(Release);
        },
        || AtomicU8::new(0).store(0, Acquire),
        || {
            let _ = AtomicU8::new(0).compare_exchange(0, 1, SeqCst, AcqRel);
        },
        || fence(Relaxed),
    ] as [fn(); 4]
    {
        let explored = explore(program);
        explored.only_fails(FailureKind::Panic);
        assert!(explored.first.unwrap().0.message.starts_with("there is no such thing as"));
    }
}

#[test]
fn values_are_shown_as_what_they_are() {
    let trace = record(|| {
        AtomicI8::new(0).store(-1, Relaxed);
        AtomicBool::new(false).store(true, Relaxed);
        AtomicPtr::new(&mut 5).swap(std::ptr::null_mut(), Relaxed);
    });
    let wrote: Vec<_> = trace.events.iter().filter_map(|event| event.wrote.clone()).collect();
    assert_eq!(wrote, [Value::Int(-1), Value::Bool(true), Value::Null]);
    assert_eq!(trace.events[2].read, Some(Value::Pointer(1)));
}

#[test]
fn lines_are_steps_and_oracles_come_last() {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    explore(|| {
        let other = spawn(|| racefuzz_primitives::println!("a {}", 1));
        racefuzz_primitives::println!("b");
        other.join();
        seen.borrow_mut().insert(console::lines());
    })
    .passes();
    let lines = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    assert_eq!(seen.into_inner(), BTreeSet::from([lines("a 1", "b"), lines("b", "a 1")]));
    let explored = explore(|| {
        console::finally(|| assert_eq!(console::lines(), ["late"]));
        let _ = spawn(|| racefuzz_primitives::println!("late"));
    });
    explored.passes();
    explore(|| console::finally(|| panic!("oracle"))).only_fails(FailureKind::Panic);
}

static NUMBER: AtomicUsize = AtomicUsize::new(3);

#[test]
fn statics_start_anew_in_each_execution() {
    let explored = explore(|| {
        let other = spawn(|| NUMBER.fetch_add(1, Relaxed));
        NUMBER.fetch_add(1, Relaxed);
        other.join();
        assert_eq!(NUMBER.load(Relaxed), 5);
    })
    .passes();
    assert!(explored.executions > 1 && explored.left_over.is_empty());
}
