//! A program as a closure over racefuzz's primitives.

use crate::outcome::{End, Outcome};
use crate::program::{Capacity, Looks, Op, Program};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{AtomicI64, AtomicPtr, Ordering::SeqCst};
use racefuzz_primitives::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use racefuzz_primitives::sync::{
    Arc, Barrier, Condvar, LockResult, Mutex, MutexGuard, Once, OnceLock, RwLock, RwLockReadGuard,
    RwLockWriteGuard, TryLockError, TryLockResult, Weak,
};
use racefuzz_primitives::{hint, thread};
use racefuzz_runtime::{Detected, ops};
use racefuzz_trace::FailureKind;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(5);

/// What an execution has shown so far.
#[derive(Debug, Default)]
struct Shown {
    logs: Vec<Vec<i64>>,
    ends: Vec<End>,
    /// The last execution that came to its end.
    complete: Option<Outcome>,
}

/// Runs a program, and keeps what its last execution showed.
#[derive(Clone)]
pub struct Running {
    program: std::sync::Arc<Program>,
    /// Executions run on one operating-system thread; std's mutex is nothing that they see.
    shown: std::sync::Arc<std::sync::Mutex<Shown>>,
}

impl Running {
    /// Runs a program.
    pub fn new(program: &Program) -> Self {
        Self { program: std::sync::Arc::new(program.clone()), shown: std::sync::Arc::default() }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One execution.
    pub fn execute(&self) {
        let count = self.program.threads.len();
        let mut shown = self.shown();
        (shown.logs, shown.ends) = (vec![Vec::new(); count], vec![End::Waits; count]);
        drop(shown);
        let objects = Objects::new(&self.program);
        if self.program.scoped { self.scoped(&objects) } else { self.spawned(objects) }
    }

    fn scoped(&self, objects: &Objects) {
        let owned = Owned::of(&self.program, objects);
        thread::scope(|scope| {
            let mut handles: Vec<std::sync::Arc<thread::ScopedJoinHandle<'_, ()>>> = Vec::new();
            for (me, owned) in owned.into_iter().enumerate() {
                let others = handles.iter().map(|handle| Other::Scoped(handle.clone())).collect();
                let handle = scope.spawn(move || self.thread(objects, me, owned, others));
                handles.push(std::sync::Arc::new(handle));
            }
            // A thread has the handles of those before it.
            let handles = handles.into_iter().rev().filter_map(std::sync::Arc::into_inner);
            handles.for_each(|handle| drop(handle.join()));
        });
        self.ended(objects.variables.iter().map(|x| x.load(SeqCst)).collect());
    }

    fn spawned(&self, objects: Objects) {
        // The threads may be torn down after this one's stack is gone.
        let objects = std::sync::Arc::new(objects);
        let owned = Owned::of(&self.program, &objects);
        let mut handles: Vec<std::sync::Arc<thread::JoinHandle<()>>> = Vec::new();
        for (me, owned) in owned.into_iter().enumerate() {
            let others = handles.iter().map(|handle| Other::Spawned(handle.clone())).collect();
            let objects = std::sync::Arc::clone(&objects);
            let this = self.clone();
            let handle = thread::spawn(move || this.thread(&objects, me, owned, others));
            handles.push(std::sync::Arc::new(handle));
        }
        // A thread has the handles of those before it.
        let handles = handles.into_iter().rev().filter_map(std::sync::Arc::into_inner);
        handles.for_each(|handle| drop(handle.join()));
        self.ended(objects.variables.iter().map(|x| x.load(SeqCst)).collect());
    }

    /// A panic is caught where the thread would end by it: racefuzz reports one that nobody came to
    /// look at, as main waits for ever, instead of the wait.
    fn thread(&self, objects: &Objects, me: usize, owned: Owned, others: Vec<Other<'_>>) {
        let body = AssertUnwindSafe(|| self.body(objects, me, owned, others));
        let end = match catch_unwind(body) {
            Ok(()) => End::Done,
            Err(payload) if ops::mode().is_err() => resume_unwind(payload),
            Err(_) => End::Panicked,
        };
        self.shown().ends[me] = end;
    }

    fn body(&self, objects: &Objects, me: usize, owned: Owned, others: Vec<Other<'_>>) {
        let mut run = Run {
            objects,
            owned,
            others,
            mutexes: objects.mutexes.iter().map(|_| None).collect(),
            shared: objects.rwlocks.iter().map(|_| None).collect(),
            exclusive: objects.rwlocks.iter().map(|_| None).collect(),
            order: Vec::new(),
        };
        let ops = &self.program.threads[me];
        let mut at = 0;
        while let Some(op) = ops.get(at).copied() {
            at += 1;
            if let Op::Unless(value, count) = op {
                if self.shown().logs[me].last() != Some(&value) {
                    at += count;
                }
                continue;
            }
            let seen = run.op(op);
            self.shown().logs[me].push(seen);
        }
        run.cleanup();
    }

    /// All threads have ended.
    fn ended(&self, variables: Vec<i64>) {
        let mut shown = self.shown();
        let (logs, ends) = (shown.logs.clone(), shown.ends.clone());
        shown.complete = Some(Outcome::Ends { logs, ends, variables });
    }

    /// What the execution that was run last came to; one that passes, if it is not only a part of
    /// another one, done again.
    pub fn outcome(&self, failure: Option<&Detected>) -> Outcome {
        let mut shown = self.shown();
        let Some(failure) = failure else {
            return shown
                .complete
                .take()
                .unwrap_or_else(|| Outcome::Other("no end, and no failure".to_owned()));
        };
        match failure.kind {
            // Those that spin for ever wait, too.
            FailureKind::Deadlock | FailureKind::StepLimit if shown.ends.contains(&End::Waits) => {
                let (logs, ends) = (shown.logs.clone(), shown.ends.clone());
                Outcome::Ends { logs, ends, variables: Vec::new() }
            }
            // No program has more than one cell.
            FailureKind::DataRace => Outcome::Race(0),
            kind => Outcome::Other(format!("{kind}: {}", failure.message)),
        }
    }
}

struct Cell(UnsafeCell<i64>);

// SAFETY: races are found by racefuzz before they happen; its threads run one at a time.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

struct Objects {
    variables: std::sync::Arc<Vec<AtomicI64>>,
    cells: Vec<Cell>,
    mutexes: Vec<Mutex<i64>>,
    rwlocks: Vec<RwLock<i64>>,
    condvars: Vec<Condvar>,
    onces: Vec<Once>,
    once_locks: Vec<OnceLock<i64>>,
    barriers: Vec<Barrier>,
    boxes: Vec<AtomicPtr<i64>>,
}

impl Objects {
    fn new(program: &Program) -> Self {
        Self {
            variables: std::sync::Arc::new((0..program.variables).map(|_| AtomicI64::new(0)).collect()),
            cells: (0..program.cells).map(|_| Cell(UnsafeCell::new(0))).collect(),
            mutexes: (0..program.mutexes).map(|_| Mutex::new(0)).collect(),
            rwlocks: (0..program.rwlocks).map(|_| RwLock::new(0)).collect(),
            condvars: (0..program.condvars).map(|_| Condvar::new()).collect(),
            onces: (0..program.onces).map(|_| Once::new()).collect(),
            once_locks: (0..program.once_locks).map(|_| OnceLock::new()).collect(),
            barriers: program.barriers.iter().map(|count| Barrier::new(*count)).collect(),
            boxes: (0..program.boxes).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect(),
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        for pointer in &mut self.boxes {
            drop(boxed(*pointer.get_mut()));
        }
    }
}

fn boxed(pointer: *mut i64) -> Option<Box<i64>> {
    // SAFETY: it came from `Box::into_raw`, and was taken out of its place by a swap, or its place is
    // gone.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Adds to a variable when it goes.
struct AddsOnDrop(std::sync::Arc<Vec<AtomicI64>>, usize);

impl Drop for AddsOnDrop {
    fn drop(&mut self) {
        self.0[self.1].fetch_add(100, SeqCst);
    }
}

racefuzz_primitives::local::thread_local! {
    static LOCAL: RefCell<Vec<AddsOnDrop>> = const { RefCell::new(Vec::new()) };
}

/// Another thread, as seen by one that was spawned later.
enum Other<'scope> {
    Spawned(std::sync::Arc<thread::JoinHandle<()>>),
    Scoped(std::sync::Arc<thread::ScopedJoinHandle<'scope, ()>>),
}

impl Other<'_> {
    fn thread(&self) -> &thread::Thread {
        match self {
            Self::Spawned(handle) => handle.thread(),
            Self::Scoped(handle) => handle.thread(),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Spawned(handle) => handle.is_finished(),
            Self::Scoped(handle) => handle.is_finished(),
        }
    }
}

enum Sending {
    Unbounded(Sender<i64>),
    Bounded(SyncSender<i64>),
}

/// What a thread owns from its start.
#[derive(Default)]
struct Owned {
    senders: Vec<Option<Sending>>,
    receivers: Vec<Option<Receiver<i64>>>,
    strong: Vec<Option<Arc<AddsOnDrop>>>,
    weak: Vec<Option<Weak<AddsOnDrop>>>,
}

impl Owned {
    fn of(program: &Program, objects: &Objects) -> Vec<Self> {
        let mut all: Vec<Self> = program.threads.iter().map(|_| Self::default()).collect();
        for (c, capacity) in program.channels.iter().enumerate() {
            let (sending, receiver) = match capacity {
                Capacity::Unbounded => {
                    let (sender, receiver) = channel();
                    (Sending::Unbounded(sender), receiver)
                }
                Capacity::Bounded(n) => {
                    let (sender, receiver) = sync_channel(*n);
                    (Sending::Bounded(sender), receiver)
                }
            };
            let mut receiver = Some(receiver);
            for (me, owned) in all.iter_mut().enumerate() {
                owned.senders.push(program.sends(me, c).then(|| match &sending {
                    Sending::Unbounded(sender) => Sending::Unbounded(sender.clone()),
                    Sending::Bounded(sender) => Sending::Bounded(sender.clone()),
                }));
                owned.receivers.push(if program.receives(me, c) { receiver.take() } else { None });
            }
        }
        for (a, variable) in program.arcs.iter().enumerate() {
            let users = (0..all.len()).any(|me| program.owns(me, a) || program.watches(me, a));
            if !users {
                continue;
            }
            let value = AddsOnDrop(std::sync::Arc::clone(&objects.variables), *variable);
            let mut strong = Some(Arc::new(value));
            let last = (0..all.len()).rev().find(|me| program.owns(*me, a));
            for (me, owned) in all.iter_mut().enumerate() {
                owned.weak.resize_with(a + 1, || None);
                owned.strong.resize_with(a + 1, || None);
                if program.watches(me, a) {
                    owned.weak[a] = strong.as_ref().map(Arc::downgrade);
                }
            }
            for (me, owned) in all.iter_mut().enumerate() {
                if Some(me) == last {
                    owned.strong[a] = strong.take();
                } else if program.owns(me, a) {
                    owned.strong[a].clone_from(&strong);
                }
            }
            if let Some(strong) = strong {
                // Nobody owns it: its destructor is not to be seen.
                std::mem::forget(Arc::into_inner(strong));
            }
        }
        for owned in &mut all {
            owned.weak.resize_with(program.arcs.len(), || None);
            owned.strong.resize_with(program.arcs.len(), || None);
        }
        all
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Held {
    Mutex(usize),
    Shared(usize),
    Exclusive(usize),
}

struct Run<'a> {
    objects: &'a Objects,
    owned: Owned,
    others: Vec<Other<'a>>,
    mutexes: Vec<Option<MutexGuard<'a, i64>>>,
    shared: Vec<Option<RwLockReadGuard<'a, i64>>>,
    exclusive: Vec<Option<RwLockWriteGuard<'a, i64>>>,
    order: Vec<Held>,
}

fn entered<G: std::ops::Deref<Target = i64>>(result: LockResult<G>) -> (G, i64) {
    let poisoned = result.is_err();
    let guard = result.unwrap_or_else(PoisonError::into_inner);
    let seen = *guard * 2 + i64::from(poisoned);
    (guard, seen)
}

fn tried<G: std::ops::Deref<Target = i64>>(result: TryLockResult<G>) -> Option<(G, i64)> {
    match result {
        Ok(guard) => Some(entered(Ok(guard))),
        Err(TryLockError::Poisoned(error)) => Some(entered(Err(error))),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl<'a> Run<'a> {
    fn holds(&self, held: Held) -> bool {
        self.order.contains(&held)
    }

    fn holds_rw(&self, l: usize) -> bool {
        self.holds(Held::Shared(l)) || self.holds(Held::Exclusive(l))
    }

    fn keep(&mut self, m: usize, (guard, seen): (MutexGuard<'a, i64>, i64)) -> i64 {
        self.mutexes[m] = Some(guard);
        self.order.push(Held::Mutex(m));
        seen
    }

    fn keep_shared(&mut self, l: usize, (guard, seen): (RwLockReadGuard<'a, i64>, i64)) -> i64 {
        self.shared[l] = Some(guard);
        self.order.push(Held::Shared(l));
        seen
    }

    fn keep_exclusive(&mut self, l: usize, (guard, seen): (RwLockWriteGuard<'a, i64>, i64)) -> i64 {
        self.exclusive[l] = Some(guard);
        self.order.push(Held::Exclusive(l));
        seen
    }

    fn release(&mut self, held: Held) {
        self.order.retain(|other| *other != held);
        match held {
            Held::Mutex(m) => drop(self.mutexes[m].take()),
            Held::Shared(l) => drop(self.shared[l].take()),
            Held::Exclusive(l) => drop(self.exclusive[l].take()),
        }
    }

    fn cleanup(&mut self) {
        while let Some(held) = self.order.last().copied() {
            self.release(held);
        }
        self.owned.senders.iter_mut().for_each(|sender| drop(sender.take()));
        self.owned.receivers.iter_mut().for_each(|receiver| drop(receiver.take()));
        self.owned.strong.iter_mut().for_each(|strong| drop(strong.take()));
    }

    fn op(&mut self, op: Op) -> i64 {
        let objects = self.objects;
        let x = &objects.variables;
        match op {
            Op::Load(v) => x[v].load(SeqCst),
            Op::Store(v, value) => {
                x[v].store(value, SeqCst);
                0
            }
            Op::Add(v, value) => x[v].fetch_add(value, SeqCst),
            Op::Swap(v, value) => x[v].swap(value, SeqCst),
            Op::CompareExchange(v, old, new) => {
                x[v].compare_exchange(old, new, SeqCst, SeqCst).unwrap_or_else(|seen| seen)
            }
            Op::Await(v, value) => {
                while x[v].load(SeqCst) != value {
                    hint::spin_loop();
                }
                0
            }
            Op::AwaitUpdate(v, value) => {
                while x[v].fetch_or(0, SeqCst) != value {
                    hint::spin_loop();
                }
                0
            }
            Op::AwaitSwap(v, value) => loop {
                let old = x[v].swap(value, SeqCst);
                if old != value {
                    break old;
                }
                hint::spin_loop();
            },
            Op::AwaitCompareExchange(v, old, new) => {
                while x[v].compare_exchange(old, new, SeqCst, SeqCst).is_err() {
                    hint::spin_loop();
                }
                0
            }
            Op::AwaitNoticing(v, value, other) => {
                let mut noticed = false;
                loop {
                    match x[v].load(SeqCst) {
                        seen if seen == value => break,
                        seen => noticed |= seen == other,
                    }
                    hint::spin_loop();
                }
                if noticed { x[v].fetch_add(10, SeqCst) } else { -1 }
            }
            Op::AwaitKeeping(Looks::Locked, ..) if self.holds(Held::Mutex(0)) => -9,
            Op::AwaitKeeping(looks, keeps, v, value) => {
                let mut kept = 0;
                loop {
                    let seen = match looks {
                        Looks::Load => x[v].load(SeqCst),
                        Looks::Update => x[v].fetch_or(0, SeqCst),
                        Looks::Locked => {
                            let _guard = entered(objects.mutexes[0].lock());
                            x[v].load(SeqCst)
                        }
                    };
                    if seen == value {
                        break;
                    }
                    kept = keeps.with(kept, seen);
                    hint::spin_loop();
                }
                if kept >= 10 { x[v].fetch_add(kept, SeqCst) } else { -1 }
            }
            Op::AwaitBoth([v, w], values) => {
                while [x[v].load(SeqCst), x[w].load(SeqCst)] != values {
                    hint::spin_loop();
                }
                0
            }
            Op::LockByTrying(m) | Op::AwaitLocked(m, ..) if self.holds(Held::Mutex(m)) => -9,
            Op::LockByTrying(m) => loop {
                if let Some(taken) = tried(objects.mutexes[m].try_lock()) {
                    break self.keep(m, taken);
                }
                thread::yield_now();
            },
            Op::AwaitLocked(m, v, value) => loop {
                let guard = entered(objects.mutexes[m].lock());
                let seen = x[v].load(SeqCst);
                drop(guard);
                if seen == value {
                    break 0;
                }
                hint::spin_loop();
            },
            // SAFETY: racefuzz ends the execution before an access that races.
            Op::Read(d) => objects.cells[d].0.with(|cell| unsafe { *cell }),
            Op::Write(d, value) => {
                // SAFETY: as above.
                objects.cells[d].0.with_mut(|cell| unsafe { *cell = value });
                0
            }
            Op::Lock(m) if self.holds(Held::Mutex(m)) => -9,
            Op::Lock(m) => self.keep(m, entered(objects.mutexes[m].lock())),
            Op::TryLock(m) => match tried(objects.mutexes[m].try_lock()) {
                Some(taken) => self.keep(m, taken),
                None => -1,
            },
            Op::Unlock(m, value) => match &mut self.mutexes[m] {
                None => -9,
                Some(guard) => {
                    **guard += value;
                    self.release(Held::Mutex(m));
                    0
                }
            },
            Op::Wait(c, m) => match self.mutexes[m].take() {
                None => -9,
                Some(guard) => {
                    self.order.retain(|held| *held != Held::Mutex(m));
                    self.keep(m, entered(objects.condvars[c].wait(guard))) * 2
                }
            },
            Op::WaitTimeout(c, m) => match self.mutexes[m].take() {
                None => -9,
                Some(guard) => {
                    self.order.retain(|held| *held != Held::Mutex(m));
                    let result = objects.condvars[c].wait_timeout(guard, LIMIT);
                    let poisoned = result.is_err();
                    let (guard, late) = result.unwrap_or_else(PoisonError::into_inner);
                    let seen = *guard * 2 + i64::from(poisoned);
                    self.keep(m, (guard, seen)) * 2 + i64::from(late.timed_out())
                }
            },
            Op::NotifyOne(c) => {
                objects.condvars[c].notify_one();
                0
            }
            Op::NotifyAll(c) => {
                objects.condvars[c].notify_all();
                0
            }
            Op::LockShared(l) | Op::LockExclusive(l) | Op::TryLockShared(l) | Op::TryLockExclusive(l)
                if self.holds_rw(l) =>
            {
                -9
            }
            Op::LockShared(l) => self.keep_shared(l, entered(objects.rwlocks[l].read())),
            Op::LockExclusive(l) => self.keep_exclusive(l, entered(objects.rwlocks[l].write())),
            Op::TryLockShared(l) => match tried(objects.rwlocks[l].try_read()) {
                Some(taken) => self.keep_shared(l, taken),
                None => -1,
            },
            Op::TryLockExclusive(l) => match tried(objects.rwlocks[l].try_write()) {
                Some(taken) => self.keep_exclusive(l, taken),
                None => -1,
            },
            Op::UnlockRw(l, value) => {
                if let Some(guard) = &mut self.exclusive[l] {
                    **guard += value;
                    self.release(Held::Exclusive(l));
                    0
                } else if self.holds(Held::Shared(l)) {
                    self.release(Held::Shared(l));
                    0
                } else {
                    -9
                }
            }
            Op::Send(c, value) => match &self.owned.senders[c] {
                None => -9,
                Some(Sending::Unbounded(sender)) => sender.send(value).map_or(-1, |()| 0),
                Some(Sending::Bounded(sender)) => sender.send(value).map_or(-1, |()| 0),
            },
            Op::TrySend(c, value) => match &self.owned.senders[c] {
                None => -9,
                Some(Sending::Unbounded(sender)) => sender.send(value).map_or(-1, |()| 0),
                Some(Sending::Bounded(sender)) => match sender.try_send(value) {
                    Ok(()) => 0,
                    Err(TrySendError::Disconnected(_)) => -1,
                    Err(TrySendError::Full(_)) => -2,
                },
            },
            Op::Receive(c) => match &self.owned.receivers[c] {
                None => -9,
                Some(receiver) => receiver.recv().unwrap_or(-1),
            },
            Op::TryReceive(c) => match self.owned.receivers[c].as_ref().map(Receiver::try_recv) {
                None => -9,
                Some(Ok(value)) => value,
                Some(Err(TryRecvError::Disconnected)) => -1,
                Some(Err(TryRecvError::Empty)) => -2,
            },
            Op::ReceiveTimeout(c) => match &self.owned.receivers[c] {
                None => -9,
                Some(receiver) => match receiver.recv_timeout(LIMIT) {
                    Ok(value) => value,
                    Err(RecvTimeoutError::Disconnected) => -1,
                    Err(RecvTimeoutError::Timeout) => -3,
                },
            },
            Op::DropSender(c) => self.owned.senders[c].take().map_or(-9, |_| 0),
            Op::DropReceiver(c) => self.owned.receivers[c].take().map_or(-9, |_| 0),
            Op::Park => {
                thread::park();
                0
            }
            Op::ParkTimeout => {
                thread::park_timeout(LIMIT);
                0
            }
            Op::Unpark(other) => {
                self.others[other].thread().unpark();
                0
            }
            Op::CallOnce(o, v, value) => {
                let mut ran = 0;
                objects.onces[o].call_once(|| {
                    x[v].fetch_add(value, SeqCst);
                    ran = 1;
                });
                ran
            }
            Op::PanicOnce(o) => {
                objects.onces[o].call_once(|| panic!("in a Once"));
                0
            }
            Op::IsCompleted(o) => i64::from(objects.onces[o].is_completed()),
            Op::GetOrInit(k, v, value) => *objects.once_locks[k].get_or_init(|| {
                x[v].fetch_add(1, SeqCst);
                value
            }),
            Op::Set(k, value) => i64::from(objects.once_locks[k].set(value).is_ok()),
            Op::Get(k) => objects.once_locks[k].get().copied().unwrap_or(-1),
            Op::DropArc(a) => self.owned.strong[a].take().map_or(-9, |_| 0),
            Op::StrongCount(a) => match &self.owned.strong[a] {
                None => -9,
                Some(strong) => Arc::strong_count(strong) as i64,
            },
            Op::TryUnwrap(a) => match self.owned.strong[a].take().map(Arc::try_unwrap) {
                None => -9,
                Some(Ok(_)) => 1,
                Some(Err(strong)) => {
                    self.owned.strong[a] = Some(strong);
                    0
                }
            },
            Op::IntoInner(a) => match self.owned.strong[a].take() {
                None => -9,
                Some(strong) => i64::from(Arc::into_inner(strong).is_some()),
            },
            Op::Upgrade(a) => {
                i64::from(self.owned.weak[a].as_ref().is_some_and(|weak| weak.upgrade().is_some()))
            }
            Op::Barrier(b) => i64::from(objects.barriers[b].wait().is_leader()),
            Op::PutBox(p, value) => {
                let new = Box::into_raw(Box::new(value));
                boxed(objects.boxes[p].swap(new, SeqCst)).map_or(-1, |old| *old)
            }
            Op::TakeBox(p) => {
                boxed(objects.boxes[p].swap(std::ptr::null_mut(), SeqCst)).map_or(-1, |old| *old)
            }
            Op::Yield => {
                thread::yield_now();
                0
            }
            Op::IsFinished(other) => i64::from(self.others[other].is_finished()),
            Op::AwaitFinished(other) => {
                while !self.others[other].is_finished() {}
                0
            }
            Op::KeepLocal(v) => {
                LOCAL.with_borrow_mut(|kept| kept.push(AddsOnDrop(std::sync::Arc::clone(x), v)));
                0
            }
            Op::Panic => panic!("as told"),
            Op::Unless(..) => unreachable!("handled by the caller"),
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.cleanup();
    }
}
