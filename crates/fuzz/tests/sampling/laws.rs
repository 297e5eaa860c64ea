//! What each strategy promises, on small programs and at fixed seeds.

use crate::common::*;
use racefuzz_fuzz::Options;
use racefuzz_trace::{MemoryModel, Outcome, Settings, Strategy};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How often each order of the steps of `threads` threads of `steps` steps each came up.
fn orders(strategy: Strategy, threads: u32, steps: u32, iterations: u64) -> BTreeMap<Vec<u32>, u64> {
    let counts = Mutex::new(BTreeMap::new());
    let report = run(&options(strategy, 7, iterations), || {
        let order = Arc::new(Mutex::new(Vec::new()));
        let x = Var::new("x", 0);
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (order, x) = (Arc::clone(&order), Arc::clone(&x));
                spawn(move || {
                    for _ in 0..steps {
                        x.set(1);
                        order.lock().unwrap().push(thread);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(join);
        let order = std::mem::take(&mut *order.lock().unwrap());
        *counts.lock().unwrap().entry(order).or_insert(0) += 1;
    });
    assert_eq!(report.outcome(), Outcome::Passed);
    counts.into_inner().unwrap()
}

/// The chi-square statistic against the uniform distribution over `cells`, in standard deviations
/// from its mean.
fn excess(counts: &BTreeMap<Vec<u32>, u64>, cells: f64) -> f64 {
    let total: u64 = counts.values().sum();
    let expected = total as f64 / cells;
    let unseen = cells - counts.len() as f64;
    let sum: f64 = counts.values().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    (sum + unseen * expected - (cells - 1.0)) / (2.0 * (cells - 1.0)).sqrt()
}

#[test]
fn urw_is_uniform_over_the_orders_of_events() {
    // 6!/(3! 3!) and 6!/(2! 2! 2!) orders.
    for (threads, steps, cells) in [(2, 3, 20.0), (3, 2, 90.0)] {
        let urw = excess(&orders(Strategy::Urw, threads, steps, 20_000), cells);
        assert!(urw < 4.0, "{threads}x{steps}: {urw}");
        let random = excess(&orders(Strategy::Random, threads, steps, 20_000), cells);
        assert!(random > 50.0, "{threads}x{steps}: {random}");
    }
}

#[test]
fn surw_is_uniform_over_the_orders_of_one_object() {
    for (threads, steps, cells) in [(2, 3, 20.0), (3, 2, 90.0)] {
        let surw = excess(&orders(Strategy::Surw, threads, steps, 20_000), cells);
        assert!(surw < 4.0, "{threads}x{steps}: {surw}");
    }
}

#[test]
fn pct_keeps_its_bound_on_a_bug_of_depth_two() {
    // The reader must come between two given writes of many.
    let program = || {
        let x = Var::new("x", 0);
        let y = Arc::clone(&x);
        let writer = spawn(move || (1..=20).for_each(|value| y.set(value)));
        let reader = spawn(move || assert_ne!(x.get(), 13));
        join(writer);
        join(reader);
    };
    let options = Options { depth: 2, keep_going: true, ..options(Strategy::Pct, 1, 5_000) };
    let stats = run(&options, program).stats;
    // n = 2 threads (the root never runs beside them), k = 21 steps.
    let bound = 1.0 / (2.0 * 21.0);
    assert!(stats.failing_share().interval().1 > bound, "{}", stats.failing_share().value());
    let shallow = run(&Options { depth: 1, ..options }, program).stats;
    assert_eq!(shallow.failing, 0);
}

/// Only orders of accesses to one object matter, but there is much else to do: a thread with a
/// long way to its one write, another with a short one.
fn far_apart() {
    let (x, noise) = (Var::new("x", 0), Var::new("noise", 0));
    let (y, noise2) = (Arc::clone(&x), Arc::clone(&noise));
    let long = spawn(move || {
        (0..30).for_each(|value| noise2.set(value));
        y.set(1);
    });
    let short = spawn(move || {
        noise.get();
        assert_eq!(x.get(), 0, "the short way was the longer one");
    });
    join(long);
    join(short);
}

#[test]
fn surw_and_pos_find_what_a_random_walk_hardly_can() {
    let mean = |strategy| mean_to_first(strategy, 0..20, 2_000, far_apart);
    let random = mean(Strategy::Random);
    for strategy in [Strategy::Surw, Strategy::Pos, Strategy::Pct] {
        assert!(mean(strategy) * 20.0 < random, "{strategy} {} {random}", mean(strategy));
    }
}

#[test]
fn every_strategy_that_draws_finds_a_lost_update_soon() {
    for strategy in STRATEGIES.iter().filter(|strategy| **strategy != Strategy::RoundRobin) {
        assert!(mean_to_first(*strategy, 0..30, 100, refcount) < 6.0, "{strategy}");
    }
}

#[test]
fn every_strategy_ends_spin_loops() {
    let settings = Settings { max_steps: 5_000, ..Settings::default() };
    for waiters in [1, 2, 4] {
        for strategy in STRATEGIES {
            let options = Options { settings: settings.clone(), ..options(*strategy, 1, 300) };
            let report = run(&options, || spin(waiters));
            let message = report.failures().first().map(|failure| &failure.message);
            assert_eq!(message, None, "{strategy}, {waiters} waiters");
        }
    }
}

#[test]
fn every_strategy_ends_loops_that_yield() {
    let settings = Settings { max_steps: 5_000, memory: MemoryModel::Sc, ..Settings::default() };
    for strategy in STRATEGIES {
        let options = Options { settings: settings.clone(), ..options(*strategy, 1, 300) };
        let report = run(&options, || {
            let x = Var::new("x", 0);
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    let x = Arc::clone(&x);
                    spawn(move || {
                        while x.get() == 0 {
                            pause();
                        }
                    })
                })
                .collect();
            let setter = spawn(move || {
                (0..5).for_each(|_| note("busy"));
                x.set(1);
            });
            waiters.into_iter().for_each(join);
            join(setter);
        });
        assert_eq!(report.outcome(), Outcome::Passed, "{strategy}");
    }
}

#[test]
fn round_robin_draws_nothing() {
    let orders = |seed| {
        let seen = Mutex::new(Vec::new());
        run(&options(Strategy::RoundRobin, seed, 10), || {
            let x = Var::new("x", 0);
            let y = Arc::clone(&x);
            let thread = spawn(move || (1..=4).for_each(|value| y.set(value)));
            let first = (x.get(), x.get(), x.get());
            join(thread);
            seen.lock().unwrap().push(first);
        });
        seen.into_inner().unwrap()
    };
    assert_eq!(orders(1), orders(2));
    assert!(orders(1).iter().any(|order| *order != orders(1)[0]));
}

#[test]
fn round_robin_alternates_at_first_and_runs_threads_whole_later() {
    let seen = Mutex::new(Vec::new());
    run(&options(Strategy::RoundRobin, 0, 3), || {
        let order = Arc::new(Mutex::new(Vec::new()));
        let x = Var::new("x", 0);
        let handles: Vec<_> = (0..3)
            .map(|thread| {
                let (order, x) = (Arc::clone(&order), Arc::clone(&x));
                spawn(move || {
                    for _ in 0..3 {
                        x.set(1);
                        order.lock().unwrap().push(thread);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(join);
        seen.lock().unwrap().push(std::mem::take(&mut *order.lock().unwrap()));
    });
    let seen = seen.into_inner().unwrap();
    // Each of these iterations is executed twice.
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert_eq!(seen[4], [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn rff_covers_rare_pairs_sooner() {
    // One of sixteen writes must be the one that the reader sees, twice in a row.
    let program = || {
        let (x, y) = (Var::new("x", 0), Var::new("y", 0));
        let (x2, y2) = (Arc::clone(&x), Arc::clone(&y));
        let writer = spawn(move || {
            (1..=12).for_each(|value| x2.set(value));
            (1..=12).for_each(|value| y2.set(value));
        });
        let reader = spawn(move || assert!(!(x.get() == 1 && y.get() == 12 && x.get() == 12)));
        join(writer);
        join(reader);
    };
    let mean = |strategy| mean_to_first(strategy, 0..10, 5_000, program);
    assert!(mean(Strategy::Rff) < mean(Strategy::Random), "{}", mean(Strategy::Rff));
}

#[test]
fn weak_memory_is_as_weak_as_it_may_be_and_no_weaker_than_asked() {
    for strategy in STRATEGIES.iter().filter(|strategy| **strategy != Strategy::RoundRobin) {
        let first = mean_to_first(*strategy, 0..10, 2_000, message);
        assert!(first < 100.0, "{strategy} {first}");
        let settings = Settings { memory: MemoryModel::Sc, ..Settings::default() };
        let report = run(&Options { settings, ..options(*strategy, 1, 2_000) }, message);
        assert_eq!(report.outcome(), Outcome::Passed, "{strategy}");
    }
}

#[test]
fn every_value_of_a_choice_comes_up() {
    let seen = AtomicU64::new(0);
    run(&options(Strategy::Portfolio, 1, 400), || {
        let value = racefuzz_runtime::ops::choose(40, racefuzz_runtime::Site::caller()).unwrap();
        seen.fetch_or(1 << value, Ordering::Relaxed);
    });
    assert_eq!(seen.into_inner().count_ones(), 40);
}
