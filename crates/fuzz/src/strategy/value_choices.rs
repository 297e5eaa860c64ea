//! Choices that are no threads: the store a load reads, the place of a store, values, faults.

use crate::iteration_rng::IterationRng;
use racefuzz_trace::Point;

/// How weak memory shows itself in one execution. Executions differ in it, so that a run holds some
/// that look sequentially consistent and some in which hardly a load is up to date.
#[derive(Clone, Copy)]
enum Weakness {
    /// Every load returns the newest store.
    None,
    /// Half of the loads do.
    Some,
    /// Every store that may be read is as likely.
    All,
}

/// The other choices of one execution.
#[derive(Default)]
pub(crate) struct ValueChoices {
    weakness: Option<Weakness>,
    /// Points seen where a fault could be injected, and the one where it is.
    faults: u32,
    fault_at: Option<u32>,
}

impl ValueChoices {
    /// Fault points expected in an execution when nothing is known.
    const FAULT_POINTS: u32 = 16;

    pub(crate) fn fault_points(&self) -> u32 {
        self.faults
    }

    pub(crate) fn choose(
        &mut self,
        rng: &mut IterationRng,
        fault_points: u32,
        alternatives: racefuzz_runtime::Alternatives,
    ) -> u32 {
        let count = alternatives.count;
        match alternatives.point {
            Point::Store | Point::Place => {
                let weakness = *self.weakness.get_or_insert_with(|| match rng.below(8) {
                    0 | 1 => Weakness::None,
                    2..=5 => Weakness::Some,
                    _ => Weakness::All,
                });
                match weakness {
                    Weakness::None => 0,
                    Weakness::Some if rng.one_in(2) => 0,
                    Weakness::Some | Weakness::All => rng.below(count),
                }
            }
            Point::Spurious | Point::Timeout => u32::from(rng.one_in(8)),
            Point::Fault => {
                // One execution in nine or so has none.
                let expected = if fault_points == 0 { Self::FAULT_POINTS } else { fault_points };
                let at = *self.fault_at.get_or_insert_with(|| rng.below(expected + expected / 8 + 1));
                self.faults += 1;
                if self.faults - 1 == at { 1 + rng.below(count - 1) } else { 0 }
            }
            Point::Reuse if rng.one_in(2) => 0,
            Point::Reuse => 1 + rng.below(count - 1),
            Point::Value | Point::Thread => rng.below(count),
        }
    }
}
