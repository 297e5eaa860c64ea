//! `Var`: a named plain shared variable, the simplest thing to race on.

#[cfg(not(feature = "model"))]
pub use plain::Var;
#[cfg(feature = "model")]
pub use stepped::Var;

#[cfg(feature = "model")]
mod stepped {
    use crate::mutex::Flags;
    use racefuzz_runtime::ops::{self, Update};
    use racefuzz_runtime::{Absent, Primitive, Shared, Shown, Site};
    use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Value, Verb};
    use std::borrow::Cow;
    use std::cell::UnsafeCell;
    use std::fmt::{self, Debug};
    use std::panic::{RefUnwindSafe, UnwindSafe};
    use std::sync::PoisonError;

    const GET: Update = Update { kind: OpKind::Load, order: MemoryOrder::SeqCst, ..Update::new(Verb::Get) };
    const SET: Update = Update { kind: OpKind::Store, order: MemoryOrder::SeqCst, ..Update::new(Verb::Set) };

    /// A named plain shared variable: [`get`](Self::get) and [`set`](Self::set) are one step each,
    /// and a `get` always sees the newest value. The two together are not atomic.
    ///
    /// Outside an execution it is a value under a `Mutex`, taken for each access.
    pub struct Var<T> {
        shared: Shared,
        name: Cow<'static, str>,
        flags: Flags,
        real: std::sync::Mutex<()>,
        value: UnsafeCell<T>,
    }

    // SAFETY: the value is only cloned, replaced and shown, never lent out, and never by two threads
    // at a time: in an execution no other thread runs in between (see `get`), outside of it every
    // access holds `real`.
    unsafe impl<T: Send> Send for Var<T> {}
    // SAFETY: as above.
    unsafe impl<T: Send> Sync for Var<T> {}
    impl<T> UnwindSafe for Var<T> {}
    impl<T> RefUnwindSafe for Var<T> {}

    impl<T: Debug> Primitive for Var<T> {
        const KIND: ObjectKind = ObjectKind::Variable;

        #[inline]
        fn shared(&self) -> &Shared {
            &self.shared
        }

        /// The word counts the writes; it tells nothing of the value.
        fn initial(&self) -> u64 {
            0
        }

        fn show(&self, _: u64) -> Shown {
            // SAFETY: called during a step of an execution, or before the first: nobody writes, and
            // what `Debug` does is no part of the execution, so it gives way to nobody who could.
            Shown::Value(ops::detached(|| value(unsafe { &*self.value.get() })))
        }

        fn used_outside(&self) -> bool {
            self.flags.used_outside()
        }

        fn name(&self) -> Option<Cow<'static, str>> {
            Some(self.name.clone())
        }
    }

    fn value(value: &impl Debug) -> Value {
        let text = format!("{value:?}");
        match (text.parse(), text.as_str()) {
            (Ok(number), _) => Value::Int(number),
            (_, "true") => Value::Bool(true),
            (_, "false") => Value::Bool(false),
            _ => Value::Text(text),
        }
    }

    impl<T> Var<T> {
        /// A variable with a name for reports.
        #[track_caller]
        pub fn new(name: impl Into<Cow<'static, str>>, value: T) -> Self {
            Self::make(name.into(), value)
        }

        /// The same for statics.
        #[track_caller]
        pub const fn named(name: &'static str, value: T) -> Self {
            Self::make(Cow::Borrowed(name), value)
        }

        #[track_caller]
        const fn make(name: Cow<'static, str>, value: T) -> Self {
            Self {
                shared: Shared::new(),
                name,
                flags: Flags::new(),
                real: std::sync::Mutex::new(()),
                value: UnsafeCell::new(value),
            }
        }

        /// Its name.
        pub fn name(&self) -> &str {
            &self.name
        }

        /// The value, which nobody else uses any more.
        pub fn into_inner(self) -> T {
            self.value.into_inner()
        }
    }

    impl<T: Clone + Debug> Var<T> {
        /// Reads the value: a step.
        #[inline]
        #[track_caller]
        pub fn get(&self) -> T {
            let done = ops::update(self, GET, Site::caller(), |_, _| ());
            let _real = match done {
                Err(Absent::Outside) => {
                    self.flags.outside();
                    Some(self.real.lock().unwrap_or_else(PoisonError::into_inner))
                }
                Ok(_) | Err(Absent::TearDown) => None,
            };
            // SAFETY: inside an execution the step has just happened and no other thread runs before
            // the next one; `clone`, which is the program's code, takes none. Outside of it the lock
            // is held.
            ops::detached(|| unsafe { (*self.value.get()).clone() })
        }

        /// Replaces the value: a step.
        #[inline]
        #[track_caller]
        pub fn set(&self, value: T) {
            let mut value = Some(value);
            let done = ops::update(self, SET, Site::caller(), |word, _| {
                *word += 1;
                // SAFETY: see the `Sync` of this type; nobody holds a reference to the value.
                value = value.take().map(|value| unsafe { self.value.get().replace(value) });
            });
            match done {
                // What is in `value` now is the old one, dropped here as the program's code.
                Ok(_) => {}
                Err(Absent::Outside) => {
                    self.flags.outside();
                    let real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
                    // SAFETY: the lock is held.
                    value = value.map(|value| unsafe { self.value.get().replace(value) });
                    drop(real);
                }
                Err(Absent::TearDown) => {
                    // SAFETY: nothing else runs while this thread is unwound.
                    value = value.map(|value| unsafe { self.value.get().replace(value) });
                }
            }
            drop(value);
        }
    }

    impl<T: Debug> Debug for Var<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _real = match ops::mode() {
                Err(Absent::Outside) => Some(self.real.lock().unwrap_or_else(PoisonError::into_inner)),
                _ => None,
            };
            let mut shown = f.debug_struct("Var");
            shown.field("name", &self.name);
            // SAFETY: as in `get`.
            ops::detached(|| shown.field("value", unsafe { &*self.value.get() }).finish())
        }
    }
}

#[cfg(not(feature = "model"))]
mod plain {
    use std::borrow::Cow;
    use std::fmt::Debug;
    use std::sync::{Mutex, PoisonError};

    /// A named plain shared variable.
    #[derive(Debug)]
    pub struct Var<T> {
        name: Cow<'static, str>,
        value: Mutex<T>,
    }

    impl<T> Var<T> {
        /// A variable with a name.
        #[inline]
        pub fn new(name: impl Into<Cow<'static, str>>, value: T) -> Self {
            Self { name: name.into(), value: Mutex::new(value) }
        }

        /// The same for statics.
        #[inline]
        pub const fn named(name: &'static str, value: T) -> Self {
            Self { name: Cow::Borrowed(name), value: Mutex::new(value) }
        }

        /// Its name.
        #[inline]
        pub fn name(&self) -> &str {
            &self.name
        }

        /// The value, which nobody else uses any more.
        #[inline]
        pub fn into_inner(self) -> T {
            self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: Clone + Debug> Var<T> {
        /// Reads the value.
        #[inline]
        pub fn get(&self) -> T {
            self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        /// Replaces the value.
        #[inline]
        pub fn set(&self, value: T) {
            let old =
                std::mem::replace(&mut *self.value.lock().unwrap_or_else(PoisonError::into_inner), value);
            drop(old);
        }
    }
}
