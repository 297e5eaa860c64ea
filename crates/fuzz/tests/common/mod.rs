//! Little primitives over the runtime's operations, and little programs made of them.
#![allow(dead_code, unreachable_pub)]

use racefuzz_fuzz::{Options, fuzz};
use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Primitive, Shared, Shown, Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, RunReport, Strategy, Value, Verb};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A named plain variable.
pub struct Var {
    shared: Shared,
    name: &'static str,
    initial: u64,
}

impl Var {
    #[track_caller]
    pub fn new(name: &'static str, initial: u64) -> Arc<Self> {
        Arc::new(Self { shared: Shared::new(), name, initial })
    }

    #[track_caller]
    pub fn get(&self) -> u64 {
        let how = Update { kind: OpKind::Load, ..Update::new(Verb::Get) };
        ops::update(self, how, Site::caller(), |word, _| *word).unwrap().unwrap()
    }

    #[track_caller]
    pub fn set(&self, value: u64) {
        let how = Update { kind: OpKind::Store, ..Update::new(Verb::Set) };
        ops::update(self, how, Site::caller(), |word, _| *word = value).unwrap().unwrap();
    }
}

impl Primitive for Var {
    const KIND: ObjectKind = ObjectKind::Variable;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        self.initial
    }

    fn show(&self, word: u64) -> Shown {
        Shown::Value(Value::Int(word.into()))
    }

    fn name(&self) -> Option<Cow<'static, str>> {
        Some(self.name.into())
    }
}

/// An atomic.
pub struct Atomic {
    shared: Shared,
}

impl Atomic {
    #[track_caller]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { shared: Shared::new() })
    }

    #[track_caller]
    pub fn load(&self, order: MemoryOrder) -> u64 {
        ops::load(self, order, Verb::Load, Site::caller()).unwrap()
    }

    #[track_caller]
    pub fn store(&self, value: u64, order: MemoryOrder) {
        ops::store(self, value, order, Verb::Store, Site::caller()).unwrap();
    }
}

impl Primitive for Atomic {
    const KIND: ObjectKind = ObjectKind::Atomic;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn show(&self, word: u64) -> Shown {
        Shown::Value(Value::Int(word.into()))
    }
}

/// A lock without a guard.
pub struct Lock {
    shared: Shared,
}

impl Lock {
    #[track_caller]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { shared: Shared::new() })
    }

    #[track_caller]
    pub fn lock(&self) {
        let how = Update { hold: Hold::Take, ..Update::when(Verb::Lock, Test::Eq(0)) };
        ops::update(self, how, Site::caller(), |word, _| *word = 1).unwrap().unwrap();
    }

    #[track_caller]
    pub fn unlock(&self) {
        let how = Update { hold: Hold::Give, ..Update::new(Verb::Unlock) };
        ops::update(self, how, Site::caller(), |word, _| *word = 0).unwrap().unwrap();
    }
}

impl Primitive for Lock {
    const KIND: ObjectKind = ObjectKind::Mutex;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }
}

pub type Handle = ops::Spawned<()>;

#[track_caller]
pub fn spawn(body: impl FnOnce() + 'static) -> Handle {
    // SAFETY: everything is `'static`.
    unsafe { ops::spawn(ops::SpawnOptions::default(), Site::caller(), body) }.unwrap()
}

#[track_caller]
pub fn join(handle: Handle) {
    ops::join(handle, Site::caller()).unwrap().unwrap();
}

#[track_caller]
pub fn note(text: &'static str) {
    ops::note(Site::caller(), || text.to_owned()).unwrap();
}

#[track_caller]
pub fn pause() {
    ops::yield_now(Verb::Yield, Site::caller()).unwrap();
}

