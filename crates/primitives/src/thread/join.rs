//! `spawn` and join handles.

use super::builder::Builder;
use super::handle::Thread;
use super::unjoined;
use crate::outside;
use racefuzz_runtime::{Absent, Site, ops};
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Spawns a thread, as `std::thread::spawn`.
///
/// # Panics
/// Outside an execution, if the system cannot make a thread.
#[inline]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if ops::mode() == Err(Absent::Outside) {
        return Builder::new().spawn_outside(f).expect("failed to spawn thread");
    }
    // SAFETY: `f` and its result are `'static`.
    JoinHandle::in_execution(unsafe { ops::spawn(ops::SpawnOptions::default(), Site::caller(), f) })
}

/// [`spawn`] of what need not be `Send`, nor need its result: the threads of an execution never run at
/// the same time, and each step of one happens before the next step of any.
///
/// # Panics
/// Outside an execution, where they do.
#[track_caller]
pub fn spawn_unsend<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    assert!(ops::mode() != Err(Absent::Outside), "a thread that is not Send was spawned outside of a model");
    // SAFETY: `f` and its result are `'static`; all threads of an execution are coroutines of one
    // operating-system thread, so that nothing is sent to another.
    JoinHandle::in_execution(unsafe { ops::spawn(ops::SpawnOptions::default(), Site::caller(), f) })
}

/// Owned permission to join a thread, as `std::thread::JoinHandle`; dropping it detaches the thread.
///
/// A panic of a thread is a failure of the execution unless its result is taken by
/// [`join`](Self::join).
pub struct JoinHandle<T> {
    kind: Kind<T>,
    thread: Thread,
}

pub(super) enum Kind<T> {
    InExecution(ops::Spawned<T>),
    /// Spawned while the execution was torn down: it never ran.
    Never,
    Outside(std::thread::JoinHandle<T>, Option<unjoined::Handle>),
}

// SAFETY: as for std's handle: a thread is only made with a `T: Send`, and the handle gives no
// access to it but by value. Or it was made by `spawn_unsend`, and its value stays in the execution.
unsafe impl<T> Send for JoinHandle<T> {}
// SAFETY: as above; nothing is reached through a shared handle but the thread's state.
unsafe impl<T> Sync for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

/// What joining gives when the execution ended before the thread did.
pub(super) fn over() -> Box<dyn Any + Send> {
    Box::new("racefuzz: the execution is over")
}

impl<T> JoinHandle<T> {
    #[inline]
    pub(super) fn in_execution(spawned: Result<ops::Spawned<T>, Absent>) -> Self {
        match spawned {
            Ok(spawned) => {
                Self { thread: Thread::in_execution(spawned.thread()), kind: Kind::InExecution(spawned) }
            }
            Err(_) => Self { thread: super::current(), kind: Kind::Never },
        }
    }

    pub(super) fn outside(handle: std::thread::JoinHandle<T>, watched: Option<unjoined::Handle>) -> Self {
        Self { thread: Thread::outside(handle.thread().clone()), kind: Kind::Outside(handle, watched) }
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Waits for the thread's end and takes its result; `Err` with the panic's payload if it
    /// panicked. Everything the thread did happens before the return.
    ///
    /// # Panics
    /// Outside an execution, if the thread belongs to one: it is no more.
    #[inline]
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        match self.kind {
            Kind::InExecution(spawned) => match ops::join(spawned, Site::caller()) {
                Ok(result) => result,
                Err(Absent::TearDown) => Err(over()),
                Err(Absent::Outside) => {
                    panic!("a thread of an execution was joined outside of it")
                }
            },
            Kind::Never => Err(over()),
            Kind::Outside(handle, watched) => {
                refuse_inside("joined");
                outside::step();
                if let Some(watched) = &watched {
                    watched.joined();
                }
                handle.join()
            }
        }
    }

    /// Whether the thread has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        match &self.kind {
            // Over means ended.
            Kind::InExecution(spawned) => ops::is_finished(spawned, Site::caller()).unwrap_or(true),
            Kind::Never => true,
            Kind::Outside(handle, _) => {
                outside::step();
                handle.is_finished()
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// A wait for a real thread inside an execution would stop all of it.
#[track_caller]
pub(super) fn refuse_inside(what: &str) {
    assert!(
        ops::mode() != Ok(()),
        "a thread spawned outside the execution was {what} inside it: spawn it inside"
    );
}
