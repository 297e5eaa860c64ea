//! Every scenario: the repaired ones need nothing, the racy ones get the repair that their twin
//! embodies, or one that is as good.

use racefuzz::sync::{Arc, Mutex};
use racefuzz::{note, thread};
use racefuzz_fix::{Edit, Fix, FixKind, FixReport, Options, audit, fix};
use racefuzz_scenarios::registry;
use racefuzz_trace::{Audited, Certainty, Finding, MemoryOrder};

fn repairs(name: &str) -> FixReport {
    let registry = registry();
    let scenario = registry.find(name).unwrap();
    let params = scenario.params(&[]).unwrap();
    let options = Options { program: name.to_owned(), ..Options::default() };
    fix(&options, &scenario.program(&params))
}

fn best(report: &FixReport, kind: FixKind) -> &Fix {
    report.fixes().iter().find(|fix| fix.kind == kind).unwrap_or_else(|| {
        panic!("{}: no repair of the kind {kind:?}, but {:?}", report.program, report.fixes())
    })
}

/// The orders that a repair gives accesses, by line.
fn orders(fix: &Fix) -> Vec<(u32, MemoryOrder)> {
    let order = |edit: &Edit| match edit {
        Edit::Order { site, order } => (site.line, *order),
        other => panic!("no ordering: {other:?}"),
    };
    fix.overlay.edits.iter().map(order).collect()
}

#[test]
fn what_holds_needs_nothing() {
    for scenario in registry().iter().filter(|s| s.expected == racefuzz::scenario::Expected::Holds) {
        let report = repairs(scenario.name);
        assert!(report.nothing_to_fix(), "{}: {:?}", scenario.name, report.failure);
    }
}

#[test]
fn every_repair_of_what_fails_is_verified() {
    for scenario in registry().iter().filter(|s| s.expected != racefuzz::scenario::Expected::Holds) {
        let report = repairs(scenario.name);
        assert!(!report.nothing_to_fix(), "{}", scenario.name);
        for fix in report.fixes() {
            // What has to be written down first is a proposal, and says so.
            let written = fix.verdict.certainty == Certainty::Untried;
            let certainty = if written { Certainty::Untried } else { Certainty::Verified };
            assert_eq!(fix.verdict().certainty, certainty, "{}: {fix:?}", scenario.name);
        }
        let advised = report.no_lock.is_some() || !report.notes.is_empty();
        assert!(!report.fixes().is_empty() || advised, "{} is left without a word", scenario.name);
    }
}

#[test]
fn a_lost_update_needs_one_lock_from_read_to_store() {
    let report = repairs("refcount");
    let first = &report.fixes()[0];
    assert_eq!((first.kind, first.locks, first.guarded), (FixKind::NewLock, 1, 3));
    assert!(first.kept().unwrap().is_all());
    assert!(first.is_sequential());
    assert_eq!(first.needed.len(), 2, "one certificate for each end");
    assert_eq!(best(&report, FixKind::OneStep).kept().unwrap().share(), 1.0);
    assert_eq!(report.fixes().iter().filter(|fix| fix.kind == FixKind::NewLock).count(), 1);
}

#[test]
fn the_counter_needs_a_join_and_locks() {
    let report = repairs("counter");
    assert!(report.no_lock.as_ref().unwrap().contains("Finished"));
    let locks: Vec<&Fix> = report.fixes().iter().filter(|fix| fix.kind == FixKind::NewLock).collect();
    assert!(locks.iter().all(|fix| matches!(fix.besides[..], [Edit::Join { .. }])));
    let one = locks.iter().find(|fix| fix.locks == 1).unwrap();
    assert!(one.is_sequential() && one.one_output);
    let two = locks.iter().find(|fix| fix.locks == 2).unwrap();
    assert!(!two.is_sequential());
    assert!(two.kept().unwrap().schedules > one.kept().unwrap().schedules);
}

#[test]
fn a_publication_needs_two_orderings_and_no_more() {
    let report = repairs("publish-relaxed");
    let fix = best(&report, FixKind::Ordering);
    assert_eq!(orders(fix), [(57, MemoryOrder::Release), (62, MemoryOrder::Acquire)]);
    assert_eq!(fix.needed.len(), 2);
}

#[test]
fn a_lock_order_deadlock_needs_an_order_and_no_lock() {
    for name in ["lock-order", "dining-philosophers"] {
        let report = repairs(name);
        assert!(report.no_lock.is_some());
        assert!(report.fixes().iter().all(|fix| fix.kind == FixKind::LockOrder), "{name}");
        assert!(!report.fixes().is_empty(), "{name}");
    }
}

#[test]
fn the_lock_that_is_there_is_used() {
    for name in ["gil", "bank-transfer", "pool-slot", "cache-stampede", "read-skew", "lock-not-respected"] {
        let report = repairs(name);
        assert!(best(&report, FixKind::OwnLock).kept().unwrap().is_all(), "{name}");
    }
}

#[test]
fn a_lost_wake_up_needs_another_notification() {
    best(&repairs("bounded-buffer"), FixKind::WakeAll);
    let unheard = repairs("notify-before-wait");
    assert!(unheard.no_lock.is_some());
    assert!(unheard.notes.iter().any(|note| note.contains("flag under the lock")), "{:?}", unheard.notes);
}

