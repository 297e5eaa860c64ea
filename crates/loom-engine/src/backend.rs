//! The runtime's operations as loom's.
//!
//! Loom runs the threads of an execution as coroutines of one operating-system thread; each call of
//! it may switch. What the program sees between two calls is one step.

use crate::exceptions::Exception;
use crate::twins::{Held, Pool, Sizes, Sort, Twin};
use loom::sync::atomic::fence;
use racefuzz_runtime::ops::{Hold, Rmw, Update};
use racefuzz_runtime::{Backend, Body, Site, Test};
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, Verb};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Why an exploration by loom ended.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// An execution failed.
    Failed(FailureKind, String),
    /// The program is beyond loom, and how.
    Refused(Exception, Option<String>),
    /// Again, with more twins.
    Grow(Sort),
    /// Again, with reference counts as events.
    CountReferences,
    /// A limit was reached.
    Cut(String),
}

/// The payload of a panic that ends loom's exploration.
struct Over;

/// An object of the present execution.
struct Object {
    twin: Twin,
    /// Its word, of those that are no atomics.
    word: u64,
    /// The thread that stored to it last.
    stored: Option<u32>,
    /// Whether a read-modify-write has changed it.
    modified: bool,
}

/// A thread of the present execution.
#[derive(Default)]
struct Thread {
    handle: Option<loom::thread::JoinHandle<()>>,
    thread: Option<loom::thread::Thread>,
    /// It waits for something other than its token.
    waits: bool,
}

/// The state of an exploration.
pub(crate) struct Loom<'a> {
    /// Whether to end, after so many executions, and why.
    limits: &'a dyn Fn(u64) -> Option<String>,
    executions: Cell<u64>,
    sizes: Sizes,
    stack_words: usize,
    stop: RefCell<Option<Stop>>,
    inside: Cell<bool>,
    running: Cell<u32>,
    flags: RefCell<BTreeSet<Exception>>,
    pool: RefCell<Pool>,
    objects: RefCell<Vec<Object>>,
    held: RefCell<Vec<(u32, Held)>>,
    threads: RefCell<Vec<Thread>>,
    /// Some thread of this execution was given a token; some thread waited for a word.
    tokens: Cell<bool>,
    waited: Cell<bool>,
}

impl<'a> Loom<'a> {
    pub(crate) fn new(sizes: Sizes, stack_size: usize, limits: &'a dyn Fn(u64) -> Option<String>) -> Self {
        Self {
            limits,
            executions: Cell::new(0),
            sizes,
            stack_words: stack_size / size_of::<usize>(),
            stop: RefCell::default(),
            inside: Cell::new(false),
            running: Cell::new(0),
            flags: RefCell::default(),
            pool: RefCell::default(),
            objects: RefCell::default(),
            held: RefCell::default(),
            threads: RefCell::default(),
            tokens: Cell::new(false),
            waited: Cell::new(false),
        }
    }

    /// Executions begun.
    pub(crate) fn executions(&self) -> u64 {
        self.executions.get()
    }

    /// What the exploration came to, with the panic that it ended by, if any.
    pub(crate) fn conclude(
        &self,
        ended: Result<(), Box<dyn Any + Send>>,
        panicked: Option<String>,
    ) -> (Option<Stop>, BTreeSet<Exception>) {
        // Guards of a model that is over cannot be dropped.
        self.held.take().into_iter().for_each(std::mem::forget);
        self.threads.take().into_iter().for_each(std::mem::forget);
        let mut stop = self.stop.take();
        if let (None, Err(payload)) = (&stop, ended) {
            stop = Some(classify(&*payload));
        }
        // Of several things that are wrong the program's own panic came first.
        if let (Some(Stop::Failed(kind, text)), Some(message)) = (&mut stop, panicked) {
            (*kind, *text) = (FailureKind::Panic, message);
        }
        (stop, self.flags.take())
    }

    /// Ends the exploration.
    pub(crate) fn stop(&self, stop: Stop) -> ! {
        self.stop.borrow_mut().get_or_insert(stop);
        resume_unwind(Box::new(Over))
    }

    fn refuse(&self, exception: Exception) -> ! {
        self.stop(Stop::Refused(exception, None))
    }

    fn flag(&self, exception: Exception) {
        self.flags.borrow_mut().insert(exception);
    }

    /// Runs loom's code, which may switch to other threads.
    fn loom<R>(&self, f: impl FnOnce() -> R) -> R {
        let me = self.running.get();
        self.inside.set(true);
        let result = catch_unwind(AssertUnwindSafe(f));
        self.inside.set(false);
        self.running.set(me);
        result.unwrap_or_else(|payload| {
            self.stop.borrow_mut().get_or_insert_with(|| classify(&*payload));
            resume_unwind(payload)
        })
    }

