//! Bounds on preemptions that cost more than they save.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::AtomicUsize;
use racefuzz_primitives::sync::atomic::Ordering::{Relaxed, SeqCst};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_primitives::thread;
use racefuzz_trace::{Outcome, RunReport};

/// It matters whether a thread is interrupted here, as one of the locks is shared.
fn add_one(count: &Mutex<usize>) {
    *count.lock().unwrap() += 1;
}

/// Three threads use locks of their own, time and again, and then one that they share: six executions, that each
/// have thousands of schedules.
fn own_locks(rounds: usize) -> impl Fn() + Sync {
    move || {
        let locks = Arc::new([const { Mutex::new(0) }; 3]);
        let shared = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..3)
            .map(|at| {
                let (locks, shared) = (Arc::clone(&locks), Arc::clone(&shared));
                thread::spawn(move || {
                    (0..rounds).for_each(|_| add_one(&locks[at]));
                    add_one(&shared);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*shared.lock().unwrap(), 3);
    }
}

fn bounded(most: u32, program: &(dyn Fn() + Sync)) -> RunReport {
    check(&Options { preemptions: Some(most), ..Options::default() }, program, &())
}

fn bound(report: &RunReport) -> Option<u32> {
    report.proof.as_ref().unwrap().preemptions
}

#[test]
fn where_all_executions_are_few_all_are_explored() {
    let report = bounded(3, &own_locks(11));
    assert_eq!(report.outcome(), Outcome::Passed);
    assert_eq!((report.executions(), bound(&report)), (6, None), "{:?}", report.stats);
}

#[test]
fn a_bound_with_few_schedules_is_kept() {
    let report = bounded(1, &own_locks(8));
    assert_eq!(report.outcome(), Outcome::Passed);
    assert_eq!((report.executions(), bound(&report)), (6, Some(1)), "{:?}", report.stats);
}

#[test]
fn a_bound_is_kept_where_all_executions_are_many() {
    let program = || {
        let cells = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let threads: Vec<_> = (0..3)
            .map(|at| {
                let cells = Arc::clone(&cells);
                thread::spawn(move || {
                    for round in 1..=4 {
                        cells[at].store(round, Relaxed);
                        cells[(at + 1) % 3].load(Relaxed);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    };
    let options = Options { preemptions: Some(3), max_executions: Some(25_000), ..Options::default() };
    let report = check(&options, &program, &());
    assert_eq!(report.outcome(), Outcome::Incomplete);
    assert_eq!((report.executions(), bound(&report)), (25_000, Some(3)), "{:?}", report.stats);
}

/// A failure that a bound hides is one: it is met where all executions are explored.
#[test]
fn what_fails_beyond_the_bound_is_found_with_it() {
    let program = || {
        own_locks(8)();
        let turn = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|at| {
                let turn = Arc::clone(&turn);
                thread::spawn(move || {
                    for step in (at..10).step_by(2) {
                        if turn.compare_exchange(step, step + 1, SeqCst, SeqCst).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_ne!(turn.load(SeqCst), 10, "each took the turn from the other nine times");
    };
    let report = bounded(3, &program);
    assert_eq!(report.outcome(), Outcome::Failed);
}
