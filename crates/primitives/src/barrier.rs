//! `Barrier`: a word with a generation in its upper half, counting down, and those who have arrived
//! in its lower half.
//!
//! What std leaves open: in which order those who waited go on (any), and which of them is the leader.
//! Here it is the last to arrive, as in std's implementation, and any thread may be the last; std's
//! documentation would allow another one, which no program can make out but one that counts arrivals
//! itself.

use racefuzz_runtime::ops::{self, barrier};
use racefuzz_runtime::{Absent, Primitive, Shared, Site};
use racefuzz_trace::ObjectKind;
use std::fmt;

/// `std::sync::Barrier` whose operations are steps of an execution: arriving is one, leaving is
/// another.
pub struct Barrier {
    shared: Shared,
    threads: usize,
    real: std::sync::Barrier,
}

impl Primitive for Barrier {
    const KIND: ObjectKind = ObjectKind::Barrier;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        barrier::INITIAL
    }
}

impl Barrier {
    /// A barrier for so many threads.
    #[track_caller]
    pub const fn new(threads: usize) -> Self {
        Self { shared: Shared::new(), threads, real: std::sync::Barrier::new(threads) }
    }

    /// Waits until so many threads have arrived. The last of them is the leader.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let site = Site::caller();
        let threads = self.threads as u64;
        let arrived = ops::update(self, barrier::ARRIVE, site, |word, _| barrier::arrive(word, threads));
        match arrived {
            Ok(Ok(Ok(())) | Err(_)) => BarrierWaitResult(true),
            Ok(Ok(Err(generation))) => {
                let _ = ops::update(self, barrier::pass(generation), site, |_, _| ());
                BarrierWaitResult(false)
            }
            Err(Absent::Outside) => {
                crate::outside::step();
                BarrierWaitResult(self.real.wait().is_leader())
            }
            Err(Absent::TearDown) => BarrierWaitResult(false),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

/// Whether a thread was the last to arrive.
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether it was.
    #[must_use]
    pub const fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.0).finish()
    }
}