    fn twin(&self, object: u32) -> Twin {
        self.objects.borrow()[object as usize].twin.clone()
    }

    fn atomic(&self, object: u32) -> (Rc<loom::sync::atomic::AtomicU64>, u64) {
        match self.twin(object) {
            Twin::Atomic(atomic, base) => (atomic, base),
            _ => unreachable!("an atomic operation is on an atomic"),
        }
    }

    fn order(&self, order: MemoryOrder) -> Ordering {
        match order {
            MemoryOrder::Plain | MemoryOrder::Relaxed => Ordering::Relaxed,
            MemoryOrder::Acquire => Ordering::Acquire,
            MemoryOrder::Release => Ordering::Release,
            MemoryOrder::AcqRel => Ordering::AcqRel,
            MemoryOrder::SeqCst => {
                self.flag(Exception::SeqCst);
                Ordering::SeqCst
            }
        }
    }

    /// An atomic was stored to by this thread, or modified.
    fn note_write(&self, object: u32, stored: Option<u32>, modified: bool) {
        let mut objects = self.objects.borrow_mut();
        let object = &mut objects[object as usize];
        object.stored = stored.or(object.stored);
        object.modified |= modified;
        if object.modified && object.stored.is_some() {
            self.flag(Exception::RmwAtomicity);
        }
    }

    fn change(&self, object: u32, change: &mut dyn FnMut(&mut u64)) -> bool {
        // `change` comes back for the number of alternatives.
        let mut word = self.objects.borrow()[object as usize].word;
        let before = word;
        change(&mut word);
        self.objects.borrow_mut()[object as usize].word = word;
        word != before
    }

    /// An operation on a lock that loom has too.
    fn update_lock(&self, object: u32, how: &Update, change: &mut dyn FnMut(&mut u64)) {
        let Twin::Lock(lock) = self.twin(object) else { return };
        match how.hold {
            Hold::Take if how.test == Test::Always => {
                self.flag(Exception::TryLock);
                let held = self.loom(|| Held::try_new(lock, |lock| lock.try_lock().map_err(drop)).ok());
                self.change(object, change);
                self.held.borrow_mut().extend(held.map(|held| (object, held)));
            }
            Hold::Take => {
                self.waiting(true);
                let held = self.loom(|| Held::new(lock, |lock| lock.lock().expect("loom's Mutex")));
                self.waiting(false);
                self.change(object, change);
                self.held.borrow_mut().push((object, held));
            }
            Hold::Give => {
                self.change(object, change);
                let mut held = self.held.borrow_mut();
                let place = held.iter().rposition(|(locked, _)| *locked == object);
                let released = place.map(|place| held.remove(place));
                drop(held);
                self.loom(|| drop(released));
            }
            Hold::No => {
                self.change(object, change);
            }
        }
    }

    /// The running thread waits, or no longer, for something other than its token.
    fn waiting(&self, waits: bool) {
        self.threads.borrow_mut()[self.running.get() as usize].waits = waits;
    }
}

fn classify(payload: &(dyn Any + Send)) -> Stop {
    let text = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic with a payload that is no text".to_owned(),
    };
    let text = text.trim();
    if text.starts_with("deadlock") {
        Stop::Failed(FailureKind::Deadlock, "no thread can go on".to_owned())
    } else if let Some(what) = text.strip_prefix("Causality violation: ") {
        Stop::Failed(FailureKind::DataRace, what.trim_end_matches('.').to_owned())
    } else if text.contains("maximum number of branches") {
        Stop::Refused(Exception::Branches, None)
    } else if text.contains("PoisonError") {
        Stop::Refused(Exception::Poison, None)
    } else {
        Stop::Refused(Exception::Internal, Some(text.to_owned()))
    }
}

