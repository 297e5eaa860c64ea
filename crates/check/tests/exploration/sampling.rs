//! Explorations that take long sample first.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use racefuzz_primitives::{choose, thread};
use racefuzz_trace::{Failure, Outcome};

/// Each of `threads` threads adds twice. Whether the program fails is chosen before that, so what fails
/// is explored last.
fn adds(threads: usize, fails: bool) -> impl Fn() + Sync {
    move || {
        let late = fails && choose::nondet(2) == 1;
        let count = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    count.fetch_add(1, SeqCst);
                    count.fetch_add(1, SeqCst);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!late, "late");
    }
}

#[test]
fn what_many_schedules_show_is_not_searched_for_long() {
    let reports = [1, 2, 3].map(|workers| {
        let options = Options { workers, ..Options::default() };
        // 113,400 orders of the additions alone.
        check(&options, &adds(5, true), &())
    });
    let report = &reports[0];
    assert_eq!(report.outcome(), Outcome::Failed);
    let failure = &report.failures()[0];
    assert!(failure.found_by != Failure::CHECKED && failure.message.contains("late"), "{failure:?}");
    assert!(!failure.schedule.choices.is_empty(), "it has a token");
    assert!(report.executions() < 10_000);
    assert!(reports.iter().all(|other| other == report), "whatever the number of workers");
}

#[test]
fn samples_count_in_no_other_number() {
    let report = check(&Options::default(), &adds(4, false), &());
    assert_eq!((report.outcome(), report.executions()), (Outcome::Passed, 2_520));
    assert_eq!(report.proof.unwrap().sampled, 1_000);
    // What ends soon, and what is to find everything, samples nothing.
    let report = check(&Options::default(), &adds(3, false), &());
    assert_eq!((report.executions(), report.proof.unwrap().sampled), (90, 0));
    let options = Options { keep_going: true, ..Options::default() };
    let report = check(&options, &adds(4, false), &());
    assert_eq!((report.executions(), report.proof.unwrap().sampled), (2_520, 0));
}
