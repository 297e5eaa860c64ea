//! Values made at first use, once per execution.

use std::sync::OnceLock;

/// What [`lazy_static!`](macro@crate::local::lazy_static) declares a static of.
///
/// Inside an execution every thread's first use is a step, as it is for a `LazyLock`: it waits
/// while another thread makes the value, and learns what that thread did. The value lives until
/// every thread has ended; a reference carried out of the execution dangles.
pub struct Lazy<T: 'static> {
    #[cfg_attr(not(feature = "model"), allow(dead_code, reason = "shown in traces only"))]
    name: &'static str,
    initial: fn() -> T,
    outside: OnceLock<T>,
}

impl<T: 'static> Lazy<T> {
    #[doc(hidden)]
    pub const fn __new(name: &'static str, initial: fn() -> T) -> Self {
        Self { name, initial, outside: OnceLock::new() }
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn __get(&'static self) -> &'static T {
        #[cfg(feature = "model")]
        if let Some(value) = model::get(self) {
            return value;
        }
        self.outside.get_or_init(self.initial)
    }
}

impl<T> std::fmt::Debug for Lazy<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lazy").finish_non_exhaustive()
    }
}

/// What every static of [`lazy_static!`](macro@crate::local::lazy_static) is, as in the
/// `lazy_static` crate.
pub trait LazyStatic {
    #[doc(hidden)]
    fn initialize(lazy: &Self);
}

/// Makes the value of a lazy static now, if it was not made before.
#[track_caller]
pub fn initialize<T: LazyStatic>(lazy: &T) {
    LazyStatic::initialize(lazy);
}

#[cfg(feature = "model")]
mod model {
    use super::Lazy;
    use crate::outside;
    use racefuzz_runtime::{Absent, Primitive, Shared, Site, ops};
    use racefuzz_trace::{ObjectKind, Verb};
    use std::borrow::Cow;
    use std::cell::{Cell, OnceCell};

    const RUNNING: u64 = 1;
    const DONE: u64 = 2;
    const POISONED: u64 = 4;

    /// The value of one execution.
    struct Slot<T> {
        shared: Shared,
        name: &'static str,
        value: OnceCell<T>,
    }

    impl<T> Primitive for Slot<T> {
        const KIND: ObjectKind = ObjectKind::Once;

        fn shared(&self) -> &Shared {
            &self.shared
        }

        fn initial(&self) -> u64 {
            0
        }

        fn name(&self) -> Option<Cow<'static, str>> {
            Some(Cow::Borrowed(self.name))
        }
    }

    /// Poisons the slot unless the value was made.
    struct Making<'a, T>(&'a Slot<T>, Site);

    impl<T> Drop for Making<'_, T> {
        fn drop(&mut self) {
            let state = if self.0.value.get().is_some() { DONE } else { POISONED };
            let mut how = ops::Update::new(Verb::OnceEnd);
            how.hold = ops::Hold::Give;
            how.implied = true;
            let _ = ops::update(self.0, how, self.1, |word, _| *word = state);
        }
    }

    /// The value of the running execution; `None` outside of one.
    #[track_caller]
    pub(super) fn get<T: 'static>(lazy: &'static Lazy<T>) -> Option<&'static T> {
        let site = Site::caller();
        let key = std::ptr::from_ref(lazy) as usize;
        let shared = Shared::new();
        let make = || Slot { shared, name: lazy.name, value: OnceCell::new() };
        let slot: *const Slot<T> = match ops::with_global(key, make, std::ptr::from_ref) {
            Ok(Some(slot)) => slot,
            Ok(None) => panic!("the lazy static `{}` was used after its destruction", lazy.name),
            Err(_) => {
                outside::step();
                return None;
            }
        };
        // SAFETY: the slot is boxed and lives until every thread of the execution has ended.
        let slot = unsafe { &*slot };
        // Whether this thread knows already that the value was made.
        let knows = |now: bool| {
            let known = ops::with_local(key, || Cell::new(false), |known| known.replace(now || known.get()));
            matches!(known, Ok(Some(true)))
        };
        if !knows(false) {
            enter(lazy, slot, site);
            knows(true);
        }
        // Empty only if the execution ended while the value was being made.
        Some(slot.value.get_or_init(lazy.initial))
    }

    fn enter<T: 'static>(lazy: &'static Lazy<T>, slot: &Slot<T>, site: Site) {
        let mut how = ops::Update::when(Verb::OnceBegin, racefuzz_runtime::Test::Clear(RUNNING));
        how.hold = ops::Hold::Take;
        how.refuses = racefuzz_runtime::Test::Any(DONE | POISONED);
        let before = ops::update(slot, how, site, |word, told| {
            let before = *word;
            if before == 0 {
                *word = RUNNING;
            } else {
                told.failed();
            }
            before
        });
        match before {
            Ok(Ok(0)) => {
                let making = Making(slot, site);
                let value = (lazy.initial)();
                let _ = slot.value.set(value);
                drop(making);
            }
            Ok(Ok(POISONED)) => panic!("the initialiser of the lazy static `{}` panicked before", lazy.name),
            Ok(_) | Err(Absent::TearDown | Absent::Outside) => {}
        }
    }
}
