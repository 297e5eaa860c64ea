//! `std::thread`, with three ways of loom's: [`spawn`] wants no `Send`, the first thread has no name,
//! and stacks are measured in words.

pub use racefuzz::thread::{
    AccessError, LocalKey, Result, Scope, ScopedJoinHandle, ThreadId, available_parallelism, panicking, park,
    park_timeout, scope, sleep, yield_now,
};
use racefuzz_primitives::thread::spawn_unsend;
use racefuzz_runtime::ops;
use std::fmt;
use std::io;

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
    JoinHandle::new(spawn_unsend(f))
}

/// The running thread.
pub fn current() -> Thread {
    let first = ops::current_thread() == Ok(racefuzz_trace::ThreadId::ROOT);
    Thread { thread: racefuzz::thread::current(), first }
}

/// A handle to a thread, as `std::thread::Thread`.
#[derive(Clone, Debug)]
pub struct Thread {
    thread: racefuzz::thread::Thread,
    /// The model's closure runs on it.
    first: bool,
}

impl Thread {
    /// The thread's identifier.
    pub fn id(&self) -> ThreadId {
        self.thread.id()
    }

    /// The thread's name, if it was spawned with one.
    pub fn name(&self) -> Option<&str> {
        if self.first { None } else { self.thread.name() }
    }

    /// Gives the thread its park token. Happens before its [`park`] returns.
    #[track_caller]
    pub fn unpark(&self) {
        self.thread.unpark();
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

    /// The thread's stack, if that is more than the run's default: in words, as loom takes it,
    /// although it says bytes.
    pub fn stack_size(self, size: usize) -> Self {
        Self(self.0.stack_size(size.saturating_mul(size_of::<usize>())))
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
        self.0.spawn(f).map(JoinHandle::new)
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
pub struct JoinHandle<T> {
    handle: racefuzz::thread::JoinHandle<T>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    fn new(handle: racefuzz::thread::JoinHandle<T>) -> Self {
        Self { thread: Thread { thread: handle.thread().clone(), first: false }, handle }
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Waits for the thread's end and takes its result.
    ///
    /// # Errors
    /// With the panic's payload, if it panicked.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        self.handle.join()
    }

    /// Whether the thread has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
