//! `cargo racefuzz test` over programs that wait by what the standard library has for that.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::{folder, snapshot};
use crate::unmodified::{library, lines, run};
use std::fs;

/// Programs that wait for ever in some order, each for something else.
const WRONG: &str = r#"
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::Duration;

type Flag = Arc<(Mutex<()>, Condvar, AtomicBool)>;

// Whoever sets the flag does not take the lock: it may do so between the look at it and the wait.
fn set_outside() -> (Flag, thread::JoinHandle<()>) {
    let flag = Flag::default();
    let other = flag.clone();
    let thread = thread::spawn(move || {
        other.2.store(true, SeqCst);
        other.1.notify_one();
    });
    (flag, thread)
}

#[test]
fn is_notified_too_early() {
    let (flag, thread) = set_outside();
    let mut guard = flag.0.lock().unwrap();
    while !flag.2.load(SeqCst) {
        guard = flag.1.wait(guard).unwrap();
    }
    drop(guard);
    thread.join().unwrap();
}

#[test]
fn is_notified_too_early_with_a_limit() {
    let (flag, thread) = set_outside();
    let mut guard = flag.0.lock().unwrap();
    while !flag.2.load(SeqCst) {
        let (again, limit) = flag.1.wait_timeout(guard, Duration::from_secs(60)).unwrap();
        assert!(!limit.timed_out(), "a minute was up");
        guard = again;
    }
    drop(guard);
    thread.join().unwrap();
}

#[test]
fn expects_one_too_many() {
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        scope.spawn(|| barrier.wait());
        scope.spawn(|| barrier.wait());
    });
}

static LEFT: OnceLock<u32> = OnceLock::new();
static RIGHT: OnceLock<u32> = OnceLock::new();

#[test]
fn initialise_each_other() {
    let thread = thread::spawn(|| *LEFT.get_or_init(|| *RIGHT.get_or_init(|| 1)));
    RIGHT.get_or_init(|| *LEFT.get_or_init(|| 1));
    thread.join().unwrap();
}

#[test]
fn reads_what_it_reads() {
    let lock = RwLock::new(0);
    thread::scope(|scope| {
        scope.spawn(|| *lock.write().unwrap() = 1);
        let outer = lock.read().unwrap();
        let inner = lock.read().unwrap();
        assert_eq!(*outer, *inner);
    });
}

#[test]
fn sends_to_each_other() {
    let (to_left, left) = mpsc::sync_channel(1);
    let (to_right, right) = mpsc::sync_channel(1);
    let thread = thread::spawn(move || {
        (0..2).for_each(|n| to_left.send(n).unwrap());
        right.iter().count()
    });
    (0..2).for_each(|n| to_right.send(n).unwrap());
    drop(to_right);
    assert_eq!((left.iter().count(), thread.join().unwrap()), (2, 2));
}

#[test]
fn keeps_a_sender() {
    let (sender, receiver) = mpsc::channel();
    let other = sender.clone();
    let thread = thread::spawn(move || other.send(1).unwrap());
    assert_eq!(receiver.iter().count(), 1);
    thread.join().unwrap();
    drop(sender);
}

#[test]
fn parks_twice() {
    let thread = thread::spawn(|| {
        thread::park();
        thread::park();
    });
    thread.thread().unpark();
    thread.thread().unpark();
    thread.join().unwrap();
}

#[test]
fn takes_a_lock_at_its_end() {
    struct Counts(Arc<Mutex<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    thread_local!(static COUNTS: std::cell::RefCell<Option<Counts>> = const { std::cell::RefCell::new(None) });
    let count = Arc::new(Mutex::new(0));
    let other = count.clone();
    let thread = thread::spawn(move || COUNTS.set(Some(Counts(other))));
    let guard = count.lock().unwrap();
    thread.join().unwrap();
    assert!(*guard < 2);
}
"#;

/// Programs in which a panic is the cause of another one, or of the end of the process.
const PANICS: &str = r#"
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

struct Refund<'a>(&'a Mutex<i64>);

