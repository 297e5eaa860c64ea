//! `Condvar`: a word of one bit per waiter that was woken and has not noticed yet.
//!
//! A wait is four events: the thread is entered as a waiter, the mutex is given back, the thread is
//! woken, the mutex is taken again. A notification wakes the thread in its own event, so that one
//! that comes too early is seen to wake nobody.
//!
//! What std leaves open, and is explored: whom `notify_one` wakes (a choice among those who wait); in
//! which order those who are woken take the mutex again; that a wait ends for no reason (where that is
//! injected, as it is by default in checking, and at most once in a row for a thread); that a wait of a
//! limited time ends at any moment, also in the same moment as a notification; and what a notification
//! orders: nothing, as std promises nothing. What a woken thread may rely on is what it reads under
//! the mutex.

use crate::mutex::{MutexGuard, Released};
use racefuzz_runtime::ops::{self, TimedOut, Update, Waiters};
use racefuzz_runtime::{Absent, Primitive, Shared, Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, ThreadId, Verb};
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

const WAIT: Update = Update { order: MemoryOrder::Relaxed, ..Update::new(Verb::Wait) };
const NOTIFY_ONE: Update = Update { order: MemoryOrder::Relaxed, ..Update::new(Verb::NotifyOne) };
const NOTIFY_ALL: Update = Update { order: MemoryOrder::Relaxed, ..Update::new(Verb::NotifyAll) };
const WOKEN: Update = Update { order: MemoryOrder::Relaxed, ..Update::new(Verb::Woken) };

/// `std::sync::Condvar` whose operations are steps of an execution. Whom
/// [`notify_one`](Self::notify_one) wakes is a choice; by default the thread that has waited longest.
/// Time is virtual, and a wait ends for no reason only where that is injected.
pub struct Condvar {
    shared: Shared,
    /// Made by the first who waits: a variable that consists of zero bytes is valid, as std's is. Boxed whole,
    /// because a null pointer is an absent box, and zero bytes are no vector.
    waiters: UnsafeCell<Option<Box<Waiters>>>,
    real: std::sync::Condvar,
}

// SAFETY: `waiters` is touched only inside an execution, whose threads share one operating-system
// thread and switch between operations only. (Two executions that run at a time and share an object
// break the rules of the whole, and statics are kept apart by the runtime.)
unsafe impl Send for Condvar {}
// SAFETY: as above.
unsafe impl Sync for Condvar {}
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl Primitive for Condvar {
    const KIND: ObjectKind = ObjectKind::Condvar;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        // Whoever waited in an earlier execution is gone.
        // SAFETY: see the `Sync` of this type.
        if let Some(waiters) = unsafe { &mut *self.waiters.get() } {
            waiters.clear();
        }
        0
    }
}

impl Condvar {
    /// A condition variable that nobody waits on.
    #[track_caller]
    pub const fn new() -> Self {
        Self { shared: Shared::new(), waiters: UnsafeCell::new(None), real: std::sync::Condvar::new() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Waiters) -> R) -> R {
        // SAFETY: see the `Sync` of this type; the closures of this module do not come back here.
        f(unsafe { &mut *self.waiters.get() }.get_or_insert_default())
    }

