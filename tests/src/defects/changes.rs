//! Defects by the kind of change that repairs them, each reduced to what it takes. Where one was reported, that
//! stands at it, with what maintainers did.

use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz::thread::{self, Thread};

/// A latch that is waited for once (shadow/shadow 2369, Detegr/rust-ctrlc 1). Upstream: a loop.
pub fn latch() {
    let latch = Arc::new((Mutex::new(1u32), Condvar::new()));
    let other = Arc::clone(&latch);
    let thread = thread::spawn(move || {
        *other.0.lock().unwrap() -= 1;
        other.1.notify_all();
    });
    let mut count = latch.0.lock().unwrap();
    if *count > 0 {
        count = latch.1.wait(count).unwrap();
    }
    assert_eq!(*count, 0);
    drop(count);
    thread.join().unwrap();
}

/// Two who take, of whom one is woken and the other was quicker (DelSkayn in surrealdb/affinitypool 8,
/// estk/log4rs 212). Upstream: a loop.
pub fn taken_by_another() {
    let queue = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || take(&queue))
        })
        .collect();
    for item in 0..2 {
        queue.0.lock().unwrap().push(item);
        queue.1.notify_one();
    }
    takers.into_iter().for_each(|taker| taker.join().unwrap());
}

fn take(queue: &(Mutex<Vec<u32>>, Condvar)) {
    let mut items = queue.0.lock().unwrap();
    if items.is_empty() {
        items = queue.1.wait(items).unwrap();
    }
    items.pop().expect("an item");
}

/// Two claim what only one may have (rust-lang/cc-rs 1559). Upstream: a compare-exchange.
pub fn claimed_twice() {
    let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || claim(&other.0, &other.1));
    claim(&shared.0, &shared.1);
    thread.join().unwrap();
    assert_eq!(shared.1.load(Relaxed), 1);
}

fn claim(claimed: &AtomicBool, done: &AtomicUsize) {
    if claimed.load(Acquire) {
        return;
    }
    claimed.store(true, Release);
    done.fetch_add(1, Relaxed);
}

const WANTED: u32 = 1;
const TAKEN: u32 = 2;

/// A request that is answered twice (mimblewimble/grin 3588, rust-lang/rust-clippy 16431). Upstream: a
/// compare-exchange.
pub fn answered_twice() {
    let shared = Arc::new((AtomicU32::new(WANTED), AtomicUsize::new(0)));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || answer(&other.0, &other.1));
    answer(&shared.0, &shared.1);
    thread.join().unwrap();
    assert_eq!(shared.1.load(Relaxed), 1);
}

fn answer(state: &AtomicU32, answers: &AtomicUsize) {
    if state.load(Acquire) == WANTED {
        state.store(TAKEN, Release);
        answers.fetch_add(1, Relaxed);
    }
}

/// More permits are given out than there are.
pub fn too_many_permits() {
    let shared = Arc::new((AtomicUsize::new(1), AtomicUsize::new(0)));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || acquire(&other.0, &other.1));
    acquire(&shared.0, &shared.1);
    thread.join().unwrap();
    assert!(shared.1.load(Relaxed) <= 1);
}

fn acquire(permits: &AtomicUsize, given: &AtomicUsize) {
    let left = permits.load(Acquire);
    if left == 0 {
        return;
    }
    permits.store(left - 1, Release);
    given.fetch_add(1, Relaxed);
}

/// A count that is loaded and stored, and one that only looks (tokio-rs/tokio 4725, serenity-rs/poise 245,
/// matt2xu/edge-rs 7). Upstream: `fetch_add`.
pub fn counted_in_two() {
    let count = Arc::new(AtomicUsize::new(0));
    let other = Arc::clone(&count);
    let thread = thread::spawn(move || count_one(&other));
    count_one(&count);
    thread.join().unwrap();
    assert_eq!(count.load(Relaxed), 2);
}

fn count_one(count: &AtomicUsize) {
    let seen = count.load(Relaxed);
    count.store(seen + 1, Relaxed);
}

/// A digest that is loaded, mixed and stored.
pub fn mixed_in_two() {
    let digest = Arc::new(AtomicU32::new(1));
    let other = Arc::clone(&digest);
    let thread = thread::spawn(move || mix(&other));
    mix(&digest);
    thread.join().unwrap();
    assert_eq!(digest.load(Relaxed), 43);
}

fn mix(digest: &AtomicU32) {
    let before = digest.load(Relaxed);
    digest.store(before * 6 + 1, Relaxed);
}

/// A flag, and who is to be woken when it is set.
struct Waiting {
    ready: AtomicBool,
    waiter: Mutex<Option<Thread>>,
}

impl Waiting {
    fn new() -> Arc<Self> {
        Arc::new(Self { ready: AtomicBool::new(false), waiter: Mutex::new(None) })
    }

    fn finish(&self) {
        self.ready.store(true, SeqCst);
        if let Some(waiter) = self.waiter.lock().unwrap().take() {
            waiter.unpark();
        }
    }
}

/// Looks, then registers, then sleeps (OpenDevicePartnership/embassy-imxrt 366). Upstream: registers before it
/// looks.
pub fn registered_late() {
    let waiting = Waiting::new();
    let other = Arc::clone(&waiting);
    let thread = thread::spawn(move || other.finish());
    if !waiting.ready.load(SeqCst) {
        *waiting.waiter.lock().unwrap() = Some(thread::current());
        thread::park();
    }
    thread.join().unwrap();
}