impl Drop for Refund<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 10;
    }
}

#[test]
fn aborts_in_a_destructor() {
    let balance = Arc::new(Mutex::new(0));
    let other = balance.clone();
    let thread = thread::spawn(move || {
        let _refund = Refund(&other);
        let balance = other.lock().unwrap();
        assert!(*balance == 0, "touched");
    });
    *balance.lock().unwrap() += 1;
    let _ = thread.join();
}

#[test]
fn finds_what_another_has_left() {
    let lock = Arc::new(RwLock::new(1));
    let other = lock.clone();
    let thread = thread::spawn(move || {
        let _guard = other.write().unwrap();
        panic!("half done");
    });
    assert_eq!(*lock.read().unwrap(), 1);
    assert!(thread.join().is_err());
}

#[test]
fn takes_the_result_of_one_that_panicked() {
    let value = Arc::new(5);
    let weak = Arc::downgrade(&value);
    let thread = thread::spawn(move || *weak.upgrade().expect("alive"));
    drop(value);
    thread.join().unwrap();
}
"#;

/// Programs that do not end in some order, though their threads go on.
const ENDLESS: &str = r#"
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::sync::{Arc, Mutex};
use std::thread;

// Each gives its lock back where it does not get the other's, and begins anew.
#[test]
fn gives_way_for_ever() {
    let locks = Arc::new([Mutex::new(()), Mutex::new(())]);
    let threads = [0, 1].map(|me| {
        let locks = locks.clone();
        thread::spawn(move || loop {
            let _own = locks[me].lock().unwrap();
            if locks[1 - me].try_lock().is_ok() {
                break;
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn spins_for_nobody() {
    let flag = Arc::new(AtomicBool::new(false));
    let other = flag.clone();
    let thread = thread::spawn(move || {
        while !other.load(Acquire) {
            std::hint::spin_loop();
        }
    });
    thread.join().unwrap();
}
"#;

/// Programs of these kinds that are right.
const RIGHT: &str = r#"
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

#[test]
fn counts_in_phases() {
    let (barrier, count) = (Barrier::new(3), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 1..3 {
                    count.fetch_add(1, Relaxed);
                    barrier.wait();
                    assert_eq!(count.load(Relaxed), 3 * round);
                    barrier.wait();
                }
            });
        }
    });
}

#[test]
fn initialises_once() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<usize> = LazyLock::new(|| COUNT.fetch_add(1, Relaxed));
    static CELL: OnceLock<usize> = OnceLock::new();
    let threads = [1, 2, 3].map(|n| thread::spawn(move || *LAZY + usize::from(CELL.set(n).is_ok())));
    assert_eq!(threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>(), 1);
    assert_eq!(COUNT.load(Relaxed), 1);
}

// What is done once is begun again where a panic has left it.
#[test]
fn begins_again() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let threads = [true, false].map(|panics| {
        thread::spawn(move || ONCE.call_once_force(|_| assert!(!panics || ONCE.is_completed(), "left")))
    });
    let _ = threads.map(thread::JoinHandle::join);
    ONCE.call_once_force(|_| ());
    assert!(ONCE.is_completed());
}

#[test]
fn recovers_from_poison() {
    let lock = Arc::new(RwLock::new(1));
    let other = lock.clone();
    let thread = thread::spawn(move || {
        let mut guard = other.write().unwrap();
        *guard = 2;
        panic!("half done");
    });
    let value = lock.read().map_or_else(|poison| **poison.get_ref(), |guard| *guard);
    assert!(value == 1 || value == 2);
    assert!(thread.join().is_err() && lock.is_poisoned());
    lock.clear_poison();
    assert_eq!(*lock.write().unwrap(), 2);
}

#[test]
fn many_read_and_some_write() {
    let lock = RwLock::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| *lock.write().unwrap() += 1);
            scope.spawn(|| assert!(*lock.read().unwrap() <= 2));
            scope.spawn(|| lock.try_read().is_ok_and(|value| *value <= 2));
        }
    });
    assert_eq!(lock.into_inner().unwrap(), 2);
}