impl Backend for Loom<'_> {
    fn begin(&self) {
        self.inside.set(false);
        if let Some(why) = (self.limits)(self.executions.get()) {
            self.stop(Stop::Cut(why));
        }
        self.executions.set(self.executions.get() + 1);
        self.running.set(0);
        *self.pool.borrow_mut() = Pool::default();
        self.objects.borrow_mut().clear();
        let mut threads = self.threads.borrow_mut();
        threads.clear();
        threads.push(Thread { thread: Some(loom::thread::current()), ..Thread::default() });
        self.tokens.set(false);
        self.waited.set(false);
    }

    fn over(&self) -> bool {
        self.stop.borrow().is_some()
    }

    fn unwind(&self) -> ! {
        resume_unwind(Box::new(Over))
    }

    fn inside(&self) -> bool {
        self.inside.get()
    }

    fn fail(&self, kind: FailureKind, message: String) -> ! {
        self.stop(Stop::Failed(kind, message))
    }

    fn count_references(&self) -> ! {
        self.stop(Stop::CountReferences)
    }

    fn object(&self, number: u32, kind: ObjectKind, initial: u64) {
        let sort = Sort::of(kind);
        let twin = self.loom(|| self.pool.borrow_mut().take(sort, initial));
        let Some(twin) = twin else { self.stop(Stop::Grow(sort)) };
        let mut objects = self.objects.borrow_mut();
        debug_assert_eq!(objects.len(), number as usize, "objects are numbered in order");
        objects.push(Object { twin, word: initial, stored: None, modified: false });
    }

    fn load(&self, object: u32, order: MemoryOrder) -> u64 {
        if self.objects.borrow()[object as usize].stored == Some(self.running.get()) {
            self.flag(Exception::DroppedOutcomes);
        }
        let (atomic, base) = self.atomic(object);
        let order = self.order(order);
        self.loom(|| atomic.load(order)).wrapping_add(base)
    }

    fn store(&self, object: u32, value: u64, order: MemoryOrder) {
        let (atomic, base) = self.atomic(object);
        let order = self.order(order);
        self.loom(|| atomic.store(value.wrapping_sub(base), order));
        self.note_write(object, Some(self.running.get()), false);
    }

    /// Loom's own operation of that name: `fetch_update` would be a load and then an exchange.
    fn rmw(&self, object: u32, order: MemoryOrder, verb: Verb, f: &dyn Fn(u64) -> u64) -> Rmw {
        let (atomic, base) = self.atomic(object);
        let order = self.order(order);
        let (of_zero, of_ones) = (f(0), f(u64::MAX));
        // Narrow integers wrap where 64 bits do not: how much is taken off shows at a value that
        // is large enough.
        let taken = 127u64.checked_sub(f(127)).filter(|taken| *taken <= 127);
        let plain = base == 0;
        let (read, wrote) = match verb {
            Verb::Swap => {
                let value = of_zero.wrapping_sub(base);
                (self.loom(|| atomic.swap(value, order)), of_zero)
            }
            Verb::FetchSub if taken.is_some() => {
                let value = taken.unwrap_or_default();
                let read = self.loom(|| atomic.fetch_sub(value, order));
                (read, read.wrapping_add(base).wrapping_sub(value))
            }
            Verb::FetchAdd | Verb::FetchSub | Verb::RefClone | Verb::RefDrop | Verb::RefCount => {
                let read = self.loom(|| atomic.fetch_add(of_zero, order));
                (read, read.wrapping_add(base).wrapping_add(of_zero))
            }
            Verb::FetchOr if plain => {
                let read = self.loom(|| atomic.fetch_or(of_zero, order));
                (read, read | of_zero)
            }
            Verb::FetchXor if plain => {
                let read = self.loom(|| atomic.fetch_xor(of_zero, order));
                (read, read ^ of_zero)
            }
            Verb::FetchAnd if plain => {
                let read = self.loom(|| atomic.fetch_and(of_ones, order));
                (read, read & of_ones)
            }
            Verb::FetchMax if plain => {
                let read = self.loom(|| atomic.fetch_max(of_zero, order));
                (read, read.max(of_zero))
            }
            Verb::FetchMin if plain => {
                let read = self.loom(|| atomic.fetch_min(of_ones, order));
                (read, read.min(of_ones))
            }
            _ => self.refuse(Exception::Rmw),
        };
        let read = read.wrapping_add(base);
        if f(read) != wrote {
            self.refuse(Exception::Rmw);
        }
        self.note_write(object, None, true);
        Rmw { read, wrote: Some(wrote), newest: true }
    }

    fn compare_exchange(
        &self,
        object: u32,
        (success, failure): (MemoryOrder, MemoryOrder),
        verb: Verb,
        (current, new): (u64, u64),
    ) -> Rmw {
        if verb == Verb::CompareExchangeWeak {
            self.flag(Exception::WeakExchange);
        }
        let (atomic, base) = self.atomic(object);
        let (success, failure) = (self.order(success), self.order(failure));
        let (from, to) = (current.wrapping_sub(base), new.wrapping_sub(base));
        match self.loom(|| atomic.compare_exchange(from, to, success, failure)) {
            Ok(_) => {
                self.note_write(object, None, true);
                Rmw { read: current, wrote: Some(new), newest: true }
            }
            Err(read) => Rmw { read: read.wrapping_add(base), wrote: None, newest: false },
        }
    }

    fn fence(&self, order: MemoryOrder) {
        // Loom has SeqCst fences.
        let order = match order {
            MemoryOrder::SeqCst => Ordering::SeqCst,
            order => self.order(order),
        };
        self.loom(|| fence(order));
    }

    fn unsync(&self, _object: u32, _writes: bool) {
        self.refuse(Exception::Unsync)
    }

    fn update(&self, object: u32, how: &Update, change: &mut dyn FnMut(&mut u64)) {
        if how.timeout.is_some() {
            self.refuse(Exception::Timeout);
        }
        let word = match self.twin(object) {
            Twin::Lock(_) => return self.update_lock(object, how, change),
            Twin::Word(word) => word,
            Twin::Atomic(..) | Twin::Cell(_) => unreachable!("an update is of a state word"),
        };
        if matches!(how.verb, Verb::TryReadLock | Verb::TryWriteLock) {
            self.flag(Exception::TryLock);
        }
        self.waiting(true);
        let mut guard = Some(self.loom(|| word.lock.lock().expect("loom's Mutex")));
        while !how.test.holds(self.objects.borrow()[object as usize].word) {
            self.waited.set(true);
            if self.tokens.get() {
                self.flag(Exception::ParkToken);
            }
            let given = guard.take();
            word.waiters.set(word.waiters.get() + 1);
            guard = self.loom(|| given.map(|guard| word.changed.wait(guard).expect("loom's Condvar")));
            word.waiters.set(word.waiters.get() - 1);
        }
        self.waiting(false);
        let changed = self.change(object, change) && word.waiters.get() != 0;
        self.loom(|| {
            if changed {
                word.changed.notify_all();
            }
            drop(guard);
        });
    }

    fn part(&self, _count: usize) -> usize {
        self.flag(Exception::NotifyOrder);
        0
    }

    fn cell(&self, object: u32, writes: bool) {
        let Twin::Cell(cell) = self.twin(object) else { unreachable!("an access is to a cell") };
        self.loom(|| if writes { cell.with_mut(|_| ()) } else { cell.with(|_| ()) });
    }

    fn spawn(&self, thread: u32, task: bool, body: Body) {
        if task {
            self.refuse(Exception::Tasks);
        }
        if thread as usize >= loom::MAX_THREADS {
            self.refuse(Exception::Threads);
        }
        self.loom(|| self.pool.borrow_mut().fill(&self.sizes));
        let handle = self.loom(|| {
            let builder = loom::thread::Builder::new().stack_size(self.stack_words);
            builder.spawn(move || body.run())
        });
        let handle = handle.expect("loom makes threads");
        let mut threads = self.threads.borrow_mut();
        threads.push(Thread { thread: Some(handle.thread().clone()), handle: Some(handle), waits: false });
    }

    fn entered(&self, thread: u32) {
        self.inside.set(false);
        self.running.set(thread);
    }

    fn left(&self) {
        self.inside.set(true);
    }

    fn join(&self, thread: u32) {
        let handle = self.threads.borrow_mut()[thread as usize].handle.take();
        if let Some(handle) = handle {
            self.waiting(true);
            self.loom(|| handle.join().expect("what panics is caught"));
            self.waiting(false);
        }
    }

    fn is_finished(&self, _thread: u32) -> bool {
        self.refuse(Exception::IsFinished)
    }

    fn current(&self) -> u32 {
        self.running.get()
    }

    fn park(&self, timeout: Option<Duration>) -> bool {
        if timeout.is_some() {
            self.refuse(Exception::Timeout);
        }
        self.loom(loom::thread::park);
        true
    }

    fn unpark(&self, thread: u32) {
        let target = {
            let threads = self.threads.borrow();
            let Some(target) = threads.get(thread as usize) else { return };
            if target.waits || self.waited.get() {
                self.flag(Exception::ParkToken);
            }
            target.thread.clone()
        };
        self.tokens.set(true);
        if let Some(target) = target {
            self.loom(|| target.unpark());
        }
    }

    fn yield_now(&self) {
        self.loom(loom::thread::yield_now);
    }

    fn choose(&self, _count: usize) -> usize {
        self.refuse(Exception::Nondet)
    }

    fn choose_spurious(&self) -> bool {
        self.flag(Exception::Spurious);
        false
    }

    fn block(&self, _site: Site) -> ! {
        self.refuse(Exception::Assume)
    }

    fn now(&self) -> Duration {
        self.refuse(Exception::Time)
    }

    fn released(&self) {
        self.flag(Exception::Release);
    }
}
