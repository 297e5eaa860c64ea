//! Threads that go on too early: others are still at what is freed, reset, closed or taken for complete, and an
//! atomic says so. Somebody who knows the code lets them wait for it.

use racefuzz::cell::UnsafeCell;
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::thread;
use std::ptr::null_mut;

/// What two threads do at once, and main waits for both.
fn beside(one: impl FnOnce() + Send + 'static, other: impl FnOnce() + Send + 'static) {
    let (one, other) = (thread::spawn(one), thread::spawn(other));
    one.join().unwrap();
    other.join().unwrap();
}

const NEW: u32 = 0;
const BEGUN: u32 = 1;
const DONE: u32 = 2;

/// A value that is made once, by whoever comes first.
struct Lazy {
    state: AtomicU32,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is written by who has brought `state` out of `NEW`, and read afterwards, or so it is meant;
// racefuzz runs one thread at a time and reports accesses that are not ordered.
unsafe impl Sync for Lazy {}

impl Lazy {
    fn get(&self) -> u32 {
        if self.state.compare_exchange(NEW, BEGUN, Acquire, Acquire).is_ok() {
            // SAFETY: see at `Sync`.
            self.value.with_mut(|value| unsafe { *value = 42 });
            self.state.store(DONE, Release);
        }
        let state = self.state.load(Acquire);
        assert_ne!(state, NEW);
        // SAFETY: see at `Sync`.
        self.value.with(|value| unsafe { *value })
    }
}

/// Who comes second takes what the first one is still making.
pub fn taken_unfinished() {
    let lazy = Arc::new(Lazy { state: AtomicU32::new(NEW), value: UnsafeCell::new(0) });
    let other = Arc::clone(&lazy);
    beside(move || assert_eq!(lazy.get(), 42), move || assert_eq!(other.get(), 42));
}

/// Places that are claimed by a count and filled afterwards.
struct Ring {
    claimed: AtomicUsize,
    filled: [AtomicBool; 2],
}

impl Ring {
    fn push(&self) {
        let place = self.claimed.fetch_add(1, AcqRel);
        self.filled[place].store(true, Release);
    }

    fn drain(&self) -> usize {
        let claimed = self.claimed.swap(0, AcqRel);
        for place in 0..claimed {
            let filled = self.filled[place].load(Acquire);
            assert!(filled, "a hole");
        }
        claimed
    }
}

/// Who drains takes a place that is claimed for one that is filled.
pub fn drained_with_a_hole() {
    let ring = Arc::new(Ring { claimed: AtomicUsize::new(0), filled: [const { AtomicBool::new(false) }; 2] });
    let other = Arc::clone(&ring);
    let pusher = thread::spawn(move || other.push());
    ring.drain();
    pusher.join().unwrap();
}

struct Segment {
    next: AtomicPtr<Segment>,
}

/// Segments that are counted first and linked afterwards.
struct Segments {
    count: AtomicUsize,
    first: Segment,
}

impl Segments {
    fn grow(&self, segment: *mut Segment) {
        self.count.fetch_add(1, SeqCst);
        self.first.next.store(segment, SeqCst);
    }

    fn last(&self) -> *const Segment {
        let count = self.count.load(SeqCst);
        let next = self.first.next.load(SeqCst);
        if count == 1 {
            return &raw const self.first;
        }
        assert!(!next.is_null(), "no segment where one is counted");
        next
    }
}

/// Who goes to the last segment does so before it is linked.
pub fn counted_before_linked() {
    let segments = Arc::new(Segments {
        count: AtomicUsize::new(1),
        first: Segment { next: AtomicPtr::new(null_mut()) },
    });
    let other = Arc::clone(&segments);
    let second = Box::into_raw(Box::new(Segment { next: AtomicPtr::new(null_mut()) })) as usize;
    let grower = thread::spawn(move || other.grow(second as *mut Segment));
    segments.last();
    grower.join().unwrap();
    // SAFETY: it was made by `into_raw`, and nobody has it any more.
    drop(unsafe { Box::from_raw(second as *mut Segment) });
}

/// What readers are in and a writer resets once it is closed.
struct Table {
    closed: AtomicBool,
    readers: AtomicUsize,
    entry: UnsafeCell<u32>,
}

// SAFETY: `entry` is read by readers that have found `closed` unset, and written when they have gone, or so it
// is meant.
unsafe impl Sync for Table {}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            closed: AtomicBool::new(false),
            readers: AtomicUsize::new(0),
            entry: UnsafeCell::new(7),
        })
    }

    fn read(&self) {
        self.readers.fetch_add(1, SeqCst);
        if !self.closed.load(SeqCst) {
            // SAFETY: see at `Sync`.
            self.entry.with(|entry| unsafe { assert_eq!(*entry, 7) });
        }
        self.readers.fetch_sub(1, SeqCst);
    }

    fn reset(&self) {
        self.closed.store(true, SeqCst);
        // SAFETY: see at `Sync`.
        self.entry.with_mut(|entry| unsafe { *entry = 0 });
    }

    fn reset_if_unused(&self) {
        self.closed.store(true, SeqCst);
        let readers = self.readers.load(SeqCst);
        // SAFETY: see at `Sync`.
        self.entry.with_mut(|entry| unsafe { *entry = 0 });
        assert!(readers <= 1);
    }
}

