//! The minimiser: never more oddities, with as many never more switches, always the same failure.

use crate::common::*;
use proptest::prelude::*;
use racefuzz_fuzz::{Options, replay};
use racefuzz_trace::{Failure, FailureDetail, MemoryOrder, Outcome, Point, Strategy as Way, Trace};
use std::sync::Arc;

fn switches(trace: &Trace) -> usize {
    trace.events.windows(2).filter(|pair| pair[0].thread != pair[1].thread).count()
}

/// What a failure costs its reader, what matters most first: stale reads and the like, a write that goes before
/// another one being two, then switches.
fn cost(failure: &Failure) -> (usize, usize) {
    let odd = failure.schedule().choices.iter().filter(|choice| !choice.is_default());
    let oddities = odd.map(|choice| match choice.point() {
        Point::Thread => 0,
        Point::Place => 2,
        _ => 1,
    });
    (oddities.sum(), switches(&failure.trace))
}

/// Where it panicked.
fn place(failure: &Failure) -> String {
    match &failure.detail {
        FailureDetail::Panic { site: Some(site), .. } => failure.trace.site(*site).to_string(),
        _ => String::new(),
    }
}

fn first(report: &racefuzz_trace::RunReport) -> &Failure {
    &report.failures()[0]
}

#[test]
fn a_deadlock_of_two_locks_takes_two_switches() {
    for seed in 0..20 {
        let report = run(&options(Way::Random, seed, 1_000), lock_order);
        // main, one thread up to its second lock, the other one.
        assert!(switches(&first(&report).trace) <= 3, "seed {seed}");
    }
}

#[test]
fn reorder_needs_one_thread_to_stop_in_the_middle() {
    for (seed, strategy) in [(1, Way::Random), (2, Way::Pos), (3, Way::Delay), (4, Way::Urw)] {
        let report = run(&options(strategy, seed, 20_000), || reorder(8));
        // main; a writer stops between its stores; the checker; the seven others and the writer.
        assert!(switches(&first(&report).trace) <= 11, "{}", switches(&first(&report).trace));
    }
}

#[test]
fn long_executions_are_cut_down_too() {
    let report = run(&options(Way::Random, 3, 200), || {
        let x = Var::new("x", 0);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let x = Arc::clone(&x);
                spawn(move || {
                    for _ in 0..60 {
                        x.set(x.get() + 1);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(join);
        assert_eq!(x.get(), 180);
    });
    assert!(switches(&first(&report).trace) <= 5, "{}", switches(&first(&report).trace));
}

#[test]
fn a_needed_stale_read_stays_and_no_other() {
    let report = run(&options(Way::Portfolio, 1, 5_000), message);
    let trace = &first(&report).trace;
    let stale = trace.events.iter().filter(|event| event.newer.is_some()).count();
    assert_eq!((stale, switches(trace) <= 2), (1, true));
}

/// Stale reads that two switches can do without: whoever reads is put between the two stores.
#[test]
fn a_stale_read_that_switches_can_do_without_goes() {
    let body = || execute(&[vec![Step::Store(1), Step::Store(0)], vec![Step::Store(1)], vec![Step::Load(1)]]);
    let options = options(Way::Random, 17_038_318_851_202_419_460, 60);
    let as_found = run(&Options { minimise: false, ..options.clone() }, body);
    let report = run(&options, body);
    let (found, least) = (cost(first(&as_found)), cost(first(&report)));
    assert!(least.0 < found.0 && least.1 > found.1, "{found:?} {least:?}");
}

/// A step of a random program.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize),
    Load(usize),
    Store(usize),
    Locked(usize),
    Note,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..2).prop_map(Step::Add),
        (0usize..2).prop_map(Step::Load),
        (0usize..2).prop_map(Step::Store),
        (0usize..2).prop_map(Step::Locked),
        Just(Step::Note),
    ]
}

fn execute(program: &[Vec<Step>]) {
    let vars = [Var::new("x", 0), Var::new("y", 0)];
    let atomics = [Atomic::new(), Atomic::new()];
    let lock = Lock::new();
    let threads: Vec<_> = program
        .iter()
        .map(|steps| {
            let (steps, vars, atomics, lock) = (steps.clone(), vars.clone(), atomics.clone(), lock.clone());
            spawn(move || {
                for step in steps {
                    match step {
                        Step::Add(x) => vars[x].set(vars[x].get() + 1),
                        Step::Load(x) => {
                            let (first, second) = (atomics[x].load(MemoryOrder::Relaxed), 1 - x);
                            assert!(first == 0 || atomics[second].load(MemoryOrder::Relaxed) == 1);
                        }
                        Step::Store(x) => atomics[x].store(1, MemoryOrder::Relaxed),
                        Step::Locked(x) => {
                            lock.lock();
                            vars[x].set(vars[x].get() + 1);
                            lock.unlock();
                        }
                        Step::Note => note("here"),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    let adds = |x: usize| {
        let all = program.iter().flatten();
        all.filter(|step| matches!(step, Step::Add(y) | Step::Locked(y) if *y == x)).count() as u64
    };
    assert_eq!(vars[0].get(), adds(0), "x");
    assert_eq!(vars[1].get(), adds(1), "y");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_minimised_failure_is_the_same_one_and_costs_no_more(
        program in proptest::collection::vec(proptest::collection::vec(step(), 1..5), 2..4),
        seed: u64,
    ) {
        let body = || execute(&program);
        let options = options(Way::Random, seed, 60);
        let report = run(&options, body);
        if report.outcome() == Outcome::Failed {
            let failure = first(&report);
            let as_found = run(&Options { minimise: false, ..options }, body);
            let original = first(&as_found);
            prop_assert_eq!(failure.iteration, original.iteration);
            prop_assert_eq!(place(failure), place(original));
            prop_assert!(cost(failure) <= cost(original));
            let again = replay(failure.schedule(), &Options::default(), &body);
            prop_assert_eq!(again.diverged, None);
            prop_assert_eq!(&first(&again.report).trace, &failure.trace);
        }
    }
}
