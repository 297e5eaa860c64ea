//! `Once`, `OnceLock`, `LazyLock`: a word that says how far the initialisation is.
//!
//! As in std every use first looks whether it is complete (a load, which learns what the
//! initialisation did), and only then, if it is not, waits for its turn to initialise.
//!
//! What std leaves open, and is explored: which thread initialises, and which of those who wait is next
//! when an initialisation panics. A panic poisons a `Once` and a `LazyLock` for good, but for
//! `call_once_force`, which sees it and may complete the `Once`; a `OnceLock` is left as it was. An
//! initialisation that needs itself waits for ever (std may panic).

mod lazy;
mod lock;

pub use lazy::LazyLock;
pub use lock::OnceLock;

use racefuzz_runtime::ops::{self, Hold, Update};
use racefuzz_runtime::{Absent, Primitive, Shared, Site, Test};
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Verb};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const INCOMPLETE: u64 = 0;
const COMPLETE: u64 = 1;
const POISONED: u64 = 2;
const RUNNING: u64 = 4;

const CHECK: Update =
    Update { kind: OpKind::Load, order: MemoryOrder::Acquire, ..Update::new(Verb::OnceCheck) };
const BEGIN: Update = Update {
    order: MemoryOrder::Acquire,
    hold: Hold::Take,
    ..Update::when(Verb::OnceBegin, Test::Clear(RUNNING))
};
const END: Update =
    Update { order: MemoryOrder::Release, hold: Hold::Give, implied: true, ..Update::new(Verb::OnceEnd) };

/// What all three are made of.
pub(crate) struct Core {
    shared: Shared,
    /// The newest word, but for `RUNNING`.
    state: AtomicU64,
    outside: AtomicBool,
    /// Who may initialise outside an execution.
    real: std::sync::Once,
}

impl Core {
    #[track_caller]
    const fn new() -> Self {
        Self {
            shared: Shared::new(),
            state: AtomicU64::new(INCOMPLETE),
            outside: AtomicBool::new(false),
            real: std::sync::Once::new(),
        }
    }

    fn state(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    fn set(&self, state: u64) {
        self.state.store(state, Ordering::Release);
    }

    fn outside(&self) {
        crate::outside::step();
        self.outside.store(true, Ordering::Relaxed);
    }

    /// The owner starts anew.
    fn reset(&mut self) {
        self.shared.forget();
        self.real = std::sync::Once::new();
        *self.state.get_mut() = INCOMPLETE;
    }
}

/// Something that is initialised once.
pub(crate) trait Initialised: Primitive {
    /// What a panic of the initialisation leaves.
    const AFTER_PANIC: u64;
    /// How a use after such a panic is refused.
    const REFUSAL: &str;

    fn core(&self) -> &Core;
}

/// Whether the initialisation is complete: a step.
#[inline]
fn is_complete<P: Initialised>(once: &P, site: Site) -> bool {
    match ops::update(once, CHECK, site, |word, _| *word == COMPLETE) {
        Ok(Ok(complete)) => complete,
        Ok(Err(_)) | Err(Absent::TearDown) => once.core().state() == COMPLETE,
        Err(Absent::Outside) => {
            once.core().outside();
            once.core().state() == COMPLETE
        }
    }
}

/// Initialises by `init` unless that has been done; `init` is told whether an earlier attempt
/// panicked. A use after a panic is refused unless `force`.
#[track_caller]
fn initialise<P: Initialised>(once: &P, force: bool, site: Site, init: impl FnOnce(bool)) {
    if is_complete(once, site) {
        return;
    }
    let refuses = Test::Any(if force { COMPLETE } else { COMPLETE | POISONED });
    let begun = ops::update(once, Update { refuses, ..BEGIN }, site, |word, told| {
        let before = *word;
        if before == COMPLETE || (before == POISONED && !force) {
            told.failed();
        } else {
            *word = RUNNING;
        }
        before
    });
    match begun {
        Ok(Ok(COMPLETE) | Err(_)) => {}
        Ok(Ok(POISONED)) if !force => panic!("{}", P::REFUSAL),
        Ok(Ok(before)) => {
            let mut attempt = Attempt { once, site, leaves: P::AFTER_PANIC };
            init(before == POISONED);
            attempt.leaves = COMPLETE;
        }
        Err(Absent::Outside) => initialise_outside(once, force, init),
        Err(Absent::TearDown) => {
            init(once.core().state() == POISONED);
            once.core().set(COMPLETE);
        }
    }
}

#[track_caller]
fn initialise_outside<P: Initialised>(once: &P, force: bool, init: impl FnOnce(bool)) {
    /// A panic leaves its mark.
    struct Attempt<'a>(&'a Core, u64);
    impl Drop for Attempt<'_> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let core = once.core();
    if core.state() == POISONED && !force {
        panic!("{}", P::REFUSAL);
    }
    let init = |state: &std::sync::OnceState| {
        if core.state() == COMPLETE {
            return;
        }
        let poisoned = core.state() == POISONED || (state.is_poisoned() && P::AFTER_PANIC == POISONED);
        let mut attempt = Attempt(core, P::AFTER_PANIC);
        init(poisoned);
        attempt.1 = COMPLETE;
    };
    core.real.call_once_force(|state| {
        // Somebody may have panicked while this thread waited.
        if core.state() == POISONED && !force {
            panic!("{}", P::REFUSAL);
        }
        init(state);
    });
}

