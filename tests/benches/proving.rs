//! Proving beside loom: the same programs, in one run of one process, one worker.
//!
//! A row states the executions that each tool needs and how long they take. Loom needs minutes for
//! the first program, so its time there is extrapolated: the rate of its first iterations, and the
//! number of iterations that a whole run was counted to take. GenMC's times are those published for
//! version 0.11.

use racefuzz::{Checker, MemoryModel, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc as Shared;
use std::sync::atomic::{AtomicU64, Ordering as Order};
use std::time::{Duration, Instant};

/// The least time that a measurement of racefuzz takes in all; the shortest run counts.
const LEAST: Duration = Duration::from_millis(500);
/// Iterations of loom where the whole takes too long, and what a whole run of rw(3,2) was counted to.
const SAMPLED: u64 = 100_000;
const LOOM_RW_3_2: u64 = 8_552_194;

macro_rules! programs {
    ($module:ident, $tool:ident) => {
        mod $module {
            use $tool::sync::atomic::{AtomicUsize, Ordering};
            use $tool::sync::{Arc, Mutex};
            use $tool::thread;

            /// `n` threads, each `k` times a load and a store of one atomic.
            pub fn rw(n: usize, k: usize) {
                let x = Arc::new(AtomicUsize::new(0));
                let threads: Vec<_> = (0..n)
                    .map(|id| {
                        let x = Arc::clone(&x);
                        thread::spawn(move || {
                            for _ in 0..k {
                                let value = x.load(Ordering::SeqCst);
                                x.store(value + id, Ordering::SeqCst);
                            }
                        })
                    })
                    .collect();
                for thread in threads {
                    thread.join().unwrap();
                }
            }

            /// `n` threads, the main one among them, each `k` times under one lock.
            pub fn mutex(n: usize, k: usize) {
                let x = Arc::new(Mutex::new(0));
                let increments = move |x: &Mutex<i32>| (0..k).for_each(|_| *x.lock().unwrap() += 1);
                let threads: Vec<_> = (1..n)
                    .map(|_| {
                        let x = Arc::clone(&x);
                        thread::spawn(move || increments(&x))
                    })
                    .collect();
                increments(&x);
                for thread in threads {
                    thread.join().unwrap();
                }
            }
        }
    };
}

programs!(ours, racefuzz);
programs!(theirs, loom);

/// `i += j` against `j += i`, `n` times each, while the main thread looks at both.
fn fib(n: usize) {
    use racefuzz::sync::Arc;
    use racefuzz::sync::atomic::{AtomicUsize, Ordering};
    use racefuzz::thread;
    let pair = Arc::new((AtomicUsize::new(1), AtomicUsize::new(1)));
    let add = move |mine: &AtomicUsize, other: &AtomicUsize| {
        for _ in 0..n {
            let sum = mine.load(Ordering::Acquire) + other.load(Ordering::Acquire);
            mine.store(sum, Ordering::Release);
        }
    };
    let (a, b) = (Arc::clone(&pair), Arc::clone(&pair));
    let threads = [thread::spawn(move || add(&a.0, &a.1)), thread::spawn(move || add(&b.1, &b.0))];
    let largest = 1 << (2 * n);
    assert!(pair.0.load(Ordering::Acquire) <= largest && pair.1.load(Ordering::Acquire) <= largest);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Verifies a program; how many executions that takes, and the shortest time of several.
fn verify(memory: MemoryModel, program: impl Fn() + Sync) -> (u64, Duration) {
    let mut best = Duration::MAX;
    let begin = Instant::now();
    loop {
        let started = Instant::now();
        let report = Checker::new().memory_model(memory).check(&program);
        best = best.min(started.elapsed());
        assert_eq!(report.outcome(), Outcome::Passed);
        if begin.elapsed() >= LEAST {
            return (report.executions(), best);
        }
    }
}

struct Enough;

/// Loom's iterations, all of them or the first `most`, and their time.
fn loom(most: Option<u64>, program: impl Fn() + Send + Sync + 'static) -> (u64, Duration) {
    let count = Shared::new(AtomicU64::new(0));
    let counted = Shared::clone(&count);
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        loom::model::Builder::new().check(move || {
            if most.is_some_and(|most| counted.load(Order::Relaxed) >= most) {
                resume_unwind(Box::new(Enough));
            }
            counted.fetch_add(1, Order::Relaxed);
            program();
        });
    }));
    let elapsed = started.elapsed();
    if let Err(payload) = ended
        && !payload.is::<Enough>()
    {
        resume_unwind(payload);
    }
    (count.load(Order::Relaxed), elapsed)
}

fn row(name: &str, (executions, mine): (u64, Duration), (peer, count, other): (&str, Option<u64>, Duration)) {
    let count = count.map_or_else(String::new, |count| count.to_string());
    let ratio = other.as_secs_f64() / mine.as_secs_f64();
    println!(
        "{name:20} {executions:>10} {:>12.6} {peer:>18} {count:>10} {:>10.3} {ratio:>12.1}x",
        mine.as_secs_f64(),
        other.as_secs_f64()
    );
}

fn main() {
    println!(
        "{:20} {:>10} {:>12} {:>18} {:>10} {:>10} {:>13}",
        "program", "graphs", "seconds", "peer", "iterations", "seconds", "ratio"
    );
    let (sampled, time) = loom(Some(SAMPLED), || theirs::rw(3, 2));
    let whole = time.mul_f64(LOOM_RW_3_2 as f64 / sampled as f64);
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        let mine = verify(memory, || ours::rw(3, 2));
        row(&format!("rw(3,2), {memory}"), mine, ("loom, extrapolated", Some(LOOM_RW_3_2), whole));
    }
    let (iterations, time) = loom(None, || theirs::mutex(4, 1));
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        let mine = verify(memory, || ours::mutex(4, 1));
        assert_eq!(mine.0, 24, "the orders of four threads");
        row(&format!("mutex(4,1), {memory}"), mine, ("loom", Some(iterations), time));
    }
    for (memory, graphs, seconds) in [(MemoryModel::Sc, 218_243, 3.07), (MemoryModel::Rc11, 525_630, 5.9)] {
        let mine = verify(memory, || fib(5));
        assert_eq!(mine.0, graphs, "fib_bench(5) under {memory}");
        row(
            &format!("fib_bench(5), {memory}"),
            mine,
            ("GenMC, published", None, Duration::from_secs_f64(seconds)),
        );
    }
}
