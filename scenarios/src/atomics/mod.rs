//! The classics of lock-free programming: publication, mutual exclusion by hand, counters, queues,
//! stacks, and the release of memory that others may still look at.
//!
//! Each file holds a racy program and its repaired twin. What they share stands once; what the
//! repair changes stands twice, so that reading the two side by side shows the repair.
//!
//! Many of these bugs need weak memory: no interleaving of the program's steps shows them, only a
//! load that returns a store that is no longer the newest. Their SeqCst-only readings are correct.

pub mod arc_drop;
pub mod chase_lev;
pub mod dekker;
pub mod double_checked_init;
pub mod hazard_pointer;
pub mod iriw;
pub mod mcs_lock;
pub mod mpmc_queue;
pub mod once_cell;
pub mod peterson;
pub mod publish_relaxed;
pub mod read_copy_update;
pub mod relaxed_counter;
pub mod seqlock;
pub mod spin_lock;
pub mod spsc_ring;
pub mod ticket_lock;
pub mod treiber_reclaim;
pub mod treiber_stack;

use racefuzz::scenario::Scenario;
use racefuzz::thread::{Builder, JoinHandle};

/// The scenarios of this module, in the order in which they are best read.
pub const SCENARIOS: &[Scenario] = &[
    relaxed_counter::SCENARIO,
    relaxed_counter::FIXED,
    publish_relaxed::SCENARIO,
    publish_relaxed::FIXED,
    double_checked_init::SCENARIO,
    double_checked_init::FIXED,
    once_cell::SCENARIO,
    once_cell::FIXED,
    spin_lock::SCENARIO,
    spin_lock::FIXED,
    ticket_lock::SCENARIO,
    ticket_lock::FIXED,
    mcs_lock::SCENARIO,
    mcs_lock::FIXED,
    dekker::SCENARIO,
    dekker::FIXED,
    peterson::SCENARIO,
    peterson::FIXED,
    iriw::SCENARIO,
    iriw::FIXED,
    seqlock::SCENARIO,
    seqlock::FIXED,
    spsc_ring::SCENARIO,
    spsc_ring::FIXED,
    mpmc_queue::SCENARIO,
    mpmc_queue::FIXED,
    chase_lev::SCENARIO,
    chase_lev::FIXED,
    arc_drop::SCENARIO,
    arc_drop::FIXED,
    treiber_stack::SCENARIO,
    treiber_stack::FIXED,
    treiber_reclaim::SCENARIO,
    treiber_reclaim::FIXED,
    hazard_pointer::SCENARIO,
    hazard_pointer::FIXED,
    read_copy_update::SCENARIO,
    read_copy_update::FIXED,
];

/// Spawns a thread that is named after its part in the story.
#[track_caller]
fn spawn<T, F>(role: &str, body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().name(role.to_owned()).spawn(body).expect("a thread can be spawned")
}
