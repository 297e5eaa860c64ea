//! The operations that all atomics have in common, written once.

/// [`Real`](super::Real) for a std atomic, but for the words.
macro_rules! real_basics {
    () => {
        #[inline]
        fn load(&self, order: Ordering) -> Self::Value {
            self.load(order)
        }

        #[inline]
        fn store(&self, value: Self::Value, order: Ordering) {
            self.store(value, order);
        }

        #[inline]
        fn exchange(
            &self,
            current: Self::Value,
            new: Self::Value,
            (success, failure): (Ordering, Ordering),
            weak: bool,
        ) -> Result<Self::Value, Self::Value> {
            if weak {
                self.compare_exchange_weak(current, new, success, failure)
            } else {
                self.compare_exchange(current, new, success, failure)
            }
        }

        #[inline]
        fn get_mut(&mut self) -> &mut Self::Value {
            self.get_mut()
        }
    };
}

/// The operations that every atomic has.
macro_rules! common_operations {
    ($value:ty, $new:item) => {
        #[doc = "A new atomic."]
        #[inline]
        #[track_caller]
        $new

        /// Reads the value, which may be a stale one: a step.
        ///
        /// # Panics
        /// If the order is `Release` or `AcqRel`.
        #[inline]
        #[track_caller]
        pub fn load(&self, order: Ordering) -> $value {
            self.0.load(order, Site::caller())
        }

        /// Writes the value: a step.
        ///
        /// # Panics
        /// If the order is `Acquire` or `AcqRel`.
        #[inline]
        #[track_caller]
        pub fn store(&self, value: $value, order: Ordering) {
            self.0.store(value, order, Site::caller());
        }

        /// Replaces the value and returns the one before: a step.
        #[inline]
        #[track_caller]
        pub fn swap(&self, value: $value, order: Ordering) -> $value {
            self.0.modify(order, Verb::Swap, Site::caller(), |_| value, |real| real.swap(value, order))
        }

        /// Replaces the value if it is `current`: a step.
        ///
        /// # Errors
        /// With the value read, if it is another.
        ///
        /// # Panics
        /// If the order of failure is `Release` or `AcqRel`.
        #[inline]
        #[track_caller]
        pub fn compare_exchange(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            self.0.exchange(current, new, (success, failure), false, Site::caller())
        }

        /// Replaces the value if it is `current`, and returns the one before: a step. With the
        /// orders of failure that std derives from `order`.
        #[deprecated(note = "use `compare_exchange` or `compare_exchange_weak` instead")]
        #[track_caller]
        pub fn compare_and_swap(&self, current: $value, new: $value, order: Ordering) -> $value {
            let failure = match order {
                Ordering::Release => Ordering::Relaxed,
                Ordering::AcqRel => Ordering::Acquire,
                other => other,
            };
            let (Ok(value) | Err(value)) =
                self.0.exchange(current, new, (order, failure), false, Site::caller());
            value
        }

        /// [`compare_exchange`](Self::compare_exchange) that may fail for no reason (in an execution
        /// only where such failures are injected).
        ///
        /// # Errors
        /// With the value read.
        ///
        /// # Panics
        /// If the order of failure is `Release` or `AcqRel`.
        #[inline]
        #[track_caller]
        pub fn compare_exchange_weak(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            self.0.exchange(current, new, (success, failure), true, Site::caller())
        }

        /// Replaces the value by what `f` makes of it: a load, and weak exchanges until one
        /// succeeds.
        ///
        /// # Errors
        /// With the value read, if `f` returns `None`.
        #[inline]
        #[track_caller]
        pub fn fetch_update<F>(&self, set_order: Ordering, fetch_order: Ordering, f: F) -> Result<$value, $value>
        where
            F: FnMut($value) -> Option<$value>,
        {
            self.0.try_update(set_order, fetch_order, Site::caller(), f)
        }

        /// The newer name of [`fetch_update`](Self::fetch_update).
        ///
        /// # Errors
        /// With the value read, if `f` returns `None`.
        #[inline]
        #[track_caller]
        pub fn try_update(
            &self,
            set_order: Ordering,
            fetch_order: Ordering,
            f: impl FnMut($value) -> Option<$value>,
        ) -> Result<$value, $value> {
            self.0.try_update(set_order, fetch_order, Site::caller(), f)
        }

        /// [`try_update`](Self::try_update) with a function that always has a value.
        #[inline]
        #[track_caller]
        pub fn update(
            &self,
            set_order: Ordering,
            fetch_order: Ordering,
            mut f: impl FnMut($value) -> $value,
        ) -> $value {
            let f = |value| Some(f(value));
            let (Ok(value) | Err(value)) = self.0.try_update(set_order, fetch_order, Site::caller(), f);
            value
        }

        /// The value, of which the caller is the only user.
        #[inline]
        pub fn get_mut(&mut self) -> &mut $value {
            self.0.get_mut()
        }

        /// The value.
        #[inline]
        pub fn into_inner(self) -> $value {
            racefuzz_runtime::ops::rebase(&self.0);
            self.0.real.into_inner()
        }

        /// A pointer to the newest value. What is done through it is no part of an execution.
        #[inline]
        pub const fn as_ptr(&self) -> *mut $value {
            self.0.real.as_ptr()
        }

        /// Reads the newest value without atomics, as loom's atomics can: an execution in which a
        /// store is not ordered with it fails.
        ///
        /// # Safety
        /// No store may run at the same time.
        #[track_caller]
        pub unsafe fn unsync_load(&self) -> $value {
            self.0.unsync_load(Site::caller())
        }

        /// Gives `f` the value to change without atomics, as loom's atomics can: an execution in
        /// which an access is not ordered with it fails.
        #[track_caller]
        pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut $value) -> R) -> R {
            self.0.with_mut(Site::caller(), f)
        }
    };
}

/// One read-modify-write operation.
macro_rules! modify {
    ($value:ty, $name:ident, $verb:ident, $f:expr, $doc:literal) => {
        #[doc = $doc]
        #[inline]
        #[track_caller]
        pub fn $name(&self, value: $value, order: Ordering) -> $value {
            let f: fn($value, $value) -> $value = $f;
            let change = |old| f(old, value);
            self.0.modify(order, Verb::$verb, Site::caller(), change, |real| real.$name(value, order))
        }
    };
}

/// The traits that every atomic of a plain value has.
macro_rules! common_traits {
    ($name:ident, $value:ty) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0.shown(), f)
            }
        }

        impl Default for $name {
            #[track_caller]
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }

        impl From<$value> for $name {
            #[track_caller]
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }
    };
}

pub(super) use {common_operations, common_traits, modify, real_basics};
