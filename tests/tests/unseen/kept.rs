//! State that survives an execution, and programs of which nothing is seen.

use crate::everywhere;
use racefuzz::sync::atomic::{AtomicUsize, Ordering};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Checker, FailureDetail, FailureKind, Fixer, Fuzzer, Outcome, Warning, thread};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize as StdUsize;

fn once(cell: &OnceLock<()>) {
    let ready = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ready);
    let other = thread::spawn(move || theirs.fetch_add(1, Ordering::SeqCst));
    cell.get_or_init(|| ready.store(2, Ordering::SeqCst));
    other.join().unwrap();
}

#[test]
fn a_once_lock_in_a_static() {
    // Each explorer must find it fresh.
    static CELLS: [OnceLock<()>; 3] = [const { OnceLock::new() }; 3];
    let reports = [
        Fuzzer::new().iterations(50).fuzz(|| once(&CELLS[0])),
        Checker::new().check(|| once(&CELLS[1])),
        Checker::new().workers(2).keep_going(true).check(|| once(&CELLS[2])),
    ];
    for report in reports {
        assert_eq!(report.outcome(), Outcome::Failed);
        let failure = &report.failures()[0];
        assert!(matches!(failure.detail, FailureDetail::Nondeterminism { kept: true, .. }), "{failure:?}");
    }
}

#[test]
fn a_once_lock_that_fix_and_audit_meet() {
    static CELLS: [OnceLock<()>; 2] = [const { OnceLock::new() }; 2];
    let fixes = Fixer::new().fix(|| once(&CELLS[0]));
    assert_eq!(fixes.failure.map(|failure| failure.kind()), Some(FailureKind::Nondeterminism));
    let audit = Fixer::new().audit(|| once(&CELLS[1]));
    assert_eq!(audit.failure.map(|failure| failure.kind()), Some(FailureKind::Nondeterminism));
}

#[test]
fn a_value_that_the_closure_captured() {
    let captured = std::sync::Arc::new(StdUsize::new(0));
    let program = || {
        let lock = Arc::new(Mutex::new(()));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || drop(theirs.lock()));
        // The first execution alone takes the lock.
        if captured.fetch_add(1, Ordering::Relaxed) == 0 {
            drop(lock.lock());
        }
        other.join().unwrap();
    };
    let report = Checker::new().check(program);
    assert_eq!(report.failures()[0].kind(), FailureKind::Nondeterminism);
    captured.store(0, Ordering::Relaxed);
    let report = Fuzzer::new().iterations(50).fuzz(program);
    assert_eq!(report.failures()[0].kind(), FailureKind::Nondeterminism);
}

#[test]
fn a_thread_local_of_std() {
    std::thread_local! {
        static SEEN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let program = || {
        let x = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&x);
        let other = thread::spawn(move || theirs.store(1, Ordering::SeqCst));
        if SEEN.replace(1) == 0 {
            x.load(Ordering::SeqCst);
        }
        other.join().unwrap();
    };
    let report = Checker::new().check(program);
    assert_eq!(report.failures()[0].kind(), FailureKind::Nondeterminism);
}

#[test]
fn another_branch_at_the_same_steps_is_told_by_its_place() {
    let runs = StdUsize::new(0);
    let report = Checker::new().check(|| {
        let x = AtomicUsize::new(0);
        match runs.fetch_add(1, Ordering::Relaxed) {
            0 => x.load(Ordering::SeqCst),
            _ => x.load(Ordering::SeqCst),
        };
    });
    assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
}

#[test]
fn a_number_that_grows_is_a_warning() {
    static NEXT: StdUsize = StdUsize::new(0);
    let reports = everywhere(|| {
        let x = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&x);
        let other = thread::spawn(move || theirs.load(Ordering::SeqCst));
        x.store(NEXT.fetch_add(1, Ordering::Relaxed), Ordering::SeqCst);
        other.join().unwrap();
    });
    for (how, report) in reports {
        assert_eq!(report.outcome(), Outcome::Passed, "{how}: {report:?}");
        assert!(
            matches!(&report.warnings[..], [Warning::ValuesDiffer { .. }]),
            "{how}: {:?}",
            report.warnings
        );
        assert!(racefuzz::render(&report).contains("but values differ"), "{}", racefuzz::render(&report));
    }
}

