//! Threads of the standard library that use racefuzz's types inside an execution.

use crate::failing_everywhere;
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicUsize, Ordering, fence};
use racefuzz::sync::{Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock, mpsc};
use racefuzz::{Checker, FailureKind, Fixer, Fuzzer, Outcome, Var, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize as StdUsize};

/// `act` on an operating-system thread of its own, whatever comes of it.
fn elsewhere<R: Send + 'static>(act: impl FnOnce() -> R + Send + 'static) {
    let _ = std::thread::Builder::new().name("intruder".into()).spawn(act).unwrap().join();
}

/// The program fails because a foreign thread does this.
#[track_caller]
fn intrudes(what: &str, program: impl Fn() + Sync) {
    failing_everywhere(program, |failure| {
        assert_eq!(failure.kind(), FailureKind::Nondeterminism, "{}", failure.message());
        assert!(failure.message().contains("`intruder`"), "{}", failure.message());
        assert!(failure.message().contains(&format!("`{what}`")), "{what}: {}", failure.message());
        assert!(failure.message().contains("unseen/foreign.rs:"), "{}", failure.message());
    });
}

/// The same on an object that the program has used before, and on one that it uses only later.
#[track_caller]
fn intrudes_on<T: Send + Sync + 'static>(
    what: &str,
    make: impl Fn() -> T + Sync,
    own: impl Fn(&T) + Sync,
    act: impl Fn(&T) + Send + Sync + Copy + 'static,
) {
    for before in [true, false] {
        intrudes(what, || {
            let object = std::sync::Arc::new(make());
            let theirs = std::sync::Arc::clone(&object);
            if before {
                own(&object);
            }
            elsewhere(move || act(&theirs));
            own(&object);
        });
    }
}

#[test]
fn atomics() {
    let load = |atomic: &AtomicUsize| {
        atomic.load(Ordering::SeqCst);
    };
    intrudes_on(
        "fetch_add",
        || AtomicUsize::new(0),
        load,
        |atomic| {
            atomic.fetch_add(1, Ordering::SeqCst);
        },
    );
    intrudes_on(
        "load",
        || AtomicUsize::new(0),
        load,
        |atomic| {
            atomic.load(Ordering::Relaxed);
        },
    );
    intrudes_on("store", || AtomicUsize::new(0), load, |atomic| atomic.store(1, Ordering::Release));
    intrudes_on(
        "compare_exchange",
        || AtomicUsize::new(0),
        load,
        |atomic| {
            let _ = atomic.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        },
    );
    intrudes("fence", || elsewhere(|| fence(Ordering::SeqCst)));
}

#[test]
fn locks() {
    intrudes_on(
        "lock",
        || Mutex::new(0),
        |lock| *lock.lock().unwrap() += 1,
        |lock| *lock.lock().unwrap() += 1,
    );
    intrudes_on(
        "try_lock",
        || Mutex::new(0),
        |lock| *lock.lock().unwrap() += 1,
        |lock| drop(lock.try_lock()),
    );
    intrudes_on("read-lock", || RwLock::new(0), |lock| drop(lock.read()), |lock| drop(lock.read()));
    intrudes_on("write-lock", || RwLock::new(0), |lock| drop(lock.read()), |lock| drop(lock.write()));
}

#[test]
fn waiting() {
    intrudes_on(
        "notify_one",
        || Condvar::new(),
        |condvar| condvar.notify_all(),
        |condvar| condvar.notify_one(),
    );
    intrudes_on("arrive at", || Barrier::new(1), |barrier| _ = barrier.wait(), |barrier| _ = barrier.wait());
    intrudes("unpark", || {
        let main = thread::current();
        elsewhere(move || main.unpark());
    });
    intrudes("park", || elsewhere(|| thread::park_timeout(std::time::Duration::from_millis(1))));
}

#[test]
fn initialisation() {
    intrudes_on("check init of", || Once::new(), |once| once.call_once(|| {}), |once| once.call_once(|| {}));
    failing_everywhere(
        || {
            let lock = std::sync::Arc::new(OnceLock::new());
            let theirs = std::sync::Arc::clone(&lock);
            elsewhere(move || theirs.set(1).is_ok());
            lock.get();
        },
        |failure| assert!(failure.message().contains("`intruder`"), "{}", failure.message()),
    );
}

#[test]
fn channels() {
    intrudes("send to", || {
        let (sender, receiver) = mpsc::channel();
        let theirs = sender.clone();
        elsewhere(move || theirs.send(1));
        sender.send(2).unwrap();
        receiver.recv().unwrap();
    });
    intrudes("receive from", || {
        let (sender, receiver) = mpsc::channel();
        sender.send(1).unwrap();
        elsewhere(move || receiver.recv());
    });
    intrudes("drop sender of", || {
        let (sender, _receiver) = mpsc::channel::<u8>();
        elsewhere(move || drop(sender));
    });
}

#[test]
fn references() {
    intrudes("clone", || {
        let value = Arc::new(1);
        let theirs = Arc::clone(&value);
        elsewhere(move || std::mem::forget(Arc::clone(&theirs)));
    });
    intrudes("drop", || {
        let value = Arc::new(1);
        let theirs = Arc::clone(&value);
        elsewhere(move || drop(theirs));
    });
    intrudes("look at count of", || {
        let value = Arc::new(1);
        let theirs = Arc::clone(&value);
        elsewhere(move || Arc::strong_count(&theirs));
    });
}