/// Wakes, then sets what is waited for.
pub fn woken_early() {
    let ready = Arc::new(AtomicBool::new(false));
    let other = Arc::clone(&ready);
    let waiter = thread::spawn(move || {
        while !other.load(SeqCst) {
            thread::park();
        }
    });
    waiter.thread().unpark();
    ready.store(true, SeqCst);
    waiter.join().unwrap();
}

/// A value, and whether it is there.
struct Slot {
    full: AtomicBool,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is written before `full` is set and read afterwards, or so it is meant; racefuzz runs one
// thread at a time and reports accesses that are not ordered.
unsafe impl Sync for Slot {}

impl Slot {
    fn put(&self) {
        self.full.store(true, Release);
        // SAFETY: see at `Sync`.
        self.value.with_mut(|value| unsafe { *value = 42 });
    }
}

/// Says that a value is there, then writes it.
pub fn published_early() {
    let slot = Arc::new(Slot { full: AtomicBool::new(false), value: UnsafeCell::new(0) });
    let other = Arc::clone(&slot);
    let thread = thread::spawn(move || other.put());
    if slot.full.load(Acquire) {
        // SAFETY: see at `Sync`.
        slot.value.with(|value| unsafe { assert_eq!(*value, 42) });
    }
    thread.join().unwrap();
}

/// Two who each say that they are there and look for the other (sbarral in smol-rs/concurrent-queue 18).
/// Upstream: a `SeqCst` fence in between, on both sides.
pub fn neither_sees_the_other() {
    let here = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
    let other = Arc::clone(&here);
    let thread = thread::spawn(move || {
        other.0.store(true, Relaxed);
        other.1.load(Relaxed)
    });
    here.1.store(true, Relaxed);
    let sees = here.0.load(Relaxed);
    assert!(thread.join().unwrap() || sees);
}

/// Two words that are written together.
struct SeqLock {
    version: AtomicUsize,
    first: AtomicU32,
    second: AtomicU32,
}

impl SeqLock {
    fn write(&self) {
        self.version.store(1, Relaxed);
        self.first.store(7, Relaxed);
        self.second.store(7, Relaxed);
        self.version.store(2, Release);
    }

    fn read(&self) -> Option<(u32, u32)> {
        let before = self.version.load(Acquire);
        let first = self.first.load(Relaxed);
        let second = self.second.load(Relaxed);
        let after = self.version.load(Relaxed);
        (before == after && before != 1).then_some((first, second))
    }
}

/// A reader that does not see that a writer is at it (eclipse-iceoryx/iceoryx2 125, kaist-cp/cs431 344).
/// Upstream: a release fence behind the first store, an acquire fence before the last load.
pub fn torn_read() {
    let lock = Arc::new(SeqLock {
        version: AtomicUsize::new(0),
        first: AtomicU32::new(0),
        second: AtomicU32::new(0),
    });
    let other = Arc::clone(&lock);
    let thread = thread::spawn(move || other.write());
    if let Some((first, second)) = lock.read() {
        assert_eq!(first, second);
    }
    thread.join().unwrap();
}

/// A wait that takes the token of the next one (seanmonstar/reqwest 1131, async-rs/async-std 358). Proposed
/// upstream: it unparks itself when it is over.
pub fn token_taken() {
    let parked = thread::spawn(|| {
        thread::park();
        let answer = 42;
        thread::park();
        answer
    });
    let waker = parked.thread().clone();
    let other = thread::spawn(move || waker.unpark());
    parked.thread().unpark();
    other.join().unwrap();
    assert_eq!(parked.join().unwrap(), 42);
}

/// A worker is joined under the lock that it needs (Tr3kkR/Yuzu 2349). To be done: give the lock back first.
pub fn joined_under_lock() {
    let state = Arc::new(Mutex::new(0));
    let other = Arc::clone(&state);
    let worker = thread::spawn(move || *other.lock().unwrap() += 1);
    let mut stopped = state.lock().unwrap();
    *stopped += 1;
    worker.join().unwrap();
    drop(stopped);
}

/// A message is waited for under the lock that its sender needs (openai/codex 18178, hermit-os/kernel 1065).
/// Upstream: the guard is dropped earlier.
pub fn received_under_lock() {
    let (sender, receiver) = mpsc::channel();
    let state = Arc::new(Mutex::new(0));
    let other = Arc::clone(&state);
    let thread = thread::spawn(move || {
        let seen = *other.lock().unwrap();
        sender.send(seen).unwrap();
    });
    let guard = state.lock().unwrap();
    assert_eq!(*guard, 0);
    let message = receiver.recv().unwrap();
    assert_eq!(message, 0);
    thread.join().unwrap();
}

/// The same, where what the lock guards is needed behind the message.
pub fn needed_behind() {
    let (sender, receiver) = mpsc::channel();
    let state = Arc::new(Mutex::new(0));
    let other = Arc::clone(&state);
    let thread = thread::spawn(move || {
        let seen = *other.lock().unwrap();
        sender.send(seen).unwrap();
    });
    let mut guard = state.lock().unwrap();
    *guard += receiver.recv().unwrap();
    drop(guard);
    thread.join().unwrap();
}
