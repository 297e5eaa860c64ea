//! `std::thread`, but that [`spawn`] wants no `Send`, as loom's does not.

pub use racefuzz::thread::{
    AccessError, LocalKey, Result, Scope, ScopedJoinHandle, Thread, ThreadId, available_parallelism, current,
    panicking, park, park_timeout, scope, sleep, yield_now,
};
use racefuzz_runtime::{Absent, ops};
use std::fmt;
use std::io;

/// What goes from one thread of an execution to another.
struct Moved<T>(T);

// SAFETY: made by `spawn` only inside an execution, and by `Builder::spawn` for what is `Send`. The
// threads of an execution never run at the same time, and each step of one happens before the next
// step of any, for the processor as for the compiler.
#[expect(unsafe_code, reason = "loom's `spawn` takes what is not `Send`")]
unsafe impl<T> Send for Moved<T> {}

/// Spawns a thread, as `std::thread::spawn`. What it is given, and gives back, need not be `Send`: the
/// threads of a model take turns.
///
/// # Panics
/// Outside a model, where they do not.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    assert!(ops::mode() != Err(Absent::Outside), "loom::thread::spawn was called outside of a model");
    JoinHandle(racefuzz::thread::spawn(moved(f)))
}

fn moved<F: FnOnce() -> T, T>(f: F) -> impl FnOnce() -> Moved<T> + Send {
    let f = Moved(f);
    move || {
        // All of it is captured, not the field alone.
        let f = f;
        Moved((f.0)())
    }
}

/// A thread factory, as `std::thread::Builder`.
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder(racefuzz::thread::Builder);

impl Builder {
    /// A builder with defaults.
    pub const fn new() -> Self {
        Self(racefuzz::thread::Builder::new())
    }

    /// Names the thread. The name must not contain a null byte.
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// The thread's stack in bytes, if that is more than the run's default.
    pub fn stack_size(self, size: usize) -> Self {
        Self(self.0.stack_size(size))
    }

    /// Spawns a thread.
    ///
    /// # Errors
    /// Outside a model, if the system cannot make a thread.
    ///
    /// # Panics
    /// If the name contains a null byte.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn(moved(f)).map(JoinHandle)
    }

    /// Spawns a thread of a scope.
    ///
    /// # Errors
    /// Outside a model, if the system cannot make a thread.
    ///
    /// # Panics
    /// If the name contains a null byte.
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.spawn_scoped(scope, f)
    }
}

/// Owned permission to join a thread, as `std::thread::JoinHandle`; dropping it detaches the thread.
pub struct JoinHandle<T>(racefuzz::thread::JoinHandle<Moved<T>>);

impl<T> JoinHandle<T> {
    /// The thread.
    pub fn thread(&self) -> &Thread {
        self.0.thread()
    }

    /// Waits for the thread's end and takes its result.
    ///
    /// # Errors
    /// With the panic's payload, if it panicked.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        self.0.join().map(|moved| moved.0)
    }

    /// Whether the thread has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
