//! Threads: creation, end, join, parking, giving way.

mod identity;
mod join;
mod lean;
mod packet;
mod parking;
mod spawning;
mod yielding;

pub use identity::{current_task, current_thread, panicking, thread_name};
pub use join::{has_ended, is_finished, join, join_thread, outlive};
pub use parking::{park, unpark};
pub use spawning::{JoinOutcome, SpawnOptions, Spawned, spawn};
pub use yielding::{give_way, sleep, yield_now};

pub(crate) use packet::Spare;
pub(crate) use parking::{token_object, token_owner};
pub(crate) use spawning::{announce_end, destroy_locals, drop_payload, finish};

/// The pseudo-object of a thread's end.
const fn end_object(thread: u32) -> u32 {
    0x4000_0000 | thread
}
