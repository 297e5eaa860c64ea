//! Panics, wherever they come from: none is lost, and the first cause is what is reported.

mod robust;

use racefuzz::sync::atomic::{AtomicUsize, Ordering};
use racefuzz::sync::{Arc, Mutex, mpsc};
use racefuzz::{FailureKind, Outcome, Var, thread};
use robust::{OnDrop, exited_1, fails, failure, fuzzer, in_child, panics, passes};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

#[test]
fn a_panic_of_any_thread_is_a_failure() {
    assert_eq!(panics(|| panic!("in main")), "in main");
    let message = panics(|| drop(thread::spawn(|| panic!("detached"))));
    assert_eq!(message, "detached");
    let message = panics(|| {
        thread::spawn(|| drop(thread::spawn(|| panic!("grandchild")))).join().unwrap();
    });
    assert_eq!(message, "grandchild");
    let message = panics(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("scoped"));
        });
    });
    assert_eq!(message, "scoped");
    let message = panics(|| {
        let _ = thread::Builder::new().name("worker".into()).spawn(|| panic!("named"));
    });
    assert_eq!(message, "named");
}

#[test]
fn the_report_names_the_thread_and_the_place() {
    let report = fuzzer().fuzz(|| {
        let handle = thread::spawn(|| panic!("here"));
        handle.join().unwrap();
    });
    let failure = failure(&report);
    assert_eq!((failure.message(), failure.thread.index()), ("here", 1));
    let text = racefuzz::render(&report);
    assert!(text.contains("robust_panics.rs"), "{text}");
}

#[test]
fn a_panic_in_drop_of_a_local() {
    assert_eq!(panics(|| drop(OnDrop(|| panic!("in drop")))), "in drop");
    let message = panics(|| {
        thread::spawn(|| {
            let _local = OnDrop(|| panic!("in drop of a thread's local"));
        })
        .join()
        .unwrap();
    });
    assert_eq!(message, "in drop of a thread's local");
}

racefuzz::thread_local! {
    static FRAGILE: Fragile = const { Fragile };
}

struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("in a thread-local destructor");
    }
}

#[test]
fn a_panic_in_a_thread_local_destructor() {
    assert_eq!(panics(|| FRAGILE.with(|_| ())), "in a thread-local destructor");
    // No join result carries it.
    let message = panics(|| {
        let joined = thread::spawn(|| FRAGILE.with(|_| ())).join();
        assert!(joined.is_ok());
    });
    assert_eq!(message, "in a thread-local destructor");
    let message = panics(|| {
        let joined = thread::spawn(|| {
            FRAGILE.with(|_| ());
            panic_any(1);
        })
        .join();
        assert!(joined.is_err());
    });
    assert_eq!(message, "in a thread-local destructor");
}

#[test]
fn a_payload_that_is_no_text() {
    let message = panics(|| panic_any(42));
    assert!(message.contains("no text"), "{message}");
    passes(|| {
        let payload = thread::spawn(|| panic_any(42)).join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&42));
    });
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload's own destructor");
    }
}

#[test]
fn a_payload_whose_drop_panics() {
    let message = panics(|| panic_any(Bomb));
    assert!(message.contains("no text"), "{message}");
    // Nobody takes the result: std ends the process where it is dropped.
    let message = panics(|| drop(thread::spawn(|| panic_any(Bomb))));
    assert!(message.contains("no text") || message.contains("own destructor"), "{message}");
    let message = panics(|| {
        let joined = thread::spawn(|| panic_any(Bomb)).join();
        racefuzz::note!("joined {}", joined.is_err());
        drop(joined);
    });
    assert_eq!(message, "the payload's own destructor");
}

#[test]
fn a_result_that_nobody_takes_and_whose_drop_panics() {
    // The thread drops it if the handle is gone, else the handle does.
    assert_eq!(panics(|| drop(thread::spawn(|| Bomb))), "the payload's own destructor");
    let message = panics(|| {
        let handle = thread::spawn(|| Bomb);
        while !handle.is_finished() {
            thread::yield_now();
        }
        let caught = catch_unwind(AssertUnwindSafe(|| drop(handle)));
        drop(caught);
    });
    assert_eq!(message, "the payload's own destructor");
    // While the execution is torn down it says nothing about the program.
    let message = panics(|| {
        let _kept = (thread::spawn(|| Bomb), thread::spawn(|| Bomb));
        thread::yield_now();
        panic!("the cause");
    });
    assert!(["the cause", "the payload's own destructor"].contains(&&*message), "{message}");
}