    /// Gives the mutex back and waits to be notified, then takes it again.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let site = Site::caller();
        match self.begin(guard, site) {
            Begun::Waiting(guard) => self.wait_in_model(guard, None, site).0,
            Begun::Outside(mutex, real) => {
                let real = self.real.wait(real).unwrap_or_else(PoisonError::into_inner);
                MutexGuard::retaken(mutex, real, site)
            }
            Begun::TearDown(guard) => Ok(guard),
        }
    }

    /// Waits as long as the condition holds.
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut guard) && ops::mode() != Err(Absent::TearDown) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`wait`](Self::wait) for a virtual time at most.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let site = Site::caller();
        let (guard, timed_out) = match self.begin(guard, site) {
            Begun::Waiting(guard) => self.wait_in_model(guard, Some(timeout), site),
            Begun::Outside(mutex, real) => {
                let waited = self.real.wait_timeout(real, timeout);
                let (real, result) = waited.unwrap_or_else(PoisonError::into_inner);
                (MutexGuard::retaken(mutex, real, site), result.timed_out())
            }
            Begun::TearDown(guard) => (Ok(guard), true),
        };
        let result = WaitTimeoutResult(timed_out);
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(poison) => Err(PoisonError::new((poison.into_inner(), result))),
        }
    }

    /// [`wait_while`](Self::wait_while) for a virtual time at most; whether the condition still held
    /// when the time was up.
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let start = Clock::now();
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            let left = timeout.checked_sub(start.elapsed());
            let Some(left) = left.filter(|_| ops::mode() != Err(Absent::TearDown)) else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            guard = self.wait_timeout(guard, left)?.0;
        }
    }

    /// Enters the thread as a waiter: a step.
    fn begin<'a, T>(&self, guard: MutexGuard<'a, T>, site: Site) -> Begun<'a, T> {
        let me = ops::current_thread().unwrap_or(ThreadId::ROOT);
        let entered = ops::update(self, WAIT, site, |_, _| {
            self.with(|waiters| waiters.enter(me));
        });
        match entered {
            Ok(_) => Begun::Waiting(guard),
            Err(Absent::TearDown) => Begun::TearDown(guard),
            Err(Absent::Outside) => {
                crate::outside::step();
                match guard.release_for_wait(site) {
                    Released::Real(mutex, real) => Begun::Outside(mutex, real),
                    // Taken in an execution, which is over.
                    Released::Model(mutex) => {
                        Begun::TearDown(mutex.lock_at(site).unwrap_or_else(PoisonError::into_inner))
                    }
                }
            }
        }
    }

    /// The rest of a wait in an execution; whether it timed out.
    fn wait_in_model<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
        site: Site,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let me = ops::current_thread().unwrap_or(ThreadId::ROOT);
        let mutex = match guard.release_for_wait(site) {
            Released::Model(mutex) | Released::Real(mutex, _) => mutex,
        };
        let timed_out = self.sleep(me, timeout, site);
        (mutex.lock_at(site), timed_out)
    }

    /// Waits until the thread is woken, or no longer; whether it was for the time being up.
    fn sleep(&self, me: ThreadId, timeout: Option<Duration>, site: Site) -> bool {
        let Some(bit) = self.with(|waiters| waiters.bit(me)) else { return false };
        let spurious = ops::choose_spurious();
        let test = if spurious { Test::Always } else { Test::Any(1 << bit) };
        loop {
            let woken = ops::update(self, Update { test, timeout, ..WOKEN }, site, |word, told| {
                self.with(|waiters| waiters.leave(me, spurious, word, told))
            });
            match woken {
                Ok(Ok(true)) | Err(_) => return false,
                // The bit was set for another of those who share it.
                Ok(Ok(false)) => {}
                Ok(Err(TimedOut)) => {
                    // Nobody has run since the wait ended.
                    self.with(|waiters| waiters.give_up(me));
                    return true;
                }
            }
        }
    }

    /// Wakes one of the waiting threads, if there are any: a step.
    #[track_caller]
    pub fn notify_one(&self) {
        if ops::wakes_all(Site::caller()) {
            return self.notify_all();
        }
        let asleep = || self.with(|waiters| waiters.asleep());
        let done = ops::update_choosing(self, NOTIFY_ONE, Site::caller(), asleep, |word, told, chosen| {
            self.with(|waiters| waiters.wake(chosen, word, told));
        });
        if let Err(Absent::Outside) = done {
            crate::outside::step();
            self.real.notify_one();
        }
    }

    /// Wakes all waiting threads: a step.
    #[track_caller]
    pub fn notify_all(&self) {
        let done = ops::update(self, NOTIFY_ALL, Site::caller(), |word, told| {
            self.with(|waiters| waiters.wake_all(word, told));
        });
        if let Err(Absent::Outside) = done {
            crate::outside::step();
            self.real.notify_all();
        }
    }
}

/// Where a wait takes place.
enum Begun<'a, T: ?Sized> {
    Waiting(MutexGuard<'a, T>),
    Outside(&'a crate::mutex::Mutex<T>, std::sync::MutexGuard<'a, ()>),
    TearDown(MutexGuard<'a, T>),
}

/// Virtual time in an execution, real time outside.
enum Clock {
    Virtual(Duration),
    Real(Instant),
    Stopped,
}

impl Clock {
    fn now() -> Self {
        match ops::now() {
            Ok(now) => Self::Virtual(now),
            Err(Absent::Outside) => Self::Real(Instant::now()),
            Err(Absent::TearDown) => Self::Stopped,
        }
    }

    fn elapsed(&self) -> Duration {
        match (self, Self::now()) {
            (Self::Virtual(start), Self::Virtual(now)) => now.saturating_sub(*start),
            (Self::Real(start), _) => start.elapsed(),
            _ => Duration::MAX,
        }
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// Whether a wait ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up.
    #[must_use]
    pub const fn timed_out(&self) -> bool {
        self.0
    }
}
