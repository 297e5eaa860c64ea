//! What should happen in some execution, and what never did.

use racefuzz::{Checker, Fuzzer, Report, Var, sync::Arc, thread};
use racefuzz::{reachable, sometimes};

/// Two threads of which either may be first; nothing makes `n` three.
fn race() {
    let n = Arc::new(Var::new("n", 0));
    let other = Arc::clone(&n);
    let thread = thread::spawn(move || {
        let seen = other.get();
        sometimes!(seen == 1, "the other thread was first");
        sometimes!(seen == 3, "three");
        if seen == 3 {
            reachable!("behind three");
        }
    });
    n.set(1);
    reachable!("set");
    thread.join().unwrap();
}

/// Names, whether they were come to, and whether they held.
fn told(report: &Report) -> Vec<(&str, bool, bool)> {
    report.expectations.iter().map(|one| (one.name.as_str(), one.reached, one.seen)).collect()
}

const EXPECTED: [(&str, bool, bool); 4] = [
    ("the other thread was first", true, true),
    ("three", true, false),
    ("behind three", false, false),
    ("set", true, true),
];

#[test]
fn a_run_that_passes_says_what_it_never_saw() {
    for workers in [1, 2] {
        let report = Fuzzer::new().iterations(300).workers(workers).fuzz(race);
        assert_eq!(told(&report), EXPECTED, "{workers}");
        let text = racefuzz::render(&report);
        assert!(text.contains("2 of 4 things that should happen in some execution did"), "{text}");
        assert!(text.contains("never true: three (tests/tests/unseen/expected.rs:"), "{text}");
        assert!(text.contains("never reached: behind three (tests/tests/unseen/expected.rs:"), "{text}");
        assert!(!text.contains("true: set"), "{text}");
    }
}

#[test]
fn a_proof_says_it_too() {
    for workers in [1, 2] {
        assert_eq!(told(&Checker::new().workers(workers).check(race)), EXPECTED, "{workers}");
    }
}

#[test]
fn runs_side_by_side_do_not_tell_of_each_other() {
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(told(&Fuzzer::new().iterations(200).fuzz(race)), EXPECTED));
            scope.spawn(|| {
                let report = Fuzzer::new().iterations(200).fuzz(|| {});
                assert_eq!(told(&report), []);
            });
        }
    });
}

#[test]
fn a_run_that_fails_has_not_executed_all_and_says_nothing() {
    let report = Fuzzer::new().iterations(300).fuzz(|| {
        race();
        panic!("fails");
    });
    assert_eq!(told(&report), []);
    sometimes!(true, "outside of a run");
}
