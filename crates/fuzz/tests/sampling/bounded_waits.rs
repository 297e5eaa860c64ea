//! What comes behind the last round of a wait that has a bound.

use crate::common::*;
use racefuzz_fuzz::{Options, replay};
use racefuzz_trace::{MemoryOrder, Outcome, Schedule, Strategy};

/// A thread looks so many times for what another one stores, and gives up.
fn gives_up(rounds: usize, between: fn()) {
    let flag = Atomic::new();
    let theirs = flag.clone();
    let other = spawn(move || theirs.store(1, MemoryOrder::Release));
    let seen = (0..rounds).any(|_| {
        let seen = flag.load(MemoryOrder::Acquire) == 1;
        if !seen {
            between();
        }
        seen
    });
    assert!(seen, "gave up");
    join(other);
}

#[test]
fn every_strategy_comes_behind_the_last_round() {
    // One that takes turns does just that.
    for strategy in STRATEGIES.iter().filter(|strategy| **strategy != Strategy::RoundRobin) {
        // The longest ones take a tenth of the executions that insist.
        let longest = if *strategy == Strategy::Portfolio { 1_000 } else { 10 };
        for rounds in [1, 3, 6, 10, 100, longest] {
            for between in [|| (), pause] {
                let report = run(&options(*strategy, 5, 10_000), || gives_up(rounds, between));
                assert_eq!(report.outcome(), Outcome::Failed, "{strategy} {rounds}");
            }
        }
    }
}

#[test]
fn a_token_says_for_how_long_threads_insist() {
    let options = Options { program: "gives_up".to_owned(), ..options(STRATEGIES[0], 5, 10_000) };
    let program = || gives_up(100, pause);
    let report = run(&options, program);
    let failure = &report.failures()[0];
    assert!(failure.schedule().settings.insistence >= 100, "{:?}", failure.schedule());
    let token: Schedule = failure.schedule().to_string().parse().unwrap();
    let again = replay(&token, &Options::default(), &program);
    assert_eq!((again.diverged, again.report.outcome), (None, Outcome::Failed));
    assert_eq!(again.report.failures()[0].trace(), failure.trace());
}

#[test]
fn who_waits_without_a_bound_fails_nowhere() {
    for strategy in STRATEGIES {
        let report = run(&options(*strategy, 5, 500), || spin(2));
        assert_eq!(report.outcome(), Outcome::Passed, "{strategy}");
    }
}
