//! Read-copy-update: readers never wait, the writer waits for them.
//!
//! The writer makes a changed copy, swings the pointer to it, and frees the old version. Readers
//! that fetched the pointer before still look at the old version, so between the swing and the
//! release the writer must let a *grace period* pass: until every reader that was reading has
//! stopped. Without it the old version is freed under the readers' eyes.
//!
//! Source: McKenney and Slingwine, "Read-Copy Update: Using Execution History to Solve Concurrency
//! Problems" (PDCS 1998); Desnoyers et al., "User-Level Implementations of Read-Copy Update" (TPDS
//! 2012).

use super::spawn;
use racefuzz::alloc::{Layout, alloc, dealloc};
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32,
    Ordering::{Relaxed, Release, SeqCst},
};
use racefuzz::{FailureKind, hint};

const SOURCE: Source = Source { file: file!(), text: include_str!("read_copy_update.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "read-copy-update",
    summary: "a writer frees the old version before its readers are done",
    teaches: "After the pointer is swung nobody new finds the old version, but those who found it before are still \
              reading. Freeing it at once is a use after free in their next step.",
    expected: Expected::Fails { kind: FailureKind::UseAfterFree, anomaly: "use after free" },
    twin: Some("read-copy-update-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(Shared::update),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "read-copy-update-fixed",
    summary: "a writer waits for a grace period before it frees the old version",
    teaches: "The reader says when it reads; the writer, having swung the pointer, waits until it does not. Who begins \
              to read later finds the new version. The reader pays two stores and never waits.",
    expected: Expected::Holds,
    twin: Some("read-copy-update"),
    params: &[],
    source: SOURCE,
    run: |_| play(Shared::update_fixed),
};

struct Config {
    limit: AtomicU32,
}

struct Shared {
    current: AtomicPtr<Config>,
    /// Whether the reader is reading.
    reading: AtomicBool,
}

impl Shared {
    fn read(&self) -> u32 {
        self.reading.store(true, SeqCst);
        let config = self.current.load(SeqCst);
        // SAFETY: the writer is to keep the config while `reading` is set. In the racy version it
        // does not; a use after release is reported instead of done.
        let limit = unsafe { (*config).limit.load(Relaxed) };
        self.reading.store(false, Release);
        limit
    }

    /// Racy: the reader may still look at the old config.
    fn update(&self) {
        let old = self.current.swap(config(20), SeqCst);
        free(old);
    }

    /// Repaired: lets a grace period pass.
    fn update_fixed(&self) {
        let old = self.current.swap(config(20), SeqCst);
        while self.reading.load(SeqCst) {
            hint::spin_loop();
        }
        free(old);
    }
}

fn config(limit: u32) -> *mut Config {
    // SAFETY: `Config` is not zero-sized.
    let config = unsafe { alloc(Layout::new::<Config>()) }.cast::<Config>();
    // SAFETY: fresh memory for a `Config`.
    unsafe { config.write(Config { limit: AtomicU32::new(limit) }) };
    config
}

fn free(config: *mut Config) {
    // SAFETY: made by `config`, and freed once. In the racy version the reader may still look at
    // it; racefuzz keeps freed memory until the execution ends and reports the use.
    unsafe { dealloc(config.cast(), Layout::new::<Config>()) };
}

fn play(update: fn(&Shared)) {
    let shared = Arc::new(Shared { current: AtomicPtr::new(config(10)), reading: AtomicBool::new(false) });
    let reader = spawn("reader", {
        let shared = Arc::clone(&shared);
        move || {
            let found = shared.read();
            assert!(found == 10 || found == 20, "expected a limit of 10 or 20, found {found}");
        }
    });
    let writer = spawn("writer", {
        let shared = Arc::clone(&shared);
        move || update(&shared)
    });
    reader.join().unwrap();
    writer.join().unwrap();
    free(shared.current.load(SeqCst));
}
