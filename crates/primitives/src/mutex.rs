//! `Mutex`: a word that is 0 when free, and the holder's number plus one when held.
//!
//! What std leaves open: who is next when the lock is given back (here any of those who wait, or one
//! that comes later), and whether a thread that locks what it holds waits for ever or panics (here it
//! waits, which is reported as a self-deadlock). `try_lock` fails only while somebody holds the lock. A
//! holder that panics poisons the lock for whoever takes it later; taking it still succeeds.

use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Absent, Primitive, Shared, Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Verb};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

const LOCK: Update =
    Update { order: MemoryOrder::Acquire, hold: Hold::Take, ..Update::when(Verb::Lock, Test::Eq(0)) };
const TRY_LOCK: Update = Update {
    order: MemoryOrder::Acquire,
    hold: Hold::Take,
    refuses: Test::Ne(0),
    ..Update::new(Verb::TryLock)
};
const UNLOCK: Update =
    Update { order: MemoryOrder::Release, hold: Hold::Give, implied: true, ..Update::new(Verb::Unlock) };
pub(crate) const IS_POISONED: Update =
    Update { kind: OpKind::Load, order: MemoryOrder::Relaxed, ..Update::new(Verb::IsPoisoned) };
pub(crate) const CLEAR_POISON: Update =
    Update { order: MemoryOrder::Relaxed, ..Update::new(Verb::ClearPoison) };

/// The running thread as the word of a lock shows it.
#[inline]
pub(crate) fn me() -> u64 {
    ops::current_thread().map_or(1, |thread| u64::from(thread.0) + 1)
}

/// Whether a holder panicked, and whether the value was ever used outside an execution.
#[derive(Debug)]
pub(crate) struct Flags {
    poisoned: AtomicBool,
    outside: AtomicBool,
}

impl Flags {
    pub(crate) const fn new() -> Self {
        Self { poisoned: AtomicBool::new(false), outside: AtomicBool::new(false) }
    }

    #[inline]
    pub(crate) fn poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    pub(crate) fn clear_poison(&self) {
        self.poisoned.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn result<G>(&self, guard: G) -> LockResult<G> {
        if self.poisoned() { Err(PoisonError::new(guard)) } else { Ok(guard) }
    }

    /// A guard is dropped by a thread that was or was not panicking when it took it.
    #[inline]
    pub(crate) fn released(&self, was_panicking: bool) {
        if !was_panicking && ops::panicking() && ops::mode() != Err(Absent::TearDown) {
            self.poisoned.store(true, Ordering::Relaxed);
        }
    }

    /// The value is used outside an execution: a step of a run on real threads.
    pub(crate) fn outside(&self) {
        crate::outside::step();
        if !self.outside.load(Ordering::Relaxed) {
            self.outside.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn used_outside(&self) -> bool {
        self.outside.load(Ordering::Relaxed)
    }
}

/// `std::sync::Mutex` whose operations are steps of an execution.
pub struct Mutex<T: ?Sized> {
    shared: Shared,
    flags: Flags,
    /// The lock outside an execution.
    real: std::sync::Mutex<()>,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through a guard only, and guards exclude each other: in an execution
// by the word (and its threads share one operating-system thread), outside of it by `real`.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T: ?Sized> Primitive for Mutex<T> {
    const KIND: ObjectKind = ObjectKind::Mutex;

    #[inline]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn used_outside(&self) -> bool {
        self.flags.used_outside()
    }

    fn guards_data(&self) -> bool {
        size_of_val(&self.data) > 0
    }
}

impl<T> Mutex<T> {
    /// A free mutex.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            shared: Shared::new(),
            flags: Flags::new(),
            real: std::sync::Mutex::new(()),
            data: UnsafeCell::new(value),
        }
    }

