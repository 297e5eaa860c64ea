//! Strategies that users bring.

use crate::common::*;
use racefuzz_fuzz::custom::{Alternatives, Op, Random, Strategy, ThreadChoice, ThreadId, register};
use racefuzz_fuzz::{Options, replay};
use racefuzz_trace::{MemoryModel, MemoryOrder, Outcome, Settings};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Any thread, and a count of what was executed, on which the next choice depends.
#[derive(Default)]
struct Counting {
    started: Option<u64>,
    executed: usize,
    spawned: usize,
}

impl Strategy for Counting {
    fn start(&mut self, iteration: u64, random: &mut Random<'_>) {
        assert_eq!((self.started, self.executed, self.spawned), (None, 0, 0), "it is made anew");
        self.started = Some(iteration);
        self.executed = random.below(3) as usize;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>, random: &mut Random<'_>) -> ThreadId {
        assert!(choice.options.len() > 1 && self.spawned > 0);
        let drawn = random.below(choice.options.len() as u32) as usize;
        choice.options[(drawn + self.executed) % choice.options.len()]
    }

    fn observes(&self) -> bool {
        true
    }

    fn executed(&mut self, _: ThreadId, _: &Op) {
        self.executed += 1;
    }

    fn spawned(&mut self, _: ThreadId, _: ThreadId) {
        self.spawned += 1;
    }
}

/// The youngest thread that can go on, and the oldest store that a load may read.
#[derive(Default)]
struct Oldest;

impl Strategy for Oldest {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>, _: &mut Random<'_>) -> ThreadId {
        choice.options[choice.options.len() - 1]
    }

    fn choose(&mut self, alternatives: Alternatives, _: &mut Random<'_>) -> u32 {
        alternatives.count - 1
    }
}

#[test]
fn a_strategy_of_a_user_finds_what_is_reported_under_its_name() {
    let counting = register::<Counting>("counting");
    assert_eq!(register::<Counting>("counting"), counting);
    assert_eq!("counting".parse(), Ok(counting));
    let report = run(&options(counting, 7, 1_000), refcount);
    assert_eq!((report.outcome(), report.strategy), (Outcome::Failed, counting));
    let failure = &report.failures()[0];
    assert_eq!(failure.found_by, "counting");
    // A token carries the choices: it is replayed without the strategy.
    let token = failure.schedule().to_string();
    let again = replay(&token.parse().unwrap(), &Options::default(), &refcount);
    assert_eq!(again.report.failures()[0].trace(), failure.trace());
}

#[test]
fn a_strategy_of_a_user_gives_the_same_report_for_any_number_of_workers() {
    let counting = register::<Counting>("counting");
    let report = |workers| {
        let options = Options { workers, keep_going: true, ..options(counting, 11, 3_000) };
        format!("{:?}", run(&options, || reorder(3)))
    };
    assert_eq!(report(1), report(2));
}

#[test]
fn a_strategy_of_a_user_chooses_among_the_stores_that_a_load_may_read() {
    let oldest = register::<Oldest>("oldest");
    let outcome = |memory| {
        let settings = Settings { memory, ..Settings::default() };
        let report = run(&Options { settings, ..options(oldest, 1, 1) }, || {
            let x = Atomic::new();
            let theirs = Arc::clone(&x);
            let writer = spawn(move || theirs.store(1, MemoryOrder::Relaxed));
            assert_eq!(x.load(MemoryOrder::Relaxed), 1);
            join(writer);
        });
        report.outcome()
    };
    assert_eq!(outcome(MemoryModel::Sc), Outcome::Passed);
    assert_eq!(outcome(MemoryModel::Rc11), Outcome::Failed);
}

/// Chooses what is no option.
#[derive(Default)]
struct Wrong;

impl Strategy for Wrong {
    fn choose_thread(&mut self, _: &ThreadChoice<'_>, _: &mut Random<'_>) -> ThreadId {
        ThreadId(99)
    }
}

/// Panics itself.
#[derive(Default)]
struct Panicking;

impl Strategy for Panicking {
    fn choose_thread(&mut self, _: &ThreadChoice<'_>, _: &mut Random<'_>) -> ThreadId {
        panic!("no idea")
    }
}

#[test]
fn what_a_strategy_does_wrong_is_no_failure_of_the_program() {
    for (strategy, said) in [
        (register::<Wrong>("wrong"), "the strategy `wrong` chose thread 99 for step "),
        (register::<Panicking>("panicking"), "the strategy `panicking` panicked: no idea"),
    ] {
        let ended = catch_unwind(AssertUnwindSafe(|| run(&options(strategy, 1, 10), refcount_locked)));
        let message = *ended.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
#[should_panic(expected = "`taken` is the name of another strategy")]
fn a_name_is_that_of_one_strategy() {
    register::<Oldest>("taken");
    register::<Counting>("taken");
}
