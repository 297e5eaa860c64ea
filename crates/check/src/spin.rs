//! Loops that wait by spinning.
//!
//! A round of a loop that reads what the round before read waits for another write: that is sound
//! where the loop would go on for ever, and only there. So the first time a place is seen to repeat
//! itself, its thread goes on alone, for a while: if it leaves the loop the loop is bounded, and
//! every round of it is explored; if not, it is taken for endless. The exploration then begins anew.

use std::collections::BTreeMap;

/// Rounds after which a loop is taken for endless.
const ROUNDS: u32 = 200;

/// What is known of the loops of a program, by a number of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Loops {
    endless: BTreeMap<u64, bool>,
}

impl Loops {
    /// Whether the loop at this place would go on for ever; `None` if that is not known.
    pub(crate) fn is_endless(&self, site: u64) -> Option<bool> {
        self.endless.get(&site).copied()
    }

    /// Takes over what the other knows; whether that was something new.
    pub(crate) fn learn(&mut self, other: &Self) -> bool {
        let before = self.endless.len();
        for (site, endless) in &other.endless {
            self.endless.entry(*site).or_insert(*endless);
        }
        self.endless.len() > before
    }
}

/// A loop that is being tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// The thread, in the graph's numbering.
    pub(crate) thread: u32,
    site: u64,
    rounds: u32,
    elsewhere: u32,
}

impl Trial {
    pub(crate) const fn new(thread: u32, site: u64) -> Self {
        Self { thread, site, rounds: 0, elsewhere: 0 }
    }

    /// The thread repeats itself once more at a place. Whether to end the trial.
    pub(crate) fn goes_on(&mut self, site: u64) -> bool {
        // A loop may repeat itself at several places; and behind it may stand another one.
        let counted = if site == self.site { &mut self.rounds } else { &mut self.elsewhere };
        *counted += 1;
        self.rounds >= ROUNDS || self.elsewhere >= 10 * ROUNDS
    }

    /// What the trial has shown.
    pub(crate) fn result(self) -> Loops {
        Loops { endless: BTreeMap::from([(self.site, self.rounds >= ROUNDS)]) }
    }
}
