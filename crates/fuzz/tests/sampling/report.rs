//! What a run reports: the same for any number of workers, counted right, replayable.

use crate::common::*;
use racefuzz_fuzz::{Observer, Options, fuzz, replay};
use racefuzz_runtime::{Site, ops};
use racefuzz_trace::{FailureDetail, FailureKind, Inject, Outcome, Settings, Strategy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn the_report_does_not_depend_on_the_number_of_workers() {
    let programs: &[(&str, fn())] = &[
        ("refcount", refcount),
        ("locked", refcount_locked),
        ("blocked", blocked),
        ("reorder", || reorder(4)),
        ("message", message),
    ];
    for (name, program) in programs {
        for strategy in STRATEGIES {
            for keep_going in [false, true] {
                let options = Options { keep_going, ..options(*strategy, 3, 700) };
                let one = run(&options, program);
                for workers in [2, 3] {
                    let more = run(&Options { workers, ..options.clone() }, program);
                    assert_eq!(one, more, "{name} {strategy} {workers}");
                }
            }
        }
    }
}

#[test]
fn refcount_loses_an_increment_after_one_preemption() {
    for strategy in STRATEGIES {
        let report = run(&options(*strategy, 42, 200), refcount);
        let failure = &report.failures()[0];
        assert_eq!((report.outcome(), failure.kind()), (Outcome::Failed, FailureKind::Panic));
        // main, one thread, the other, the first again, main.
        let threads = failure.trace().events.windows(2).filter(|pair| pair[0].thread != pair[1].thread);
        assert_eq!(threads.count(), 4 - usize::from(failure.trace().events[2].thread.0 == 2), "{strategy}");
        assert!(failure.schedule().to_string().len() <= "program:".len() + 12, "{}", failure.schedule());
    }
}

#[test]
fn a_token_repeats_the_trace() {
    let programs: &[(&str, fn())] = &[
        ("refcount", refcount),
        ("lock order", lock_order),
        ("reorder", || reorder(3)),
        ("message", message),
    ];
    for (name, program) in programs {
        let report = run(&options(Strategy::Portfolio, 1, 5_000), program);
        let failure = &report.failures()[0];
        let token = failure.schedule().to_string();
        let again = replay(&token.parse().unwrap(), &Options::default(), program);
        assert_eq!(again.diverged, None, "{name}");
        assert_eq!(again.report.failures()[0].trace(), failure.trace(), "{name}");
        assert_eq!(again.report.failures()[0].schedule(), failure.schedule(), "{name}");
    }
}

#[test]
fn a_replay_says_where_a_changed_program_leaves_the_schedule() {
    let report = run(&options(Strategy::Portfolio, 1, 5_000), || reorder(3));
    let schedule = report.failures()[0].schedule().clone();
    let fewer = replay(&schedule, &Options::default(), &refcount_locked);
    assert!(fewer.diverged.is_some());
    let other = replay(&schedule, &Options::default(), &|| reorder(1));
    assert!(other.diverged.unwrap().to_string().contains("has changed"));
    // Every choice of an empty schedule fits; the steps tell.
    let report = run(&options(Strategy::Random, 1, 1), || panic!("at once"));
    let schedule = report.failures()[0].schedule().clone();
    let longer = replay(&schedule, &Options::default(), &refcount_locked);
    assert_eq!(longer.report.outcome(), Outcome::Passed);
    assert_eq!(longer.diverged.unwrap().choice, None);
}

#[test]
fn a_kept_schedule_is_tried_before_anything_else() {
    let kept = run(&options(Strategy::Random, 42, 200), refcount).failures()[0].schedule().clone();
    let first = Options { first: vec![kept.clone()], ..options(Strategy::RoundRobin, 1, 0) };
    let report = run(&first, refcount);
    assert_eq!(report.failures()[0].found_by, "regression");
    assert_eq!((report.executions(), report.stats.failing), (1, 1));
    let repaired = run(&Options { iterations: 10, ..first }, refcount_locked);
    assert_eq!((repaired.outcome(), repaired.executions()), (Outcome::Passed, 11));
}

#[test]
fn statistics_count_what_happened() {
    let report = run(&Options { keep_going: true, ..options(Strategy::Random, 1, 2_000) }, refcount);
    let stats = &report.stats;
    assert_eq!((stats.executions, stats.blocked, report.failures().len()), (2_000, 0, 1));
    // Either thread first, or lost with either read or write first in two ways each.
    assert_eq!((stats.classes, stats.outcomes, stats.singletons), (4, 2, 0));
    assert!(stats.failing > 500 && stats.failing < 1_900, "{}", stats.failing);

    let report = run(&options(Strategy::Random, 1, 50), blocked);
    assert_eq!(report.outcome(), Outcome::Incomplete);
    assert_eq!((report.stats.executions, report.stats.blocked), (0, 50));
    assert!(report.stopped.unwrap().contains("common/mod.rs"));
}

#[test]
fn without_keep_going_the_statistics_end_with_the_first_failure() {
    for seed in 0..20 {
        let report = run(&options(Strategy::Random, seed, 500), || reorder(3));
        let failure = &report.failures()[0];
        assert_eq!(report.executions(), failure.iteration + 1);
        assert_eq!(report.stats.failing, 1);
    }
}

#[test]
fn every_distinct_failure_is_reported_once() {
    let report =
        run(&Options { keep_going: true, ..options(Strategy::Random, 5, 300) }, || {
            match ops::choose(4, Site::caller()).unwrap() {
                0 => panic!("zero"),
                1 => panic!("one"),
                _ => lock_order(),
            }
        });
    let mut messages: Vec<_> = report.failures().iter().map(|failure| failure.message().to_owned()).collect();
    assert!(messages.iter().any(|message| message.contains("waits to lock")), "{messages:?}");
    messages.sort();
    assert_eq!((messages.len(), &messages[0][..], &messages[2][..]), (3, "one", "zero"));
    let iterations: Vec<_> = report.failures().iter().map(|failure| failure.iteration).collect();
    assert!(iterations.is_sorted());
}

#[test]
fn a_program_that_remembers_is_found_out() {
    let runs = AtomicU64::new(0);
    let report = run(&options(Strategy::Random, 1, 100), || {
        let x = Var::new("x", 0);
        if runs.fetch_add(1, Ordering::Relaxed) == 5 {
            x.set(1);
            panic!("only this time");
        }
        x.get();
    });
    let failure = &report.failures()[0];
    assert_eq!((report.failures().len(), failure.kind()), (1, FailureKind::Nondeterminism));
    let FailureDetail::Nondeterminism { step, expected, found, .. } = &failure.detail else { panic!() };
    assert_eq!(*step, 0);
    assert_eq!((&expected[..], &found[..]), ("main: write `x` (value 1)", "main: read `x`"));
}

#[test]
fn what_an_object_keeps_from_run_to_run_is_named() {
    let kept = Var::new("kept", 0);
    let last = AtomicU64::new(0);
    // A primitive that forgets to start anew: its word is read from outside.
    let report = run(&Options { workers: 2, ..options(Strategy::Random, 1, 100) }, || {
        kept.get();
        assert_ne!(last.fetch_add(1, Ordering::Relaxed), 40, "the fortieth");
    });
    let FailureDetail::Nondeterminism { left_over, .. } = &report.failures()[0].detail else { panic!() };
    assert!(left_over[0].contains("variable created at"), "{left_over:?}");
}

struct After(AtomicU64);

impl Observer for After {
    fn cancelled(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >= 2
    }
}

#[test]
fn a_run_that_is_cut_short_is_incomplete_unless_it_found_a_bug() {
    let endless = options(Strategy::Random, 1, u64::MAX);
    let report = fuzz(&endless, &refcount_locked, &After(AtomicU64::new(0)));
    assert_eq!((report.outcome(), report.stopped.as_deref()), (Outcome::Incomplete, Some("interrupted")));
    assert!((1..10_000).contains(&report.executions()), "{}", report.executions());
    let soon = Some(std::time::Duration::from_millis(30));
    let report = run(&Options { max_time: soon, workers: 2, ..endless.clone() }, refcount_locked);
    assert_eq!(report.outcome(), Outcome::Incomplete);
    assert!(report.stopped.unwrap().contains("30ms"));
    let keep_going = Options { keep_going: true, ..endless };
    let report = fuzz(&keep_going, &refcount, &After(AtomicU64::new(0)));
    assert_eq!((report.outcome(), report.stopped.as_deref()), (Outcome::Failed, Some("interrupted")));
}

#[test]
fn an_injected_panic_reaches_every_step() {
    let settings = Settings { inject: Inject { panic: true, ..Inject::default() }, ..Settings::default() };
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let seen2 = Arc::clone(&seen);
    let report = run(&Options { settings, ..options(Strategy::Portfolio, 1, 300) }, move || {
        let x = Var::new("x", 0);
        let y = Arc::clone(&x);
        let thread = spawn(move || (1..=5).for_each(|value| y.set(value)));
        let result = ops::join(thread, Site::caller()).unwrap();
        seen2.lock().unwrap().insert((x.get(), result.is_err()));
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{:?}", report.failures().first().map(|f| &f.message));
    let all = (0..5).map(|value| (value, true)).chain([(5, false)]).collect();
    assert_eq!(*seen.lock().unwrap(), all);
}
