//! What was not looked at for data races, where every execution is explored: then there is no proof.

use std::sync::atomic::{AtomicU8, Ordering};

/// Why an access may have raced without that having been found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Memory that is none of the heap, of stacks and of statics, or more of it than is kept.
    Elsewhere,
    /// It is volatile, which is no race, and no operation.
    Volatile,
}

/// The first that was missed in any execution, by its place in [`Missed::ALL`] and one more.
static FIRST: AtomicU8 = AtomicU8::new(0);

impl Missed {
    const ALL: [Self; 2] = [Self::Elsewhere, Self::Volatile];

    /// It has happened.
    #[cold]
    pub(crate) fn note(self) {
        let _ = FIRST.compare_exchange(0, self as u8 + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The first that has happened, in any execution.
    pub(crate) fn first() -> Option<Self> {
        let index = FIRST.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Self::ALL[usize::from(index)])
    }

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Elsewhere => "accesses to memory that is not looked at for data races",
            Self::Volatile => "volatile accesses to memory that other threads use, too",
        }
    }
}
