//! Laws of `Mutex` and `Var`.

use crate::common::{explore, outcomes, record, spawn};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_primitives::var::Var;
use racefuzz_trace::{FailureKind, Value, Verb};
use std::collections::BTreeSet;
use std::sync::TryLockError;

#[test]
fn increments_under_a_lock_are_never_lost() {
    let ends = outcomes(|| {
        let counter = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let counter = Arc::clone(&counter);
                spawn(move || *counter.lock().unwrap() += 1)
            })
            .collect();
        threads.into_iter().for_each(crate::common::Thread::join);
        *counter.lock().unwrap()
    });
    assert_eq!(ends, BTreeSet::from([3]));
}

#[test]
fn increments_without_one_are() {
    let ends = outcomes(|| {
        let counter = Arc::new(Var::new("references", 5));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let counter = Arc::clone(&counter);
                spawn(move || {
                    let n = counter.get();
                    counter.set(n + 1);
                })
            })
            .collect();
        threads.into_iter().for_each(crate::common::Thread::join);
        counter.get()
    });
    assert_eq!(ends, BTreeSet::from([6, 7]));
}

#[test]
fn a_variable_shows_what_it_holds() {
    let trace = record(|| {
        let number = Var::new("n", 5);
        number.set(number.get() + 1);
        let text = Var::new("text", "a".to_owned());
        text.set(text.get() + "b");
        let flag = Var::new("flag", Some(true));
        flag.set(None);
        let flag = Var::new("bare", true);
        flag.set(!flag.get());
    });
    let shown: Vec<_> =
        trace.events.iter().filter_map(|event| event.read.clone().or(event.wrote.clone())).collect();
    let text = |text: &str| Value::Text(text.to_owned());
    let expected = [
        Value::Int(5),
        Value::Int(6),
        text("\"a\""),
        text("\"ab\""),
        text("None"),
        Value::Bool(true),
        Value::Bool(false),
    ];
    assert_eq!(shown, expected);
    let names: Vec<_> = trace.objects.iter().map(|object| object.name.clone().unwrap()).collect();
    assert_eq!(names, ["n", "text", "flag", "bare"]);
    assert_eq!(trace.objects[2].initial, Some(text("Some(true)")));
}

#[test]
fn taking_two_locks_in_both_orders_is_a_deadlock() {
    explore(|| {
        let (a, b) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let (a2, b2) = (Arc::clone(&a), Arc::clone(&b));
        let other = spawn(move || {
            let _b = b2.lock().unwrap();
            let _a = a2.lock().unwrap();
        });
        let first = a.lock().unwrap();
        let second = b.lock().unwrap();
        drop((first, second));
        other.join();
    })
    .only_fails(FailureKind::Deadlock);
}

#[test]
fn taking_a_lock_twice_is_a_deadlock_with_itself() {
    let explored = explore(|| {
        let lock = Mutex::new(());
        let _first = lock.lock().unwrap();
        let _second = lock.lock().unwrap();
    });
    assert_eq!(explored.only_fails(FailureKind::Deadlock), explored.executions);
    assert!(explored.first.unwrap().0.message.contains("which it holds itself"));
}

#[test]
fn a_panicking_holder_poisons_and_the_poison_can_be_cleared() {
    explore(|| {
        let lock = Arc::new(Mutex::new(1));
        assert!(!lock.is_poisoned());
        let theirs = Arc::clone(&lock);
        let thread = spawn(move || {
            *theirs.lock().unwrap() = 2;
            let _guard = theirs.lock().unwrap();
            panic!("with the lock held");
        });
        assert!(thread.outcome().is_err());
        assert!(lock.is_poisoned());
        assert!(matches!(lock.try_lock(), Err(TryLockError::Poisoned(_))));
        let error = lock.lock().unwrap_err();
        assert_eq!(*error.into_inner(), 2);
        lock.clear_poison();
        assert_eq!(*lock.lock().unwrap(), 2);
    })
    .passes();
}

