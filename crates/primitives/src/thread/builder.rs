//! The thread factory.

use super::join::JoinHandle;
use super::scope::{Scope, ScopedJoinHandle};
use super::unjoined;
use crate::outside;
use racefuzz_runtime::{Absent, Site, ops};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A thread factory, as `std::thread::Builder`.
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder {
    pub(super) name: Option<String>,
    pub(super) stack_size: Option<usize>,
}

impl Builder {
    /// A builder with defaults.
    pub const fn new() -> Self {
        Self { name: None, stack_size: None }
    }

    /// Names the thread. The name must not contain a null byte.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// The thread's stack in bytes. Inside an execution it can only make the stack larger than the
    /// run's default.
    pub const fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Spawns a thread.
    ///
    /// # Errors
    /// Outside an execution, if the system cannot make a thread.
    ///
    /// # Panics
    /// If the name contains a null byte.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if ops::mode() == Err(Absent::Outside) {
            return self.spawn_outside(f);
        }
        // SAFETY: `f` and its result are `'static`.
        Ok(JoinHandle::in_execution(unsafe { ops::spawn(self.options(false), Site::caller(), f) }))
    }

    /// Spawns a thread of a scope.
    ///
    /// # Errors
    /// Outside an execution, if the system cannot make a thread.
    ///
    /// # Panics
    /// If the name contains a null byte.
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        scope.spawn_with(self, f)
    }

    pub(super) fn options(self, scoped: bool) -> ops::SpawnOptions {
        assert!(
            self.name.as_ref().is_none_or(|name| !name.contains('\0')),
            "thread name may not contain interior null bytes"
        );
        ops::SpawnOptions { name: self.name, stack_size: self.stack_size, scoped, ..Default::default() }
    }

    pub(super) fn std(self) -> std::thread::Builder {
        let builder = std::thread::Builder::new();
        let builder = match self.name {
            Some(name) => builder.name(name),
            None => builder,
        };
        match self.stack_size {
            Some(size) => builder.stack_size(size),
            None => builder,
        }
    }

    pub(super) fn spawn_outside<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        outside::step();
        let Some(counted) = outside::thread_spawned() else {
            return Ok(JoinHandle::outside(self.std().spawn(f)?, None));
        };
        let (watched, body) = unjoined::watch();
        let handle = self.std().spawn(move || {
            // Dropped last: the run ends when every thread has.
            let _counted = counted;
            match catch_unwind(AssertUnwindSafe(f)) {
                Ok(value) => value,
                Err(payload) => {
                    body.panicked(payload.as_ref());
                    resume_unwind(payload)
                }
            }
        })?;
        Ok(JoinHandle::outside(handle, Some(watched)))
    }
}
