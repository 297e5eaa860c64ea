//! `std::sync`, and loom's [`Notify`].

pub use racefuzz::sync::*;

/// `std::sync::atomic`.
pub mod atomic {
    pub use racefuzz::sync::atomic::*;

    /// [`hint::spin_loop`](crate::hint::spin_loop), by its old name.
    #[track_caller]
    pub fn spin_loop_hint() {
        crate::hint::spin_loop();
    }
}

/// A place where one thread waits for another's notification, which is kept if nobody waits yet.
/// What happens before a notification happens before the wait that it ends.
///
/// A wait ends for no reason only where that is injected. (loom lets each `Notify` do so once, but only
/// when no other thread can go on.)
#[derive(Debug)]
pub struct Notify {
    notified: Mutex<bool>,
    waiting: std::sync::atomic::AtomicBool,
    condvar: Condvar,
}

impl Notify {
    /// A place with no notification.
    #[track_caller]
    pub const fn new() -> Self {
        Self {
            notified: Mutex::new(false),
            waiting: std::sync::atomic::AtomicBool::new(false),
            condvar: Condvar::new(),
        }
    }

    /// Notifies the thread that waits, or the next one to do so.
    #[track_caller]
    pub fn notify(&self) {
        *self.lock() = true;
        self.condvar.notify_one();
    }

    /// Waits for a notification and takes it.
    ///
    /// # Panics
    /// If another thread waits.
    #[track_caller]
    pub fn wait(&self) {
        let waiting = Waiting::enter(&self.waiting);
        let mut notified = self.lock();
        if !*notified {
            notified = self.condvar.wait(notified).unwrap_or_else(PoisonError::into_inner);
        }
        *notified = false;
        drop(notified);
        drop(waiting);
    }

    #[track_caller]
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.notified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Notify {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// That a thread waits is no step of it.
struct Waiting<'a>(&'a std::sync::atomic::AtomicBool);

impl<'a> Waiting<'a> {
    #[track_caller]
    fn enter(waiting: &'a std::sync::atomic::AtomicBool) -> Self {
        let other = waiting.swap(true, atomic::Ordering::Relaxed);
        assert!(!other, "only a single thread may wait on `Notify`");
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.store(false, atomic::Ordering::Relaxed);
    }
}
