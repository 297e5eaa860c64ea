//! Laws of `thread`.

use crate::words::{Word, all, always_fails, none_fails, outcomes, some_fail, trace};
use racefuzz_primitives::choose::{assume, nondet, note};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, OpKind, Verb};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn join_gives_the_result() {
    none_fails(|| {
        let handle = thread::spawn(|| vec![1, 2, 3]);
        assert_eq!(handle.join().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn join_of_a_panicking_thread_is_err_and_no_failure() {
    none_fails(|| {
        let handle = thread::spawn(|| panic!("boom"));
        let payload = handle.join().unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"boom"));
    });
}

#[test]
fn a_panic_that_nobody_takes_is_the_failure() {
    let message = always_fails(FailureKind::Panic, || {
        drop(thread::spawn(|| panic!("boom")));
    });
    assert_eq!(message, "boom");
    let message = always_fails(FailureKind::Panic, || {
        thread::spawn(|| panic!("boom")).join().unwrap();
    });
    assert_eq!(message, "boom");
}

#[test]
fn a_detached_thread_runs_to_its_end() {
    let done = Arc::new(AtomicUsize::new(0));
    let executions = none_fails(|| {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            note("working");
            done.fetch_add(1, Ordering::Relaxed);
        });
    });
    // `none_fails` runs everything twice.
    assert_eq!(done.load(Ordering::Relaxed), 2 * executions);
}

#[test]
fn join_orders_the_thread_before_its_return() {
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        let handle = thread::spawn(move || theirs.write(7));
        handle.join().unwrap();
        assert_eq!(word.read(), 7);
    });
    assert!(some_fail(FailureKind::DataRace, || {
        let word = Word::new();
        let theirs = word.clone();
        let handle = thread::spawn(move || theirs.write(7));
        word.read();
        handle.join().unwrap();
    }));
}

#[test]
fn is_finished_is_seen_both_ways() {
    let seen = outcomes(|| {
        let handle = thread::spawn(|| note("step"));
        let finished = handle.is_finished();
        handle.join().unwrap();
        finished
    });
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn a_thread_without_a_step_left_need_not_have_ended() {
    let asked = outcomes(|| {
        let handle = thread::spawn(|| ());
        (handle.is_finished(), handle.is_finished())
    });
    assert_eq!(asked, BTreeSet::from([(false, false), (false, true), (true, true)]));
    let after_its_last_step = outcomes(|| {
        let word = Word::new();
        let theirs = word.clone();
        let handle = thread::spawn(move || theirs.store(1));
        (word.load(), handle.is_finished())
    });
    assert_eq!(after_its_last_step, BTreeSet::from([(0, false), (0, true), (1, false), (1, true)]));
    let by_two = outcomes(|| {
        let handle = thread::spawn(|| ());
        thread::scope(|scope| {
            let other = scope.spawn(|| handle.is_finished());
            (handle.is_finished(), other.join().unwrap())
        })
    });
    assert_eq!(by_two.len(), 4);
    // Who waits for it is told in the end, wherever the question stands.
    let waited_for = outcomes(|| {
        let (first, second) = (thread::spawn(|| ()), thread::spawn(|| note("step")));
        while !(first.is_finished() & second.is_finished()) {}
    });
    assert_eq!(waited_for.len(), 1);
}

#[test]
fn a_scope_waits_and_lends() {
    none_fails(|| {
        let (first, second) = (Word::new(), Word::new());
        let sum = thread::scope(|scope| {
            scope.spawn(|| first.write(1));
            let handle = scope.spawn(|| {
                second.write(2);
                40
            });
            handle.join().unwrap()
        });
        assert_eq!(sum + first.read() + second.read(), 43);
    });
}

#[test]
fn scoped_threads_spawn_into_the_scope() {
    none_fails(|| {
        let word = Word::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                scope.spawn(|| word.write(5));
            });
        });
        assert_eq!(word.read(), 5);
    });
}

#[test]
fn an_unjoined_panic_in_a_scope_leaves_it() {
    let message = always_fails(FailureKind::Panic, || {
        thread::scope(|scope| {
            scope.spawn(|| panic!("inner cause"));
        });
    });
    assert_eq!(message, "inner cause");
    none_fails(|| {
        let caught = catch_unwind(|| {
            thread::scope(|scope| {
                scope.spawn(|| panic!("inner cause"));
            });
        });
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"a scoped thread panicked"));
    });
    none_fails(|| {
        thread::scope(|scope| assert!(scope.spawn(|| panic!("taken")).join().is_err()));
    });
}

