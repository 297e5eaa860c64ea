//! `std::sync`. [`Arc`] and [`Weak`] are std's own, as in shuttle.

pub use racefuzz::sync::{
    Barrier, BarrierWaitResult, Condvar, LazyLock, LockResult, Mutex, MutexGuard, Once, OnceLock, OnceState,
    PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError, TryLockResult, WaitTimeoutResult,
    atomic, mpsc,
};
pub use std::sync::{Arc, Weak};