#[test]
fn selects_by_trying() {
    let (to_first, first) = mpsc::channel::<u32>();
    let (to_second, second) = mpsc::channel::<u32>();
    let threads = [
        thread::spawn(move || (1..3).for_each(|n| to_first.send(n).unwrap())),
        thread::spawn(move || to_second.send(10).unwrap()),
    ];
    let (mut open, mut sum) = ([true, true], 0);
    while open != [false, false] {
        for (open, channel) in open.iter_mut().zip([&first, &second]) {
            match channel.try_recv() {
                Ok(n) => sum += n,
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => *open = false,
            }
        }
    }
    threads.map(|thread| thread.join().unwrap());
    assert_eq!(sum, 13);
}

#[test]
fn receives_with_a_limit() {
    let (sender, receiver) = mpsc::sync_channel(0);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        sender.send(1).unwrap();
        sender.send(2).unwrap();
    });
    let mut sum = 0;
    loop {
        match receiver.recv_timeout(Duration::from_millis(10)) {
            Ok(n) => sum += n,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    thread.join().unwrap();
    assert_eq!(sum, 3);
}

// Both wait on one condition variable, for something else each.
#[test]
fn notifies_all() {
    let (turn, turned) = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        for me in 0..3 {
            let (turn, turned) = (&turn, &turned);
            scope.spawn(move || {
                let mut guard = turned.wait_while(turn.lock().unwrap(), |turn| *turn != me).unwrap();
                *guard += 1;
                turned.notify_all();
            });
        }
        let limit = Duration::from_secs(5);
        let (guard, result) = turned.wait_timeout_while(turn.lock().unwrap(), limit, |turn| *turn < 3).unwrap();
        assert!(*guard == 3 || result.timed_out());
    });
}

#[test]
fn is_unparked_before() {
    let thread = thread::Builder::new().name("sleeper".to_owned()).spawn(thread::park).unwrap();
    thread.thread().unpark();
    thread.join().unwrap();
}
"#;

#[test]
fn waits_of_the_standard_library_are_seen_and_told() {
    let library = library();
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("src")).unwrap();
    fs::create_dir_all(path("tests")).unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"waits\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    fs::write(path("src/lib.rs"), "").unwrap();
    fs::write(path("tests/wrong.rs"), WRONG).unwrap();
    fs::write(path("tests/right.rs"), RIGHT).unwrap();
    fs::write(path("tests/panics.rs"), PANICS).unwrap();
    fs::write(path("tests/endless.rs"), ENDLESS).unwrap();
    let test = |arguments: &[&str]| {
        let all = ["test", "--jobs", "1", "--iterations", "300", "--max-time", "1m"];
        run(folder.path(), &library, &[&all[..], arguments].concat())
    };
    let wrong = test(&["--test", "wrong", "--seed", "42"]);
    assert_eq!(wrong.code, Some(1), "{}{}", wrong.stdout, wrong.stderr);
    snapshot("cli__standard", &format!("{}\n{}", lines(&wrong.stderr), wrong.stdout));
    let panics = test(&["--test", "panics", "--seed", "42"]);
    assert_eq!(panics.code, Some(1), "{}{}", panics.stdout, panics.stderr);
    snapshot("cli__standard_panics", &format!("{}\n{}", lines(&panics.stderr), panics.stdout));
    let endless = test(&["--test", "endless", "--seed", "42", "--max-steps", "60000"]);
    assert_eq!(endless.code, Some(3), "{}{}", endless.stdout, endless.stderr);
    snapshot("cli__standard_endless", &lines(&endless.stderr));
    let optimised = test(&["--test", "wrong", "--seed", "7", "--release"]);
    assert!(optimised.stderr.contains(": 0 passed, 9 failed"), "{}", optimised.stderr);
    for profile in [&[][..], &["--release"]] {
        let right = test(&[&["--test", "right"], profile].concat());
        assert_eq!(right.code, Some(0), "{}{}", right.stdout, right.stderr);
    }
}