#[test]
fn a_panic_of_the_scope_itself_waits_first() {
    none_fails(|| {
        let word = Word::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    note("step");
                    word.write(1);
                });
                panic!("outer");
            })
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"outer"));
        assert_eq!(word.read(), 1);
    });
}

/// Says so if it is used after its end.
struct Lent<'a>(&'a AtomicUsize);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

struct Borrower<'a, 'b>(&'a Lent<'b>);

impl Drop for Borrower<'_, '_> {
    fn drop(&mut self) {
        assert_eq!(self.0.0.load(Ordering::Relaxed), 1, "the lender went first");
    }
}

#[test]
fn a_scope_torn_down_by_its_own_thread_outlives_its_threads() {
    let alive = AtomicUsize::new(0);
    let message = always_fails(FailureKind::DataRace, || {
        alive.store(1, Ordering::Relaxed);
        let word = Word::new();
        let lent = Lent(&alive);
        thread::scope(|scope| {
            let (lent, word) = (&lent, &word);
            let handle = scope.spawn(move || {
                let _borrower = Borrower(lent);
                word.write(1);
                thread::park();
            });
            // The child waits, the parent's step ends the execution: the parent unwinds first.
            while !handle.is_finished() {
                word.write(2);
                thread::yield_now();
            }
        });
    });
    assert!(message.contains("data race"), "{message}");
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_token_given_before_park_is_kept() {
    none_fails(|| {
        thread::current().unpark();
        thread::current().unpark();
        thread::park();
    });
    // Tokens do not add up.
    let message = always_fails(FailureKind::Deadlock, || {
        thread::current().unpark();
        thread::current().unpark();
        thread::park();
        thread::park();
    });
    assert!(message.contains("park"), "{message}");
}

#[test]
fn unpark_wakes_in_either_order_and_orders() {
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        let main = thread::current();
        let handle = thread::spawn(move || {
            theirs.write(1);
            main.unpark();
        });
        thread::park();
        assert_eq!(word.read(), 1);
        handle.join().unwrap();
    });
}

#[test]
fn park_without_unpark_is_a_deadlock() {
    always_fails(FailureKind::Deadlock, || thread::spawn(thread::park).join().unwrap());
}

#[test]
fn park_timeout_ends_when_nothing_else_can_run() {
    let seen = outcomes(|| {
        let word = Word::new();
        let theirs = word.clone();
        thread::spawn(move || theirs.store(1));
        thread::park_timeout(Duration::from_secs(3600));
        word.load()
    });
    assert_eq!(seen, BTreeSet::from([0, 1]), "relaxed loads may be stale, but the store came first");
}

#[test]
fn names_and_identifiers() {
    none_fails(|| {
        assert_eq!(thread::current().name(), Some("main"));
        let ids = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let theirs = Arc::clone(&ids);
        let handle = thread::Builder::new()
            .name("worker".into())
            .stack_size(1 << 20)
            .spawn(move || {
                assert_eq!(thread::current().name(), Some("worker"));
                theirs.lock().unwrap().insert(format!("{:?}", thread::current().id()));
            })
            .unwrap();
        assert_eq!(handle.thread().name(), Some("worker"));
        assert_ne!(handle.thread().id(), thread::current().id());
        assert_eq!(thread::current().id(), thread::current().id());
        handle.join().unwrap();
        assert_eq!(ids.lock().unwrap().len(), 1);
        let unnamed = thread::spawn(|| thread::current().name().map(str::to_owned));
        assert_eq!(unnamed.join().unwrap(), None);
        assert_eq!(thread::available_parallelism().unwrap().get(), 4);
    });
    let trace = trace(|| {
        thread::scope(|scope| {
            thread::Builder::new().name("scoped".into()).spawn_scoped(scope, || ()).unwrap();
        });
    });
    assert_eq!(trace.threads[1].name.as_deref(), Some("scoped"));
}

