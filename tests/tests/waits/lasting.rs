//! Waits each round of which leaves something else in memory than the one before: there are as many executions as
//! numbers of rounds, and none of them is a livelock.

use crate::stuck::ENDLESS;
use crate::{MODELS, fails, verified};
use racefuzz::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use racefuzz::sync::{Arc, Mutex};
use racefuzz::{Checker, Outcome, thread};

#[derive(Default)]
struct Shared {
    flag: AtomicBool,
    ready: Mutex<bool>,
    rounds: AtomicU32,
}

/// Counts its rounds by a load and a store.
fn waits(shared: &Shared) {
    while !shared.flag.load(Acquire) {
        let rounds = shared.rounds.load(Relaxed);
        shared.rounds.store(rounds + 1, Relaxed);
        thread::yield_now();
    }
}

fn beside(other: fn(&Shared), this: fn(&Shared)) -> impl Fn() + Sync {
    move || {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || other(&theirs));
        this(&shared);
        thread.join().unwrap();
    }
}

/// Panics if the program is said to fail, or called proved, as its executions are without number; few steps are
/// enough to see that.
#[track_caller]
fn is_left_open(program: impl Fn() + Sync) {
    for memory in MODELS {
        let report = Checker::new().memory_model(memory).max_steps(800).check(&program);
        assert_eq!(report.outcome(), Outcome::Incomplete, "{}", racefuzz::render(&report));
    }
}

fn sets(shared: &Shared) {
    shared.flag.store(true, Release);
}

/// Whoever comes first in the order of threads.
#[test]
fn rounds_are_counted() {
    is_left_open(beside(sets, waits));
    is_left_open(beside(waits, sets));
}

#[test]
fn rounds_under_a_lock_are_counted() {
    let sets = |shared: &Shared| *shared.ready.lock().unwrap() = true;
    let waits = |shared: &Shared| {
        while !*shared.ready.lock().unwrap() {
            let rounds = shared.rounds.load(Relaxed);
            shared.rounds.store(rounds + 1, Relaxed);
            thread::yield_now();
        }
    };
    is_left_open(beside(sets, waits));
}

/// Nobody looks at the number of rounds: there are as many executions as without it.
#[test]
fn rounds_under_a_lock_are_a_statistic() {
    let sets = |shared: &Shared| *shared.ready.lock().unwrap() = true;
    let waits = |shared: &Shared| {
        while !*shared.ready.lock().unwrap() {
            shared.rounds.fetch_add(1, Relaxed);
            thread::yield_now();
        }
    };
    let counts = |shared: &Shared| {
        let mut ready = shared.ready.lock().unwrap();
        while !*ready {
            shared.rounds.fetch_add(1, Relaxed);
            drop(ready);
            thread::yield_now();
            ready = shared.ready.lock().unwrap();
        }
    };
    verified(4, beside(sets, waits));
    verified(4, beside(sets, counts));
}

/// Somebody does.
#[test]
fn the_third_round_under_a_lock_fails() {
    let sets = |shared: &Shared| *shared.ready.lock().unwrap() = true;
    let waits = |shared: &Shared| {
        while !*shared.ready.lock().unwrap() {
            assert!(shared.rounds.fetch_add(1, Relaxed) < 2, "three rounds");
        }
    };
    let looks = |shared: &Shared| {
        while !*shared.ready.lock().unwrap() {
            shared.rounds.fetch_add(1, Relaxed);
        }
        assert!(shared.rounds.load(Relaxed) < 3, "three rounds");
    };
    fails("three rounds", beside(sets, waits));
    fails("three rounds", beside(sets, looks));
}

/// No two rounds are alike in what they do.
#[test]
fn rounds_differ() {
    let waits = |shared: &Shared| {
        let mut random = 1u32;
        while !shared.flag.load(Acquire) {
            random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            if random >> 31 == 1 {
                shared.rounds.store(random, Relaxed);
            }
            shared.rounds.store(random / 2, Relaxed);
        }
    };
    is_left_open(beside(sets, waits));
}

/// Within a bound on preemptions, too.
#[test]
fn nobody_is_preempted() {
    for preemptions in 0..2 {
        let report = Checker::new().max_steps(800).preemptions(preemptions).check(beside(sets, waits));
        assert_ne!(report.outcome(), Outcome::Failed, "{}", racefuzz::render(&report));
    }
}

#[test]
fn the_hundredth_round_fails() {
    let waits = |shared: &Shared| {
        while !shared.flag.load(Acquire) {
            let rounds = shared.rounds.load(Relaxed);
            assert!(rounds < 100, "too many rounds");
            shared.rounds.store(rounds + 1, Relaxed);
        }
    };
    fails("too many rounds", beside(sets, waits));
}

#[test]
fn nobody_sets() {
    fails(ENDLESS, beside(|shared| *shared.ready.lock().unwrap() = true, waits));
}
