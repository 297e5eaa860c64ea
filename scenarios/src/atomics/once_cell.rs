//! A cell that is to be filled once, by whoever comes first.
//!
//! Each thread looks whether the cell is empty and, if so, fills it. Between the look and the
//! filling another thread may look as well: both fill it, and they go on with different values.
//! The repair makes look and claim one step: a compare-exchange from EMPTY to BUSY, which only one
//! thread can win; the others wait for READY.
//!
//! Source: the state machine of `std::sync::Once` and of Aleksey Kladov's `once_cell` crate.

use racefuzz::FailureKind;
use racefuzz::hint;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use racefuzz::thread;

const SOURCE: Source = Source { file: file!(), text: include_str!("once_cell.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "once-cell",
    summary: "two threads fill a cell that is to be filled once",
    teaches: "To look whether the cell is empty and to fill it are two steps. Two threads may both find it empty and \
              both fill it, and each goes on with a value of its own. All accesses are atomic and nothing is a data \
              race: the bug is in the logic.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "check-then-act" },
    twin: Some("once-cell-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(OnceCell::get_or_init),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "once-cell-fixed",
    summary: "threads claim the cell by compare-exchange before they fill it",
    teaches: "A compare-exchange checks and claims in one step, so exactly one thread fills the cell. The others wait \
              until it is ready; `Release` and `Acquire` on the state carry the value to them.",
    expected: Expected::Holds,
    twin: Some("once-cell"),
    params: &[],
    source: SOURCE,
    run: |_| play(OnceCell::get_or_init_fixed),
};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const READY: u8 = 2;

struct OnceCell {
    state: AtomicU8,
    value: AtomicU32,
}

impl OnceCell {
    /// Racy: another thread may find the cell empty before it is marked as filled.
    fn get_or_init(&self, value: u32) -> u32 {
        if self.state.load(Acquire) == EMPTY {
            self.value.store(value, Relaxed);
            self.state.store(READY, Release);
            return value;
        }
        self.value.load(Relaxed)
    }

    /// Repaired: only one thread can go from `EMPTY` to `BUSY`.
    fn get_or_init_fixed(&self, value: u32) -> u32 {
        if self.state.compare_exchange(EMPTY, BUSY, Relaxed, Relaxed).is_ok() {
            self.value.store(value, Relaxed);
            self.state.store(READY, Release);
            return value;
        }
        while self.state.load(Acquire) != READY {
            hint::spin_loop();
        }
        self.value.load(Relaxed)
    }
}

fn play(get_or_init: fn(&OnceCell, u32) -> u32) {
    let cell = Arc::new(OnceCell { state: AtomicU8::new(EMPTY), value: AtomicU32::new(0) });
    let threads = [10, 20].map(|value| {
        let cell = Arc::clone(&cell);
        thread::spawn(move || get_or_init(&cell, value))
    });
    let [one, other] = threads.map(|thread| thread.join().unwrap());
    assert!(one == other, "one cell should hold one value: thread 1 got {one}, thread 2 got {other}");
}