#[test]
fn panicking_is_per_thread() {
    struct Look(Word);
    impl Drop for Look {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.0.store(1);
            thread::yield_now();
        }
    }
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        let handle = thread::spawn(move || {
            let _look = Look(theirs);
            panic!("unwinds");
        });
        word.load();
        assert!(!thread::panicking());
        assert!(handle.join().is_err());
    });
}

#[test]
fn steps_are_sited_at_the_caller() {
    let trace = trace(|| {
        let handle = thread::spawn(|| ());
        handle.join().unwrap();
        thread::yield_now();
        thread::sleep(Duration::from_millis(1));
        note("label");
        racefuzz_primitives::note!("{} + {}", 1, 2);
        thread::current().unpark();
        thread::park();
        nondet(2);
        assume(true);
        thread::scope(|scope| {
            scope.spawn(|| ());
        });
    });
    for event in &trace.events {
        assert!(trace.site(event.site).file.ends_with("laws/thread.rs"), "{event:?}");
    }
    let notes: Vec<_> = trace
        .events
        .iter()
        .filter(|event| event.verb == Verb::Note)
        .filter_map(|event| event.text.as_deref())
        .collect();
    assert_eq!(notes, ["label", "1 + 2"]);
    assert_eq!(trace.events.iter().filter(|event| event.kind == OpKind::Join).count(), 2);
}

#[test]
fn nondet_takes_every_value() {
    assert_eq!(outcomes(|| (nondet(3), nondet(2))).len(), 6);
    assert!(catch_unwind(|| nondet(0)).is_err());
}

#[test]
fn assume_ends_the_execution_without_a_verdict() {
    let found = all(|| {
        let value = nondet(4);
        assume(value.is_multiple_of(2));
        assert_eq!(value % 2, 0);
    });
    assert_eq!((found.executions, found.blocked), (4, 2));
    assert!(found.failures.is_empty());
}

#[test]
fn the_end_of_the_execution_unwinds_joins_and_spawns() {
    struct SpawnsInDrop;
    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            let handle = thread::spawn(|| 1);
            assert!(handle.is_finished());
            assert!(handle.join().is_err());
            thread::scope(|scope| {
                scope.spawn(|| ());
            });
            thread::yield_now();
            thread::park();
            thread::sleep(Duration::from_secs(1));
        }
    }
    let message = always_fails(FailureKind::Panic, || {
        let handle = thread::spawn(|| {
            let _guard = SpawnsInDrop;
            thread::park();
        });
        let _other = thread::spawn(move || handle.join());
        panic!("first cause");
    });
    assert_eq!(message, "first cause");
}

#[test]
fn outside_an_execution_it_is_std() {
    let handle = thread::Builder::new()
        .name("real".into())
        .spawn(|| {
            thread::park();
            (thread::current().name().map(str::to_owned), thread::current().id())
        })
        .unwrap();
    handle.thread().unpark();
    let id = handle.thread().id();
    assert_ne!(id, thread::current().id());
    assert_eq!(handle.join().unwrap(), (Some("real".into()), id));
    assert!(thread::spawn(|| panic!("on purpose")).join().is_err());

    let mut numbers = vec![1, 2, 3];
    let sum: i32 = thread::scope(|scope| {
        let handles: Vec<_> = numbers.iter().map(|n| scope.spawn(move || n * 2)).collect();
        let inner = scope.spawn(|| scope.spawn(|| 30).join().unwrap());
        handles.into_iter().map(|handle| handle.join().unwrap()).sum::<i32>() + inner.join().unwrap()
    });
    numbers.push(sum);
    assert_eq!(numbers, [1, 2, 3, 42]);
    let caught = catch_unwind(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("on purpose"));
        });
    });
    assert!(caught.is_err());
    thread::yield_now();
    thread::sleep(Duration::from_millis(1));
    thread::park_timeout(Duration::from_millis(1));
    assert!(!thread::panicking());
    assert_eq!(nondet(5), 0);
    assume(false);
    note("nothing");
}

#[test]
fn a_real_thread_cannot_be_joined_inside() {
    let handle = std::cell::RefCell::new(Some(thread::spawn(|| ())));
    let message = always_fails(FailureKind::Panic, || {
        if let Some(handle) = handle.borrow_mut().take() {
            handle.join().unwrap();
        }
        panic!("a thread spawned outside the execution was joined inside it");
    });
    assert!(message.contains("outside the execution"), "{message}");
}
