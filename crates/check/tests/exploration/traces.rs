//! What is shown of a failure can be believed: every read of its trace reads what the step it names
//! wrote, SeqCst accesses are up to date wherever an order has them so, and its token fails.

use racefuzz_check::{Options, check};
use racefuzz_oracle::{Program, Sharing, litmus, observed};
use racefuzz_trace::{
    Event, Failure, FailureKind, MemoryModel, MemoryOrder, Outcome, ReadsFrom, Schedule, Trace,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Final states of each test that are made into failures.
const STATES: usize = 3;
/// Graphs of the largest test that is looked at.
const LARGEST: u64 = 60;

fn options(memory: MemoryModel) -> Options {
    let mut options = Options::default();
    options.settings.memory = memory;
    options
}

/// The final states of a test under a model, some of the first and of the last.
fn states(test: &Program, memory: MemoryModel) -> Vec<Vec<i64>> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let sink = Arc::clone(&seen);
    let program = observed(test, Sharing::Free, move |state| {
        sink.lock().unwrap().insert(state);
    });
    check(&options(memory), &program, &());
    let states: Vec<_> = std::mem::take(&mut *seen.lock().unwrap()).into_iter().collect();
    let last = states.len().saturating_sub(STATES);
    states.iter().enumerate().filter(|(at, _)| *at < STATES || *at >= last).map(|(_, s)| s.clone()).collect()
}

fn reads_what_was_written(trace: &Trace, event: &Event) -> bool {
    match event.reads_from {
        Some(ReadsFrom::Step(step)) => {
            let write = &trace.events[step as usize];
            write.object == event.object && write.wrote == event.read && step < event.step
        }
        Some(ReadsFrom::Initial) | None => true,
    }
}

fn is_newer(trace: &Trace, event: &Event) -> bool {
    event.newer.is_none_or(|newer| {
        let write = &trace.events[newer as usize];
        write.object == event.object && write.wrote.is_some() && newer < event.step
    })
}

/// What is wrong with the failure, if anything is.
fn wrong(failure: &Failure, program: &(dyn Fn() + Sync)) -> Option<String> {
    let trace = failure.trace();
    if let Some(event) = trace.events.iter().find(|event| !reads_what_was_written(trace, event)) {
        return Some(format!("step {} does not read what {:?} wrote", event.step, event.reads_from));
    }
    if let Some(event) = trace.events.iter().find(|event| !is_newer(trace, event)) {
        return Some(format!("step {} is not older than {:?}", event.step, event.newer));
    }
    let seq_cst = |event: &Event| event.order == MemoryOrder::SeqCst;
    let stale = |event: &&Event| {
        seq_cst(event) && event.newer.is_some_and(|newer| seq_cst(&trace.events[newer as usize]))
    };
    // An execution of the runtime's own memory has its SeqCst accesses in the order of its steps.
    if !failure.schedule().settings.explored
        && let Some(event) = trace.events.iter().find(stale)
    {
        return Some(format!("step {} is SeqCst and not up to date", event.step));
    }
    if !failure.is_replayable() {
        return Some("it has no token".to_owned());
    }
    let schedule: Schedule = failure.schedule().to_string().parse().unwrap();
    let options = racefuzz_fuzz::Options { program: "program".to_owned(), ..Default::default() };
    let replayed = racefuzz_fuzz::replay(&schedule, &options, program);
    if replayed.report.outcome() != Outcome::Failed || replayed.diverged.is_some() {
        return Some(format!("its token does not fail: {:?}", replayed.diverged));
    }
    None
}

/// The failures that only the checker knows to be possible, after looking at all of them.
fn look_at_all(memory: MemoryModel) -> usize {
    let mut explored = BTreeSet::new();
    let (mut problems, mut missing) = (Vec::new(), 0);
    for test in litmus().iter().filter(|test| test.stated("rc11").is_some_and(|graphs| graphs <= LARGEST)) {
        for target in states(test, memory) {
            let unwanted = target.clone();
            let program = observed(test, Sharing::Free, move |state| assert_ne!(state, unwanted));
            let report = check(&options(memory), &program, &());
            let panicked = |failure: &&Failure| failure.kind() == FailureKind::Panic;
            let Some(failure) = report.failures().iter().find(panicked) else {
                missing += 1;
                continue;
            };
            if failure.schedule().settings.explored {
                explored.insert(test.name.clone());
            }
            problems.extend(
                wrong(failure, &program).map(|problem| format!("{} {target:?}: {problem}", test.name)),
            );
        }
    }
    assert!(missing < 10, "{missing} states are not there");
    assert!(problems.is_empty(), "under {memory}:\n{}", problems.join("\n"));
    explored.len()
}

#[test]
fn every_final_state_of_a_litmus_test_is_shown_as_it_can_happen_under_rc11() {
    // Most executions are the runtime's own; for some it has the checker's word.
    let explored = look_at_all(MemoryModel::Rc11);
    assert!((1..20).contains(&explored), "{explored}");
}

#[test]
fn every_final_state_of_a_litmus_test_is_shown_as_it_can_happen_under_tso() {
    let explored = look_at_all(MemoryModel::Tso);
    assert!(explored > 0);
}
