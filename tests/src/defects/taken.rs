//! What is taken for nothing and not given back: a flag that was cleared, a permit, a lock, a count that was
//! raised, a notification.

use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex};
use racefuzz::thread;

/// Work that is due until somebody does it.
struct Worker {
    due: AtomicBool,
    paused: AtomicBool,
    done: AtomicUsize,
}

impl Worker {
    fn poll(&self) {
        if !self.due.swap(false, AcqRel) {
            return;
        }
        if self.paused.load(Acquire) {
            return;
        }
        self.done.fetch_add(1, AcqRel);
    }
}

/// Work that came due while the worker was paused is never done.
pub fn paused_when_due() {
    let worker = Arc::new(Worker {
        due: AtomicBool::new(true),
        paused: AtomicBool::new(true),
        done: AtomicUsize::new(0),
    });
    let other = Arc::clone(&worker);
    let thread = thread::spawn(move || other.poll());
    worker.paused.store(false, Release);
    thread.join().unwrap();
    worker.poll();
    assert_eq!(worker.done.load(Acquire), 1);
}

/// Places in a channel, which senders reserve.
struct Places {
    left: AtomicUsize,
    aborted: AtomicBool,
    sent: AtomicUsize,
}

impl Places {
    fn send(&self) -> bool {
        if self.left.compare_exchange(1, 0, AcqRel, Acquire).is_err() {
            return false;
        }
        if self.aborted.load(Acquire) {
            return false;
        }
        self.sent.fetch_add(1, AcqRel);
        self.left.store(1, Release);
        true
    }
}

/// A sender that has reserved a place goes away (tokio-rs/tokio 900). Upstream: the place is released.
pub fn reserved_and_gone() {
    let places = Arc::new(Places {
        left: AtomicUsize::new(1),
        aborted: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
    });
    let other = Arc::clone(&places);
    let sender = thread::spawn(move || other.send());
    places.aborted.store(true, Release);
    sender.join().unwrap();
    places.aborted.store(false, Release);
    assert!(places.send(), "no place left");
}

/// A count of requests that are being served.
struct Server {
    in_flight: AtomicUsize,
    connected: AtomicBool,
}

impl Server {
    fn review(&self) -> Option<usize> {
        self.in_flight.fetch_add(1, SeqCst);
        if !self.connected.load(SeqCst) {
            return None;
        }
        Some(self.in_flight.fetch_sub(1, SeqCst))
    }
}

/// A request whose client has gone is counted for ever (bobmatnyc/trusty-tools 5020). To be done: count down on
/// every way out.
pub fn counted_for_ever() {
    let server = Arc::new(Server { in_flight: AtomicUsize::new(0), connected: AtomicBool::new(true) });
    let other = Arc::clone(&server);
    let request = thread::spawn(move || other.review());
    server.connected.store(false, SeqCst);
    request.join().unwrap();
    assert_eq!(server.in_flight.load(SeqCst), 0, "still in flight");
}

/// A lock that a future takes when it is polled.
struct Lock {
    locked: AtomicBool,
    dropped: AtomicBool,
    value: AtomicUsize,
}

impl Lock {
    fn update(&self) -> bool {
        if self.locked.swap(true, Acquire) {
            return false;
        }
        if self.dropped.load(Relaxed) {
            // Nobody wants it any more.
            return false;
        }
        self.value.fetch_add(1, Relaxed);
        self.locked.store(false, Release);
        true
    }
}

/// A future that has the lock is dropped (asomers/futures-locks 1). Upstream: dropping it unlocks.
pub fn dropped_with_the_lock() {
    let lock = Arc::new(Lock {
        locked: AtomicBool::new(false),
        dropped: AtomicBool::new(false),
        value: AtomicUsize::new(0),
    });
    let other = Arc::clone(&lock);
    let future = thread::spawn(move || other.update());
    lock.dropped.store(true, Relaxed);
    future.join().unwrap();
    assert!(!lock.locked.load(Acquire), "locked for ever");
}

/// Who waits for items, and may be cancelled meanwhile.
struct Queue {
    items: Mutex<Vec<u32>>,
    ready: Condvar,
    cancelled: AtomicBool,
}

impl Queue {
    fn take(&self) -> u32 {
        let mut items = self.items.lock().unwrap();
        loop {
            if let Some(item) = items.pop() {
                return item;
            }
            items = self.ready.wait(items).unwrap();
        }
    }

    /// What one takes who may be cancelled.
    fn take_unless_cancelled(&self) -> Option<u32> {
        let mut items = self.items.lock().unwrap();
        loop {
            if self.cancelled.load(SeqCst) {
                return None;
            }
            if let Some(item) = items.pop() {
                return Some(item);
            }
            items = self.ready.wait(items).unwrap();
        }
    }

    fn put(&self, item: u32) {
        self.items.lock().unwrap().push(item);
        self.ready.notify_one();
    }

    /// Lets all look again, whatever they wait for.
    fn wake(&self) {
        drop(self.items.lock());
        self.ready.notify_all();
    }
}

