//! Counts of programs made of the primitives, with the argument for each.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use racefuzz_primitives::{thread, var::Var};
use racefuzz_trace::{FailureKind, Inject, RunReport};

fn explore(program: impl Fn() + Sync) -> RunReport {
    explore_with(Inject::default(), program)
}

fn explore_with(inject: Inject, program: impl Fn() + Sync) -> RunReport {
    let mut options = Options { keep_going: true, ..Options::default() };
    options.settings.inject = inject;
    check(&options, &program, &())
}

/// Complete, blocked and failing executions.
fn counts(report: &RunReport) -> (u64, u64, u64) {
    (report.stats.executions, report.stats.blocked, report.stats.failing)
}

fn spawn_all<T: Send + Sync + 'static>(shared: &Arc<T>, count: usize, body: fn(&T)) {
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let shared = Arc::clone(shared);
            thread::spawn(move || body(&shared))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Each of n threads reads and then writes: n! orders of the writes, and for each n! ways to place
/// the reads, as the k-th writer may have read any of the k states before its own write.
#[test]
fn reads_and_writes_of_n_threads_are_n_factorial_squared() {
    for (threads, graphs) in [(1, 1), (2, 4), (3, 36), (4, 576), (5, 14_400)] {
        let report = explore(|| {
            spawn_all(&Arc::new(Var::new("references", 5)), threads, |references| {
                let next = references.get() + 1;
                references.set(next);
            });
        });
        assert_eq!(counts(&report), (graphs, 0, 0), "{threads} threads");
    }
}

/// The order in which the lock is taken, and nothing else.
#[test]
fn a_lock_that_n_threads_take_once_has_n_factorial_orders() {
    for (threads, orders) in [(1, 1), (2, 2), (3, 6), (4, 24), (5, 120), (6, 720)] {
        let report = explore(|| {
            let lock = Arc::new(Mutex::new(0));
            spawn_all(&lock, threads, |lock| *lock.lock().unwrap() += 1);
            assert_eq!(*lock.lock().unwrap(), threads);
        });
        assert_eq!(counts(&report), (orders, 0, 0), "{threads} threads");
    }
}

/// One thread has both locks first, or the other has, or each has one.
#[test]
fn two_locks_in_opposite_orders_deadlock_in_one_of_three_executions() {
    let report = explore(|| {
        let pair = Arc::new((Mutex::new(0), Mutex::new(0)));
        let other = Arc::clone(&pair);
        let thread = thread::spawn(move || {
            let _first = other.0.lock();
            let _second = other.1.lock();
        });
        {
            let _first = pair.1.lock();
            let _second = pair.0.lock();
        }
        thread.join().unwrap();
    });
    assert_eq!(counts(&report), (3, 0, 1));
    let failure = &report.failures[0];
    assert_eq!(failure.kind(), FailureKind::Deadlock);
    assert!(failure.message().contains("held by"), "{}", failure.message());
}

/// The try comes before the lock, while it is held, or after.
#[test]
fn a_try_lock_against_a_lock_has_three_executions() {
    let report = explore(|| {
        let lock = Arc::new(Mutex::new(0));
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || drop(other.lock()));
        drop(lock.try_lock());
        thread.join().unwrap();
    });
    assert_eq!(counts(&report), (3, 0, 0));
}

/// The condition may hold when it is looked at, or the thread waits and is woken: two executions. With
/// spurious wake-ups, one for each wait at most, it may look again in vain, or find the condition
/// before the notification comes.
#[test]
fn a_condition_variable_waits_or_not() {
    let program = || {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&pair);
        let thread = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut ready = pair.0.lock().unwrap();
        while !*ready {
            ready = pair.1.wait(ready).unwrap();
        }
        drop(ready);
        thread.join().unwrap();
    };
    let report = explore(program);
    // Entered as a waiter before the lock is given back, the thread cannot miss the notification; it
    // comes after the condition was seen to hold, or wakes.
    assert_eq!(counts(&report), (2, 0, 0));
    let spurious = explore_with(Inject { spurious: true, ..Inject::default() }, program);
    assert_eq!(spurious.stats.failing, 0);
    assert!(spurious.executions() > 2);
}

/// Two writers and no reader are as two threads with a mutex; two readers do not exclude each other,
/// but the order in which they enter and leave is one: (enter a, enter b, leave, leave) and so on.
#[test]
fn writers_exclude_each_other_and_readers_do_not() {
    let writers = explore(|| {
        let lock = Arc::new(RwLock::new(0));
        spawn_all(&lock, 2, |lock| *lock.write().unwrap() += 1);
    });
    assert_eq!(counts(&writers), (2, 0, 0));
    // Two pairs of steps on one word, interleaved in 4!/(2!2!) ways.
    let readers = explore(|| {
        let lock = Arc::new(RwLock::new(0));
        spawn_all(&lock, 2, |lock| drop(lock.read().unwrap()));
    });
    assert_eq!(counts(&readers), (6, 0, 0));
}

/// n threads arrive in n! orders; that they leave changes nothing.
#[test]
fn a_barrier_has_the_orders_of_arrival() {
    for (threads, orders) in [(2, 2), (3, 6), (4, 24)] {
        let report = explore(|| {
            let barrier = Arc::new((Barrier::new(threads),));
            spawn_all(&barrier, threads, |barrier| {
                barrier.0.wait();
            });
        });
        assert_eq!(counts(&report), (orders, 0, 0), "{threads} threads");
    }
}

/// Whether the token is there before the thread parks is no difference: it takes it either way.
#[test]
fn a_token_is_taken_once() {
    let report = explore(|| {
        let me = thread::current();
        let thread = thread::spawn(move || me.unpark());
        thread::park();
        thread.join().unwrap();
    });
    assert_eq!(counts(&report), (1, 0, 0));
}

/// One sender, two messages, one receiver that takes both: the channel's steps are send, send, drop
/// of the sender on one side and receive, receive on the other, each receive behind its send. Of the
/// 5!/(3!2!) = 10 interleavings 5 have both receives behind enough sends.
#[test]
fn a_producer_and_a_consumer() {
    let report = explore(|| {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(2).unwrap();
        });
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Ok(2)));
        thread.join().unwrap();
    });
    assert_eq!(counts(&report), (5, 0, 0));
}

/// A wait that is timed may end by the time or by what it waits for.
#[test]
fn a_timeout_is_a_choice() {
    let report = explore(|| {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || sender.send(1).unwrap());
        let received = receiver.recv_timeout(std::time::Duration::from_secs(1)).is_ok();
        thread.join().unwrap();
        assert!(received, "timed out");
    });
    assert!(report.stats.failing > 0 && report.stats.failing < report.executions());
    assert!(report.failures[0].message().contains("timed out"));
}
