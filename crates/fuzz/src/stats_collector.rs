//! Counting what the executions have in common.

use racefuzz_runtime::Site;
use racefuzz_trace::Stats;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What is kept of one execution until its turn comes to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) class: u64,
    /// The identity of the failure, or the hash of what was printed.
    pub(crate) outcome: u64,
    pub(crate) steps: u32,
    pub(crate) abandoned: u16,
    pub(crate) failed: bool,
    /// The `assume` that ended it.
    pub(crate) blocked_at: Option<Site>,
}

/// Counts the executions of a run.
#[derive(Default)]
pub(crate) struct StatsCollector {
    stats: Stats,
    classes: Distinct,
    outcomes: Distinct,
    blocked_at: Option<Site>,
    blocks_elsewhere: bool,
}

impl StatsCollector {
    pub(crate) fn add(&mut self, sample: &Sample) {
        self.stats.steps += u64::from(sample.steps);
        self.stats.abandoned += u64::from(sample.abandoned);
        if let Some(site) = sample.blocked_at {
            self.stats.blocked += 1;
            self.blocks_elsewhere |= *self.blocked_at.get_or_insert(site) != site;
            return;
        }
        self.stats.executions += 1;
        self.stats.failing += u64::from(sample.failed);
        self.classes.add(sample.class);
        self.outcomes.add(sample.outcome);
    }

    /// Whether executions were blocked at more than one place.
    pub(crate) fn blocks_at_several(&self) -> bool {
        self.blocks_elsewhere
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            classes: self.classes.total(),
            singletons: self.classes.singletons(),
            outcomes: self.outcomes.total(),
            ..self.stats.clone()
        }
    }
}

/// Counts distinct hashes in bounded memory.
///
/// Exact up to [`Distinct::CAP`]. Beyond it only hashes that end in `level` zero bits are kept and
/// the counts are scaled up (P. Gibbons, "Distinct sampling", VLDB'01): the estimate is off by
/// 0.2 % or so, and depends on the hashes alone, not on their order.
#[derive(Default)]
struct Distinct {
    /// Whether each was seen more than once.
    seen: HashMap<u64, bool, BuildHasherDefault<Mixed>>,
    level: u32,
    /// The one seen last and again and again.
    last: Option<u64>,
}

impl Distinct {
    const CAP: usize = 1 << 18;

    fn add(&mut self, hash: u64) {
        // Programs with one outcome are common.
        if self.last == Some(hash) {
            return;
        }
        let key = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = key ^ key >> 29;
        if key & ((1 << self.level) - 1) != 0 {
            return;
        }
        let mut again = false;
        self.seen.entry(key).and_modify(|more| (*more, again) = (true, true)).or_insert(false);
        self.last = again.then_some(hash);
        while self.seen.len() > Self::CAP {
            self.level += 1;
            let mask = (1 << self.level) - 1;
            self.seen.retain(|key, _| key & mask == 0);
        }
    }

    fn total(&self) -> u64 {
        (self.seen.len() as u64) << self.level
    }

    fn singletons(&self) -> u64 {
        (self.seen.values().filter(|more| !**more).count() as u64) << self.level
    }
}

/// The keys are mixed already.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        // The table takes its low bits as the bucket; those are zero in a sampled key.
        self.0.rotate_left(32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_below_the_cap_and_close_beyond_it() {
        let mut distinct = Distinct::default();
        for hash in (0..1000).chain(0..900) {
            distinct.add(hash);
        }
        assert_eq!((distinct.total(), distinct.singletons()), (1000, 100));
        for hash in 1000..2_000_000 {
            distinct.add(hash);
        }
        let off = distinct.total() as f64 / 2_000_000.0 - 1.0;
        assert!(off.abs() < 0.02, "{off}");
        assert!(distinct.seen.len() <= Distinct::CAP);
    }
}