/// The table is reset while a reader is in it.
pub fn reset_with_readers() {
    let table = Table::new();
    let other = Arc::clone(&table);
    beside(move || other.read(), move || table.reset());
}

/// The same where who resets has looked at the readers, and goes on all the same.
pub fn reset_all_the_same() {
    let table = Table::new();
    let other = Arc::clone(&table);
    beside(move || other.read(), move || table.reset_if_unused());
}

/// Tasks that work on a buffer until they are told to stop.
struct Pool {
    stop: AtomicBool,
    in_flight: AtomicUsize,
    buffer: AtomicPtr<AtomicU32>,
}

impl Pool {
    fn work(&self) {
        self.in_flight.fetch_add(1, SeqCst);
        if !self.stop.load(SeqCst) {
            let buffer = self.buffer.load(SeqCst);
            // SAFETY: it is freed when no task is in flight any more, or so it is meant.
            unsafe { &*buffer }.fetch_add(1, SeqCst);
        }
        self.in_flight.fetch_sub(1, SeqCst);
    }

    fn shut_down(&self) {
        self.stop.store(true, SeqCst);
        let buffer = self.buffer.load(SeqCst);
        // SAFETY: it was made by `into_raw`; see also in `work`.
        drop(unsafe { Box::from_raw(buffer) });
    }
}

/// The pool is shut down while a task is in flight.
pub fn shut_down_in_flight() {
    let buffer = AtomicPtr::new(Box::into_raw(Box::new(AtomicU32::new(0))));
    let pool = Arc::new(Pool { stop: AtomicBool::new(false), in_flight: AtomicUsize::new(0), buffer });
    let other = Arc::clone(&pool);
    beside(move || other.work(), move || pool.shut_down());
}

/// A log that is closed when its writers have seen that.
struct Log {
    closing: AtomicBool,
    writing: AtomicBool,
    lines: UnsafeCell<u32>,
}

// SAFETY: `lines` is written by the writer until the log is closed, or so it is meant.
unsafe impl Sync for Log {}

impl Log {
    fn write(&self) {
        self.writing.store(true, SeqCst);
        if !self.closing.load(SeqCst) {
            // SAFETY: see at `Sync`.
            self.lines.with_mut(|lines| unsafe { *lines += 1 });
        }
        self.writing.store(false, SeqCst);
    }

    fn close(&self) -> u32 {
        self.closing.store(true, SeqCst);
        // SAFETY: see at `Sync`.
        self.lines.with(|lines| unsafe { *lines })
    }
}

/// A log is closed while its writer is at it.
pub fn closed_while_written() {
    let log = Arc::new(Log {
        closing: AtomicBool::new(false),
        writing: AtomicBool::new(false),
        lines: UnsafeCell::new(0),
    });
    let other = Arc::clone(&log);
    beside(move || other.write(), move || assert!(log.close() <= 1));
}

/// A callback that is called while it is not unregistered.
struct Hook {
    enabled: AtomicBool,
    calls: AtomicUsize,
    gone: AtomicBool,
}

impl Hook {
    fn call(&self) {
        self.calls.fetch_add(1, SeqCst);
        if self.enabled.load(SeqCst) {
            assert!(!self.gone.load(SeqCst), "called when it was gone");
        }
        self.calls.fetch_sub(1, SeqCst);
    }

    fn unregister(&self) {
        self.enabled.store(false, SeqCst);
        self.gone.store(true, SeqCst);
    }
}

/// A callback is gone while somebody is in it.
pub fn unregistered_in_a_call() {
    let hook = Arc::new(Hook {
        enabled: AtomicBool::new(true),
        calls: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
    });
    let other = Arc::clone(&hook);
    beside(move || other.call(), move || hook.unregister());
}
