//! A failure as the runtime detects it, before there is a trace to show it in.

use crate::site::Site;
use racefuzz_trace::{FailureDetail, FailureKind, ThreadId};
use std::hash::{Hash, Hasher};

/// A failure of one execution.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Detected {
    /// Its kind.
    pub kind: FailureKind,
    /// One line about it.
    pub message: String,
    /// The thread in which it was detected.
    pub thread: ThreadId,
    /// Events executed when it was detected.
    pub step: u32,
    /// What makes two failures the same one whatever the schedule: the kind and the places in the
    /// source. Equal on every machine for the same sources.
    pub identity: u64,
    /// What it is about; only if the execution was recorded.
    pub detail: Option<FailureDetail>,
}

/// FNV-1a: stable across machines and releases, unlike the standard library's hasher.
#[derive(Clone, Debug)]
pub struct StableHasher(u64);

impl StableHasher {
    /// Nothing hashed yet.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn site(&mut self, site: Option<Site>) {
        if let Some(site) = site {
            let location = site.location();
            self.write(location.file().as_bytes());
            self.write_u32(location.line());
            self.write_u32(location.column());
        }
    }
}

impl Default for StableHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = StableHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The identity of a failure of this kind at these places, in any order.
pub(crate) fn identity(kind: FailureKind, sites: impl IntoIterator<Item = Option<Site>>) -> u64 {
    let mut sum = 0u64;
    for site in sites {
        let mut hasher = StableHasher::new();
        hasher.site(site);
        sum = sum.wrapping_add(hasher.finish());
    }
    let mut hasher = StableHasher::new();
    hasher.write(&[kind_number(kind)]);
    hasher.write_u64(sum);
    hasher.finish()
}

const fn kind_number(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Panic => 0,
        FailureKind::Deadlock => 1,
        FailureKind::DataRace => 2,
        FailureKind::Leak => 3,
        FailureKind::UseAfterFree => 4,
        FailureKind::StepLimit => 5,
        FailureKind::Exit => 7,
        _ => 6,
    }
}
