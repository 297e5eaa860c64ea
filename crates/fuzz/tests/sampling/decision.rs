//! Where failures were decided, of programs for which that is known.

use crate::common::*;
use racefuzz_fuzz::{Options, replay};
use racefuzz_trace::{Decision, Failure, MemoryOrder, Passes, RunReport, Strategy as Way, Verb};
use std::sync::Arc;

fn failure(report: &RunReport) -> &Failure {
    report.failures().first().expect("it fails")
}

fn decision(failure: &Failure) -> &Decision {
    failure.decision.as_ref().expect("it was decided somewhere")
}

#[test]
fn an_update_is_lost_when_both_have_read() {
    for seed in 0..8 {
        let report = run(&options(Way::Random, seed, 1_000), refcount);
        let failure = failure(&report);
        let events = &failure.trace.events;
        let gets: Vec<u32> =
            events.iter().filter(|event| event.verb == Verb::Get).map(|event| event.step).collect();
        let found = decision(failure);
        assert_eq!(found.step, gets[1], "seed {seed}");
        assert_eq!((found.after.count, found.after.total), (256, 256));
        // Each thread takes three steps, and at each either of the two goes on: it passes if the one
        // that began takes both others before the second begins, in one of four schedules.
        for share in [found.start, found.before] {
            assert!((0.65..0.85).contains(&share.value()), "{found:?}");
        }
        let Some(Passes::Swapped { first, second }) = found.passes else { panic!("{found:?}") };
        let pair = [first, second].map(|step| &events[step as usize]);
        assert_ne!(pair[0].thread, pair[1].thread);
        assert!(first < second && pair.iter().any(|event| event.verb == Verb::Set), "{pair:?}");
    }
}

#[test]
fn a_message_is_missed_at_the_stale_load_alone() {
    let report = run(&options(Way::Portfolio, 1, 5_000), message);
    let failure = failure(&report);
    let stale = failure.trace.events.iter().find(|event| event.newer.is_some()).unwrap();
    let found = decision(failure);
    assert_eq!((found.step, found.passes), (stale.step, Some(Passes::Newest { step: stale.step })));
    assert!(found.before.count > 0 && found.before.count < found.before.total, "{found:?}");
}

#[test]
fn nothing_is_decided_where_every_schedule_fails_or_none_is_sampled() {
    let always = run(&options(Way::Random, 1, 10), || {
        let x = Var::new("x", 0);
        let other = Arc::clone(&x);
        let thread = spawn(move || other.set(1));
        join(thread);
        assert_eq!(x.get(), 2);
    });
    assert_eq!(failure(&always).decision, None);
    let endless = run(&options(Way::Random, 1, 10), || {
        let x = Atomic::new();
        while x.load(MemoryOrder::SeqCst) == 0 {}
    });
    assert_eq!(failure(&endless).decision, None);
}

#[test]
fn executions_that_block_are_no_schedules_that_pass() {
    let report = run(&options(Way::Random, 1, 1_000), || {
        let (x, y) = (Var::new("x", 0), Var::new("y", 0));
        let (x2, y2) = (Arc::clone(&x), Arc::clone(&y));
        let thread = spawn(move || {
            x2.set(1);
            y2.set(1);
        });
        let (seen, then) = (x.get(), y.get());
        join(thread);
        racefuzz_runtime::ops::assume(seen == 1, racefuzz_runtime::Site::caller()).unwrap();
        assert_eq!(then, 0, "y is set");
    });
    let found = decision(failure(&report));
    assert!(found.start.count < found.start.total && found.start.total < 256, "{found:?}");
}

#[test]
fn a_replay_and_any_number_of_workers_say_the_same() {
    for program in [refcount as fn(), lock_order, message] {
        let reports = [1, 2, 4].map(|workers| {
            let options = Options { workers, ..options(Way::Portfolio, 5, 4_000) };
            run(&options, program)
        });
        let first = decision(failure(&reports[0]));
        for report in &reports {
            assert_eq!(decision(failure(report)), first);
        }
        let schedule = &failure(&reports[0]).schedule;
        let again = replay(schedule, &Options::default(), &program).report;
        assert_eq!(decision(failure(&again)), first);
    }
}

#[test]
fn long_executions_are_left_alone() {
    let report = run(&options(Way::Random, 3, 200), || {
        let x = Var::new("x", 0);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let x = Arc::clone(&x);
                spawn(move || (0..500).for_each(|_| x.set(x.get() + 1)))
            })
            .collect();
        threads.into_iter().for_each(join);
        assert_eq!(x.get(), 1_000);
    });
    assert_eq!(failure(&report).decision, None);
}
