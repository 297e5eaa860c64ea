//! Defects in the shapes that code has, methods, helpers, modules and types of one name, whose cause lies
//! elsewhere than where they show.

use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz::{Var, future, hint, thread};
use std::collections::{BTreeMap, VecDeque};
use std::task::{Poll, Waker};

/// Two threads do the same.
fn twice(act: impl Fn() + Send + Sync + 'static) {
    let act = Arc::new(act);
    let threads = [Arc::clone(&act), act].map(|act| thread::spawn(move || (*act)()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

mod queue {
    use super::*;

    /// A queue that can be closed.
    pub(super) struct Queue<T> {
        items: Mutex<VecDeque<T>>,
        closed: AtomicBool,
        changed: Condvar,
    }

    impl<T> Queue<T> {
        pub(super) fn new() -> Self {
            let items = Mutex::new(VecDeque::new());
            Self { items, closed: AtomicBool::new(false), changed: Condvar::new() }
        }

        pub(super) fn close(&self) {
            self.closed.store(true, SeqCst);
            self.changed.notify_all();
        }

        pub(super) fn pop(&self) -> Option<T> {
            let mut items = self.items.lock().unwrap();
            loop {
                if let Some(item) = items.pop_front() {
                    return Some(item);
                }
                if self.closed.load(SeqCst) {
                    return None;
                }
                items = self.changed.wait(items).unwrap();
            }
        }
    }
}

/// A queue is closed without the mutex that its reader looks under.
pub fn closed_queue() {
    let queue = Arc::new(queue::Queue::<u32>::new());
    let other = Arc::clone(&queue);
    let closer = thread::spawn(move || other.close());
    assert_eq!(queue.pop(), None);
    closer.join().unwrap();
}

/// Opened for those who have announced themselves.
struct Gate {
    waiters: AtomicUsize,
    open: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        self.waiters.fetch_add(1, Relaxed);
        let mut guard = self.lock.lock().unwrap();
        while !self.open.load(Relaxed) {
            guard = self.opened.wait(guard).unwrap();
        }
    }

    fn open(&self) {
        self.open.store(true, Relaxed);
        if self.waiters.load(Relaxed) > 0 {
            let _guard = self.lock.lock().unwrap();
            self.opened.notify_all();
        }
    }
}

/// Each of the two may miss what the other has stored.
pub fn gate() {
    let gate = Arc::new(Gate {
        waiters: AtomicUsize::new(0),
        open: AtomicBool::new(false),
        lock: Mutex::new(()),
        opened: Condvar::new(),
    });
    let other = Arc::clone(&gate);
    let waiter = thread::spawn(move || other.wait());
    gate.open();
    waiter.join().unwrap();
}

struct Buffer {
    items: Mutex<usize>,
    changed: Condvar,
}

impl Buffer {
    fn new() -> Self {
        Self { items: Mutex::new(0), changed: Condvar::new() }
    }

    fn take(&self) {
        let mut items = self.items.lock().unwrap();
        while *items == 0 {
            items = self.changed.wait(items).unwrap();
        }
        *items -= 1;
    }
}

/// Of two condition variables of one name the other one is notified.
pub fn wrong_buffer() {
    let buffers = Arc::new([Buffer::new(), Buffer::new()]);
    let other = Arc::clone(&buffers);
    let taker = thread::Builder::new().name("taker".to_owned()).spawn(move || other[0].take()).unwrap();
    *buffers[0].items.lock().unwrap() += 1;
    buffers[1].changed.notify_one();
    taker.join().unwrap();
}

/// What a future waits for.
struct Completion {
    done: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Completion {
    fn complete(&self) {
        self.done.store(true, SeqCst);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
}

/// The waker is registered behind the look.
pub fn registered_late() {
    let completion = Arc::new(Completion { done: AtomicBool::new(false), waker: Mutex::new(None) });
    let other = Arc::clone(&completion);
    let worker = thread::spawn(move || other.complete());
    future::block_on(std::future::poll_fn(|context| {
        if completion.done.load(SeqCst) {
            return Poll::Ready(());
        }
        *completion.waker.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    }));
    worker.join().unwrap();
}

struct Semaphore {
    permits: Mutex<u32>,
    available: Condvar,
}

impl Semaphore {
    fn acquire(&self) {
        if *self.permits.lock().unwrap() == 0 {
            let permits = self.permits.lock().unwrap();
            drop(self.available.wait(permits).unwrap());
        }
        *self.permits.lock().unwrap() -= 1;
    }

    fn release(&self) {
        *self.permits.lock().unwrap() += 1;
        self.available.notify_one();
    }
}

/// The mutex is given back between the look and the wait.
pub fn relocked() {
    let semaphore = Arc::new(Semaphore { permits: Mutex::new(0), available: Condvar::new() });
    let other = Arc::clone(&semaphore);
    let releaser = thread::spawn(move || other.release());
    semaphore.acquire();
    releaser.join().unwrap();
}

struct Inner<T> {
    count: AtomicUsize,
    value: T,
}

/// References that are counted by a load and a store.
struct Counted<T>(*mut Inner<T>);

// SAFETY: the count says who is the last; that it does not always is the bug.
unsafe impl<T> Send for Counted<T> {}

impl<T> Counted<T> {
    fn new(value: T) -> Self {
        Self(Box::into_raw(Box::new(Inner { count: AtomicUsize::new(1), value })))
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: it is not freed while this reference is counted.
        unsafe { &*self.0 }
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        let count = self.inner().count.load(SeqCst);
        self.inner().count.store(count + 1, SeqCst);
        Self(self.0)
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        if self.inner().count.fetch_sub(1, SeqCst) == 1 {
            // SAFETY: this was the last reference.
            drop(unsafe { Box::from_raw(self.0) });
        }
    }
}

/// One of two clones is not counted.
pub fn miscounted() {
    let one = Counted::new(AtomicU32::new(0));
    let other = one.clone();
    let user = thread::spawn(move || {
        let third = other.clone();
        third.inner().value.load(Relaxed)
    });
    let fourth = one.clone();
    drop(one);
    fourth.inner().value.load(Relaxed);
    drop(fourth);
    user.join().unwrap();
}

/// A value that readers say they are using.
struct Pinned {
    users: AtomicUsize,
    value: AtomicPtr<AtomicU32>,
}

impl Pinned {
    fn read(&self) {
        let value = self.value.load(SeqCst);
        self.users.fetch_add(1, SeqCst);
        if !value.is_null() {
            // SAFETY: who is counted is waited for, or so it is meant.
            unsafe { &*value }.load(Relaxed);
        }
        self.users.fetch_sub(1, SeqCst);
    }

    fn free(&self) {
        let value = self.value.swap(std::ptr::null_mut(), SeqCst);
        while self.users.load(SeqCst) != 0 {
            hint::spin_loop();
        }
        // SAFETY: nobody uses it, or so it is meant.
        drop(unsafe { Box::from_raw(value) });
    }
}

/// A reader comes by the value before it says so.
pub fn pinned_late() {
    let value = Box::into_raw(Box::new(AtomicU32::new(7)));
    let pinned = Arc::new(Pinned { users: AtomicUsize::new(0), value: AtomicPtr::new(value) });
    let other = Arc::clone(&pinned);
    let reader = thread::Builder::new().name("reader".to_owned()).spawn(move || other.read()).unwrap();
    pinned.free();
    reader.join().unwrap();
}

/// A lock is held while waiting for a message of somebody who needs it.
pub fn held_over_receive() {
    let state = Arc::new(Mutex::new(0));
    let (sender, receiver) = mpsc::channel();
    let other = Arc::clone(&state);
    let worker = thread::spawn(move || {
        *other.lock().unwrap() += 1;
        sender.send(1).unwrap();
    });
    let mut guard = state.lock().unwrap();
    *guard += receiver.recv().unwrap();
    drop(guard);
    worker.join().unwrap();
}

/// Two flags and a turn (Peterson), too weak; the flags are made by `Default`.
struct Turns {
    wants: [AtomicBool; 2],
    turn: AtomicUsize,
    value: UnsafeCell<u32>,
}

// SAFETY: `value` is accessed by whoever's turn it is; racefuzz says where that is not enough.
unsafe impl Sync for Turns {}

impl Turns {
    fn enter(&self, me: usize) {
        let other = 1 - me;
        self.wants[me].store(true, Relaxed);
        self.turn.store(other, Relaxed);
        while self.wants[other].load(Acquire) && self.turn.load(Acquire) == other {
            hint::spin_loop();
        }
        // SAFETY: see at `Sync`.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.wants[me].store(false, Release);
    }
}

/// Neither sees that the other wants to enter.
pub fn turns() {
    let turns = Turns { wants: Default::default(), turn: AtomicUsize::new(0), value: UnsafeCell::new(0) };
    let turns = Arc::new(turns);
    let other = Arc::clone(&turns);
    let thread = thread::spawn(move || other.enter(1));
    turns.enter(0);
    thread.join().unwrap();
}

/// Names, each of which is there once.
#[derive(Default)]
struct Registry {
    names: Mutex<BTreeMap<&'static str, u32>>,
}

impl Registry {
    fn contains(&self, name: &str) -> bool {
        self.names.lock().unwrap().contains_key(name)
    }

    fn insert(&self, name: &'static str) {
        let before = self.names.lock().unwrap().insert(name, 1);
        assert!(before.is_none(), "{name} is there twice");
    }
}

/// The lock is made by `Default`, and given back between the look and the insertion.
pub fn registry() {
    let registry = Registry::default();
    twice(move || {
        if !registry.contains("a") {
            registry.insert("a");
        }
    });
}

struct Account {
    balance: Var<i64>,
}

impl Account {
    fn withdraw(&self, amount: i64) {
        if self.balance.get() >= amount {
            let balance = self.balance.get();
            self.balance.set(balance - amount);
        }
    }
}

/// What was looked at is read once more before it is changed.
pub fn looked_at_twice() {
    let account = Arc::new(Account { balance: Var::new("balance", 100) });
    let other = Arc::clone(&account);
    let thread = thread::spawn(move || other.withdraw(80));
    account.withdraw(80);
    thread.join().unwrap();
    assert!(account.balance.get() >= 0, "overdrawn: {}", account.balance.get());
}

struct Slot {
    generation: AtomicUsize,
    value: Var<u32>,
}

impl Slot {
    fn write(&self, generation: usize, value: u32) {
        if self.generation.load(SeqCst) == generation {
            self.value.set(value);
        }
    }
}

/// The generation that was looked at is over when the value is written.
pub fn old_generation() {
    let slot = Arc::new(Slot { generation: AtomicUsize::new(0), value: Var::new("value", 0) });
    let other = Arc::clone(&slot);
    let thread = thread::spawn(move || other.write(0, 1));
    slot.generation.store(1, SeqCst);
    slot.write(1, 2);
    thread.join().unwrap();
    assert_eq!(slot.value.get(), 2, "an old write");
}
