//! What primitives are made of: the few operations of the runtime.
//!
//! Each returns `Err(Absent)` when it is not part of an execution: [`Absent::Outside`], and the
//! primitive does what its std counterpart does, or [`Absent::TearDown`], and it does whatever
//! neither blocks nor fails.

mod atomic;
pub mod barrier;
mod cell;
mod counted;
mod freed;
mod graphed;
mod local;
pub(crate) mod misuse;
pub mod process;
mod state;
mod threads;
mod tracked;
pub mod unseen;
mod waiters;

pub use crate::overlay::{goes_on, wakes_all};
pub use atomic::{
    Rmw, compare_exchange, fence, fence_by, load, newest, rebase, rmw, store, unsync_read, unsync_write,
};
pub use cell::{read, write};
pub use counted::{
    CountRead, Counted, counted_clone, counted_drop, counted_drop_weak, counted_gone, counted_new,
    counted_observe,
};
pub use local::{
    advance, assume, at_end, choose, choose_spurious, console_lines, note, now, print, with_global,
    with_local,
};
pub use state::{Hold, TimedOut, Told, Update, update, update_choosing};
pub use threads::{
    JoinOutcome, SpawnOptions, Spawned, current_task, current_thread, give_way, has_ended, is_finished, join,
    join_thread, outlive, panicking, park, sleep, spawn, thread_name, unpark, yield_now,
};
pub use tracked::{alloc, dealloc, track, untrack};
pub use waiters::Waiters;

pub(crate) use atomic::{MO, load_known};
pub(crate) use counted::Destruction;
pub(crate) use freed::{freed, freed_lean, freed_pattern, reuse};
pub(crate) use graphed::is_real;
pub(crate) use threads::{
    Spare, announce_end, destroy_locals, drop_payload, finish, token_object, token_owner,
};
pub(crate) use tracked::report_leaks;

use crate::execution::{Absent, Execution, Phase, current, set_current};
use crate::explorer::Op;
use racefuzz_trace::{MemoryOrder, OpKind, Verb};

/// Where the caller runs.
#[track_caller]
pub fn mode() -> Result<(), Absent> {
    let execution = current();
    if execution.is_null() {
        return match crate::foreign::session(crate::site::Site::caller(), None) {
            Some(session) => session.mode(),
            None => Err(Absent::Outside),
        };
    }
    // SAFETY: see `execution::with`; a plain read.
    match unsafe { (*execution).phase() } {
        Phase::TearDown => Err(Absent::TearDown),
        Phase::Running | Phase::Ending => Ok(()),
    }
}

/// Runs `f` as if it were outside: its operations are no part of the execution, and none of them
/// gives way to another thread. For code of the program that runs inside of one step: a `Clone`, a
/// `Debug`.
#[inline]
pub fn detached<R>(f: impl FnOnce() -> R) -> R {
    struct Attach(*mut Execution);
    impl Drop for Attach {
        #[inline]
        fn drop(&mut self) {
            set_current(self.0);
        }
    }
    let _attach = Attach(current());
    set_current(std::ptr::null_mut());
    let _alone = crate::backend::set(None);
    f()
}

const fn local_op(verb: Verb) -> Op {
    Op { kind: OpKind::Local, verb, order: MemoryOrder::Plain, object: Op::NO_OBJECT, lock: false }
}
