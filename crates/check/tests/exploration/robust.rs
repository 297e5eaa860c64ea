//! Programs that misbehave: the verdict stays honest, and nothing is lost.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_primitives::{alloc, cell::UnsafeCell, choose, thread};
use racefuzz_trace::{FailureKind, Outcome, RunReport};
use std::sync::atomic::AtomicUsize;

fn explore(program: impl Fn() + Sync) -> RunReport {
    check(&Options::default(), &program, &())
}

fn kind(report: &RunReport) -> FailureKind {
    assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
    report.failures()[0].kind()
}

#[test]
fn a_program_that_depends_on_something_else_is_nondeterministic() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let report = explore(|| {
        let x = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&x);
        let run = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let thread = thread::spawn(move || match run % 2 {
            0 => other.store(1, Ordering::SeqCst),
            _ => drop(other.fetch_add(1, Ordering::SeqCst)),
        });
        x.load(Ordering::SeqCst);
        x.load(Ordering::SeqCst);
        thread.join().unwrap();
    });
    assert_eq!(kind(&report), FailureKind::Nondeterminism);
}

/// What a load returns decides where a pointer leads: not one instruction may run on a value that is meant
/// for another execution.
#[test]
fn a_program_that_leaves_its_graph_does_not_go_on() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static WENT_ON: AtomicUsize = AtomicUsize::new(0);
    let report = explore(|| {
        let (x, y) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(2)));
        let other = (Arc::clone(&x), Arc::clone(&y));
        let run = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let thread = thread::spawn(move || {
            other.0.store(11, Ordering::SeqCst);
            other.1.store(12, Ordering::SeqCst);
        });
        // In every other run the locations are exchanged.
        let (first, second) = if run.is_multiple_of(2) { (&x, &y) } else { (&y, &x) };
        let values = (first.load(Ordering::SeqCst), second.load(Ordering::SeqCst));
        let kinds = if run.is_multiple_of(2) { (1, 2) } else { (2, 1) };
        let meant = (values.0 % 10, values.1 % 10) == kinds;
        WENT_ON.fetch_add(usize::from(!meant), std::sync::atomic::Ordering::Relaxed);
        thread.join().unwrap();
    });
    assert_eq!(kind(&report), FailureKind::Nondeterminism);
    assert_eq!(WENT_ON.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_panic_that_nobody_takes_is_a_failure() {
    let report = explore(|| drop(thread::spawn(|| panic!("lost"))));
    assert_eq!(kind(&report), FailureKind::Panic);
    assert!(report.failures()[0].message().contains("lost"));
}

#[test]
fn a_panic_that_is_taken_is_none() {
    let report = explore(|| assert!(thread::spawn(|| panic!("caught")).join().is_err()));
    assert_eq!(report.outcome(), Outcome::Passed);
}

#[test]
fn a_panic_in_a_destructor_is_a_failure() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "in drop");
        }
    }
    let report = explore(|| {
        let lock = Arc::new(Mutex::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || {
            let _bomb = Bomb;
            *other.lock().unwrap() += 1;
        });
        *lock.lock().unwrap() += 1;
        thread.join().unwrap();
    });
    assert_eq!(kind(&report), FailureKind::Panic);
    assert!(report.failures()[0].message().contains("in drop"));
}

#[test]
fn a_thread_that_dies_with_a_lock_poisons_it() {
    let report = explore(|| {
        let lock = Arc::new(Mutex::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || {
            let _guard = other.lock();
            panic!("with the lock");
        });
        let poisoned = lock.lock().is_err();
        assert!(thread.join().is_err());
        assert!(!poisoned, "poisoned");
    });
    assert_eq!(kind(&report), FailureKind::Panic);
    assert!(report.failures()[0].message().contains("poisoned"));
}

#[test]
fn memory_that_is_raced_for_leaked_or_used_too_late_is_a_failure() {
    struct Shared(UnsafeCell<u32>);
    // SAFETY: a race is what the test is about; the checker's threads run one at a time.
    unsafe impl Sync for Shared {}
    let race = explore(|| {
        let shared = Arc::new(Shared(UnsafeCell::new(0)));
        let other = Arc::clone(&shared);
        // SAFETY: as above.
        let thread = thread::spawn(move || other.0.with_mut(|value| unsafe { *value = 1 }));
        // SAFETY: as above.
        shared.0.with(|value| unsafe { *value });
        thread.join().unwrap();
    });
    assert_eq!(kind(&race), FailureKind::DataRace);
    let leak = explore(|| std::mem::forget(Arc::new(1)));
    assert_eq!(kind(&leak), FailureKind::Leak);
    let layout = std::alloc::Layout::new::<u64>();
    let twice = explore(|| {
        // SAFETY: the second release is what the test is about; it is reported instead of done.
        unsafe {
            let memory = alloc::alloc(layout);
            alloc::dealloc(memory, layout);
            alloc::dealloc(memory, layout);
        }
    });
    assert_eq!(kind(&twice), FailureKind::UseAfterFree);
}

/// What is chosen and assumed away is no execution.
#[test]
fn an_assumption_blocks_and_is_never_a_pass() {
    let report = explore(|| choose::assume(choose::nondet(3) == 1));
    assert_eq!((report.outcome(), report.executions(), report.blocked()), (Outcome::Passed, 1, 2));
    let never = explore(|| choose::assume(choose::nondet(3) == 5));
    assert_eq!((never.outcome(), never.executions(), never.blocked()), (Outcome::Incomplete, 0, 3));
    assert!(never.stopped.is_some_and(|why| why.contains("every execution blocks at")));
}

#[test]
fn a_limit_is_no_proof_and_a_bug_wins_over_it() {
    let program = |bound: u32| {
        move || {
            let x = Arc::new(AtomicU32::new(0));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let x = Arc::clone(&x);
                    thread::spawn(move || {
                        x.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(x.load(Ordering::SeqCst) < bound, "too many");
        }
    };
    for workers in [1, 2] {
        let limited = Options { max_executions: Some(5), workers, ..Options::default() };
        let report = check(&limited, &program(5), &());
        assert_eq!((report.outcome(), report.executions()), (Outcome::Incomplete, 5));
        assert!(!report.proof.unwrap().whole);
        assert_eq!(check(&limited, &program(4), &()).outcome(), Outcome::Failed);
        // A limit that is not reached, or just reached, takes nothing away.
        let enough = Options { max_executions: Some(24), workers, ..Options::default() };
        assert_eq!(check(&enough, &program(5), &()).outcome(), Outcome::Passed);
    }
}

/// A failing execution is repeated, made short, and its token does it again.
#[test]
fn a_token_of_the_checker_replays() {
    let program = || {
        let x = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&x);
        let thread = thread::spawn(move || {
            let n = other.load(Ordering::Relaxed);
            other.store(n + 1, Ordering::Relaxed);
        });
        x.fetch_add(1, Ordering::Relaxed);
        thread.join().unwrap();
        assert_eq!(x.load(Ordering::Relaxed), 2);
    };
    let report = explore(program);
    let schedule = report.failures()[0].schedule();
    let token: racefuzz_trace::Schedule = schedule.to_string().parse().unwrap();
    let again = racefuzz_fuzz::replay(&token, &racefuzz_fuzz::Options::default(), &program);
    assert!(again.diverged.is_none());
    assert_eq!(again.report.failures()[0].trace(), report.failures()[0].trace());
}
