//! What depends on all that a process holds: how much memory that is, and where it lies. Executions of
//! other tests beside these would have a part in it.
#![cfg(target_os = "linux")]

use racefuzz_primitives::alloc::Allocator;
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use racefuzz_primitives::sync::{Arc, mpsc};
use racefuzz_primitives::thread;
use racefuzz_runtime::{Config, Record, Runner};
use racefuzz_trace::{MemoryModel, Settings};
use random::Random;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, PoisonError};

#[path = "../../primitives/tests/laws/random.rs"]
mod random;

#[global_allocator]
static GLOBAL: Allocator = Allocator::new();

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A map whose order depends on addresses has the same order in every execution.
#[test]
fn maps_by_address() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let program = || {
        let (sender, receiver) = mpsc::channel::<usize>();
        let other = thread::spawn(move || receiver.iter().count());
        let boxes: Vec<Box<u32>> = (0..20).map(Box::new).collect();
        let map: HashMap<usize, u32, BuildHasherDefault<DefaultHasher>> =
            boxes.iter().map(|one| (std::ptr::from_ref(&**one) as usize, **one)).collect();
        for number in map.values() {
            if number % 3 == 0 {
                sender.send(*number as usize).unwrap();
            }
        }
        drop(sender);
        assert_eq!(other.join().unwrap(), 7);
        map.into_values().collect::<Vec<u32>>()
    };
    let orders = Mutex::new(HashSet::new());
    let program = || {
        // The lock is not held while the program runs: not every execution goes to its end.
        let order = program();
        orders.lock().unwrap().insert(order);
    };
    for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
        let settings = Settings { memory, ..Settings::default() };
        let fuzzing =
            racefuzz_fuzz::Options { settings: settings.clone(), ..racefuzz_fuzz::Options::default() };
        let checking = racefuzz_check::Options { settings, ..racefuzz_check::Options::default() };
        let fuzzed = racefuzz_fuzz::fuzz(&fuzzing, &program, &());
        let checked = racefuzz_check::check(&checking, &program, &());
        for report in [fuzzed, checked] {
            assert!(report.failures.is_empty(), "{:#?}", report.failures[0]);
        }
    }
    assert_eq!(orders.into_inner().unwrap().len(), 1);
}

/// Executions that allocate leave nothing behind.
#[test]
fn memory_does_not_grow() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    let program = || {
        let shared = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let text = "x".repeat(theirs.fetch_add(1, SeqCst) + 2_000);
            text.chars().rev().collect::<String>().len()
        });
        let texts: Vec<String> = (0..20).map(|number| format!("{number:0>100}")).collect();
        assert_eq!(texts.concat().len(), 2_000);
        assert!(other.join().unwrap() >= 2_000);
    };
    let mut runner = Runner::new(Config::default());
    let mut run = |executions| {
        for seed in 1..=executions {
            let ended = runner.run(&program, &mut Random(seed), Record::Choices);
            assert_eq!((ended.failure.is_none(), ended.outlived.blocks), (true, 0));
        }
    };
    run(1_000);
    let before = resident();
    run(100_000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes");
}
