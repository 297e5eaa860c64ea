//! The executor outside an execution: a queue of woken tasks, and `std::thread::park`.

use super::no_executor;
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The number of the future given to `block_on`.
const ROOT: usize = 0;

/// What wakers reach.
struct Ready {
    queue: Mutex<VecDeque<Arc<Woken>>>,
    thread: std::thread::Thread,
}

impl Ready {
    fn next(&self) -> Option<Arc<Woken>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct Woken {
    number: usize,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::clone(&self));
            self.ready.thread.unpark();
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

struct Executor {
    ready: Arc<Ready>,
    tasks: RefCell<BTreeMap<usize, Task>>,
    spawned: RefCell<usize>,
}

impl Executor {
    fn waker(&self, number: usize) -> Arc<Woken> {
        let woken =
            Arc::new(Woken { number, queued: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
        Arc::clone(&woken).wake();
        woken
    }
}

thread_local! {
    static RUNNING: RefCell<Vec<Rc<Executor>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves the executor, whichever way `block_on` is left.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let executor = RUNNING.with_borrow_mut(Vec::pop);
        // What its tasks' destructors do is none of the stack's business.
        drop(executor);
    }
}

fn step() {
    #[cfg(feature = "model")]
    crate::outside::step();
}

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let ready = Arc::new(Ready { queue: Mutex::default(), thread: std::thread::current() });
    let executor = Rc::new(Executor { ready, tasks: RefCell::default(), spawned: RefCell::new(ROOT) });
    RUNNING.with_borrow_mut(|running| running.push(Rc::clone(&executor)));
    let _entered = Entered;
    let mut future = pin!(future);
    let _root = executor.waker(ROOT);
    loop {
        let Some(woken) = executor.ready.next() else {
            std::thread::park();
            continue;
        };
        woken.queued.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        step();
        if woken.number == ROOT {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            continue;
        }
        // Taken out while it is polled: it may spawn.
        let task = executor.tasks.borrow_mut().remove(&woken.number);
        if let Some(mut task) = task
            && task.as_mut().poll(&mut context).is_pending()
        {
            executor.tasks.borrow_mut().insert(woken.number, task);
        }
    }
}

/// What a task leaves for its handle.
struct Outcome<T> {
    result: Option<std::thread::Result<T>>,
    finished: bool,
    joiner: Option<Waker>,
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(Err(payload)) = self.result.take() {
            unjoined(payload.as_ref());
        }
    }
}

/// A task panicked and nobody took its result.
fn unjoined(payload: &(dyn Any + Send)) {
    #[cfg(feature = "model")]
    crate::outside::thread_panicked(payload);
    #[cfg(not(feature = "model"))]
    let _ = payload;
}

#[track_caller]
pub(super) fn spawn<F>(future: F) -> Handle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let Some(executor) = RUNNING.with_borrow(|running| running.last().cloned()) else { no_executor() };
    let outcome = Rc::new(RefCell::new(Outcome { result: None, finished: false, joiner: None }));
    let theirs = Rc::clone(&outcome);
    let number = {
        let mut spawned = executor.spawned.borrow_mut();
        *spawned += 1;
        *spawned
    };
    let task = async move {
        let result = Caught(Box::pin(future)).await;
        let joiner = {
            let mut outcome = theirs.borrow_mut();
            outcome.result = Some(result);
            outcome.finished = true;
            outcome.joiner.take()
        };
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    };
    executor.tasks.borrow_mut().insert(number, Box::pin(task));
    drop(executor.waker(number));
    Handle(outcome)
}

/// Catches the panic of a future.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = std::thread::Result<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}

pub(super) struct Handle<T>(Rc<RefCell<Outcome<T>>>);

impl<T> Handle<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.0.borrow().finished
    }

    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<std::thread::Result<T>> {
        let mut outcome = self.0.borrow_mut();
        if let Some(result) = outcome.result.take() {
            return Poll::Ready(result);
        }
        assert!(!outcome.finished, "a JoinHandle was polled after it was ready");
        if Rc::strong_count(&self.0) == 1 {
            outcome.finished = true;
            return Poll::Ready(Err(Box::new("racefuzz: the task was cancelled")));
        }
        outcome.joiner = Some(context.waker().clone());
        Poll::Pending
    }
}
