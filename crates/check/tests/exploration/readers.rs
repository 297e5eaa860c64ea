//! Readers that are kept out while a writer waits: the deadlocks that std's `RwLock` allows are found,
//! without an execution more, and no other program gets one.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, RunReport};

fn explore(program: impl Fn() + Sync) -> RunReport {
    check(&Options { keep_going: true, ..Options::default() }, &program, &())
}

/// Complete executions, failing ones, and kinds of failure.
fn found(program: impl Fn() + Sync) -> (u64, u64, usize) {
    let report = explore(program);
    assert_eq!(report.stats.blocked, 0);
    assert!(report.failures.iter().all(|failure| failure.kind() == FailureKind::Deadlock));
    (report.executions(), report.stats.failing, report.failures.len())
}

fn writer(lock: &Arc<RwLock<u32>>) -> thread::JoinHandle<()> {
    let lock = Arc::clone(lock);
    thread::spawn(move || *lock.write().unwrap() += 1)
}

/// The writer comes first, in between, or last; it is between the two reads that one thread waits for
/// itself. (It cannot have its turn in between, so there are two executions.)
#[test]
fn a_thread_that_reads_twice_waits_for_itself() {
    let report = explore(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let writer = writer(&lock);
        let first = lock.read().unwrap();
        let second = lock.read().unwrap();
        assert_eq!(*first, *second);
        drop((first, second));
        writer.join().unwrap();
    });
    assert_eq!((report.executions(), report.stats.failing), (2, 1));
    let failure = &report.failures[0];
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    assert_eq!(
        failure.message(),
        "main waits to read-lock a rwlock, kept out by thread 1, which waits to write; thread 1 waits to \
         write-lock a rwlock, held by main"
    );
    assert!(failure.is_replayable());
}

/// Without a writer nobody is kept out, however deep the reads are nested.
#[test]
fn readers_alone_are_let_in() {
    let report = explore(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let other = Arc::clone(&lock);
        let reader = thread::spawn(move || {
            let first = other.read().unwrap();
            drop((other.read().unwrap(), first));
        });
        let first = lock.read().unwrap();
        drop((lock.read().unwrap(), first));
        reader.join().unwrap();
    });
    // Four steps of each thread on one word.
    assert_eq!((report.executions(), report.stats.failing), (70, 0));
}

/// A thread that holds no lock while it asks for it can be kept out without harm.
#[test]
fn readers_that_hold_nothing_lose_nothing() {
    let report = explore(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let writer = writer(&lock);
        let other = Arc::clone(&lock);
        let reader = thread::spawn(move || drop(other.read().unwrap()));
        drop(lock.read().unwrap());
        reader.join().unwrap();
        writer.join().unwrap();
    });
    // The readers' four steps in 6 orders, two of them one reader behind the other; the writer is first,
    // last, or between those.
    assert_eq!((report.executions(), report.stats.failing), (6 + 6 + 2, 0));
}

/// A try does not wait, so it is never kept out; nor is whoever turns a write-lock into a read-lock.
#[test]
fn what_does_not_wait_is_not_kept_out() {
    let (_, failing, _) = found(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let writer = writer(&lock);
        let first = RwLockWriteGuard::downgrade(lock.write().unwrap());
        drop((lock.try_read(), first));
        writer.join().unwrap();
    });
    assert_eq!(failing, 0);
}

