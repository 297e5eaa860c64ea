//! A place for one waker.

use std::fmt;
#[cfg(feature = "model")]
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

#[cfg(feature = "model")]
use racefuzz_runtime::{Absent, Primitive, Shared, Site, ops};
#[cfg(feature = "model")]
use racefuzz_trace::{ObjectKind, Verb};

/// Keeps the waker of a task for whoever wakes it, as loom's `AtomicWaker` (and those of `futures`
/// and `atomic-waker`). Each call is one step, and all of them are ordered: what happened before a
/// [`wake`](Self::wake) happens before a later [`register`](Self::register).
pub struct AtomicWaker {
    #[cfg(feature = "model")]
    shared: Shared,
    waker: Mutex<Option<Waker>>,
}

#[cfg(feature = "model")]
impl Primitive for AtomicWaker {
    const KIND: ObjectKind = ObjectKind::Task;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether there is a waker.
    fn initial(&self) -> u64 {
        u64::from(self.slot().is_some())
    }
}

impl AtomicWaker {
    /// An empty place.
    #[cfg_attr(feature = "model", track_caller)]
    pub const fn new() -> Self {
        Self {
            #[cfg(feature = "model")]
            shared: Shared::new(),
            waker: Mutex::new(None),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps this waker, in place of the one kept before.
    #[track_caller]
    pub fn register(&self, waker: Waker) {
        #[cfg(feature = "model")]
        {
            let place = Location::caller();
            super::executor::awaits_at(place);
            self.step(Verb::Store, Site::at(place), |word, told| {
                *word = 1;
                told.text(|| "waker".into());
            });
        }
        let before = self.slot().replace(waker);
        // Dropped outside of the lock: it may be the program's own.
        drop(before);
    }

    /// Keeps a clone of this waker, in place of the one kept before.
    #[track_caller]
    pub fn register_by_ref(&self, waker: &Waker) {
        self.register(waker.clone());
    }

    /// Calls the waker that is kept, if there is one, and forgets it.
    #[track_caller]
    pub fn wake(&self) {
        if let Some(waker) = self.take_waker() {
            waker.wake();
        }
    }

    /// Takes the waker that is kept.
    #[track_caller]
    pub fn take_waker(&self) -> Option<Waker> {
        #[cfg(feature = "model")]
        self.step(Verb::Swap, Site::caller(), |word, told| {
            let found = std::mem::take(word) != 0;
            told.text(|| if found { "takes the waker" } else { "no waker" }.into());
        });
        self.slot().take()
    }

    #[cfg(feature = "model")]
    fn step(&self, verb: Verb, site: Site, change: impl FnOnce(&mut u64, &mut ops::Told<'_>)) {
        if matches!(ops::update(self, ops::Update::new(verb), site, change), Err(Absent::Outside)) {
            crate::outside::step();
        }
    }
}

impl Default for AtomicWaker {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AtomicWaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AtomicWaker").finish_non_exhaustive()
    }
}
