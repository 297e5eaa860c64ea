//! Laws of `Barrier`, `Once`, `OnceLock` and `LazyLock`.

use crate::common::{explore, outcomes, spawn};
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, Barrier, LazyLock, Mutex, Once, OnceLock};
use racefuzz_trace::FailureKind;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_barrier_has_one_leader_and_lets_nobody_pass_before_all_arrived() {
    explore(|| {
        let shared = Arc::new((Barrier::new(2), AtomicUsize::new(0)));
        let round = |shared: &(Barrier, AtomicUsize), arrived| {
            shared.1.fetch_add(1, Ordering::Relaxed);
            let leader = shared.0.wait().is_leader();
            assert!(shared.1.load(Ordering::Relaxed) >= arrived);
            leader
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || [round(&theirs, 2), round(&theirs, 4)]);
        let mine = [round(&shared, 2), round(&shared, 4)];
        let theirs = other.join();
        assert!(mine[0] != theirs[0] && mine[1] != theirs[1]);
    })
    .passes();
}

#[test]
fn a_barrier_that_is_never_full_is_a_deadlock() {
    explore(|| {
        Barrier::new(2).wait();
    })
    .only_fails(FailureKind::Deadlock);
    explore(|| assert!(Barrier::new(0).wait().is_leader() && Barrier::new(1).wait().is_leader())).passes();
}

#[test]
fn once_runs_once_and_everybody_sees_what_it_did() {
    explore(|| {
        let shared = Arc::new((Once::new(), AtomicUsize::new(0)));
        let init = |shared: &(Once, AtomicUsize)| {
            shared.0.call_once(|| {
                shared.1.fetch_add(1, Ordering::Relaxed);
            });
            // It happens before this, so the store cannot be missed.
            assert_eq!(shared.1.load(Ordering::Relaxed), 1);
            assert!(shared.0.is_completed());
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || init(&theirs));
        init(&shared);
        other.join();
    })
    .passes();
}

#[test]
fn a_panic_poisons_once_until_it_is_forced() {
    explore(|| {
        let once = Once::new();
        assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("first")))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| {}))).is_err());
        assert!(!once.is_completed());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        once.call_once(|| unreachable!());
        once.wait();
    })
    .passes();
}

#[test]
fn once_inside_itself_is_a_deadlock() {
    let explored = explore(|| {
        let once = Once::new();
        once.call_once(|| once.call_once(|| {}));
    });
    assert_eq!(explored.only_fails(FailureKind::Deadlock), explored.executions);
    assert!(explored.first.unwrap().0.message.contains("which it holds itself"));
}

#[test]
fn waiting_for_once_is_waiting_for_somebody_else() {
    explore(|| {
        let shared = Arc::new((Once::new(), OnceLock::new()));
        let theirs = Arc::clone(&shared);
        let other = spawn(move || {
            theirs.0.call_once(|| {});
            theirs.1.set(5).unwrap();
        });
        shared.0.wait();
        assert_eq!(*shared.1.wait(), 5);
        other.join();
    })
    .passes();
}

#[test]
fn of_two_that_set_one_wins() {
    let ends = outcomes(|| {
        let lock = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&lock);
        let other = spawn(move || theirs.set(1));
        let mine = lock.set(2);
        let theirs = other.join();
        assert!(mine.is_ok() != theirs.is_ok());
        assert_eq!(mine.err().or(theirs.err()).unwrap() + lock.get().unwrap(), 3);
        *lock.get().unwrap()
    });
    assert_eq!(ends, BTreeSet::from([1, 2]));
}

#[test]
fn get_sees_all_or_nothing() {
    let ends = outcomes(|| {
        let lock = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&lock);
        let other = spawn(move || {
            assert_eq!(*theirs.get_or_init(|| vec![1, 2, 3]), [1, 2, 3]);
        });
        let seen = lock.get().cloned();
        let all = lock.get_or_init(|| vec![1, 2, 3]).clone();
        other.join();
        assert_eq!(all, [1, 2, 3]);
        seen
    });
    assert_eq!(ends, BTreeSet::from([None, Some(vec![1, 2, 3])]));
}

