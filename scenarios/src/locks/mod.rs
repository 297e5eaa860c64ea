//! The field's classics with locks: what goes wrong although, or because, everybody takes one.
//!
//! Each racy program stands beside its repaired twin, in one file.

mod bank_transfer;
mod bank_transfer_skew;
mod bounded_buffer;
mod cache_stampede;
mod condvar_if;
mod dining_philosophers;
mod lock_order;
mod notify_before_wait;
mod poisoned_state;
mod pool_slot;
mod read_skew;
mod rwlock_upgrade;

use racefuzz::scenario::Scenario;

/// The scenarios of this module, in the order in which they are best read.
pub const SCENARIOS: &[Scenario] = &[
    bank_transfer::SCENARIO,
    bank_transfer::FIXED,
    bank_transfer_skew::SCENARIO,
    bank_transfer_skew::FIXED,
    read_skew::SCENARIO,
    read_skew::FIXED,
    cache_stampede::SCENARIO,
    cache_stampede::FIXED,
    pool_slot::SCENARIO,
    pool_slot::FIXED,
    lock_order::SCENARIO,
    lock_order::FIXED,
    dining_philosophers::SCENARIO,
    dining_philosophers::FIXED,
    rwlock_upgrade::SCENARIO,
    rwlock_upgrade::FIXED,
    notify_before_wait::SCENARIO,
    notify_before_wait::FIXED,
    condvar_if::SCENARIO,
    condvar_if::FIXED,
    bounded_buffer::SCENARIO,
    bounded_buffer::FIXED,
    poisoned_state::SCENARIO,
    poisoned_state::FIXED,
];