/// The reader that is kept out is one that the holder waits for: by a join, a channel, a mutex.
#[test]
fn a_holder_that_waits_for_a_reader_waits_for_ever() {
    let (_, failing, kinds) = found(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let writer = writer(&lock);
        let held = lock.read().unwrap();
        let other = Arc::clone(&lock);
        thread::spawn(move || drop(other.read().unwrap())).join().unwrap();
        drop(held);
        writer.join().unwrap();
    });
    assert!(failing > 0 && kinds == 1);
    let (_, failing, kinds) = found(|| {
        let lock = Arc::new(RwLock::new(0u32));
        let writer = writer(&lock);
        let other = Arc::clone(&lock);
        let (sender, receiver) = mpsc::channel();
        let reader = thread::spawn(move || sender.send(*other.read().unwrap()).unwrap());
        let held = lock.read().unwrap();
        let _ = receiver.recv();
        drop(held);
        reader.join().unwrap();
        writer.join().unwrap();
    });
    assert!(failing > 0 && kinds == 1);
    let (_, failing, kinds) = found(|| {
        let shared = Arc::new((RwLock::new(0u32), Mutex::new(())));
        let (one, two) = (Arc::clone(&shared), Arc::clone(&shared));
        let writer = thread::spawn(move || *one.0.write().unwrap() += 1);
        let reader = thread::spawn(move || {
            let _mutex = two.1.lock().unwrap();
            drop(two.0.read().unwrap());
        });
        let held = shared.0.read().unwrap();
        drop(shared.1.lock().unwrap());
        drop(held);
        reader.join().unwrap();
        writer.join().unwrap();
    });
    assert!(failing > 0 && kinds == 1);
}

/// Two locks, read in opposite orders, deadlock where each has a writer that waits; with one writer
/// only they do not.
#[test]
fn two_locks_read_in_opposite_orders_need_two_writers() {
    let program = |writers: usize| {
        move || {
            let locks = [0, 1].map(|_| Arc::new(RwLock::new(0u32)));
            let writers: Vec<_> = locks[..writers].iter().map(writer).collect();
            let theirs = locks.clone();
            let reader = thread::spawn(move || {
                let held = theirs[1].read().unwrap();
                drop((theirs[0].read().unwrap(), held));
            });
            let held = locks[0].read().unwrap();
            drop((locks[1].read().unwrap(), held));
            reader.join().unwrap();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
        }
    };
    assert_eq!(found(program(1)).1, 0);
    let (_, failing, kinds) = found(program(2));
    assert!(failing > 0 && kinds == 1);
}

/// A mutex around both reads and the write keeps the writer away.
#[test]
fn a_writer_that_cannot_come_in_between_does_no_harm() {
    let (_, failing, _) = found(|| {
        let shared = Arc::new((RwLock::new(0u32), Mutex::new(())));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let _mutex = other.1.lock().unwrap();
            *other.0.write().unwrap() += 1;
        });
        {
            let _mutex = shared.1.lock().unwrap();
            let first = shared.0.read().unwrap();
            drop((shared.0.read().unwrap(), first));
        }
        writer.join().unwrap();
    });
    assert_eq!(failing, 0);
}

/// What threads do in generated programs: each works on two locks, with guards in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    Write(usize),
    Try(usize),
    Give,
    Count,
}

fn generate(seed: u64) -> Vec<Vec<Step>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * u128::from(bound)) >> 64) as u64
    };
    let threads = 2 + below(2) as usize;
    (0..threads)
        .map(|_| {
            let steps = 2 + below(if threads == 2 { 4 } else { 2 });
            let step = |_| match below(9) {
                0..=3 => Step::Read(below(2) as usize),
                4..=5 => Step::Write(below(2) as usize),
                6 => Step::Try(below(2) as usize),
                7 => Step::Give,
                _ => Step::Count,
            };
            (0..steps).map(step).collect()
        })
        .collect()
}