#[test]
fn no_lock_is_held_while_its_thread_sleeps() {
    let report = repairs("condvar-if-instead-of-while");
    assert!(report.no_lock.as_ref().unwrap().contains("wait on line 27"));
    let [fix] = report.fixes() else { panic!("{:?}", report.fixes()) };
    assert!(matches!(&fix.overlay.edits[..], [Edit::TestAgain { wait }] if wait.line == 27), "{fix:?}");
}

#[test]
fn a_rule_about_two_things_needs_a_lock_over_both() {
    let report = repairs("bank-transfer-skew");
    let lock = best(&report, FixKind::NewLock);
    assert_eq!((lock.locks, lock.guarded), (1, 6));
    best(&report, FixKind::OwnLock);
}

#[test]
fn what_is_released_too_early_is_used_under_a_lock_or_released_later() {
    for name in ["treiber-reclaim", "read-copy-update", "hazard-pointer"] {
        let report = repairs(name);
        best(&report, FixKind::NewLock);
        assert!(report.notes.iter().any(|note| note.contains("release it later")), "{name}");
    }
}

#[test]
fn a_lock_is_given_back_before_it_is_taken_again() {
    let report = repairs("rwlock-upgrade");
    let fix = best(&report, FixKind::LetGo);
    let [Edit::LetGo { guards, before, .. }] = &fix.overlay.edits[..] else { panic!("{fix:?}") };
    assert_eq!((guards[0].line, before.line), (17, 19));
    assert!(report.no_lock.is_some());
    assert!(report.notes.iter().any(|note| note.contains("look again")));
}

#[test]
fn a_lock_is_given_back_by_who_ends() {
    let report = repairs("lock-never-released");
    let fix = best(&report, FixKind::LetGo);
    assert!(matches!(&fix.overlay.edits[..], [Edit::GiveBack { guards, .. }] if guards[0].line == 26));
}

#[test]
fn a_task_does_not_give_way_between_read_and_store() {
    let report = repairs("async-counter-await");
    let fix = best(&report, FixKind::NoYield);
    assert!(fix.kept().unwrap().is_all());
    assert!(fix.notes.iter().any(|note| note.contains("async lock")));
}

#[test]
fn where_orderings_are_missing_nobody_is_told_that_locks_are() {
    let expected = [
        ("double-checked-init", vec![(64, MemoryOrder::Acquire), (68, MemoryOrder::Release)]),
        ("spin-lock", vec![(67, MemoryOrder::Release)]),
        ("spsc-ring", vec![(82, MemoryOrder::Release), (89, MemoryOrder::Acquire)]),
        ("arc-drop", vec![(74, MemoryOrder::AcqRel)]),
    ];
    for (name, sites) in expected {
        let report = repairs(name);
        assert_eq!(orders(best(&report, FixKind::Ordering)), sites, "{name}");
        assert_eq!(report.no_lock, None, "{name}");
        assert!(report.fixes().iter().all(|fix| !fix.kind.is_lock()), "{name}");
    }
    let peterson = repairs("peterson");
    let sequential = orders(best(&peterson, FixKind::Ordering));
    assert!(sequential.iter().all(|(_, order)| *order == MemoryOrder::SeqCst), "{sequential:?}");
}

#[test]
fn what_is_half_done_when_a_thread_panics_is_no_matter_of_locks() {
    let report = repairs("poisoned-state");
    assert!(report.no_lock.is_some() && report.fixes().is_empty());
    assert!(report.notes.iter().any(|note| note.contains("may panic")));
}

#[test]
fn a_store_buffer_needs_a_fence() {
    let report = repairs("dekker");
    let fence = best(&report, FixKind::Fence);
    assert!(matches!(fence.overlay.edits[..], [Edit::Fence { order: MemoryOrder::SeqCst, .. }]));
}

#[test]
fn aba_is_repaired_by_a_lock_that_costs_lock_freedom() {
    let report = repairs("treiber-stack");
    let lock = best(&report, FixKind::NewLock);
    assert!(lock.notes.iter().any(|note| note.contains("lock-free")));
}

/// The note needs no lock; the data behind it does, although its use is no step.
#[test]
fn a_guard_is_not_too_long_while_its_data_is_used() {
    let program = || {
        let count = Arc::new(Mutex::new(0));
        let add = |count: Arc<Mutex<u32>>| {
            let mut count = count.lock().unwrap();
            note("about to add");
            *count += 1;
        };
        let other = Arc::clone(&count);
        let thread = thread::spawn(move || add(other));
        add(Arc::clone(&count));
        thread.join().unwrap();
    };
    let report = audit(&Options::default(), &program);
    assert!(report.failure.is_none());
    let too_long = |audited: &Audited| matches!(audited.finding, Finding::TooLong { .. });
    assert!(!report.audited.iter().any(too_long), "{:?}", report.audited);
    let needed = |audited: &Audited| matches!(audited.finding, Finding::Needed { .. });
    assert!(report.audited.iter().any(needed), "{:?}", report.audited);
}