#[test]
fn a_panic_that_the_program_catches_is_no_failure() {
    passes(|| {
        assert!(catch_unwind(|| panic!("caught")).is_err());
        thread::spawn(|| {
            assert!(catch_unwind(|| panic!("caught")).is_err());
            assert!(!thread::panicking());
            thread::yield_now();
        })
        .join()
        .unwrap();
    });
    passes(|| {
        assert!(thread::spawn(|| panic!("expected")).join().is_err());
    });
    passes(|| {
        thread::scope(|scope| {
            assert!(scope.spawn(|| panic!("expected")).join().is_err());
        });
    });
    // Caught inside of a destructor that runs because of a panic.
    passes(|| {
        let result = thread::spawn(|| {
            let _guard = OnDrop(|| assert!(catch_unwind(|| panic!("inner")).is_err()));
            panic!("outer");
        })
        .join();
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"outer"));
    });
}

#[test]
fn a_panic_that_is_raised_again_keeps_its_place() {
    let report = fuzzer().fuzz(|| {
        let payload = catch_unwind(|| panic!("again")).unwrap_err();
        thread::yield_now();
        resume_unwind(payload);
    });
    assert_eq!(failure(&report).message(), "again");
    assert!(racefuzz::render(&report).contains("robust_panics.rs"), "{}", racefuzz::render(&report));

    let report = fuzzer().fuzz(|| {
        let handle = thread::spawn(|| panic!("passed on"));
        let Err(payload) = handle.join();
        resume_unwind(payload);
    });
    let failure = failure(&report);
    assert_eq!((failure.message(), failure.thread.index()), ("passed on", 1));
    // Without the hook ever having seen it.
    assert_eq!(panics(|| resume_unwind(Box::new("unseen"))), "unseen");
}

#[test]
fn the_first_cause_is_reported() {
    let message = panics(|| {
        let inner = || {
            thread::spawn(|| panic!("first")).join().unwrap();
        };
        thread::spawn(inner).join().unwrap();
    });
    assert_eq!(message, "first");

    // A lock is poisoned, others unwrap the error.
    for _ in 0..3 {
        let message = panics(|| {
            let shared = Arc::new(Mutex::new(0));
            let threads: Vec<_> = (0..3)
                .map(|index| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        let mut guard = shared.lock().unwrap();
                        *guard += 1;
                        assert!(index != 1, "the cause");
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        });
        assert_eq!(message, "the cause");
    }

    // Also if that panic was caught.
    let message = panics(|| {
        let shared = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&shared);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _guard = theirs.lock().unwrap();
            panic!("caught, but poisoned");
        }));
        thread::spawn(move || drop(shared.lock().unwrap())).join().unwrap();
    });
    assert_eq!(message, "caught, but poisoned");

    // A sender goes because its thread panicked; the receiver unwraps the error.
    let message = panics(|| {
        let (sender, receiver) = mpsc::channel::<u32>();
        let producer = thread::spawn(move || {
            sender.send(1).unwrap();
            panic!("the producer");
        });
        while receiver.recv().is_ok() {}
        producer.join().unwrap();
    });
    assert_eq!(message, "the producer");

    // Two scoped threads panic: the scope's own message is not it.
    let message = panics(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("one of two"));
            scope.spawn(|| panic!("one of two"));
        });
    });
    assert_eq!(message, "one of two");
}

#[test]
fn a_lock_held_by_a_panicking_thread_is_poisoned_and_released() {
    passes(|| {
        let shared = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&shared);
        let result = thread::spawn(move || {
            let _guard = theirs.lock().unwrap();
            panic!("while holding it");
        })
        .join();
        assert!(result.is_err());
        assert!(shared.is_poisoned());
        assert!(shared.lock().is_err());
        shared.clear_poison();
        assert!(shared.lock().is_ok());
    });
}