/// A task that is cancelled swallows the notification that was meant for whoever takes the item (python/cpython
/// 112202, lalinsky/zio 94). Upstream: it notifies the next one.
pub fn cancelled_when_notified() {
    let queue = Arc::new(Queue {
        items: Mutex::new(Vec::new()),
        ready: Condvar::new(),
        cancelled: AtomicBool::new(false),
    });
    let (one, other) = (Arc::clone(&queue), Arc::clone(&queue));
    let cancelled = thread::spawn(move || one.take_unless_cancelled());
    let taker = thread::spawn(move || other.take());
    queue.cancelled.store(true, SeqCst);
    queue.put(7);
    assert_eq!(taker.join().unwrap(), 7);
    queue.wake();
    assert_eq!(cancelled.join().unwrap(), None);
}

/// Permits, and acquirers that are woken one at a time.
struct Semaphore {
    permits: Mutex<u32>,
    released: Condvar,
    abandoned: AtomicBool,
}

impl Semaphore {
    fn acquire(&self) {
        let mut permits = self.permits.lock().unwrap();
        while *permits == 0 {
            permits = self.released.wait(permits).unwrap();
        }
        *permits -= 1;
    }

    fn acquire_and_abandon(&self) {
        let mut permits = self.permits.lock().unwrap();
        while *permits == 0 {
            permits = self.released.wait(permits).unwrap();
        }
        *permits -= 1;
        if self.abandoned.load(SeqCst) {
            *permits += 1;
            return;
        }
        *permits += 1;
        self.released.notify_one();
    }

    fn release(&self) {
        *self.permits.lock().unwrap() += 1;
        self.released.notify_one();
    }
}

/// Who drops an acquisition gives the permit back and wakes nobody (awslabs/shuttle 167). Upstream: the next one
/// is woken.
pub fn abandoned_acquisition() {
    let semaphore = Arc::new(Semaphore {
        permits: Mutex::new(0),
        released: Condvar::new(),
        abandoned: AtomicBool::new(false),
    });
    let (one, other) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
    let abandons = thread::spawn(move || one.acquire_and_abandon());
    let acquires = thread::spawn(move || {
        other.acquire();
        other.release();
    });
    semaphore.abandoned.store(true, SeqCst);
    semaphore.release();
    acquires.join().unwrap();
    abandons.join().unwrap();
}

/// A permit that is kept for whoever waits.
struct Notify {
    notified: Mutex<bool>,
    changed: Condvar,
    dropped: AtomicBool,
}

impl Notify {
    fn notify_one(&self) {
        *self.notified.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn notified(&self) {
        let mut notified = self.notified.lock().unwrap();
        while !*notified {
            notified = self.changed.wait(notified).unwrap();
        }
        *notified = false;
    }

    fn notified_or_dropped(&self) {
        let mut notified = self.notified.lock().unwrap();
        while !self.dropped.load(SeqCst) {
            if std::mem::take(&mut *notified) {
                return;
            }
            notified = self.changed.wait(notified).unwrap();
            if self.dropped.load(SeqCst) {
                return;
            }
        }
    }
}

/// A future that was notified is dropped, and the notification with it (tokio-rs/tokio 4618, 3652). Upstream: it
/// is forwarded.
pub fn dropped_when_notified() {
    let notify = Arc::new(Notify {
        notified: Mutex::new(false),
        changed: Condvar::new(),
        dropped: AtomicBool::new(false),
    });
    let (one, other) = (Arc::clone(&notify), Arc::clone(&notify));
    let dropped = thread::spawn(move || one.notified_or_dropped());
    let waiter = thread::spawn(move || other.notified());
    notify.dropped.store(true, SeqCst);
    notify.notify_one();
    waiter.join().unwrap();
    drop(notify.notified.lock());
    notify.changed.notify_all();
    dropped.join().unwrap();
}

/// Workers of a pool, of which one is to retire.
struct Jobs {
    jobs: Mutex<Vec<u32>>,
    added: Condvar,
    retire: AtomicBool,
}

impl Jobs {
    fn work(&self) -> u32 {
        let mut jobs = self.jobs.lock().unwrap();
        loop {
            if let Some(job) = jobs.pop() {
                return job;
            }
            jobs = self.added.wait(jobs).unwrap();
        }
    }

    fn work_until_retired(&self) -> u32 {
        let mut jobs = self.jobs.lock().unwrap();
        while !self.retire.load(SeqCst) {
            if let Some(job) = jobs.pop() {
                return job;
            }
            jobs = self.added.wait(jobs).unwrap();
            if self.retire.load(SeqCst) {
                // With whatever there is to do.
                return 0;
            }
        }
        0
    }
}

/// A worker that retires has been woken for a job.
pub fn retired_when_woken() {
    let pool = Arc::new(Jobs {
        jobs: Mutex::new(Vec::new()),
        added: Condvar::new(),
        retire: AtomicBool::new(false),
    });
    let (one, other) = (Arc::clone(&pool), Arc::clone(&pool));
    let retires = thread::spawn(move || one.work_until_retired());
    let works = thread::spawn(move || other.work());
    pool.retire.store(true, SeqCst);
    pool.jobs.lock().unwrap().push(1);
    pool.added.notify_one();
    assert_eq!(works.join().unwrap(), 1);
    drop(pool.jobs.lock());
    pool.added.notify_all();
    assert_eq!(retires.join().unwrap(), 0);
}
