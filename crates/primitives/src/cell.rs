//! Memory that is accessed without atomics: loom's `UnsafeCell` and std's `Cell`, whose accesses are
//! checked for data races.

#[cfg(feature = "model")]
mod plain;
#[cfg(feature = "model")]
mod tracked;
#[cfg(not(feature = "model"))]
mod untracked;

#[cfg(feature = "model")]
pub use plain::Cell;
#[cfg(not(feature = "model"))]
pub use std::cell::Cell;
pub use std::cell::{BorrowError, BorrowMutError, LazyCell, OnceCell, Ref, RefCell, RefMut};
#[cfg(feature = "model")]
pub use tracked::{ConstPtr, MutPtr, UnsafeCell};
#[cfg(not(feature = "model"))]
pub use untracked::{ConstPtr, MutPtr, UnsafeCell};
