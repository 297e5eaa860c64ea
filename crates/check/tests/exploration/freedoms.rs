//! What std leaves open, each possibility of it: the checker finds the outcomes that std's documentation
//! allows, and no schedule shows another one.

use racefuzz_check::{Options, check};
use racefuzz_primitives::sync::atomic::{AtomicUsize, Ordering};
use racefuzz_primitives::sync::{
    Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock, RwLockWriteGuard, mpsc,
};
use racefuzz_primitives::thread;
use racefuzz_runtime::{Alternatives, Config, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{Inject, ThreadId};
use std::collections::BTreeSet;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

/// Every sequence of choices, one after the other.
#[derive(Default)]
struct Every {
    prefix: Vec<(u32, u32)>,
    at: usize,
}

impl Every {
    fn next(&mut self, count: u32) -> u32 {
        if self.at == self.prefix.len() {
            self.prefix.push((0, count));
        }
        self.at += 1;
        self.prefix[self.at - 1].0
    }

    fn advance(&mut self) -> bool {
        self.prefix.truncate(self.at);
        while let Some((index, count)) = self.prefix.pop() {
            if index + 1 < count {
                self.prefix.push((index + 1, count));
                return true;
            }
        }
        false
    }
}

impl Explorer for Every {
    fn begin(&mut self) {
        self.at = 0;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.next(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.next(alternatives.count)
    }
}

const LIMIT: u32 = 300_000;

/// The outcomes of a program by the checker, among which must be all that some schedule shows.
/// With spurious wake-ups and timeouts that fire at any time.
fn outcomes(program: impl Fn() -> &'static str + Sync) -> BTreeSet<&'static str> {
    let inject = Inject { spurious: true, timeout: true, ..Inject::default() };
    let seen = StdMutex::new(BTreeSet::new());
    let noted = || {
        let outcome = program();
        seen.lock().unwrap().insert(outcome);
    };
    let mut options = Options { keep_going: true, ..Options::default() };
    options.settings.inject = inject;
    let report = check(&options, &noted, &());
    assert_eq!(report.failures().len(), 0, "{:?}", report.failures().first().map(|f| f.message().to_owned()));
    let checked = std::mem::take(&mut *seen.lock().unwrap());
    let mut runner = Runner::new(Config { inject, max_steps: 500, ..Config::default() });
    let mut every = Every::default();
    let mut schedules = 0;
    loop {
        runner.run(&noted, &mut every, Record::Choices);
        schedules += 1;
        if !every.advance() || schedules == LIMIT {
            break;
        }
    }
    // Schedules need not show all: a thread without steps has ended before anybody can look, and a time
    // that is up is noticed when the waiting thread has its turn.
    let seen = seen.lock().unwrap();
    assert!(seen.is_subset(&checked), "{schedules} schedules show {seen:?}, the checker {checked:?}");
    checked
}

#[test]
fn a_token_may_be_there_or_come_late_and_a_park_may_end_for_no_reason() {
    let woken = outcomes(|| {
        let flag = Arc::new(AtomicUsize::new(0));
        let (me, theirs) = (thread::current(), Arc::clone(&flag));
        let other = thread::spawn(move || {
            theirs.store(1, Ordering::Release);
            me.unpark();
        });
        thread::park();
        let set = flag.load(Ordering::Acquire) == 1;
        other.join().unwrap();
        if set { "after the store" } else { "for no reason" }
    });
    assert_eq!(woken, BTreeSet::from(["after the store", "for no reason"]));
}

#[test]
fn a_timed_park_ends_by_its_token_or_by_its_time() {
    let ended = outcomes(|| {
        let flag = Arc::new(AtomicUsize::new(0));
        let (me, theirs) = (thread::current(), Arc::clone(&flag));
        let other = thread::spawn(move || {
            theirs.store(1, Ordering::Release);
            me.unpark();
        });
        thread::park_timeout(Duration::from_millis(1));
        let set = flag.load(Ordering::Acquire) == 1;
        other.join().unwrap();
        if set { "set" } else { "not set" }
    });
    assert_eq!(ended, BTreeSet::from(["set", "not set"]));
}

#[test]
fn a_wait_ends_by_a_notification_by_its_time_or_for_no_reason() {
    let ended = outcomes(|| {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let other = thread::spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_all();
        });
        let guard = pair.0.lock().unwrap();
        if *guard {
            drop(guard);
            other.join().unwrap();
            return "before";
        }
        let (guard, result) = pair.1.wait_timeout(guard, Duration::from_millis(1)).unwrap();
        let ended = match (*guard, result.timed_out()) {
            (true, false) => "notified",
            (false, false) => "for no reason",
            (false, true) => "time up",
            (true, true) => "time up, and set",
        };
        drop(guard);
        other.join().unwrap();
        ended
    });
    let expected = ["before", "notified", "for no reason", "time up", "time up, and set"];
    assert_eq!(ended, BTreeSet::from(expected));
}

#[test]
fn a_try_lock_fails_only_while_the_lock_is_held() {
    let tried = outcomes(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || *theirs.lock().unwrap() += 1);
        let tried = match lock.try_lock() {
            Ok(guard) if *guard == 0 => "before",
            Ok(_) => "after",
            Err(_) => "held",
        };
        other.join().unwrap();
        assert!(lock.try_lock().is_ok());
        tried
    });
    assert_eq!(tried, BTreeSet::from(["before", "after", "held"]));
}

