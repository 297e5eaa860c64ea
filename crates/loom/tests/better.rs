//! What loom 0.7 gets wrong, right.

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};
use loom::sync::{Arc, Condvar, Mutex, mpsc};
use loom::thread;
use std::collections::BTreeSet;
use std::time::Duration;

type Seen<T> = std::sync::Arc<std::sync::Mutex<BTreeSet<T>>>;

/// What executions of the program return, over all of them.
fn outcomes<T: Ord + Send + 'static>(program: impl Fn() -> T + Send + Sync + 'static) -> BTreeSet<T> {
    let seen = Seen::<T>::default();
    let all = std::sync::Arc::clone(&seen);
    loom::model(move || {
        let outcome = program();
        all.lock().unwrap().insert(outcome);
    });
    std::mem::take(&mut *seen.lock().unwrap())
}

fn shared<const N: usize>() -> Arc<[AtomicUsize; N]> {
    Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)))
}

#[test]
fn sequentially_consistent_stores_are_not_buffered() {
    let seen = outcomes(|| {
        let mine = shared::<2>();
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || {
            theirs[1].store(1, SeqCst);
            theirs[0].load(SeqCst)
        });
        mine[0].store(1, SeqCst);
        (mine[1].load(SeqCst), other.join().unwrap())
    });
    assert_eq!(seen, BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
}

#[test]
fn released_stores_may_be_buffered() {
    let seen = outcomes(|| {
        let mine = shared::<2>();
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || {
            theirs[1].store(1, Release);
            theirs[0].load(Acquire)
        });
        mine[0].store(1, Release);
        (mine[1].load(Acquire), other.join().unwrap())
    });
    assert_eq!(seen, BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]));
}

#[test]
fn sequentially_consistent_fences_order_relaxed_accesses() {
    let seen = outcomes(|| {
        let mine = shared::<2>();
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || {
            theirs[1].store(1, Relaxed);
            fence(SeqCst);
            theirs[0].load(Relaxed)
        });
        mine[0].store(1, Relaxed);
        fence(SeqCst);
        (mine[1].load(Relaxed), other.join().unwrap())
    });
    assert!(!seen.contains(&(0, 0)), "{seen:?}");
}

#[test]
fn a_swap_and_a_store_follow_each_other() {
    // If the swap read 0 it came before the store, which is then the last; else it came after.
    let seen = outcomes(|| {
        let mine = shared::<1>();
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || theirs[0].swap(2, Relaxed));
        mine[0].store(1, Relaxed);
        let swapped = other.join().unwrap();
        (swapped, mine[0].load(Relaxed))
    });
    assert_eq!(seen, BTreeSet::from([(0, 1), (1, 2)]));
}

#[test]
fn a_load_more_loses_no_outcome() {
    let with = |loads: usize| {
        outcomes(move || {
            let mine = shared::<2>();
            let theirs = Arc::clone(&mine);
            let other = thread::spawn(move || {
                theirs[0].store(1, Relaxed);
                theirs[1].store(1, Relaxed);
            });
            for _ in 0..loads {
                let _ = mine[0].load(Relaxed);
            }
            let seen = (mine[1].load(Relaxed), mine[0].load(Relaxed));
            other.join().unwrap();
            seen
        })
    };
    let all = BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert_eq!(with(0), all);
    assert_eq!(with(1), all);
}

#[test]
fn a_failed_try_lock_is_no_deadlock() {
    let seen = outcomes(|| {
        let mine = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&mine);
        let other = thread::spawn(move || theirs.try_lock().map(|mut guard| *guard += 1).is_ok());
        let locked = mine.try_lock().map(|mut guard| *guard += 1).is_ok();
        let count = usize::from(other.join().unwrap()) + usize::from(locked);
        assert_eq!(*mine.lock().unwrap(), count);
        count
    });
    assert_eq!(seen, BTreeSet::from([1, 2]));
}

#[test]
fn a_condvar_does_not_take_the_park_token() {
    loom::model(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let mut ready = theirs.0.lock().unwrap();
            while !*ready {
                ready = theirs.1.wait(ready).unwrap();
            }
            drop(ready);
            thread::park();
        });
        other.thread().unpark();
        *shared.0.lock().unwrap() = true;
        shared.1.notify_one();
        other.join().unwrap();
    });
}

#[test]
fn a_channel_without_senders_says_so() {
    loom::model(|| {
        let (sender, receiver) = mpsc::channel::<u32>();
        drop(sender);
        assert!(receiver.recv().is_err());

        let (sender, receiver) = mpsc::channel();
        let other = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
        other.join().unwrap();
    });
}

#[test]
fn a_wait_may_time_out() {
    let seen = outcomes(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_one();
        });
        let ready = shared.0.lock().unwrap();
        let timed_out = match *ready {
            true => None,
            false => Some(shared.1.wait_timeout(ready, Duration::from_millis(1)).unwrap().1.timed_out()),
        };
        other.join().unwrap();
        timed_out
    });
    assert_eq!(seen, BTreeSet::from([None, Some(false), Some(true)]));
    // Nobody is there to notify.
    loom::model(|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let guard = mutex.lock().unwrap();
        assert!(condvar.wait_timeout(guard, Duration::from_secs(1)).unwrap().1.timed_out());
    });
}

#[test]
fn more_than_five_threads_run() {
    let orders = outcomes(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let count = Arc::clone(&count);
                thread::spawn(move || count.fetch_add(1, Relaxed))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(orders.len(), 720);
}

#[test]
#[should_panic(expected = "the first cause")]
fn a_panic_of_a_destructor_hides_no_other() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("a destructor");
            }
        }
    }
    loom::model(|| {
        let _bomb = Bomb;
        panic!("the first cause");
    });
}

#[test]
fn statics_begin_anew_in_each_execution() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    static LOCK: Mutex<u32> = Mutex::new(0);
    loom::model(|| {
        assert!(!STARTED.swap(true, Relaxed));
        let mut n = LOCK.lock().unwrap();
        *n += 1;
        assert_eq!(*n, 1);
    });
}

#[test]
fn what_loom_lacks_is_there() {
    use loom::sync::{Barrier, LazyLock, Once, OnceLock, Weak};
    loom::model(|| {
        let once = Once::new();
        let cell = OnceLock::new();
        let lazy = LazyLock::new(|| 3);
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                once.call_once(|| ());
                cell.get_or_init(|| 1);
                barrier.wait();
            });
            barrier.wait();
        });
        assert!(once.is_completed());
        assert_eq!((cell.get(), *lazy), (Some(&1), 3));
        let strong = Arc::new(1);
        let weak: Weak<_> = Arc::downgrade(&strong);
        drop(strong);
        assert!(weak.upgrade().is_none());
    });
}
