//! `std::sync`: the same names in the same places.

#[cfg(not(feature = "model"))]
pub use std::sync::{
    Arc, Barrier, BarrierWaitResult, Condvar, LazyLock, Mutex, MutexGuard, Once, OnceLock, OnceState, RwLock,
    RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult, Weak,
};
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

#[cfg(feature = "model")]
pub use crate::arc::{Arc, Weak};
#[cfg(feature = "model")]
pub use crate::barrier::{Barrier, BarrierWaitResult};
#[cfg(feature = "model")]
pub use crate::condvar::{Condvar, WaitTimeoutResult};
#[cfg(feature = "model")]
pub use crate::mutex::{Mutex, MutexGuard};
#[cfg(feature = "model")]
pub use crate::once::{LazyLock, Once, OnceLock, OnceState};
#[cfg(feature = "model")]
pub use crate::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// `std::sync::atomic`.
pub mod atomic {
    #[cfg(feature = "model")]
    pub use crate::atomic::*;
    #[cfg(not(feature = "model"))]
    pub use std::sync::atomic::*;
}

/// `std::sync::mpsc`.
pub mod mpsc {
    #[cfg(feature = "model")]
    pub use crate::mpsc::*;
    #[cfg(not(feature = "model"))]
    pub use std::sync::mpsc::*;
}
