//! Tasks with a thread for each: an executor of many threads.
//!
//! [`spawn`] may be called from anywhere. Its task runs on a thread of its own, so that other tasks
//! act at any of its steps, not only where it awaits; it can be aborted, and then ends where it awaits
//! next. (The tasks of [`block_on`] share a thread.)

use super::block_on;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::thread;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// Why a task has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// It was aborted.
    Cancelled,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task was cancelled")
    }
}

impl std::error::Error for JoinError {}

/// What a task shares with its handles, whatever its result is.
struct Control {
    aborted: AtomicBool,
    ended: AtomicBool,
    /// Wakes the task; no part of an execution, as it is filled in the step before `aborted` is read.
    waker: std::sync::Mutex<Option<Waker>>,
}

struct Outcome<T> {
    result: Option<Result<T, JoinError>>,
    waiter: Option<Waker>,
}

/// Spawns a task that any thread may run.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (handle, body) = task(future);
    drop(thread::spawn(body));
    handle
}

/// [`spawn`] without `Send`: inside an execution only.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (handle, body) = task(future);
    drop(thread::spawn_unsend(body));
    handle
}

/// A task's handle, and what its thread does.
#[track_caller]
fn task<F: Future>(future: F) -> (JoinHandle<F::Output>, impl FnOnce()) {
    let control = Arc::new(Control {
        aborted: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        waker: std::sync::Mutex::new(None),
    });
    let outcome = Arc::new(Mutex::new(Outcome { result: None, waiter: None }));
    let handle = JoinHandle { control: AbortHandle(Arc::clone(&control)), outcome: Arc::clone(&outcome) };
    let body = move || {
        let result = run(&control, future);
        control.ended.store(true, Ordering::SeqCst);
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.result = Some(result);
        let waiter = outcome.waiter.take();
        drop(outcome);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    };
    (handle, body)
}

/// Runs the future to its end, or until it is aborted; then it is dropped.
fn run<F: Future>(control: &Control, future: F) -> Result<F::Output, JoinError> {
    let mut future = pin!(future);
    block_on(poll_fn(|context| {
        let mut waker = control.waker.lock().unwrap_or_else(PoisonError::into_inner);
        waker.get_or_insert_with(|| context.waker().clone());
        drop(waker);
        if control.aborted.load(Ordering::SeqCst) {
            return Poll::Ready(Err(JoinError::Cancelled));
        }
        future.as_mut().poll(context).map(Ok)
    }))
}

/// A future that gives a task's result. Dropping it detaches the task.
pub struct JoinHandle<T> {
    control: AbortHandle,
    outcome: Arc<Mutex<Outcome<T>>>,
}

impl<T> JoinHandle<T> {
    /// Ends the task where it awaits next, unless it has ended.
    #[track_caller]
    pub fn abort(&self) {
        self.control.abort();
    }

    /// Whether the task has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.control.is_finished()
    }

    /// A handle that can only abort the task.
    pub fn abort_handle(&self) -> AbortHandle {
        self.control.clone()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                outcome.waiter = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Aborts a task.
#[derive(Clone)]
pub struct AbortHandle(Arc<Control>);

impl AbortHandle {
    /// Ends the task where it awaits next, unless it has ended.
    #[track_caller]
    pub fn abort(&self) {
        self.0.aborted.store(true, Ordering::SeqCst);
        let waker = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the task has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.0.ended.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").finish_non_exhaustive()
    }
}
