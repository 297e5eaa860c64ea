//! `block_on` and `spawn` inside an execution.

use super::no_executor;
use super::task::{Executor, ROOT, Task, lock};
use racefuzz_runtime::{Absent, Site, ops};
use racefuzz_trace::ThreadId;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

/// Its address is the key of the running executors.
static RUNNING: u8 = 0;

/// The executors that run on this thread, each inside a poll of the one before. Tasks share the
/// local values of their thread.
fn running<R>(f: impl FnOnce(&mut Vec<Arc<Executor>>) -> R) -> Option<R> {
    let key = &raw const RUNNING as usize;
    ops::with_local(key, RefCell::<Vec<Arc<Executor>>>::default, |stack| f(&mut stack.borrow_mut()))
        .ok()
        .flatten()
}

/// The task that is being polled on this thread awaits something at `site`.
pub(super) fn awaits_at(place: &'static Location<'static>) {
    if let Some(executor) = running(|stack| stack.last().cloned()).flatten() {
        executor.awaits_at(place);
    }
}

/// Leaves the executor, whichever way `block_on` is left: cancels the tasks that are left.
struct Entered {
    executor: Arc<Executor>,
    /// Whether the future given to `block_on` is being polled.
    holds: Cell<bool>,
    site: Site,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.executor.cancelled.store(true, Ordering::Relaxed);
        if self.holds.get() {
            self.executor.poll_ends();
        }
        loop {
            let first = lock(&self.executor.tasks).pop_first();
            let Some((thread, task)) = first else { break };
            let over = self.executor.hand_over(&task, self.holds.take(), self.site).is_err()
                || ops::join_thread(ThreadId(thread), false, self.site).is_err();
            if over {
                // Each is unwound by itself.
                lock(&self.executor.tasks).clear();
            }
        }
        let left = running(Vec::pop);
        drop(left);
    }
}

#[track_caller]
pub(super) fn block_on<F: Future>(future: F, site: Site) -> F::Output {
    let executor = Arc::new(Executor::new());
    let thread = ops::current_task().unwrap_or(ThreadId::ROOT);
    let root = Arc::new(Task::new(Arc::clone(&executor), ROOT, thread, site));
    running(|stack| stack.push(Arc::clone(&executor)));
    let entered = Entered { executor, holds: Cell::new(true), site };
    let waker = Waker::from(Arc::clone(&root));
    let mut context = Context::from_waker(&waker);
    // Dropped first, while it still counts as being polled.
    let mut future = pin!(future);
    root.polling();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        entered.holds.set(false);
        let polled = root.end_poll().and_then(|()| root.begin_poll());
        entered.holds.set(true);
        if polled.is_err() {
            // A destructor blocks on a future while its thread is torn down. Nobody will wake it,
            // but nothing blocks either, so it may get ready; if not, the runtime gives the thread
            // up at some number of operations.
            let _ = ops::note(site, String::new);
        }
    }
}

/// A task's end, whichever way it comes; dropped after the future.
struct End<'a> {
    task: &'a Task,
    holds: Cell<bool>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.task.end(self.holds.get());
    }
}

/// The body of a task's thread; `None` if it was cancelled.
fn run<F: Future>(task: &Arc<Task>, future: F) -> Option<F::Output> {
    let end = End { task, holds: Cell::new(false) };
    let waker = Waker::from(Arc::clone(task));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if task.begin_poll().is_err() {
            return None;
        }
        end.holds.set(true);
        if task.executor.cancelled.load(Ordering::Relaxed) {
            return None;
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        end.holds.set(false);
        if task.end_poll().is_err() {
            return None;
        }
    }
}

#[track_caller]
pub(super) fn spawn<F>(future: F, site: Site) -> Handle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let Some(executor) = running(|stack| stack.last().cloned()).flatten() else { no_executor() };
    let task = Arc::new(Task::new(Arc::clone(&executor), executor.take_bit(), ThreadId::ROOT, site));
    let theirs = Arc::clone(&task);
    let options = ops::SpawnOptions { task: true, ..Default::default() };
    // SAFETY: the future and its output are `'static`.
    let spawned = unsafe { ops::spawn(options, site, move || run(&theirs, future)) };
    if let Ok(spawned) = &spawned {
        task.set_thread(spawned.thread());
        lock(&executor.tasks).insert(spawned.thread().0, Arc::clone(&task));
    }
    Handle { task, executor, spawned: spawned.ok() }
}

pub(super) struct Handle<T> {
    task: Arc<Task>,
    /// Whose tasks may await it: a task belongs to its executor's thread.
    executor: Arc<Executor>,
    /// Empty once the result was taken.
    spawned: Option<ops::Spawned<Option<T>>>,
}

fn payload(text: &'static str) -> Box<dyn Any + Send> {
    Box::new(text)
}

impl<T> Handle<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.task.done.load(Ordering::Relaxed)
    }

    pub(super) fn poll(
        &mut self,
        context: &Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<std::thread::Result<T>> {
        if !self.is_finished() && ops::mode().is_ok() {
            self.executor.awaits_at(place);
            *lock(&self.task.joiner) = Some(self.executor.joiner(context.waker()));
            return Poll::Pending;
        }
        let Some(spawned) = self.spawned.take() else {
            if ops::mode() == Err(Absent::TearDown) {
                // Spawned at the end, or awaited again: there is nothing to have.
                return Poll::Ready(Err(payload("racefuzz: the execution is over")));
            }
            panic!("a JoinHandle was polled after it was ready")
        };
        // The task has given the baton back, so its thread has ended: this waits for nothing.
        Poll::Ready(match ops::join(spawned, Site::at(place)) {
            Ok(Ok(Some(output))) => Ok(output),
            Ok(Ok(None)) => Err(payload("racefuzz: the task was cancelled")),
            Ok(Err(payload)) => Err(payload),
            Err(Absent::TearDown) => Err(payload("racefuzz: the execution is over")),
            Err(Absent::Outside) => panic!("a task of an execution was awaited outside of it"),
        })
    }
}
