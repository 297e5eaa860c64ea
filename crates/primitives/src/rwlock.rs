//! `RwLock`: a word whose highest bit is the writer and whose other bits count the readers.
//!
//! What std leaves open:
//!
//! * *whether a reader is let in while a writer waits* for the readers that are there. Both happen: in
//!   sampling it is a choice; a checker looks for it in the executions in which readers are let in, as
//!   a reader that is kept out differs from one that comes later only if nobody ever goes on. So a
//!   thread that reads twice may wait for itself, and one that waits for a reader while it reads may
//!   do so for ever;
//! * who comes next when the lock is given back: any order;
//! * how often a lock may be read at a time, and what a thread that write-locks what it reads itself
//!   does (std may panic): here the first has no limit, and the second waits for ever.
//!
//! What it does not: the try forms fail only if they would have to wait for a holder (std's may also
//! fail while a writer waits, which its documentation does not say); a writer that becomes a reader
//! lets no other writer in between; a writer that panics poisons the lock, a reader does not.

use crate::mutex::{CLEAR_POISON, Flags, IS_POISONED};
use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Absent, Primitive, Shared, Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, Verb};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Condvar, LockResult, Mutex, PoisonError, TryLockError, TryLockResult};

const WRITER: u64 = 1 << 63;

const fn take(how: Update) -> Update {
    Update { order: MemoryOrder::Acquire, hold: Hold::Take, ..how }
}

const fn give(verb: Verb) -> Update {
    Update { order: MemoryOrder::Release, hold: Hold::Give, implied: true, ..Update::new(verb) }
}

const READ: Update =
    Update { may_be_kept_out: true, ..take(Update::when(Verb::ReadLock, Test::Clear(WRITER))) };
const WRITE: Update = take(Update::when(Verb::WriteLock, Test::Eq(0)));
const TRY_READ: Update = Update { refuses: Test::Any(WRITER), ..take(Update::new(Verb::TryReadLock)) };
const TRY_WRITE: Update = Update { refuses: Test::Ne(0), ..take(Update::new(Verb::TryWriteLock)) };
const END_READ: Update = give(Verb::ReadUnlock);
const END_WRITE: Update = give(Verb::WriteUnlock);
/// The writer becomes a reader: it still holds the lock.
const DOWNGRADE: Update = Update { hold: Hold::No, implied: false, ..give(Verb::WriteUnlock) };

/// `std::sync::RwLock` whose operations are steps of an execution.
///
/// A reader may be let in while a writer waits, or may be kept out until that one has had its turn: a
/// thread that reads twice may wait for itself.
pub struct RwLock<T: ?Sized> {
    shared: Shared,
    flags: Flags,
    real: Real,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through guards only. One that writes excludes all others: in an
// execution by the word (and its threads share one operating-system thread), outside by `real`.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as above; guards that read give shared access to several threads.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T: ?Sized> Primitive for RwLock<T> {
    const KIND: ObjectKind = ObjectKind::RwLock;

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

impl<T> RwLock<T> {
    /// A free lock.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self { shared: Shared::new(), flags: Flags::new(), real: Real::new(), data: UnsafeCell::new(value) }
    }

