//! A schedule: the sequence of choices that fixes an execution.

use crate::Settings;
use std::fmt;

/// What is chosen at a choice point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[repr(u8)]
pub enum Point {
    /// The thread that runs next. 0 is the default: the running thread if it can go on, else the
    /// enabled thread with the lowest number; the others follow in the order of their numbers.
    Thread = 0,
    /// The store a load reads. 0 is the newest.
    Store = 1,
    /// The place of a store in modification order. 0 is the end.
    Place = 2,
    /// A value: `nondet`, the waiter that a notification wakes. 0 is the first.
    Value = 3,
    /// Whether something happens that need not: a spurious wake-up, a spurious failure of a weak
    /// compare-exchange, a reader that is kept out while a writer waits. 0 is no.
    Spurious = 4,
    /// Whether a wait times out although it need not. 0 is no.
    Timeout = 5,
    /// Whether a fault is injected. 0 is no, 1 a panic, 2 a kill (1 where only kills are on).
    Fault = 6,
    /// Whether an allocation is given memory that was freed before. 0 is no; then come the blocks that
    /// fit, the one freed last first.
    Reuse = 7,
}

impl Point {
    /// The kind with the given number.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits {
            0 => Self::Thread,
            1 => Self::Store,
            2 => Self::Place,
            3 => Self::Value,
            4 => Self::Spurious,
            5 => Self::Timeout,
            6 => Self::Fault,
            7 => Self::Reuse,
            _ => return None,
        })
    }
}

/// One choice: what was chosen at a point, as an index among the alternatives. Index 0 is always
/// the default, the alternative a run without any strategy takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Choice(u32);

impl Choice {
    /// The running thread goes on.
    pub const DEFAULT: Self = Self(0);
    const INDEX_BITS: u32 = 29;

    /// The alternative `index` at a point; `index` must be below 2^29.
    pub const fn new(point: Point, index: u32) -> Self {
        debug_assert!(index < 1 << Self::INDEX_BITS);
        Self((point as u32) << Self::INDEX_BITS | index)
    }

    /// What was chosen.
    pub const fn point(self) -> Point {
        match Point::from_bits(self.0 >> Self::INDEX_BITS) {
            Some(point) => point,
            None => Point::Reuse,
        }
    }

    /// The alternative that was chosen.
    pub const fn index(self) -> u32 {
        self.0 & ((1 << Self::INDEX_BITS) - 1)
    }

    /// Whether the default was chosen.
    pub const fn is_default(self) -> bool {
        self.index() == 0
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.point(), self.index())
    }
}

/// The sequence of choices that fixes an execution of a program, with the settings it ran under.
///
/// Its printable form is a token, `program:choices`; see [`Schedule::from_str`](std::str::FromStr).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Schedule {
    /// The program's name.
    pub program: String,
    /// The settings of the execution.
    pub settings: Settings,
    /// A fingerprint of the execution's events, to tell whether a replay is the same execution.
    pub fingerprint: u16,
    /// The choices, one per choice point; where they end, defaults follow.
    pub choices: Vec<Choice>,
}

impl Schedule {
    /// The choices without the defaults at the end.
    pub fn trimmed(&self) -> &[Choice] {
        let end = self.choices.iter().rposition(|choice| !choice.is_default()).map_or(0, |last| last + 1);
        &self.choices[..end]
    }
}