#[expect(dead_code, reason = "a guard is there to be held")]
enum Guard<'a> {
    Read(RwLockReadGuard<'a, u32>),
    Write(RwLockWriteGuard<'a, u32>),
}

fn run(steps: &[Step], locks: &[RwLock<u32>; 2], count: &AtomicUsize) {
    let mut held = Vec::new();
    for step in steps {
        match *step {
            Step::Read(lock) => held.push(Guard::Read(locks[lock].read().unwrap())),
            Step::Write(lock) => held.push(Guard::Write(locks[lock].write().unwrap())),
            Step::Try(lock) => held.extend(locks[lock].try_read().ok().map(Guard::Read)),
            Step::Give => drop(held.pop()),
            Step::Count => drop(count.fetch_add(1, Ordering::AcqRel)),
        }
    }
}

/// A machine of its own for generated programs, in which a reader may wait whenever a writer does: it
/// walks every state and says whether some state is one in which nobody can be sure to go on.
mod machine {
    use super::Step;
    use std::collections::HashSet;

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Thread {
        at: usize,
        /// The locks held, oldest first, and whether for writing.
        held: Vec<(usize, bool)>,
    }

    type State = Vec<Thread>;

    fn readers(state: &State, lock: usize) -> usize {
        state.iter().flat_map(|thread| &thread.held).filter(|held| **held == (lock, false)).count()
    }

    fn written(state: &State, lock: usize) -> bool {
        state.iter().any(|thread| thread.held.contains(&(lock, true)))
    }

    fn writer_waits(program: &[Vec<Step>], state: &State, lock: usize) -> bool {
        let next = |(thread, steps): (&Thread, &Vec<Step>)| steps.get(thread.at).copied();
        let mut pending = state.iter().zip(program).filter_map(next);
        (readers(state, lock) > 0 || written(state, lock))
            && pending.any(|step| matches!(step, Step::Write(wanted) if wanted == lock))
    }

    fn step(program: &[Vec<Step>], state: &State, index: usize) -> Option<State> {
        let mut next = state.clone();
        let thread = &mut next[index];
        let Some(step) = program[index].get(thread.at) else {
            thread.held.pop()?;
            return Some(next);
        };
        thread.at += 1;
        match *step {
            Step::Read(lock) if written(state, lock) => return None,
            Step::Write(lock) if written(state, lock) || readers(state, lock) > 0 => return None,
            Step::Try(lock) if written(state, lock) => {}
            Step::Read(lock) | Step::Try(lock) => thread.held.push((lock, false)),
            Step::Write(lock) => thread.held.push((lock, true)),
            Step::Give => drop(thread.held.pop()),
            Step::Count => {}
        }
        Some(next)
    }

    /// Whether the program can deadlock, and whether it can only if readers are kept out.
    pub fn deadlocks(program: &[Vec<Step>]) -> (bool, bool) {
        let start: State = program.iter().map(|_| Thread { at: 0, held: Vec::new() }).collect();
        let (mut seen, mut open) = (HashSet::from([start.clone()]), vec![start]);
        let (mut anyway, mut kept_out) = (false, false);
        while let Some(state) = open.pop() {
            let unfinished =
                |index: &usize| state[*index].at < program[*index].len() || !state[*index].held.is_empty();
            let live: Vec<usize> = (0..program.len()).filter(unfinished).collect();
            let can = |index: &usize| step(program, &state, *index).is_some();
            let may_wait = |index: &usize| match program[*index].get(state[*index].at) {
                Some(Step::Read(lock)) => readers(&state, *lock) > 0 && writer_waits(program, &state, *lock),
                _ => false,
            };
            anyway |= !live.is_empty() && !live.iter().any(can);
            kept_out |= !live.is_empty() && live.iter().all(|index| !can(index) || may_wait(index));
            for next in (0..program.len()).filter_map(|index| step(program, &state, index)) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        (anyway, kept_out)
    }
}

/// The checker finds a deadlock exactly where the machine does.
#[test]
fn generated_programs_deadlock_where_the_machine_says() {
    let (mut by_readers, mut anyway) = (0, 0);
    for seed in 0..600 {
        let program = generate(seed);
        let report = explore(|| {
            let shared = Arc::new(([RwLock::new(0u32), RwLock::new(0u32)], AtomicUsize::new(0)));
            let threads: Vec<_> = program[1..]
                .iter()
                .map(|steps| {
                    let (shared, steps) = (Arc::clone(&shared), steps.clone());
                    thread::spawn(move || run(&steps, &shared.0, &shared.1))
                })
                .collect();
            run(&program[0], &shared.0, &shared.1);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let (without, with) = machine::deadlocks(&program);
        assert_eq!(report.stats.failing > 0, with, "seed {seed}: {program:?}");
        by_readers += u32::from(with && !without);
        anyway += u32::from(without);
    }
    assert!(by_readers > 20 && anyway > 20, "{by_readers} {anyway}");
}
