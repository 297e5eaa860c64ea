//! A hazard pointer: "I am looking at this, do not free it".
//!
//! Before a reader follows a shared pointer it publishes the pointer as its hazard; who replaces
//! the pointer frees the old target only if it is nobody's hazard. Between reading the pointer and
//! publishing the hazard, though, the target may be replaced, found to be nobody's hazard, and
//! freed. So the reader must look again after publishing: if the pointer is still there, its
//! hazard was published in time. All of it must be SeqCst, or the two sides may miss each other
//! (see `dekker`).
//!
//! Source: Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects" (TPDS 2004),
//! section 3.

use super::spawn;
use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::cell::UnsafeCell;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicPtr,
    Ordering::{Release, SeqCst},
};
use racefuzz::{FailureKind, hint};
use std::ptr;

const SOURCE: Source = Source { file: file!(), text: include_str!("hazard_pointer.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "hazard-pointer",
    summary: "a reader publishes its hazard pointer too late and does not look again",
    teaches: "A hazard pointer protects from the moment it is published. What was read before may be gone by then. \
              Only reading the pointer again, after publishing, tells that it was published in time.",
    expected: Expected::Fails { kind: FailureKind::UseAfterFree, anomaly: "use after free" },
    twin: Some("hazard-pointer-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Shared::protect),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "hazard-pointer-fixed",
    summary: "a reader publishes its hazard pointer and looks again",
    teaches: "If the pointer is unchanged after the hazard is published, whoever replaces it later will see the \
              hazard. If it has changed, the reader tries again with the new one.",
    expected: Expected::Holds,
    twin: Some("hazard-pointer"),
    params: &[],
    source: SOURCE,
    run: |_| play(Shared::protect_fixed),
};

struct Config {
    version: UnsafeCell<u32>,
}

struct Shared {
    current: AtomicPtr<Config>,
    /// What the reader looks at.
    hazard: AtomicPtr<Config>,
}

impl Shared {
    /// Racy: the config may be freed before the hazard is published.
    fn protect(&self) -> *mut Config {
        let config = self.current.load(SeqCst);
        self.hazard.store(config, SeqCst);
        config
    }

    /// Repaired: looks again.
    fn protect_fixed(&self) -> *mut Config {
        loop {
            let config = self.current.load(SeqCst);
            self.hazard.store(config, SeqCst);
            if self.current.load(SeqCst) == config {
                return config;
            }
        }
    }

    /// Replaces the config and frees the old one when the reader does not look at it.
    fn replace(&self, new: *mut Config) {
        let old = self.current.swap(new, SeqCst);
        // A real implementation keeps a list of what is to be freed, and does not wait.
        while self.hazard.load(SeqCst) == old {
            hint::spin_loop();
        }
        free(old);
    }
}

fn config(version: u32) -> *mut Config {
    // SAFETY: `Config` is not zero-sized.
    let config = unsafe { alloc(Layout::new::<Config>()) }.cast::<Config>();
    // SAFETY: fresh memory for a `Config`.
    unsafe { config.write(Config { version: UnsafeCell::new(version) }) };
    config
}

fn free(config: *mut Config) {
    // SAFETY: made by `config`, and freed once. In the racy version the reader may still look at
    // it; racefuzz keeps freed memory until the execution ends and reports the use.
    unsafe { dealloc(config.cast(), Layout::new::<Config>()) };
}

fn play(protect: fn(&Shared) -> *mut Config) {
    let shared =
        Arc::new(Shared { current: AtomicPtr::new(config(1)), hazard: AtomicPtr::new(ptr::null_mut()) });
    let reader = spawn("reader", {
        let shared = Arc::clone(&shared);
        move || {
            let config = protect(&shared);
            // SAFETY: protected by the hazard; that this is so is what the two versions differ in,
            // and a use after release is reported instead of done.
            let found = unsafe { (*config).version.with(|version| *version) };
            shared.hazard.store(ptr::null_mut(), Release);
            assert!(found == 1 || found == 2, "expected version 1 or 2, found {found}");
        }
    });
    let writer = spawn("writer", {
        let shared = Arc::clone(&shared);
        move || shared.replace(config(2))
    });
    reader.join().unwrap();
    writer.join().unwrap();
    free(shared.current.load(SeqCst));
}