#[test]
fn addresses_may_differ() {
    for (how, report) in everywhere(|| {
        let x = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&x);
        let other = thread::spawn(move || theirs.load(Ordering::SeqCst));
        let memory = Box::new(1u8);
        let more = vec![0u8; std::ptr::from_ref(&*memory) as usize % 4_096];
        x.store(std::ptr::from_ref(&*memory) as usize, Ordering::SeqCst);
        other.join().unwrap();
        std::mem::forget(more);
    }) {
        assert_eq!((report.outcome(), &report.warnings[..]), (Outcome::Passed, &[][..]), "{how}");
    }
}

#[test]
fn threads_that_share_only_std_atomics() {
    for (how, report) in everywhere(|| {
        let sum = Arc::new(StdUsize::new(0));
        let theirs = Arc::clone(&sum);
        let other = thread::spawn(move || theirs.fetch_add(1, Ordering::SeqCst));
        sum.fetch_add(1, Ordering::SeqCst);
        other.join().unwrap();
    }) {
        assert_eq!(report.outcome(), Outcome::Passed);
        assert_eq!(report.warnings, [Warning::NothingShared { threads: 2 }], "{how}");
        let text = racefuzz::render(&report);
        assert!(
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains("share nothing that racefuzz sees"),
            "{text}"
        );
    }
}

#[test]
fn programs_of_which_nothing_is_seen() {
    for (how, report) in everywhere(|| {
        let sum = std::sync::Arc::new(StdUsize::new(0));
        let theirs = std::sync::Arc::clone(&sum);
        let other = std::thread::spawn(move || theirs.fetch_add(1, Ordering::SeqCst));
        sum.fetch_add(1, Ordering::SeqCst);
        other.join().unwrap();
    }) {
        assert_eq!(report.warnings, [Warning::NothingSeen], "{how}");
    }
}

#[test]
fn a_failure_that_does_not_repeat_says_so() {
    let runs = StdUsize::new(0);
    let report = Fuzzer::new().iterations(100).fuzz(|| {
        let x = racefuzz::Var::new("x", 0);
        x.set(1);
        assert_ne!(runs.fetch_add(1, Ordering::Relaxed), 40, "only this time");
    });
    let failure = &report.failures()[0];
    assert_eq!(failure.kind(), FailureKind::Nondeterminism);
    let FailureDetail::Nondeterminism { unrepeated: Some(first), .. } = &failure.detail else {
        panic!("{failure:?}")
    };
    assert!(first.contains("only this time"), "{first}");
    let text = racefuzz::render(&report);
    assert!(text.contains("only this time") && text.contains("does not repeat"), "{text}");
}

#[test]
fn a_failure_whose_events_do_not_repeat_is_no_other_failure() {
    // In the first execution only, one load comes before the assertion that fails.
    let runs = StdUsize::new(0);
    let report = Checker::new().check(|| {
        let x = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&x);
        let other = thread::spawn(move || theirs.store(1, Ordering::SeqCst));
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            assert_eq!(x.load(Ordering::SeqCst), 7, "only this time");
        }
        x.fetch_add(1, Ordering::SeqCst);
        other.join().unwrap();
    });
    let failure = &report.failures()[0];
    assert_eq!(failure.kind(), FailureKind::Nondeterminism, "{failure:?}");
    let FailureDetail::Nondeterminism { unrepeated: Some(first), expected, found, .. } = &failure.detail
    else {
        panic!("{failure:?}")
    };
    assert!(first.contains("only this time"), "{first}");
    assert_eq!((expected.as_str(), found.as_str()), ("main: load", "main: fetch_add"));
}
