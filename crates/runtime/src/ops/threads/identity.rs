//! Which thread runs, and what it is called.

use crate::backend;
use crate::execution::{Absent, current, with};
use racefuzz_trace::ThreadId;

/// The running thread; of a task, the thread it runs on.
pub fn current_thread() -> Result<ThreadId, Absent> {
    let task = current_task()?;
    if current().is_null() {
        return Ok(task);
    }
    // SAFETY: see `execution::with`; a plain read, also while threads are torn down.
    let threads = unsafe { &(*current()).threads };
    Ok(threads.get(task.index()).map_or(task, |thread| ThreadId(thread.origin.host)))
}

/// The running thread or task, as events name it.
pub fn current_task() -> Result<ThreadId, Absent> {
    match current() {
        execution if execution.is_null() => {
            backend::session().map_or(Err(Absent::Outside), |session| Ok(ThreadId(session.current())))
        }
        // SAFETY: see `execution::with`; a plain read, also while threads are torn down.
        execution => Ok(ThreadId(unsafe { (*execution).current })),
    }
}

/// The name of a thread of the running execution.
pub fn thread_name(thread: ThreadId) -> Option<String> {
    if let Some(session) = backend::hosted() {
        return session.thread_name(thread.0);
    }
    with(|execution| execution.threads.get(thread.index())?.origin.name.clone()).ok().flatten()
}

/// Whether the running thread is unwinding from a panic of the program.
pub fn panicking() -> bool {
    let execution = current();
    if execution.is_null() {
        return match backend::session() {
            Some(session) => session.panicking(),
            None => std::thread::panicking(),
        };
    }
    // SAFETY: see `execution::with`; also while threads are torn down.
    std::thread::panicking() && unsafe { (*execution).unwinds() }
}