#[test]
fn a_guard_dropped_in_a_destructor_during_a_panic_that_it_did_not_see_begin_does_not_poison() {
    explore(|| {
        let lock = Arc::new(Mutex::new(0));
        struct Count(Arc<Mutex<i32>>);
        impl Drop for Count {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let theirs = Count(Arc::clone(&lock));
        let thread = spawn(move || {
            let _theirs = theirs;
            panic!("elsewhere");
        });
        assert!(thread.outcome().is_err());
        assert_eq!(*lock.lock().unwrap(), 1);
    })
    .passes();
}

#[test]
fn try_lock_fails_exactly_while_the_lock_is_held() {
    let ends = outcomes(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&lock);
        let other = spawn(move || *theirs.lock().unwrap() += 1);
        let seen = match lock.try_lock() {
            Ok(guard) => Some(*guard),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => unreachable!(),
        };
        other.join();
        seen
    });
    assert_eq!(ends, BTreeSet::from([None, Some(0), Some(1)]));
}

#[test]
fn an_unlock_stands_where_the_guard_was_taken() {
    let trace = record(|| {
        let lock = Mutex::new(0);
        drop(lock.lock().unwrap());
    });
    let [taken, given] = &trace.events[..2] else { panic!("{trace:?}") };
    assert_eq!((taken.verb, given.verb), (Verb::Lock, Verb::Unlock));
    assert_eq!((taken.site, taken.implied), (given.site, false));
    assert!(given.implied);
}

#[test]
fn unsized_values_and_traits() {
    trait Grow {
        fn grow(&mut self) -> usize;
    }
    impl Grow for Vec<u8> {
        fn grow(&mut self) -> usize {
            self.push(0);
            self.len()
        }
    }
    explore(|| {
        let lock: Arc<Mutex<dyn Grow>> = Arc::from_std(std::sync::Arc::new(Mutex::new(Vec::new())));
        assert_eq!(lock.lock().unwrap().grow(), 1);
        assert_eq!(lock.lock().unwrap().grow(), 2);
        assert_eq!(format!("{:?}", Mutex::from(3)), "Mutex { data: 3, poisoned: false, .. }");
        let mut own = Mutex::<u8>::default();
        *own.get_mut().unwrap() += 4;
        assert_eq!(own.into_inner().unwrap(), 4);
    })
    .passes();
}

static COUNTER: Mutex<Vec<i32>> = Mutex::new(Vec::new());
static SHARED: Var<String> = Var::named("shared", String::new());

#[test]
fn statics_start_anew_in_each_execution() {
    let explored = explore(|| {
        let other = spawn(|| COUNTER.lock().unwrap().push(1));
        COUNTER.lock().unwrap().push(2);
        other.join();
        assert_eq!(COUNTER.lock().unwrap().len(), 2);
        assert_eq!(SHARED.get(), "");
        SHARED.set("x".repeat(100));
    })
    .passes();
    assert!(explored.executions > 1);
    assert!(explored.left_over.is_empty(), "{:?}", explored.left_over);
}

static TOUCHED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

#[test]
fn a_static_changed_outside_is_left_alone_and_told_of() {
    TOUCHED.lock().unwrap().push(1);
    let explored = explore(|| {
        let other = spawn(|| TOUCHED.lock().unwrap().push(1));
        TOUCHED.lock().unwrap().push(2);
        other.join();
    })
    .passes();
    assert_eq!(TOUCHED.lock().unwrap().len(), 1 + 2 * explored.executions);
    assert_eq!(explored.left_over.len(), 1);
}

#[test]
fn outside_an_execution_it_is_a_lock_like_any_other() {
    let lock = std::sync::Arc::new(Mutex::new(0));
    let variable = Var::new("v", 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    *lock.lock().unwrap() += 1;
                    variable.set(variable.get() + 1);
                }
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), 4000);
    assert!(variable.into_inner() > 1);
    let held = lock.lock().unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    drop(held);
    let theirs = std::sync::Arc::clone(&lock);
    let panicked = std::thread::spawn(move || {
        let _guard = theirs.lock().unwrap();
        panic!("outside");
    });
    assert!(panicked.join().is_err());
    assert!(lock.is_poisoned());
    lock.clear_poison();
    assert!(!lock.is_poisoned());
}

#[test]
fn a_lock_held_while_the_execution_is_torn_down_blocks_nobody() {
    struct Locks(Arc<Mutex<i32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            if let Ok(mut guard) = self.0.lock() {
                *guard += 1;
            }
        }
    }
    let explored = explore(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = Locks(Arc::clone(&lock));
        let _other = spawn(move || {
            let _theirs = theirs;
            let _first = _theirs.0.lock().unwrap();
            let _second = _theirs.0.lock().unwrap();
        });
        let _mine = Locks(lock);
    });
    explored.fails(FailureKind::Deadlock);
    assert_eq!(explored.abandoned, 0);
}
