//! The runtime's operations as loom's.

use super::{Loom, Object, Over, Stop, Thread};
use crate::exceptions::Exception;
use crate::twins::{Pool, Sort, Twin};
use loom::sync::atomic::fence;
use racefuzz_runtime::ops::{Rmw, Update};
use racefuzz_runtime::{Backend, Body, Site};
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, Verb};
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
