//! Sampling rates beside shuttle's: the same programs, in one run of one process, one worker.
//!
//! A row alternates between the two tools several times and reports the median ratio, so that a
//! machine whose speed drifts does not decide it.
//!
//! `count TOOL STRATEGY MEMORY N K EXECUTIONS` runs so many executions of rw(N,K) and nothing else, for
//! tools that count instructions; the difference between two such counts is free of what comes before and
//! behind. `TOOL` is `racefuzz` or `shuttle`.

use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_millis(300);

/// The same program for both tools: `n` threads, each `k` times a load and a store.
macro_rules! rw {
    ($name:ident, $arc:path, $atomic:path, $order:path, $thread:path) => {
        fn $name(n: usize, k: usize) {
            use $arc as Arc;
            use $atomic as Atomic;
            use $order as Ordering;
            use $thread as thread;
            let x = Arc::new(Atomic::new(0));
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
    };
}

rw!(
    ours,
    racefuzz::sync::Arc,
    racefuzz::sync::atomic::AtomicUsize,
    racefuzz::sync::atomic::Ordering,
    racefuzz::thread
);
rw!(
    theirs,
    shuttle::sync::Arc,
    shuttle::sync::atomic::AtomicUsize,
    shuttle::sync::atomic::Ordering,
    shuttle::thread
);

/// Executions per second of a function that runs so many.
fn rate(run: &dyn Fn(u64)) -> f64 {
    let mut count = 64;
    loop {
        let started = Instant::now();
        run(count);
        let elapsed = started.elapsed();
        if elapsed >= SLICE {
            return count as f64 / elapsed.as_secs_f64();
        }
        let grow = SLICE.as_secs_f64() / elapsed.as_secs_f64().max(1e-6) * 1.1;
        count = (count as f64 * grow.clamp(1.5, 100.0)) as u64;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn racefuzz_rate(strategy: racefuzz::Strategy, memory: racefuzz::MemoryModel, n: usize, k: usize) -> f64 {
    rate(&|count| {
        let fuzzer = racefuzz::Fuzzer::new().strategy(strategy).memory_model(memory).iterations(count);
        let report = fuzzer.fuzz(|| ours(n, k));
        assert_eq!(report.executions(), count);
    })
}

/// Runs so many executions of one program under one of the tools.
fn count(arguments: &[String]) {
    let [tool, strategy, memory, n, k, executions] = arguments else { panic!("see the top of this file") };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (n, k, executions) = (number(n) as usize, number(k) as usize, number(executions));
    let started = Instant::now();
    match tool.as_str() {
        "racefuzz" => {
            let strategy = strategy.parse().expect("a strategy");
            let memory = memory.parse().expect("a memory model");
            let fuzzer =
                racefuzz::Fuzzer::new().strategy(strategy).memory_model(memory).iterations(executions);
            assert_eq!(fuzzer.fuzz(|| ours(n, k)).executions(), executions);
        }
        _ => shuttle::check_random(move || theirs(n, k), executions as usize),
    }
    println!("{executions} executions of rw({n},{k}) by {tool}: {:?}", started.elapsed());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "count") {
        return count(&arguments[place + 1..]);
    }
    // `cargo test --benches` and filters of `cargo bench` pass arguments; there is one benchmark.
    println!("{:12} {:26} {:>14} {:>14} {:>8}", "program", "racefuzz", "executions/s", "shuttle", "ratio");
    for (n, k) in [(2, 1), (5, 1), (3, 10)] {
        for strategy in [racefuzz::Strategy::Random, racefuzz::Strategy::Portfolio] {
            for memory in [racefuzz::MemoryModel::Sc, racefuzz::MemoryModel::Rc11] {
                let mut rows = Vec::new();
                for _ in 0..ROUNDS {
                    let mine = racefuzz_rate(strategy, memory, n, k);
                    let other = rate(&|count| {
                        shuttle::check_random(move || theirs(n, k), count as usize);
                    });
                    rows.push((mine, other));
                }
                let mine = median(rows.iter().map(|row| row.0).collect());
                let other = median(rows.iter().map(|row| row.1).collect());
                let ratio = median(rows.iter().map(|row| row.0 / row.1).collect());
                println!(
                    "{:12} {:26} {mine:>14.0} {other:>14.0} {ratio:>7.1}x",
                    format!("rw({n},{k})"),
                    format!("{strategy}, {memory}"),
                );
            }
        }
    }
}
