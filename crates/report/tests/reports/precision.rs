//! A name that is wrong is worse than none: what must not be called by a name, and what must.

use crate::fixture::{Fixture, T, int, stories};
use racefuzz_report::{Anomaly, explain};
use racefuzz_trace::{MemoryOrder, Value, Verb};

const A: T = T(1);
const B: T = T(2);
const SOURCE: &str = "let a = AtomicUsize::new(0);\nlet b = AtomicUsize::new(0);\nMutex::new(());\nassert!\n";

fn named(story: &stories::Story) -> Anomaly {
    explain(&story.1, &story.0).anomaly
}

#[test]
fn every_story_has_its_name() {
    let expected = [
        ("lost_update", Anomaly::LostUpdate),
        ("lost_update_atomic", Anomaly::LostUpdate),
        ("lost_update_unrespected_lock", Anomaly::LostUpdate),
        ("lost_update_lock_per_step", Anomaly::LostUpdate),
        ("lost_update_tasks", Anomaly::LostUpdate),
        ("dirty_read", Anomaly::DirtyRead),
        ("dirty_read_panic", Anomaly::DirtyRead),
        ("non_repeatable_read", Anomaly::NonRepeatableRead),
        ("write_skew", Anomaly::WriteSkew),
        ("read_skew", Anomaly::ReadSkew),
        ("check_then_act", Anomaly::CheckThenAct),
        ("check_then_act_relocked", Anomaly::CheckThenAct),
        ("check_then_act_sections", Anomaly::CheckThenAct),
        ("check_then_act_woken", Anomaly::CheckThenAct),
        ("unsafe_publication", Anomaly::UnsafePublication),
        ("aba", Anomaly::Aba),
        ("order_violation_unset", Anomaly::OrderViolation),
        ("order_violation_invisible", Anomaly::OrderViolation),
        ("order_violation_console", Anomaly::OrderViolation),
        ("data_race", Anomaly::DataRace),
        ("data_race_published", Anomaly::DataRace),
        ("unsafe_publication_box", Anomaly::UnsafePublication),
        ("unsafe_publication_unseen", Anomaly::UnsafePublication),
        ("use_after_free_box", Anomaly::UseAfterFree),
        ("use_after_free_twice", Anomaly::UseAfterFree),
        ("use_after_free_early", Anomaly::UseAfterFree),
        ("deadlock_cycle", Anomaly::Deadlock),
        ("deadlock_philosophers", Anomaly::Deadlock),
        ("deadlock_never_released", Anomaly::Deadlock),
        ("deadlock_upgrade", Anomaly::Deadlock),
        ("deadlock_recv", Anomaly::Deadlock),
        ("self_deadlock", Anomaly::SelfDeadlock),
        ("lost_wake_up", Anomaly::LostWakeUp),
        ("lost_wake_up_astray", Anomaly::LostWakeUp),
        ("livelock", Anomaly::Livelock),
        ("leak", Anomaly::Leak),
        ("use_after_free", Anomaly::UseAfterFree),
        ("nondeterminism", Anomaly::Nondeterminism),
        ("assertion", Anomaly::AssertionFailed),
        ("panic", Anomaly::Panic),
        ("many_threads", Anomaly::LostUpdate),
        ("long", Anomaly::LostUpdate),
    ];
    let found: Vec<_> = stories::all().iter().map(|(name, story)| (*name, named(story))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_failure_without_any_overwrite_is_no_lost_update() {
    // Both increments are there; the assertion is just wrong.
    let mut f = Fixture::new("right", SOURCE, 2);
    let a = f.var("a", 0);
    for thread in [A, B] {
        f.get(thread, a, "");
        let next = if thread == A { 1 } else { 2 };
        f.set(thread, a, int(next), "");
    }
    f.join_all();
    let failure = f.oracle("assertion `left == right` failed\n  left: 2\n right: 3");
    assert_eq!(named(&(f, failure)), Anomaly::AssertionFailed);
}

#[test]
fn one_step_updates_lose_nothing() {
    let mut f = Fixture::new("right", SOURCE, 2);
    let a = f.atomic("AtomicUsize", int(0));
    f.load(A, a, MemoryOrder::SeqCst, "");
    f.rmw(B, Verb::FetchAdd, a, int(1), "");
    f.rmw(A, Verb::FetchAdd, a, int(2), "");
    f.join_all();
    let failure = f.oracle("assertion `left == right` failed\n  left: 2\n right: 3");
    assert_eq!(named(&(f, failure)), Anomaly::AssertionFailed);
}

#[test]
fn a_look_again_before_the_write_is_no_lost_update() {
    let mut f = Fixture::new("right", SOURCE, 2);
    let a = f.var("a", 0);
    f.get(A, a, "");
    f.set(B, a, int(1), "");
    f.get(A, a, "");
    f.set(A, a, int(2), "");
    f.join_all();
    let failure = f.oracle("boom");
    assert_ne!(named(&(f, failure)), Anomaly::LostUpdate);
}

#[test]
fn a_spin_lock_that_was_free_taken_and_free_again_is_no_aba() {
    let mut f = Fixture::new("spin", SOURCE, 2);
    let a = f.atomic("AtomicUsize", int(0));
    f.load(A, a, MemoryOrder::Acquire, "");
    f.rmw(B, Verb::CompareExchange, a, int(1), "");
    f.store(B, a, int(0), MemoryOrder::Release, "");
    f.finish(B);
    f.rmw(A, Verb::CompareExchange, a, int(1), "");
    let failure = f.panics(A, "boom", "");
    assert_ne!(named(&(f, failure)), Anomaly::Aba);
}

#[test]
fn a_list_of_indices_shows_aba() {
    // The new head was read from the node, which stands for a pointer to the next one.
    let mut f = Fixture::new("list", SOURCE, 2);
    let head = f.var("head", 1);
    let next = f.var("next_of_1", 2);
    f.get(A, head, "");
    f.get(A, next, "");
    for value in [2, 3, 1] {
        f.rmw(B, Verb::CompareExchange, head, int(value), "");
    }
    f.finish(B);
    f.rmw(A, Verb::CompareExchange, head, int(2), "");
    f.join_all();
    let failure = f.oracle("node 2 was freed");
    assert_eq!(named(&(f, failure)), Anomaly::Aba);
}

#[test]
fn waiting_for_a_change_is_no_non_repeatable_read() {
    let mut f = Fixture::new("wait", SOURCE, 2);
    let a = f.atomic("AtomicUsize", Value::Bool(false));
    f.load(A, a, MemoryOrder::Acquire, "");
    f.store(B, a, Value::Bool(true), MemoryOrder::Release, "");
    f.load(A, a, MemoryOrder::Acquire, "");
    let failure = f.panics(A, "boom", "");
    assert_eq!(named(&(f, failure)), Anomaly::Panic);
}

#[test]
fn steps_after_the_failure_are_no_part_of_the_story() {
    let (fixture, mut failure) = stories::refcount();
    let steps = failure.step;
    let mut longer = fixture;
    longer.note(A, "unwinding");
    failure.trace = longer.trace.clone();
    failure.step = steps;
    let story = explain(&failure, &longer);
    assert!(story.rows.iter().all(|row| row.text != "unwinding"));
}

#[test]
fn nothing_known_is_still_a_report() {
    let mut f = Fixture::new("empty", "", 0);
    let failure = f.oracle("");
    let text = f.text(failure, &racefuzz_report::Style::default());
    assert!(text.starts_with(" bug  panic"), "{text}");
}