#[test]
fn the_try_forms_of_a_read_write_lock_fail_only_for_a_holder() {
    let tried = outcomes(|| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || drop(RwLockWriteGuard::downgrade(theirs.write().unwrap())));
        let read = lock.try_read().is_ok();
        let write = lock.try_write().is_ok();
        other.join().unwrap();
        match (read, write) {
            (true, true) => "both",
            (true, false) => "read",
            (false, true) => "write",
            (false, false) => "none",
        }
    });
    assert_eq!(tried, BTreeSet::from(["both", "read", "write", "none"]));
}

#[test]
fn a_weak_compare_exchange_may_fail_for_no_reason() {
    let exchanged = outcomes(|| {
        let word = AtomicUsize::new(0);
        match word.compare_exchange_weak(0, 1, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => "done",
            Err(0) => "for no reason",
            Err(_) => "another value",
        }
    });
    assert_eq!(exchanged, BTreeSet::from(["done", "for no reason"]));
}

#[test]
fn either_thread_initialises_and_a_panic_lets_another_one_force_it() {
    let initialised = outcomes(|| {
        let cell = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&cell);
        let other = thread::spawn(move || *theirs.get_or_init(|| "other"));
        let mine = *cell.get_or_init(|| "main");
        assert_eq!(mine, other.join().unwrap());
        mine
    });
    assert_eq!(initialised, BTreeSet::from(["main", "other"]));
    let forced = outcomes(|| {
        let once = Arc::new(Once::new());
        let theirs = Arc::clone(&once);
        let other = thread::spawn(move || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| theirs.call_once(|| panic!("again"))))
                .is_err()
        });
        let mut poisoned = false;
        once.call_once_force(|state| poisoned = state.is_poisoned());
        let panicked = other.join().unwrap();
        match (poisoned, panicked) {
            (true, true) => "after the panic",
            (false, false) => "before",
            _ => "neither",
        }
    });
    assert_eq!(forced, BTreeSet::from(["after the panic", "before"]));
}

#[test]
fn messages_of_several_senders_come_in_any_order_and_those_of_one_in_its_own() {
    let received = outcomes(|| {
        let (sender, receiver) = mpsc::channel();
        let other = sender.clone();
        let one = thread::spawn(move || {
            sender.send("a").unwrap();
            sender.send("b").unwrap();
        });
        let two = thread::spawn(move || other.send("c").unwrap());
        let received: Vec<_> = receiver.iter().collect();
        one.join().unwrap();
        two.join().unwrap();
        match received[..] {
            ["a", "b", "c"] => "abc",
            ["a", "c", "b"] => "acb",
            ["c", "a", "b"] => "cab",
            _ => "another order",
        }
    });
    assert_eq!(received, BTreeSet::from(["abc", "acb", "cab"]));
}