/// One thread stands in a destructor of its unwinding while the other works, locks, panics and
/// catches: each has its own panic state, and its locks their own poison.
#[test]
fn panic_state_belongs_to_a_thread() {
    passes(|| {
        let progress = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&progress);
        let unwinding = thread::spawn(move || {
            let _guard = OnDrop(|| {
                assert!(thread::panicking());
                theirs.store(1, Ordering::SeqCst);
                theirs.load(Ordering::SeqCst);
                assert!(thread::panicking());
                theirs.store(2, Ordering::SeqCst);
            });
            panic!("unwinds slowly");
        });
        let lock = Mutex::new(0);
        for _ in 0..3 {
            assert!(!thread::panicking());
            *lock.lock().unwrap() += 1;
            progress.load(Ordering::SeqCst);
        }
        assert!(!lock.is_poisoned());
        assert!(unwinding.join().is_err());
        assert!(!thread::panicking());
        // One raised without the hook counts, too.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| assert!(thread::panicking()));
            let _held = lock.lock().unwrap();
            resume_unwind(Box::new("silent"));
        }));
        assert!(lock.is_poisoned());
    });
}

#[test]
fn two_threads_unwind_at_a_time() {
    passes(|| {
        let locks = Arc::new([Mutex::new(0), Mutex::new(0)]);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let locks = Arc::clone(&locks);
                thread::spawn(move || {
                    let _held = locks[index].lock().unwrap();
                    let _guard = OnDrop(|| {
                        thread::yield_now();
                        assert!(thread::panicking());
                    });
                    panic!("both");
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap_err().downcast_ref(), Some(&"both"));
        }
        assert!(locks[0].is_poisoned() && locks[1].is_poisoned());
        assert!(!thread::panicking());
    });
}

#[test]
fn an_oracle_that_panics() {
    let report = fuzzer().fuzz(|| racefuzz::finally(|| panic!("the oracle")));
    assert_eq!(failure(&report).message(), "the oracle");
    let message = panics(|| {
        racefuzz::finally(|| assert_eq!(1, 2, "the first of two"));
        racefuzz::finally(|| panic!("the second"));
    });
    assert!(message.contains("the first of two"), "{message}");
}

#[test]
fn an_oracle_that_never_ends() {
    let report = fuzzer().max_steps(1_000).fuzz(|| {
        let value = Var::new("value", 0);
        racefuzz::finally(move || while value.get() == 0 {});
    });
    assert_eq!(failure(&report).kind(), FailureKind::StepLimit);
}

#[test]
fn leaked_guards_are_told_from_held_ones() {
    let report = fuzzer().fuzz(|| {
        let shared = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&shared);
        thread::spawn(move || std::mem::forget(theirs.lock())).join().unwrap();
        let _never = shared.lock();
    });
    let message = failure(&report).message().to_owned();
    assert!(message.contains("thread 1, which has ended"), "{message}");
    let text = racefuzz::render(&report);
    assert!(text.contains("ended while holding it"), "{text}");

    let report = fuzzer().fuzz(|| {
        let shared = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&shared);
        let result = thread::spawn(move || {
            std::mem::forget(theirs.lock());
            panic!("and gone");
        })
        .join();
        assert!(result.is_err());
        let _never = shared.lock();
    });
    let message = failure(&report).message().to_owned();
    assert!(message.contains("thread 1, which panicked"), "{message}");
    let text = racefuzz::render(&report);
    assert!(text.contains("panicked while holding it"), "{text}");
}

#[test]
fn a_livelock_is_named() {
    let report = fuzzer().max_steps(2_000).fuzz(|| {
        let flag = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&flag);
        thread::spawn(move || while theirs.load(Ordering::Acquire) == 0 {});
        thread::yield_now();
    });
    assert_eq!(failure(&report).kind(), FailureKind::StepLimit);
    let text = racefuzz::render(&report);
    assert!(text.contains("livelock on flag") || text.contains("livelock on "), "{text}");
}

