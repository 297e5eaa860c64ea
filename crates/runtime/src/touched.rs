//! Parts of reused entries that most executions leave as they are.

use std::ops::{Deref, DerefMut};

/// What can be brought back to its first state, keeping its memory.
pub(crate) trait Reset {
    /// As new.
    fn reset(&mut self);
}

/// A value that knows whether anybody could have changed it, so that it need not be reset where nobody did.
#[derive(Debug, Default)]
pub(crate) struct Touched<T> {
    value: T,
    touched: bool,
}

impl<T: Reset> Touched<T> {
    /// As new.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn reset(&mut self) {
        if self.touched {
            self.reset_value();
        }
    }

    #[cold]
    #[inline(never)]
    fn reset_value(&mut self) {
        self.value.reset();
        self.touched = false;
    }
}

impl<T> Deref for Touched<T> {
    type Target = T;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Touched<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref_mut(&mut self) -> &mut T {
        self.touched = true;
        &mut self.value
    }
}
