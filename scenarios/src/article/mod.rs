//! The story of an article on concurrency, in its own order.
//!
//! A reference count loses an increment; a lock repairs it. A counter that five threads increment
//! and print shows four bugs in six lines; two locks repair those too, and leave nothing of the
//! parallelism. A lock only helps where everybody takes it, gives it back, and holds it for long
//! enough. Tasks that switch where they say so need none, and neither do workers that share nothing.
//! And some steps simply follow each other: threads add nothing there.

mod async_counter;
mod async_counter_await;
mod counter;
mod counter_check;
mod counter_locked;
mod counter_sequential;
mod dependent_steps;
mod gil;
mod lock_never_released;
mod lock_not_respected;
mod message_passing;
mod refcount;
mod refcount_locked;

use racefuzz::scenario::Scenario;

/// The scenarios of this module, in the order in which they are best read.
pub const SCENARIOS: &[Scenario] = &[
    refcount::SCENARIO,
    refcount_locked::SCENARIO,
    counter::SCENARIO,
    counter_locked::SCENARIO,
    counter_sequential::SCENARIO,
    lock_not_respected::SCENARIO,
    lock_never_released::SCENARIO,
    lock_never_released::RELEASED,
    gil::SCENARIO,
    gil::HELD,
    async_counter::SCENARIO,
    async_counter_await::SCENARIO,
    message_passing::SCENARIO,
    dependent_steps::SCENARIO,
    dependent_steps::UNJOINED,
];
