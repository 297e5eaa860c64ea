//! The running task.

use crate::thread::{self, ThreadId};

/// Identifies a task: that of the thread it runs on.
pub type TaskId = ThreadId;

/// The running task.
pub fn me() -> TaskId {
    thread::current().id()
}

/// The running task.
pub fn get_current_task() -> Option<TaskId> {
    Some(me())
}