    /// The value; an error if a holder panicked.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.flags.poisoned();
        let value = self.data.into_inner();
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the mutex is free and takes it: a step.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.lock_at(Site::caller())
    }

    #[inline]
    pub(crate) fn lock_at(&self, site: Site) -> LockResult<MutexGuard<'_, T>> {
        let me = me();
        match ops::update(self, LOCK, site, |word, _| *word = me) {
            Ok(_) | Err(Absent::TearDown) => self.guard(site, None),
            Err(Absent::Outside) => {
                self.flags.outside();
                let real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
                self.guard(site, Some(real))
            }
        }
    }

    /// Takes the mutex if it is free: a step.
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let (me, site) = (me(), Site::caller());
        let taken = ops::update(self, TRY_LOCK, site, |word, told| {
            let free = *word == 0;
            if free {
                *word = me
            } else {
                told.failed()
            }
            free
        });
        let real = match taken {
            Ok(Ok(true)) | Err(Absent::TearDown) => None,
            Ok(_) => return Err(TryLockError::WouldBlock),
            Err(Absent::Outside) => {
                self.flags.outside();
                match self.real.try_lock() {
                    Ok(real) => Some(real),
                    Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
                    Err(TryLockError::WouldBlock) => return Err(TryLockError::WouldBlock),
                }
            }
        };
        Ok(self.guard(site, real)?)
    }

    #[inline]
    fn guard<'a>(
        &'a self,
        site: Site,
        real: Option<std::sync::MutexGuard<'a, ()>>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let was_panicking = ops::panicking();
        self.flags.result(MutexGuard { mutex: self, site, real, was_panicking, not_send: PhantomData })
    }

    /// Gives the mutex back without its guard.
    fn unlock(&self, how: Update, site: Site) {
        let _ = ops::update(self, how, site, |word, _| *word = 0);
    }

    /// Whether a holder panicked: a step.
    #[track_caller]
    pub fn is_poisoned(&self) -> bool {
        let _ = ops::update(self, IS_POISONED, Site::caller(), |_, _| ());
        self.flags.poisoned()
    }

    /// Forgets that a holder panicked: a step.
    #[track_caller]
    pub fn clear_poison(&self) {
        let _ = ops::update(self, CLEAR_POISON, Site::caller(), |_, _| ());
        self.flags.clear_poison();
    }

    /// The value, of which the caller is the only user.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.flags.poisoned();
        let value = self.data.get_mut();
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    #[track_caller]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => shown.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.flags.poisoned()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// A held [`Mutex`]; dropping it is the step that gives it back.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// Where it was taken.
    site: Site,
    /// The lock outside an execution.
    real: Option<std::sync::MutexGuard<'a, ()>>,
    was_panicking: bool,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

/// How a wait on a condition variable gives its mutex back.
pub(crate) enum Released<'a, T: ?Sized> {
    /// In an execution: done.
    Model(&'a Mutex<T>),
    /// Outside: this is still held.
    Real(&'a Mutex<T>, std::sync::MutexGuard<'a, ()>),
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The mutex of a guard, which stays held without it; outside an execution by the lock returned.
    pub(crate) fn into_parts(self) -> (&'a Mutex<T>, Option<std::sync::MutexGuard<'a, ()>>) {
        let mut guard = std::mem::ManuallyDrop::new(self);
        (guard.mutex, guard.real.take())
    }

    /// A wait at `site` begins.
    pub(crate) fn release_for_wait(self, site: Site) -> Released<'a, T> {
        let (mutex, real) = self.into_parts();
        match real {
            Some(real) => Released::Real(mutex, real),
            None => {
                mutex.unlock(Update { implied: false, ..UNLOCK }, site);
                Released::Model(mutex)
            }
        }
    }

    /// A wait outside an execution ended.
    pub(crate) fn retaken(
        mutex: &'a Mutex<T>,
        real: std::sync::MutexGuard<'a, ()>,
        site: Site,
    ) -> LockResult<Self> {
        mutex.guard(site, Some(real))
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the mutex, so nobody else reaches the data. (While an execution
        // is torn down locks exclude nobody; but then threads are unwound one after another on one
        // operating-system thread.)
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.flags.released(self.was_panicking);
        if self.real.is_some() {
            crate::outside::step();
        } else {
            self.mutex.unlock(UNLOCK, self.site);
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