#[test]
fn memory() {
    intrudes("write", || {
        let variable = std::sync::Arc::new(Var::new("x", 0));
        let theirs = std::sync::Arc::clone(&variable);
        elsewhere(move || theirs.set(1));
    });
    struct Shared(UnsafeCell<u8>);
    // SAFETY: the program joins the thread before it uses the cell again.
    unsafe impl Sync for Shared {}
    intrudes_on(
        "write",
        || Shared(UnsafeCell::new(0)),
        |cell| cell.0.with(|_| ()),
        |cell| cell.0.with_mut(|_| ()),
    );
}

#[test]
fn threads_and_their_values() {
    intrudes("use", || elsewhere(|| thread::spawn(|| ()).join()));
    racefuzz::thread_local! {
        static LOCAL: std::cell::Cell<u8> = const { std::cell::Cell::new(0) };
    }
    intrudes("use", || elsewhere(|| LOCAL.set(1)));
    racefuzz::lazy_static! {
        static ref LAZY: Mutex<u8> = Mutex::new(0);
    }
    failing_everywhere(
        || elsewhere(|| drop(LAZY.lock())),
        |failure| assert!(failure.message().contains("`intruder`"), "{}", failure.message()),
    );
}

#[test]
fn two_that_add_are_not_verified() {
    // What looks like a proof that one addition is lost.
    failing_everywhere(
        || {
            let sum = Arc::new(AtomicUsize::new(0));
            let theirs = Arc::clone(&sum);
            let other = std::thread::spawn(move || theirs.fetch_add(1, Ordering::SeqCst));
            sum.fetch_add(1, Ordering::SeqCst);
            let _ = other.join();
            assert_eq!(sum.load(Ordering::SeqCst), 1);
        },
        |failure| assert!(failure.message().contains("a thread of std::thread"), "{}", failure.message()),
    );
}

#[test]
fn fix_and_audit_say_so() {
    let program = || {
        let sum = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&sum);
        elsewhere(move || theirs.fetch_add(1, Ordering::SeqCst));
        sum.fetch_add(1, Ordering::SeqCst);
    };
    let fixes = Fixer::new().fix(program);
    let failure = fixes.failure.expect("found before any repair");
    assert!(failure.message().contains("`intruder`"), "{}", failure.message());
    assert!(fixes.fixes.is_empty());
    let audit = Fixer::new().audit(program);
    let failure = audit.failure.expect("nothing can be audited");
    assert!(failure.message().contains("`intruder`"), "{}", failure.message());
}

#[test]
fn a_thread_that_was_there_before_is_foreign_as_well() {
    let (to, from) = std::sync::mpsc::channel::<(std::sync::Arc<AtomicUsize>, std::sync::mpsc::Sender<()>)>();
    let pool = std::thread::spawn(move || {
        while let Ok((atomic, done)) = from.recv() {
            let _ = catch_unwind(AssertUnwindSafe(|| atomic.fetch_add(1, Ordering::SeqCst)));
            let _ = done.send(());
        }
    });
    let to = std::sync::Mutex::new(to);
    let report = Fuzzer::new().iterations(20).fuzz(|| {
        let atomic = std::sync::Arc::new(AtomicUsize::new(0));
        atomic.load(Ordering::SeqCst);
        let (sender, receiver) = std::sync::mpsc::channel();
        to.lock().unwrap().send((std::sync::Arc::clone(&atomic), sender)).unwrap();
        receiver.recv().unwrap();
    });
    drop(to);
    pool.join().unwrap();
    assert_eq!(report.outcome(), Outcome::Failed);
    assert!(report.failures()[0].message().contains("a thread of std::thread"));
}

/// Code under test that other tests of the binary use as it is meant.
#[test]
fn who_uses_objects_of_ones_own_is_not_foreign() {
    static OURS: AtomicUsize = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let rounds = StdUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let lock = Arc::new(Mutex::new(0));
                let theirs = Arc::clone(&lock);
                let other = thread::spawn(move || *theirs.lock().unwrap() += 1);
                *lock.lock().unwrap() += 1;
                other.join().unwrap();
                assert_eq!(*lock.lock().unwrap(), 2);
                OURS.fetch_add(1, Ordering::SeqCst);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        while rounds.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        for _ in 0..20 {
            let report = Checker::new().workers(2).check(|| {
                let lock = Arc::new(Mutex::new(0));
                let theirs = Arc::clone(&lock);
                let other = thread::spawn(move || *theirs.lock().unwrap() += 1);
                *lock.lock().unwrap() += 1;
                other.join().unwrap();
            });
            assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// `Clone` and `Debug` of a value run inside of one step, where racefuzz's types are std's.
#[test]
fn what_runs_inside_of_a_step_is_not_foreign() {
    #[derive(Default, Debug)]
    struct Counts(AtomicUsize);
    impl Clone for Counts {
        fn clone(&self) -> Self {
            Self(AtomicUsize::new(self.0.fetch_add(1, Ordering::Relaxed)))
        }
    }
    let report = Checker::new().workers(2).check(|| {
        let variable = std::sync::Arc::new(Var::new("counts", Counts::default()));
        let theirs = std::sync::Arc::clone(&variable);
        let other = thread::spawn(move || _ = theirs.get());
        _ = variable.get();
        other.join().unwrap();
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
}
