//! The kind of programs that shuttle's users test: a bounded buffer, an async lock, a semaphore.

use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::{future, thread};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::task::{Poll, Waker};

/// A queue with a place for `limit` values. With one condition variable for both sides a wake-up may
/// go to the wrong one.
struct Buffer {
    values: Mutex<VecDeque<u32>>,
    free: Condvar,
    filled: Condvar,
    limit: usize,
    one_condvar: bool,
}

impl Buffer {
    fn new(limit: usize, one_condvar: bool) -> Self {
        let values = Mutex::new(VecDeque::new());
        Self { values, free: Condvar::new(), filled: Condvar::new(), limit, one_condvar }
    }

    fn filled(&self) -> &Condvar {
        if self.one_condvar { &self.free } else { &self.filled }
    }

    fn put(&self, value: u32) {
        let mut values = self.values.lock().unwrap();
        while values.len() == self.limit {
            values = self.free.wait(values).unwrap();
        }
        values.push_back(value);
        self.filled().notify_one();
    }

    fn take(&self) -> u32 {
        let mut values = self.values.lock().unwrap();
        loop {
            if let Some(value) = values.pop_front() {
                self.free.notify_one();
                return value;
            }
            values = self.filled().wait(values).unwrap();
        }
    }
}

/// Producers and consumers of two values each.
fn exchange(one_condvar: bool) {
    let buffer = Arc::new(Buffer::new(1, one_condvar));
    let producers = (0..2).map(|number| {
        let buffer = Arc::clone(&buffer);
        thread::spawn(move || {
            for value in 0..2 {
                buffer.put(10 * number + value);
            }
            Vec::new()
        })
    });
    let producers: Vec<_> = producers.collect();
    let consumers = (0..2).map(|_| {
        let buffer = Arc::clone(&buffer);
        thread::spawn(move || vec![buffer.take(), buffer.take()])
    });
    let threads = producers.into_iter().chain(consumers.collect::<Vec<_>>());
    let mut taken: Vec<u32> = threads.flat_map(|thread| thread.join().unwrap()).collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 10, 11]);
}

fn fails(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    *catch_unwind(run).expect_err("the program must fail").downcast::<String>().expect("text")
}

#[test]
fn a_buffer_with_one_condvar_gets_stuck() {
    for text in [
        fails(|| shuttle::check_random(|| exchange(true), 5_000)),
        fails(|| shuttle::check_pct(|| exchange(true), 5_000, 3)),
    ] {
        assert!(text.contains("lost wake-up") || text.contains("deadlock"), "{text}");
    }
}

#[test]
fn a_buffer_with_two_does_not() {
    shuttle::check_random(|| exchange(false), 2_000);
    shuttle::check_pct(|| exchange(false), 2_000, 3);
}

/// A lock for tasks.
#[derive(Default)]
struct AsyncLock {
    state: Mutex<(bool, VecDeque<Waker>)>,
}

impl AsyncLock {
    fn lock(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            let mut state = self.state.lock().unwrap();
            if !state.0 {
                state.0 = true;
                return Poll::Ready(());
            }
            state.1.push_back(context.waker().clone());
            Poll::Pending
        })
    }

    /// Wakes the one who has waited longest; if `forgetful`, only sometimes.
    fn unlock(&self, forgetful: bool) {
        let mut state = self.state.lock().unwrap();
        state.0 = false;
        if !forgetful && let Some(next) = state.1.pop_front() {
            next.wake();
        }
    }
}

fn take_turns(forgetful: bool) {
    let lock = Arc::new(AsyncLock::default());
    let inside = Arc::new(Mutex::new(false));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            future::spawn(async move {
                lock.lock().await;
                assert!(!std::mem::replace(&mut *inside.lock().unwrap(), true));
                future::yield_now().await;
                *inside.lock().unwrap() = false;
                lock.unlock(forgetful);
            })
        })
        .collect();
    future::block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn tasks_exclude_each_other() {
    shuttle::check_random(|| take_turns(false), 1_000);
    shuttle::check_pct(|| take_turns(false), 1_000, 3);
}

#[test]
fn a_task_that_nobody_wakes_is_found() {
    let text = fails(|| shuttle::check_random(|| take_turns(true), 1_000));
    assert!(text.contains("deadlock") || text.contains("lost wake-up"), "{text}");
}