    /// The value; an error if a writer panicked.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.flags.poisoned();
        let value = self.data.into_inner();
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes and takes the lock for reading: a step.
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let site = Site::caller();
        let done = ops::update(self, READ, site, |word, _| *word += 1);
        let real = done.err() == Some(Absent::Outside);
        if real {
            self.flags.outside();
            self.real.wait(|word| (word & WRITER == 0).then_some(word + 1));
        }
        self.reading(site, real)
    }

    /// Takes the lock for reading if nobody writes: a step.
    ///
    /// # Errors
    /// If somebody writes, or a writer panicked.
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let site = Site::caller();
        let real = self.attempt(TRY_READ, site, |word| (word & WRITER == 0).then_some(word + 1))?;
        Ok(self.reading(site, real)?)
    }

    /// Waits until nobody reads or writes and takes the lock for writing: a step.
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let site = Site::caller();
        let done = ops::update(self, WRITE, site, |word, _| *word = WRITER);
        let real = done.err() == Some(Absent::Outside);
        if real {
            self.flags.outside();
            self.real.wait(|word| (word == 0).then_some(WRITER));
        }
        self.writing(site, real)
    }

    /// Takes the lock for writing if nobody reads or writes: a step.
    ///
    /// # Errors
    /// If somebody reads or writes, or a writer panicked.
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let site = Site::caller();
        let real = self.attempt(TRY_WRITE, site, |word| (word == 0).then_some(WRITER))?;
        Ok(self.writing(site, real)?)
    }

    /// Whether the lock taken is the real one.
    fn attempt<G>(
        &self,
        how: Update,
        site: Site,
        next: fn(u64) -> Option<u64>,
    ) -> Result<bool, TryLockError<G>> {
        let taken = ops::update(self, how, site, |word, told| match next(*word) {
            Some(next) => {
                *word = next;
                true
            }
            None => {
                told.failed();
                false
            }
        });
        match taken {
            Ok(Ok(true)) | Err(Absent::TearDown) => Ok(false),
            Ok(_) => Err(TryLockError::WouldBlock),
            Err(Absent::Outside) => {
                self.flags.outside();
                if self.real.attempt(next) { Ok(true) } else { Err(TryLockError::WouldBlock) }
            }
        }
    }

    fn reading(&self, site: Site, real: bool) -> LockResult<RwLockReadGuard<'_, T>> {
        self.flags.result(RwLockReadGuard { lock: self, site, real, not_send: PhantomData })
    }

    fn writing(&self, site: Site, real: bool) -> LockResult<RwLockWriteGuard<'_, T>> {
        let was_panicking = ops::panicking();
        self.flags.result(RwLockWriteGuard { lock: self, site, real, was_panicking, not_send: PhantomData })
    }

    /// Gives the lock back.
    fn end(&self, how: Update, site: Site, real: bool, next: fn(u64) -> u64) {
        if real {
            crate::outside::step();
            self.real.change(next);
        } else {
            let _ = ops::update(self, how, site, |word, _| *word = next(*word));
        }
    }

    /// Whether a writer panicked: a step.
    #[track_caller]
    pub fn is_poisoned(&self) -> bool {
        let _ = ops::update(self, IS_POISONED, Site::caller(), |_, _| ());
        self.flags.poisoned()
    }

    /// Forgets that a writer panicked: a step.
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

/// The lock outside an execution: the same word under a std mutex.
struct Real {
    word: Mutex<u64>,
    changed: Condvar,
}

impl Real {
    const fn new() -> Self {
        Self { word: Mutex::new(0), changed: Condvar::new() }
    }

    fn wait(&self, next: fn(u64) -> Option<u64>) {
        let mut word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match next(*word) {
                Some(next) => {
                    *word = next;
                    return;
                }
                None => word = self.changed.wait(word).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn attempt(&self, next: fn(u64) -> Option<u64>) -> bool {
        let mut word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        next(*word).map(|next| *word = next).is_some()
    }

    fn change(&self, next: fn(u64) -> u64) {
        let mut word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        *word = next(*word);
        self.changed.notify_all();
    }
}

/// A [`RwLock`] held for reading; dropping it is the step that gives it back.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    site: Site,
    real: bool,
    not_send: PhantomData<*const ()>,
}

/// A [`RwLock`] held for writing; dropping it is the step that gives it back.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    site: Site,
    real: bool,
    was_panicking: bool,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Makes a writer a reader, without letting another writer in between: a step.
    #[track_caller]
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let this = ManuallyDrop::new(this);
        let (lock, site) = (this.lock, Site::caller());
        lock.flags.released(this.was_panicking);
        lock.end(DOWNGRADE, site, this.real, |_| 1);
        RwLockReadGuard { lock, site: this.site, real: this.real, not_send: PhantomData }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.end(END_READ, self.site, self.real, |word| word.wrapping_sub(1));
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.flags.released(self.was_panicking);
        self.lock.end(END_WRITE, self.site, self.real, |_| 0);
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard keeps writers out. (While an execution is torn down locks exclude
        // nobody; but then threads are unwound one after another on one operating-system thread.)
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard keeps everybody else out; see above.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard keeps everybody else out; see above.
        unsafe { &mut *self.lock.data.get() }
    }
}

macro_rules! show_value {
    ($($guard:ident)*) => {$(
        impl<T: ?Sized + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + fmt::Display> fmt::Display for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    )*};
}

show_value!(RwLockReadGuard RwLockWriteGuard);

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    #[track_caller]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => shown.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.flags.poisoned()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
