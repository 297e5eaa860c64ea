//! Scoped threads.

use super::builder::Builder;
use super::handle::Thread;
use super::join::{over, refuse_inside};
use crate::outside;
use racefuzz_runtime::{Absent, Site, ops};
use racefuzz_trace::ThreadId as Number;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A scope to spawn threads in, as `std::thread::Scope`.
pub struct Scope<'scope, 'env: 'scope> {
    /// The std scope under this one; null inside an execution.
    std: AtomicPtr<()>,
    /// Threads whose result nobody took, in the order of their spawns.
    threads: Mutex<Vec<Number>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs `f`, which may spawn threads that borrow, and waits for all of them, as
/// `std::thread::scope`.
///
/// # Panics
/// If a thread of the scope panicked and was not joined. If `f` panics, that panic goes on when the
/// threads have ended.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let site = Site::caller();
    let scope = Scope {
        std: AtomicPtr::new(std::ptr::null_mut()),
        threads: Mutex::new(Vec::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    if ops::mode() == Err(Absent::Outside) {
        outside::step();
        return std::thread::scope(|inner| {
            scope.std.store(std::ptr::from_ref(inner).cast_mut().cast(), Ordering::Relaxed);
            // SAFETY: only the lifetime changes: it becomes that of `inner`, which ends when the
            // std scope returns, before `scope` does.
            f(unsafe { &*(&raw const scope).cast() })
        });
    }
    // Whichever way `f` is left, the guard waits.
    let guard = WaitForAll { threads: &scope.threads, site };
    let result = f(&scope);
    let panicked = guard.wait();
    drop(guard);
    assert!(!panicked, "a scoped thread panicked");
    result
}

/// Waits for every thread of a scope; when it is dropped, at the latest.
///
/// Nothing that a scoped thread borrows ends before this does, and this ends only when all of them
/// have: after a join that succeeded, or, when the execution is torn down, when
/// [`ops::outlive`] says that the thread will never run again.
struct WaitForAll<'a> {
    threads: &'a Mutex<Vec<Number>>,
    site: Site,
}

impl WaitForAll<'_> {
    /// Whether one of the threads panicked.
    fn wait(&self) -> bool {
        let mut panicked = false;
        loop {
            // A thread may spawn another one before it ends: look again after each.
            let Some(thread) = list(self.threads).first().copied() else { return panicked };
            match ops::join_thread(thread, true, self.site) {
                Ok(failed) => panicked |= failed,
                Err(_) => ops::outlive(thread),
            }
            list(self.threads).retain(|waiting| *waiting != thread);
        }
    }
}

impl Drop for WaitForAll<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

fn list(threads: &Mutex<Vec<Number>>) -> MutexGuard<'_, Vec<Number>> {
    threads.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Spawns a thread in the scope.
    ///
    /// # Panics
    /// Outside an execution, if the system cannot make a thread.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.spawn_with(Builder::new(), f).expect("failed to spawn thread")
    }

    #[track_caller]
    pub(super) fn spawn_with<F, T>(
        &'scope self,
        builder: Builder,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let std = self.std.load(Ordering::Relaxed);
        if !std.is_null() {
            outside::step();
            // SAFETY: stored by `scope` before anybody saw this one: a std scope of the same
            // lifetimes, which lives for `'scope`.
            let std = unsafe { &*std.cast::<std::thread::Scope<'scope, 'env>>() };
            let counted = outside::thread_spawned();
            let handle = builder.std().spawn_scoped(std, move || {
                let _counted = counted;
                f()
            })?;
            let thread = Thread::outside(handle.thread().clone());
            return Ok(ScopedJoinHandle { kind: Kind::Outside(handle), thread });
        }
        // SAFETY: what `f` borrows lives for `'scope`, and `scope` does not return or unwind before
        // the thread has ended: it is in the list that `WaitForAll` works off, which takes it off
        // after its end only, and so does a join of the handle. No step lies between the spawn and
        // the entry in the list. The result is taken by the handle, which cannot outlive `'scope`;
        // if nobody does, it is dropped with the handle or by the thread's end.
        let spawned = unsafe { ops::spawn(builder.options(true), Site::caller(), f) };
        Ok(match spawned {
            Ok(spawned) => {
                list(&self.threads).push(spawned.thread());
                ScopedJoinHandle {
                    thread: Thread::in_execution(spawned.thread()),
                    kind: Kind::InExecution(spawned, &self.threads),
                }
            }
            Err(_) => ScopedJoinHandle { thread: super::current(), kind: Kind::Never },
        })
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Owned permission to join a thread of a scope, as `std::thread::ScopedJoinHandle`.
pub struct ScopedJoinHandle<'scope, T> {
    kind: Kind<'scope, T>,
    thread: Thread,
}

enum Kind<'scope, T> {
    InExecution(ops::Spawned<T>, &'scope Mutex<Vec<Number>>),
    /// Spawned while the execution was torn down: it never ran.
    Never,
    Outside(std::thread::ScopedJoinHandle<'scope, T>),
}

// SAFETY: as for std's handle: a thread is only made with a `T: Send`, and the handle gives no
// access to it but by value.
unsafe impl<T> Send for ScopedJoinHandle<'_, T> {}
// SAFETY: as above; nothing is reached through a shared handle but the thread's state.
unsafe impl<T> Sync for ScopedJoinHandle<'_, T> {}
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> ScopedJoinHandle<'_, T> {
    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Waits for the thread's end and takes its result; `Err` with the panic's payload if it
    /// panicked, which is then no affair of the scope any more.
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        match self.kind {
            Kind::InExecution(spawned, threads) => {
                let thread = spawned.thread();
                match ops::join(spawned, Site::caller()) {
                    Ok(result) => {
                        list(threads).retain(|waiting| *waiting != thread);
                        result
                    }
                    // It stays in the list: the scope must wait for its end.
                    Err(_) => Err(over()),
                }
            }
            Kind::Never => Err(over()),
            Kind::Outside(handle) => {
                refuse_inside("joined");
                outside::step();
                handle.join()
            }
        }
    }

    /// Whether the thread has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        match &self.kind {
            // Over means ended.
            Kind::InExecution(spawned, _) => ops::is_finished(spawned, Site::caller()).unwrap_or(true),
            Kind::Never => true,
            Kind::Outside(handle) => {
                outside::step();
                handle.is_finished()
            }
        }
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
