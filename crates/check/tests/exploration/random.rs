//! Thousands of random small programs: as many graphs and the same final states as an enumerator
//! finds that shares no code with the engine.

use racefuzz_check::{Options, check};
use racefuzz_oracle::{Model, Op, Program, Sharing, enumerate, generate, observed, shrink};
use racefuzz_trace::MemoryModel;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const MODELS: [(MemoryModel, Model); 3] =
    [(MemoryModel::Sc, Model::Sc), (MemoryModel::Rc11, Model::Rc11), (MemoryModel::Tso, Model::Tso)];

fn waits(code: &[Op]) -> bool {
    code.iter().any(|op| matches!(op, Op::Await { .. }) || op.bodies().iter().any(|body| waits(body)))
}

/// What differs, if anything does.
fn difference(program: &Program) -> Option<String> {
    for (memory, model) in MODELS {
        let expected = enumerate(program, model);
        let finals = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&finals);
        let run = observed(program, Sharing::Free, move |state| {
            seen.lock().unwrap().insert(state);
        });
        let mut options = Options { keep_going: true, minimise: false, ..Options::default() };
        options.settings.memory = memory;
        let counts = check(&options, &run, &()).stats;
        let finals = finals.lock().unwrap().clone();
        if finals != expected.finals {
            return Some(format!("{memory}: final states {finals:?} instead of {:?}", expected.finals));
        }
        // A loop that waits has an event for each value it sees and does not like; the enumerator's
        // wait has one for the value it takes.
        if program.threads.iter().any(|thread| waits(&thread.code)) {
            continue;
        }
        let found = (counts.executions - counts.failing, counts.failing);
        if found != (expected.complete, expected.deadlocks) {
            let expected = (expected.complete, expected.deadlocks);
            return Some(format!("{memory}: {found:?} graphs and deadlocks instead of {expected:?}"));
        }
    }
    None
}

/// Programs of one test; more, or others, by the environment.
fn compare(first: u64) {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let start = first + number("RACEFUZZ_TEST_SEED", 0u64);
    for seed in start..start + number("RACEFUZZ_TEST_PROGRAMS", 500u64) {
        let program = generate(seed);
        if difference(&program).is_some() {
            let least = shrink(&program, |program| difference(program).is_some());
            let difference = difference(&least).unwrap_or_default();
            panic!("seed {seed}: {difference}\n{least}");
        }
    }
}

// Four tests, so that they run side by side.

#[test]
fn graphs_and_final_states_agree_with_the_enumerator() {
    compare(0);
}

#[test]
fn graphs_and_final_states_agree_with_the_enumerator_for_others() {
    compare(10_000);
}

#[test]
fn graphs_and_final_states_agree_with_the_enumerator_for_yet_others() {
    compare(20_000);
}

#[test]
fn graphs_and_final_states_agree_with_the_enumerator_for_the_last() {
    compare(30_000);
}
