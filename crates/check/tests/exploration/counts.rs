//! Counts that have a closed form, or that published checkers agree on.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, Mutex};
use racefuzz_primitives::thread;
use racefuzz_trace::{MemoryModel, Outcome};

const MODELS: [MemoryModel; 3] = [MemoryModel::Sc, MemoryModel::Tso, MemoryModel::Rc11];

fn count(memory: MemoryModel, program: impl Fn() + Sync) -> u64 {
    let mut options = Options::default();
    options.settings.memory = memory;
    let report = check(&options, &program, &());
    assert_eq!(report.outcome(), Outcome::Passed, "{:?}", report.failures);
    assert_eq!(report.blocked(), 0);
    report.executions()
}

fn factorial(n: u64) -> u64 {
    (1..=n).product()
}

fn spawn_all<T: Send + Sync + 'static>(shared: &Arc<T>, count: usize, body: fn(&T, usize)) {
    let threads: Vec<_> = (0..count)
        .map(|index| {
            let shared = Arc::clone(shared);
            thread::spawn(move || body(&shared, index))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// One writer, N readers: each reads the initial value or the store.
#[test]
fn readers() {
    for (n, memory) in (1..=10).zip(MODELS.into_iter().cycle()) {
        let counted = count(memory, || {
            spawn_all(&Arc::new(AtomicUsize::new(0)), n + 1, |x, index| match index {
                0 => x.store(1, Ordering::SeqCst),
                _ => {
                    x.load(Ordering::SeqCst);
                }
            });
        });
        assert_eq!(counted, 1 << n, "readers({n}) under {memory}");
    }
}

/// Abdulla, Aronsson, Jonsson & Sagonas, POPL'14: N writers to one cell each, counting up from the
/// cell before, and a reader that looks for the last cell that is zero.
#[test]
fn lastzero() {
    for n in 2..=8usize {
        let counted = count(MemoryModel::Sc, || {
            let cells: Vec<_> = (0..=n).map(|_| AtomicUsize::new(0)).collect();
            spawn_all(&Arc::new(cells), n + 1, |cells, index| {
                if index > 0 {
                    let before = cells[index - 1].load(Ordering::SeqCst);
                    return cells[index].store(before + 1, Ordering::SeqCst);
                }
                let mut at = cells.len() - 1;
                while cells[at].load(Ordering::SeqCst) != 0 {
                    at -= 1;
                }
            });
        });
        let n = n as u64;
        assert_eq!(counted, (1 << (n - 2)) * (n + 3), "lastzero({n})");
    }
}

/// N increments of one atomic: their order.
#[test]
fn ainc() {
    for (n, memory) in (1..=6).zip(MODELS.into_iter().cycle()) {
        let counted = count(memory, || {
            spawn_all(&Arc::new(AtomicUsize::new(0)), n, |x, _| {
                x.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(counted, factorial(n as u64), "ainc({n}) under {memory}");
    }
}

/// N increments under one lock: the order in which it is taken.
#[test]
fn lockinc() {
    for (n, memory) in (1..=6).zip(MODELS.into_iter().cycle()) {
        let counted = count(memory, || {
            let shared = Arc::new(Mutex::new(0));
            spawn_all(&shared, n, |x, _| *x.lock().unwrap() += 1);
            assert_eq!(*shared.lock().unwrap(), n);
        });
        assert_eq!(counted, factorial(n as u64), "lockinc({n}) under {memory}");
    }
}

/// Two threads that add each other's number to their own `rounds` times, while the main thread looks
/// at both (SV-COMP's `fib_bench`).
fn fib_bench(memory: MemoryModel, rounds: usize) -> u64 {
    count(memory, || {
        let pair = Arc::new((AtomicUsize::new(1), AtomicUsize::new(1)));
        let add = move |mine: &AtomicUsize, other: &AtomicUsize| {
            for _ in 0..rounds {
                let sum = mine.load(Ordering::Acquire) + other.load(Ordering::Acquire);
                mine.store(sum, Ordering::Release);
            }
        };
        let (a, b) = (Arc::clone(&pair), Arc::clone(&pair));
        let threads = [thread::spawn(move || add(&a.0, &a.1)), thread::spawn(move || add(&b.1, &b.0))];
        let largest = 1 << (2 * rounds);
        assert!(pair.0.load(Ordering::Acquire) <= largest && pair.1.load(Ordering::Acquire) <= largest);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    })
}

#[test]
fn fib_bench_of_four() {
    assert_eq!(fib_bench(MemoryModel::Sc, 4), 19_605);
    assert_eq!(fib_bench(MemoryModel::Rc11, 4), 34_205);
}

#[test]
fn fib_bench_of_five() {
    assert_eq!(fib_bench(MemoryModel::Sc, 5), 218_243);
    assert_eq!(fib_bench(MemoryModel::Rc11, 5), 525_630);
}

/// `rw(3,2)`: three threads that load and store one atomic twice each.
#[test]
fn three_threads_that_read_and_write_twice() {
    let counted = count(MemoryModel::Rc11, || {
        spawn_all(&Arc::new(AtomicUsize::new(0)), 3, |x, index| {
            for _ in 0..2 {
                x.load(Ordering::SeqCst);
                x.store(index, Ordering::SeqCst);
            }
        });
    });
    assert_eq!(counted, 7_134);
}

/// `big1` of GenMC's tests: two threads read four locations in turn, eight and six times, two others
/// store 1, 2, 3 to two of them each.
fn big1(memory: MemoryModel) -> u64 {
    count(memory, || {
        let cells: Vec<_> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        spawn_all(&Arc::new(cells), 4, |cells, index| match index {
            0 | 1 => (0..8 - 2 * index).for_each(|at| {
                cells[at % 4].load(Ordering::Acquire);
            }),
            _ => (0..6).for_each(|at| cells[2 * (index - 2) + at % 2].store(1 + at / 2, Ordering::Release)),
        });
    })
}

#[test]
#[ignore = "takes half a minute"]
fn big1_under_sc() {
    assert_eq!(big1(MemoryModel::Sc), 1_820_474);
}

#[test]
#[ignore = "takes half a minute"]
fn big1_under_rc11() {
    assert_eq!(big1(MemoryModel::Rc11), 2_950_753);
}

/// Nothing is shared among workers but the order of the exploration.
#[test]
fn any_number_of_workers_counts_the_same_and_finds_the_same_failure() {
    let program = || {
        let shared = Arc::new(AtomicUsize::new(0));
        spawn_all(&shared, 4, |x, _| {
            let n = x.load(Ordering::Relaxed);
            x.store(n + 1, Ordering::Relaxed);
            x.load(Ordering::Relaxed);
        });
        assert_ne!(shared.load(Ordering::Relaxed), 1, "three updates are gone");
    };
    let run = |workers, keep_going| {
        let mut report = check(&Options { workers, keep_going, ..Options::default() }, &program, &());
        report.settings = Default::default();
        report
    };
    for keep_going in [false, true] {
        let alone = run(1, keep_going);
        assert_eq!(alone.outcome(), Outcome::Failed);
        for workers in [2, 3] {
            assert_eq!(run(workers, keep_going), alone, "{workers} workers, keep_going {keep_going}");
        }
    }
}
