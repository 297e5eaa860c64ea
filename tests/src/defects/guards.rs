//! Guards in the shapes that code has them: temporaries, two critical sections where one is needed, guards that
//! live as long as their block. What a repair holds where is not always where its lines stand.

use racefuzz::sync::atomic::{AtomicU32, Ordering::*};
use racefuzz::sync::{Arc, Mutex, RwLock};
use racefuzz::{Var, thread};

/// Two threads do the same to one thing, and main looks at it behind them.
fn twice<T: Send + Sync + 'static>(shared: T, act: fn(&T)) -> Arc<T> {
    let shared = Arc::new(shared);
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || act(&other));
    act(&shared);
    thread.join().unwrap();
    shared
}

struct Hits {
    count: Mutex<u32>,
}

impl Hits {
    fn hit(&self) {
        let seen = *self.count.lock().unwrap();
        let next = seen + 1;
        *self.count.lock().unwrap() = next;
    }
}

/// A count that is read under the lock, and written under the lock.
pub fn hits() {
    let hits = twice(Hits { count: Mutex::new(0) }, Hits::hit);
    assert_eq!(*hits.count.lock().unwrap(), 2);
}

/// Names, each of which is there once.
struct Names {
    all: Mutex<Vec<u32>>,
}

impl Names {
    fn add(&self, name: u32) {
        if !self.all.lock().unwrap().contains(&name) {
            self.all.lock().unwrap().push(name);
        }
    }
}

/// Looked for under the lock, and added under the lock (hit-box/hitbox 208, majiayu000/harness 429). Upstream:
/// one locked operation that does both.
pub fn added_twice() {
    let names = twice(Names { all: Mutex::new(Vec::new()) }, |names| names.add(1));
    assert_eq!(names.all.lock().unwrap().len(), 1);
}

/// The same with a lock that readers share.
struct Index {
    all: RwLock<Vec<u32>>,
}

impl Index {
    fn add(&self, name: u32) {
        if !self.all.read().unwrap().contains(&name) {
            self.all.write().unwrap().push(name);
        }
    }
}

/// Looked for by a reader, and added by a writer (ds1sqe/reovim 721, palfrey/serial_test 45, systeminit/si 4402).
/// Upstream: one write lock around the look and the insertion.
pub fn indexed_twice() {
    let index = twice(Index { all: RwLock::new(Vec::new()) }, |index| index.add(1));
    assert_eq!(index.all.read().unwrap().len(), 1);
}

impl Index {
    fn first(&self) -> Option<u32> {
        if self.all.read().unwrap().is_empty() {
            return None;
        }
        Some(self.all.read().unwrap()[0])
    }
}

/// Found by a reader, and gone when the same one reads it (mmalmi/rod 23). Upstream: one read lock.
pub fn gone_between() {
    let index = Arc::new(Index { all: RwLock::new(vec![1]) });
    let other = Arc::clone(&index);
    let thread = thread::spawn(move || other.all.write().unwrap().clear());
    index.first();
    thread.join().unwrap();
}

static NEXT: Mutex<u32> = Mutex::new(0);

fn number() -> u32 {
    let number = *NEXT.lock().unwrap();
    *NEXT.lock().unwrap() += 1;
    number
}

/// Two numbers that are one, of a lock that is a static.
pub fn numbered_twice() {
    let thread = thread::spawn(number);
    let mine = number();
    assert_ne!(mine, thread.join().unwrap());
}

/// What is made once for each key, in an unlocked way, with something else that is counted.
struct Memo {
    made: Mutex<Vec<u32>>,
    calls: AtomicU32,
}

impl Memo {
    fn get(&self, key: u32) {
        if self.made.lock().unwrap().contains(&key) {
            return;
        }
        self.calls.fetch_add(1, Relaxed);
        self.made.lock().unwrap().push(key);
    }
}

/// Two find that it is not there yet, and make it.
pub fn made_twice() {
    let memo = twice(Memo { made: Mutex::new(Vec::new()), calls: AtomicU32::new(0) }, |memo| memo.get(1));
    assert_eq!(memo.calls.load(Relaxed), 1);
}

struct Logged {
    count: Var<u32>,
    log: Mutex<Vec<u32>>,
}

impl Logged {
    fn new() -> Arc<Self> {
        Arc::new(Self { count: Var::new("count", 0), log: Mutex::new(Vec::new()) })
    }

    /// The entry is dropped behind the last expression, and a guard made before it behind the entry.
    fn behind(&self) {
        let seen = self.count.get();
        let _entry = Entry(self);
        self.count.set(seen + 1)
    }

    fn inside(&self) {
        let mut log = self.log.lock().unwrap();
        log.push(1);
        let seen = self.count.get();
        self.count.set(seen + 1);
    }
}

/// Logs its end.
struct Entry<'l>(&'l Logged);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.log.lock().unwrap().push(0);
    }
}

/// A lock around the count that lasts as long as its block would be held while an entry is logged.
pub fn logged_at_the_end() {
    let logged = Logged::new();
    let other = Arc::clone(&logged);
    let thread = thread::spawn(move || other.behind());
    logged.inside();
    thread.join().unwrap();
    assert_eq!(logged.count.get(), 2);
}

struct Flag {
    set: Var<u32>,
}

impl Flag {
    fn claim(&self) -> bool {
        if self.set.get() == 0 {
            self.set.set(1);
            true
        } else {
            false
        }
    }
}

/// The test is the last expression, and a value.
pub fn claimed_at_the_end() {
    let flag = Arc::new(Flag { set: Var::new("flag", 0) });
    let other = Arc::clone(&flag);
    let thread = thread::spawn(move || other.claim());
    let mine = flag.claim();
    assert!(!(mine && thread.join().unwrap()));
}

struct Addresses {
    next: AtomicU32,
    host: &'static str,
}

impl Addresses {
    fn next(&self) -> String {
        let next = self.next.load(Relaxed); // not "{"
        self.next.store(next + 1, Relaxed);
        format!("http://{}/{{{next}", self.host)
    }
}

/// What is loaded is used again in a text that looks like a comment.
pub fn addressed_twice() {
    let addresses = Arc::new(Addresses { next: AtomicU32::new(0), host: "a//b" });
    let other = Arc::clone(&addresses);
    let thread = thread::spawn(move || other.next());
    let mine = addresses.next();
    assert_ne!(mine, thread.join().unwrap());
}

/// A guard cannot be given back before the wait: something borrows from it.
pub fn lent_on() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let other = Arc::clone(&log);
    let thread = thread::spawn(move || other.lock().unwrap().push(1));
    let entries = log.lock().unwrap();
    let count = || entries.len();
    thread.join().unwrap();
    assert!(count() < 2);
}