/// The article's first program: two threads each add one to 5.
pub fn refcount() {
    let references = Var::new("references", 5);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let references = Arc::clone(&references);
            spawn(move || {
                let seen = references.get();
                note("add");
                references.set(seen + 1);
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert_eq!(references.get(), 7, "an increment is lost");
}

/// The same with a lock.
pub fn refcount_locked() {
    let (references, lock) = (Var::new("references", 5), Lock::new());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (references, lock) = (Arc::clone(&references), Arc::clone(&lock));
            spawn(move || {
                lock.lock();
                let seen = references.get();
                references.set(seen + 1);
                lock.unlock();
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert_eq!(references.get(), 7);
}

/// `n` threads that set `a` before `b`, and one that must not see it otherwise: fails only if the
/// checker runs between the two stores of the first thread to start (SCTBench's reorder).
pub fn reorder(n: usize) {
    let (a, b) = (Var::new("a", 0), Var::new("b", 0));
    let mut threads: Vec<_> = (0..n)
        .map(|_| {
            let (a, b) = (Arc::clone(&a), Arc::clone(&b));
            spawn(move || {
                a.set(1);
                b.set(1);
            })
        })
        .collect();
    threads.push(spawn(move || {
        let (a, b) = (a.get(), b.get());
        assert!(a == b, "reordered");
    }));
    threads.into_iter().for_each(join);
}

/// Two locks in two orders.
pub fn lock_order() {
    let (a, b) = (Lock::new(), Lock::new());
    let (a2, b2) = (Arc::clone(&a), Arc::clone(&b));
    let one = spawn(move || {
        a.lock();
        b.lock();
        b.unlock();
        a.unlock();
    });
    let other = spawn(move || {
        b2.lock();
        a2.lock();
        a2.unlock();
        b2.unlock();
    });
    join(one);
    join(other);
}

/// A message passed with too weak orderings.
pub fn message() {
    let (data, flag) = (Atomic::new(), Atomic::new());
    let (data2, flag2) = (Arc::clone(&data), Arc::clone(&flag));
    let writer = spawn(move || {
        data2.store(42, MemoryOrder::Relaxed);
        flag2.store(1, MemoryOrder::Relaxed);
    });
    if flag.load(MemoryOrder::Acquire) == 1 {
        assert_eq!(data.load(MemoryOrder::Relaxed), 42, "the message is not there");
    }
    join(writer);
}

/// A thread that waits for a flag without a hint.
pub fn spin(waiters: usize) {
    let flag = Atomic::new();
    let threads: Vec<_> = (0..waiters)
        .map(|_| {
            let flag = Arc::clone(&flag);
            spawn(move || while flag.load(MemoryOrder::Acquire) == 0 {})
        })
        .collect();
    let last = spawn(move || {
        for _ in 0..5 {
            note("busy");
        }
        flag.store(1, MemoryOrder::Release);
    });
    threads.into_iter().for_each(join);
    join(last);
}

/// Never completes.
pub fn blocked() {
    let x = Var::new("x", 0);
    let seen = x.get();
    ops::assume(seen == 1, Site::caller()).unwrap();
}

pub const STRATEGIES: &[Strategy] = Strategy::ALL;

pub fn options(strategy: Strategy, seed: u64, iterations: u64) -> Options {
    Options { strategy, seed, iterations, ..Options::default() }
}

pub fn run(options: &Options, program: impl Fn() + Sync) -> RunReport {
    fuzz(options, &program, &())
}

/// The mean number of schedules up to the first failing one, over these seeds; `limit` where none
/// failed.
pub fn mean_to_first(
    strategy: Strategy,
    seeds: std::ops::Range<u64>,
    limit: u64,
    program: impl Fn() + Sync,
) -> f64 {
    let total = AtomicU64::new(0);
    for seed in seeds.clone() {
        let report = fuzz(&options(strategy, seed, limit), &program, &());
        let first = report.failures().first().map_or(limit, |failure| failure.iteration + 1);
        total.fetch_add(first, Ordering::Relaxed);
    }
    total.into_inner() as f64 / (seeds.end - seeds.start) as f64
}