/// None of these is a scheduling point.
#[test]
fn endless_loops_of_events_that_switch_nowhere_reach_the_step_limit() {
    let limited = fuzzer().iterations(2).max_steps(2_000);
    let endless: [fn(); 5] = [
        || {
            let counted = Arc::new(0);
            loop {
                drop(Arc::clone(&counted));
            }
        },
        || {
            let cell = racefuzz::cell::UnsafeCell::new(0);
            loop {
                cell.with(|_| ());
            }
        },
        || while racefuzz::nondet(2) < 2 {},
        || loop {
            racefuzz::sync::atomic::fence(Ordering::Release);
        },
        || loop {
            thread::spawn(|| ());
        },
    ];
    for (index, program) in endless.into_iter().enumerate() {
        let report = limited.fuzz(program);
        assert_eq!(failure(&report).kind(), FailureKind::StepLimit, "{index}");
    }
}

#[test]
fn a_program_cannot_fuzz() {
    let message = panics(|| {
        racefuzz::Fuzzer::new().iterations(1).fuzz(|| ());
    });
    assert!(message.contains("racefuzz is called from inside a program under test"), "{message}");
    let message = panics(|| {
        thread::spawn(|| racefuzz::fuzz(1, || ())).join().unwrap();
    });
    assert!(message.contains("racefuzz is called from inside a program under test"), "{message}");
}

#[test]
#[expect(clippy::unnecessary_literal_unwrap, reason = "the panic of an unwrap is what is tested")]
fn a_result_is_a_failure() {
    let message = fails(FailureKind::Panic, || Err::<(), _>("no").unwrap());
    assert!(message.contains("no"), "{message}");
}

#[racefuzz::test(iterations = 20)]
#[should_panic(expected = "as it should")]
fn should_panic_sees_the_report() {
    panic!("as it should");
}

/// A panic that leaves a destructor while another one unwinds ends any Rust process.
#[test]
fn a_panic_in_drop_during_another_one() {
    let output = in_child("a_panic_in_drop_during_another_one", || {
        racefuzz::fuzz(100, || {
            let shared = Arc::new(Mutex::new(0));
            let theirs = Arc::clone(&shared);
            let thread = thread::spawn(move || {
                let _second = OnDrop(|| panic!("the second"));
                let _held = theirs.lock().unwrap();
                panic!("the first cause");
            });
            *shared.lock().unwrap_or_else(|poison| poison.into_inner()) += 1;
            let _ = thread.join();
        });
    });
    let Some(output) = output else { return };
    let text = exited_1(&output);
    assert!(text.contains("the first cause"), "{text}");
    assert!(text.contains("robust_panics.rs"), "{text}");
    assert!(!text.contains("SIGABRT"), "{text}");
}

/// The same where a static is in use: what the process still does must not wait for it.
#[test]
fn a_panic_in_drop_during_another_one_with_statics() {
    static SHARED: Mutex<u32> = Mutex::new(0);
    let output = in_child("a_panic_in_drop_during_another_one_with_statics", || {
        racefuzz::fuzz(100, || {
            let _second = OnDrop(|| panic!("the second"));
            let _held = SHARED.lock().unwrap();
            panic!("the first cause");
        });
    });
    let Some(output) = output else { return };
    let text = exited_1(&output);
    assert!(text.contains("the first cause"), "{text}");
}

/// A fuzzer that is run while the calling thread unwinds works all the same.
#[test]
fn fuzzing_in_a_destructor_during_unwinding() {
    let mut outcomes = Vec::new();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = OnDrop(|| {
            let report = fuzzer().fuzz(|| {
                assert!(!thread::panicking());
                let shared = Mutex::new(0);
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _guard = shared.lock().unwrap();
                    panic!("inside");
                }));
                assert!(shared.is_poisoned());
                assert!(thread::spawn(|| panic!("expected")).join().is_err());
                assert!(!thread::panicking());
            });
            outcomes.push((report.outcome(), racefuzz::render(&report)));
            let report = fuzzer().fuzz(|| panic!("found"));
            outcomes.push((report.outcome(), racefuzz::render(&report)));
        });
        resume_unwind(Box::new("outside"));
    }));
    assert!(caught.is_err());
    assert_eq!(outcomes[0].0, Outcome::Passed, "{}", outcomes[0].1);
    assert_eq!(outcomes[1].0, Outcome::Failed, "{}", outcomes[1].1);
}
