//! Defects of published crates, reduced, each with the repair that its maintainers chose.

mod arc_swap;
mod atomic_waker;
mod basedrop;
mod broadcast;
mod list_channel;
mod spin_rwlock;
mod token_eaten;
