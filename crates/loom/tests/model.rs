//! How models are run, and what becomes of the builder's fields.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::panic::catch_unwind;
use std::sync::atomic::AtomicUsize as Count;

/// The panic's text.
fn failure(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = catch_unwind(run).expect_err("the model must fail");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&'static str>().expect("text")).to_owned(),
    }
}

/// How often a program is run in which three threads add to one atomic: there are 3! orders.
/// How often the model's closure runs for so many executions: the first, the second, the fourth and
/// so on are executed twice, and so is the last where everything is explored.
fn runs(executions: usize, whole: bool) -> usize {
    let sampled = (1..=executions).filter(|number| number.is_power_of_two()).count();
    executions + sampled + usize::from(whole && !executions.is_power_of_two())
}

fn executions(configure: impl FnOnce(&mut Builder)) -> usize {
    let count = std::sync::Arc::new(Count::new(0));
    let mut builder = Builder::new();
    configure(&mut builder);
    let counted = std::sync::Arc::clone(&count);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        add_by(3, |count| {
            count.fetch_add(1, SeqCst);
        });
    });
    count.load(SeqCst)
}

fn increments(add: fn(&AtomicUsize)) {
    add_by(2, add);
}

fn add_by(threads: usize, add: fn(&AtomicUsize)) {
    let count = Arc::new(AtomicUsize::new(0));
    let all: Vec<_> = (0..threads)
        .map(|_| {
            let count = Arc::clone(&count);
            thread::spawn(move || add(&count))
        })
        .collect();
    for thread in all {
        thread.join().unwrap();
    }
    assert_eq!(count.load(SeqCst), threads, "an increment is gone");
}

#[test]
#[should_panic(expected = "an increment is gone")]
fn a_lost_update_is_found() {
    loom::model(|| increments(|count| count.store(count.load(SeqCst) + 1, SeqCst)));
}

#[test]
fn a_correct_program_passes() {
    loom::model(|| {
        increments(|count| {
            count.fetch_add(1, SeqCst);
        });
    });
}

#[test]
fn the_report_is_the_panic() {
    let text = failure(|| {
        loom::model(|| increments(|count| count.store(count.load(SeqCst) + 1, SeqCst)));
    });
    assert!(text.contains("lost update"), "{text}");
    assert!(text.contains("tests/model.rs"), "{text}");
    assert!(text.contains("RACEFUZZ_REPLAY='the_report_is_the_panic:"), "{text}");
    assert!(text.contains("cargo test the_report_is_the_panic"), "{text}");
}

#[test]
fn a_second_model_of_a_test_has_a_name_of_its_own() {
    loom::model(|| {});
    let text = failure(|| loom::model(|| panic!("here")));
    assert!(text.contains("a_second_model_of_a_test_has_a_name_of_its_own#2:"), "{text}");
}

#[test]
fn a_model_is_run_in_every_way_once() {
    assert_eq!(executions(|_| ()), runs(6, true));
}

#[test]
fn max_permutations_bounds_the_run() {
    assert_eq!(executions(|builder| builder.max_permutations = Some(4)), runs(4, false));
    assert_eq!(executions(|builder| builder.max_permutations = Some(0)), runs(1, false));
    assert_eq!(executions(|builder| builder.max_permutations = Some(100)), runs(6, true));
}

#[test]
fn max_duration_ends_the_run_and_it_passes() {
    let mut builder = Builder::new();
    builder.max_duration = Some(std::time::Duration::from_millis(5));
    let count = std::sync::Arc::new(Count::new(0));
    let counted = std::sync::Arc::clone(&count);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        // 8! orders.
        add_by(8, |count| {
            count.fetch_add(1, SeqCst);
        });
    });
    assert!((1..40_320).contains(&count.load(SeqCst)));
}

#[test]
fn the_other_fields_change_nothing_for_a_correct_program() {
    let count = executions(|builder| {
        builder.max_threads = 2;
        builder.checkpoint_interval = 1;
        builder.expect_explicit_explore = true;
        builder.location = true;
        builder.log = true;
    });
    assert_eq!(count, runs(6, true));
}

#[test]
#[should_panic(expected = "an increment is gone")]
fn a_bug_within_the_bound_on_preemptions_is_found() {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(1);
    builder.check(|| increments(|count| count.store(count.load(SeqCst) + 1, SeqCst)));
}

#[test]
#[should_panic(expected = "livelock")]
fn few_branches_are_few_steps() {
    let mut builder = Builder::new();
    builder.max_branches = 2;
    builder.check(|| (0..3).for_each(|_| thread::yield_now()));
}

#[test]
fn checkpoints_are_refused_by_name() {
    let text = failure(|| {
        let mut builder = Builder::new();
        builder.checkpoint_file("steps.json");
        builder.check(|| {});
    });
    assert!(text.starts_with("checkpoint_file (steps.json): racefuzz keeps no checkpoints"), "{text}");
}

#[test]
fn explore_and_its_kin_are_accepted() {
    loom::model(|| {
        loom::stop_exploring();
        loom::explore();
        loom::skip_branch();
    });
}

#[test]
fn an_endless_loop_is_a_livelock() {
    let text = failure(|| {
        loom::model(|| {
            let flag = AtomicUsize::new(0);
            while flag.load(SeqCst) == 0 {
                thread::yield_now();
            }
        });
    });
    assert!(text.contains("livelock"), "{text}");
}

#[test]
fn a_model_whose_executions_all_block_is_no_proof() {
    let text = failure(|| loom::model(|| racefuzz::assume(false)));
    assert!(text.contains("every execution blocks at"), "{text}");
}