/// An initialisation under way in an execution.
struct Attempt<'a, P: Initialised> {
    once: &'a P,
    site: Site,
    leaves: u64,
}

impl<P: Initialised> Drop for Attempt<'_, P> {
    fn drop(&mut self) {
        let _ = ops::update(self.once, END, self.site, |word, _| {
            *word = self.leaves;
            self.once.core().set(self.leaves);
        });
    }
}

/// Waits until the initialisation is complete, or, unless `force`, has panicked.
#[track_caller]
fn wait<P: Initialised>(once: &P, force: bool, site: Site) {
    let test = if force { Test::Eq(COMPLETE) } else { Test::Any(COMPLETE | POISONED) };
    match ops::update(once, Update { test, ..CHECK }, site, |word, _| *word) {
        Ok(Ok(POISONED)) => panic!("{}", P::REFUSAL),
        Ok(_) | Err(Absent::TearDown) => {}
        Err(Absent::Outside) => {
            let core = once.core();
            core.outside();
            if core.state() == COMPLETE {
                return;
            }
            if force { core.real.wait_force() } else { core.real.wait() }
        }
    }
}

macro_rules! initialised {
    ([$($parameters:tt)*] $name:ty, $after:expr, $refusal:literal) => {
        impl<$($parameters)*> Primitive for $name {
            const KIND: ObjectKind = ObjectKind::Once;

            fn shared(&self) -> &Shared {
                &self.core.shared
            }

            fn initial(&self) -> u64 {
                self.core.state()
            }

            fn used_outside(&self) -> bool {
                self.core.outside.load(Ordering::Relaxed)
            }
        }

        impl<$($parameters)*> Initialised for $name {
            const AFTER_PANIC: u64 = $after;
            const REFUSAL: &str = $refusal;

            fn core(&self) -> &Core {
                &self.core
            }
        }
    };
}
use initialised;

/// `std::sync::Once` whose operations are steps of an execution.
pub struct Once {
    core: Core,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

initialised!([] Once, POISONED, "Once instance has previously been poisoned");

impl Once {
    /// Nothing has been done.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "as in std")]
    pub const fn new() -> Self {
        Self { core: Core::new() }
    }

    /// Runs `init` if that has not been done, and returns when it is done by anybody.
    ///
    /// # Panics
    /// If an earlier attempt panicked.
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, init: F) {
        initialise(self, false, Site::caller(), |_| init());
    }

    /// The same, also after an attempt that panicked.
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, init: F) {
        initialise(self, true, Site::caller(), |poisoned| init(&OnceState { poisoned }));
    }

    /// Whether it is done: a step.
    #[track_caller]
    pub fn is_completed(&self) -> bool {
        is_complete(self, Site::caller())
    }

    /// Waits until it is done: a step.
    ///
    /// # Panics
    /// If an attempt panicked.
    #[track_caller]
    pub fn wait(&self) {
        wait(self, false, Site::caller());
    }

    /// Waits until it is done, whatever panics before that: a step.
    #[track_caller]
    pub fn wait_force(&self) {
        wait(self, true, Site::caller());
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

/// What [`Once::call_once_force`] tells its closure.
#[derive(Debug)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Whether an earlier attempt panicked.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}
