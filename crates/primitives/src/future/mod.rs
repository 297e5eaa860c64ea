//! Async programs: a cooperative executor on one thread.
//!
//! [`block_on`] runs a future and the tasks that it [`spawn`]s on the calling thread. A task gives
//! way only where it awaits something that is not ready: between two awaits no other task of the
//! executor acts, whatever other threads do. Which of the ready tasks goes on is a choice, as it is
//! for threads.
//!
//! Inside an execution every task is a thread of the trace (marked as a task) with a column of its
//! own. What keeps the tasks of one executor from running side by side is its *baton*: a task takes
//! it to be polled (`poll`, once it was woken and the baton is free) and gives it back when it has
//! to wait (`await`) or is done. So a task that blocks its thread, on a mutex say, blocks all of
//! them, as in life. Values of `thread_local!`, the park token and `thread::current` belong to the
//! thread that called `block_on`.
//!
//! A task that nobody wakes is a deadlock. When the future given to [`block_on`] is ready, the tasks
//! left over are cancelled: dropped where they await.
//!
//! Outside an execution the same is done by a small executor over `std::thread::park`, which polls
//! in the order of the wakes.

#[cfg(feature = "model")]
mod executor;
#[cfg(feature = "model")]
pub mod parallel;
mod plain;
#[cfg(feature = "model")]
mod task;
mod waker;

pub use self::waker::AtomicWaker;

#[cfg(feature = "model")]
use racefuzz_runtime::{Absent, Site, ops};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
#[cfg(feature = "model")]
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs a future, and the tasks it spawns, on the calling thread until it is ready.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    #[cfg(feature = "model")]
    if ops::mode() != Err(Absent::Outside) {
        return executor::block_on(future, Site::caller());
    }
    plain::block_on(future)
}

/// Spawns a task onto the executor of the running [`block_on`]. The task starts when the spawner
/// awaits something, and runs whether or not its handle is kept.
///
/// Neither the future nor its output needs to be `Send`: they stay on their thread.
///
/// # Panics
/// Outside of [`block_on`].
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    #[cfg(feature = "model")]
    if ops::mode() != Err(Absent::Outside) {
        return JoinHandle::new(Kind::Inside(executor::spawn(future, Site::caller())));
    }
    JoinHandle::new(Kind::Outside(plain::spawn(future)))
}

#[cold]
#[track_caller]
fn no_executor() -> ! {
    panic!("future::spawn was called outside of future::block_on")
}

/// A future that gives the task's result: `Err` with the payload if it panicked, as
/// `std::thread::JoinHandle::join`. Dropping it detaches the task; a panic of a task whose result
/// nobody takes is a failure of the execution.
#[must_use = "the task's result is only had by awaiting the handle"]
pub struct JoinHandle<T> {
    kind: Kind<T>,
    /// A task belongs to its executor's thread.
    not_send: PhantomData<*const ()>,
}

enum Kind<T> {
    #[cfg(feature = "model")]
    Inside(executor::Handle<T>),
    Outside(plain::Handle<T>),
}

impl<T> JoinHandle<T> {
    fn new(kind: Kind<T>) -> Self {
        Self { kind, not_send: PhantomData }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        match &self.kind {
            #[cfg(feature = "model")]
            Kind::Inside(handle) => handle.is_finished(),
            Kind::Outside(handle) => handle.is_finished(),
        }
    }
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = std::thread::Result<T>;

    /// # Panics
    /// If polled again after it was ready.
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.kind {
            #[cfg(feature = "model")]
            Kind::Inside(handle) => handle.poll(context, Location::caller()),
            Kind::Outside(handle) => handle.poll(context),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Gives way to the other tasks once: `yield_now().await`.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// Made by [`yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        #[cfg(feature = "model")]
        {
            let place = Location::caller();
            if ops::goes_on(Site::at(place)) {
                return Poll::Ready(());
            }
            executor::awaits_at(place);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