#[test]
fn a_panic_leaves_a_once_lock_unset() {
    explore(|| {
        let mut lock = OnceLock::new();
        assert!(catch_unwind(AssertUnwindSafe(|| lock.get_or_init(|| panic!("first")))).is_err());
        assert_eq!(lock.get(), None);
        assert_eq!(*lock.get_or_init(|| 4), 4);
        assert_eq!(lock.set(5), Err(5));
        *lock.get_mut().unwrap() += 1;
        assert_eq!(lock.clone(), OnceLock::from(5));
        assert_eq!(lock.take(), Some(5));
        assert_eq!(lock.get(), None);
        assert_eq!(lock.set(6), Ok(()));
        assert_eq!(format!("{lock:?}"), "OnceLock(6)");
        assert_eq!(lock.into_inner(), Some(6));
    })
    .passes();
}

#[test]
fn an_initialisation_may_take_steps_and_block() {
    explore(|| {
        let shared = Arc::new((Mutex::new(0), OnceLock::new()));
        let use_it = |shared: &(Mutex<i32>, OnceLock<i32>)| {
            *shared.1.get_or_init(|| {
                let mut guard = shared.0.lock().unwrap();
                *guard += 1;
                *guard
            })
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || use_it(&theirs));
        assert_eq!(use_it(&shared), 1);
        assert_eq!(other.join(), 1);
    })
    .passes();
}

#[test]
fn a_lazy_value_is_made_once_and_poisoned_by_a_panic() {
    explore(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let lazy = Arc::new(LazyLock::new(move || count.fetch_add(1, Ordering::Relaxed) + 7));
        let theirs = Arc::clone(&lazy);
        let other = spawn(move || **theirs);
        assert_eq!(**lazy, 7);
        assert_eq!(other.join(), 7);
        assert_eq!(made.load(Ordering::Relaxed), 1);
        let broken = LazyLock::<i32>::new(|| panic!("first"));
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| *broken)).is_err());
        }
    })
    .passes();
}

static CELL: OnceLock<Vec<u8>> = OnceLock::new();
static LAZY: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| Mutex::new(vec![0]));
static NUMBER: AtomicUsize = AtomicUsize::new(3);

#[test]
fn statics_start_anew_in_each_execution() {
    let explored = explore(|| {
        assert!(CELL.get().is_none());
        let other = spawn(|| {
            CELL.get_or_init(|| vec![1]);
            LAZY.lock().unwrap().push(1);
            NUMBER.fetch_add(1, Ordering::Relaxed);
        });
        CELL.get_or_init(|| vec![2]);
        LAZY.lock().unwrap().push(2);
        other.join();
        assert_eq!(LAZY.lock().unwrap().len(), 3);
        assert_eq!(NUMBER.load(Ordering::Relaxed), 4);
    })
    .passes();
    assert!(explored.executions > 1);
    assert!(explored.left_over.is_empty(), "{:?}", explored.left_over);
}

#[test]
fn outside_an_execution_they_are_std_s() {
    let once = Once::new();
    assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("first")))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| {}))).is_err());
    once.call_once_force(|state| assert!(state.is_poisoned()));
    once.call_once(|| unreachable!());
    once.wait();
    let cell = OnceLock::new();
    let barrier = Barrier::new(4);
    let leaders = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cell, barrier, leaders) = (&cell, &barrier, &leaders);
            scope.spawn(move || {
                let first = *cell.get_or_init(|| thread);
                if barrier.wait().is_leader() {
                    leaders.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(cell.get(), Some(&first));
            });
        }
    });
    assert_eq!(leaders.into_inner(), 1);
    let broken = LazyLock::<i32>::new(|| panic!("first"));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| *broken)).is_err());
    }
}