#[test]
fn a_rendezvous_is_there_only_while_somebody_waits_in_it() {
    let met = outcomes(|| {
        let (sender, receiver) = mpsc::sync_channel(0);
        let other = thread::spawn(move || sender.send(1).is_ok());
        let met = match receiver.try_recv() {
            Ok(_) => "met",
            Err(mpsc::TryRecvError::Empty) => "too early",
            Err(mpsc::TryRecvError::Disconnected) => "gone",
        };
        drop(receiver);
        assert_eq!(other.join().unwrap(), met == "met");
        met
    });
    assert_eq!(met, BTreeSet::from(["met", "too early"]));
}

#[test]
fn a_barrier_has_one_leader_whoever_it_is() {
    let leader = outcomes(|| {
        let barrier = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&barrier);
        let other = thread::spawn(move || theirs.wait().is_leader());
        let mine = barrier.wait().is_leader();
        match (mine, other.join().unwrap()) {
            (true, false) => "main",
            (false, true) => "other",
            _ => "none or both",
        }
    });
    assert_eq!(leader, BTreeSet::from(["main", "other"]));
}

#[test]
fn a_thread_is_seen_to_have_finished_or_not() {
    let seen = outcomes(|| {
        let other = thread::spawn(|| ());
        let finished = other.is_finished();
        other.join().unwrap();
        if finished { "finished" } else { "not yet" }
    });
    assert_eq!(seen, BTreeSet::from(["finished", "not yet"]));
}

/// Writes a word when the local values of the thread that keeps it are destroyed.
struct Farewell(Arc<AtomicUsize>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Relaxed);
    }
}

racefuzz_primitives::local::thread_local! {
    static FAREWELL: std::cell::RefCell<Option<Farewell>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn the_values_of_a_thread_are_destroyed_before_it_is_joined_but_not_before_its_scope_ends() {
    fn keeps(word: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
        let word = Arc::clone(word);
        move || FAREWELL.set(Some(Farewell(word)))
    }
    let of_scope = outcomes(|| {
        let word = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(keeps(&word));
        });
        if word.load(Ordering::Relaxed) == 1 { "destroyed" } else { "not yet" }
    });
    assert_eq!(of_scope, BTreeSet::from(["destroyed", "not yet"]));
    let of_join = outcomes(|| {
        let word = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| scope.spawn(keeps(&word)).join().unwrap());
        if word.load(Ordering::Relaxed) == 1 { "destroyed" } else { "not yet" }
    });
    assert_eq!(of_join, BTreeSet::from(["destroyed"]));
    let of_asking = outcomes(|| {
        let word = Arc::new(AtomicUsize::new(0));
        let other = thread::spawn(keeps(&word));
        match (other.is_finished(), word.load(Ordering::Relaxed)) {
            (true, 1) => "finished, destroyed",
            (true, _) => "finished, not destroyed yet",
            (false, 1) => "not finished, destroyed",
            (false, _) => "not finished, not destroyed",
        }
    });
    let all = [
        "finished, destroyed",
        "finished, not destroyed yet",
        "not finished, destroyed",
        "not finished, not destroyed",
    ];
    assert_eq!(of_asking, BTreeSet::from(all));
}

#[test]
fn a_poisoned_lock_is_seen_by_whoever_comes_later() {
    let seen = outcomes(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || {
            let _guard = theirs.lock();
            panic!("while it is held");
        });
        let poisoned = lock.lock().is_err();
        let _ = other.join();
        assert!(lock.is_poisoned());
        if poisoned { "poisoned" } else { "not yet" }
    });
    assert_eq!(seen, BTreeSet::from(["poisoned", "not yet"]));
}
