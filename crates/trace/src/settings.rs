//! Settings that change what an execution may do; they travel inside a schedule.

use std::fmt;
use std::str::FromStr;

/// A name that is not one of the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What sort of name was looked for, e.g. `strategy`.
    pub what: &'static str,
    /// The name that was given.
    pub given: String,
    /// The names that exist.
    pub known: &'static [&'static str],
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`; known: {}", self.what, self.given, self.known.join(", "))
    }
}

impl std::error::Error for UnknownName {}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum $name {
            $($(#[$vdoc])* #[cfg_attr(feature = "serde", serde(rename = $word))] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Every name, in the order of the values.
            pub const NAMES: &'static [&'static str] = &[$($word,)*];

            /// The name users type.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownName { what: $what, given: text.to_owned(), known: Self::NAMES }),
                }
            }
        }
    };
}

named_enum! {
    /// Which values a load may return.
    #[derive(Default)]
    MemoryModel, "memory model" {
        /// Sequential consistency: a load returns the newest store.
        Sc = "sc",
        /// x86's total store order; checker only.
        Tso = "tso",
        /// Repaired C11 with C++20 release sequences.
        #[default]
        Rc11 = "rc11",
    }
}

named_enum! {
    /// What runs the program.
    #[derive(Default)]
    Engine, "engine" {
        /// racefuzz's own runtime: fuzzing, or exploration of execution graphs.
        #[default]
        Graph = "graph",
        /// The loom crate.
        Loom = "loom",
        /// Real operating-system threads with random real sleeps.
        Threads = "threads",
    }
}

/// Faults that may be injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Inject {
    /// A thread may panic at a step.
    pub panic: bool,
    /// A thread may stop for good at a step, without running destructors.
    pub kill: bool,
    /// Condition variables and parks may wake, and weak compare-exchanges fail, for no reason.
    pub spurious: bool,
    /// A timeout may fire at any step instead of only when nothing else can run.
    pub timeout: bool,
    /// An allocation may be given memory that was freed in the same execution, as a real allocator
    /// does; else every address is given out once.
    pub reuse: bool,
}

impl Inject {
    /// The names of the faults, in the order of the bits.
    pub const NAMES: &'static [&'static str] = &["panic", "kill", "spurious", "timeout", "reuse"];

    /// The faults as bits, in the order of [`Inject::NAMES`].
    pub const fn bits(self) -> u8 {
        (self.panic as u8)
            | (self.kill as u8) << 1
            | (self.spurious as u8) << 2
            | (self.timeout as u8) << 3
            | (self.reuse as u8) << 4
    }

    /// The faults whose bits are set.
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            panic: bits & 1 != 0,
            kill: bits & 2 != 0,
            spurious: bits & 4 != 0,
            timeout: bits & 8 != 0,
            reuse: bits & 16 != 0,
        }
    }

    /// Whether no fault may be injected.
    pub const fn is_empty(self) -> bool {
        self.bits() == 0
    }

    /// These faults and those of the other.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self::from_bits(self.bits() | other.bits())
    }
}

impl FromStr for Inject {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let mut inject = Self::default();
        for name in text.split([',', '|']).map(str::trim).filter(|name| !name.is_empty()) {
            match Self::NAMES.iter().position(|known| *known == name) {
                Some(bit) => inject = inject.union(Self::from_bits(1 << bit)),
                None => {
                    return Err(UnknownName { what: "fault", given: name.to_owned(), known: Self::NAMES });
                }
            }
        }
        Ok(inject)
    }
}

impl fmt::Display for Inject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = (0..Self::NAMES.len())
            .filter(|bit| self.bits() & (1 << bit) != 0)
            .map(|bit| Self::NAMES[bit])
            .collect();
        f.write_str(&names.join(","))
    }
}

/// What an execution may do. Two executions with equal settings and equal choices are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Settings {
    /// Which values a load may return.
    pub memory: MemoryModel,
    /// Steps after which an execution counts as one that never ends.
    pub max_steps: u32,
    /// Faults that may be injected.
    pub inject: Inject,
    /// Parameters of the program, in the order given, as `name` and `value`.
    pub params: Vec<(String, String)>,
    /// Loads may return, and stores may go behind, any store: for the schedule of an execution that a
    /// checker explored. It has seen to it that the memory model allows that execution, of which the
    /// runtime's own memory knows less.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub explored: bool,
    /// Rounds for which each thread that waits by trying again insists on that, before it gives way to others: one
    /// that tries so often only, and then does something else, comes to that.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
    pub insistence: u32,
}

#[cfg(feature = "serde")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Settings {
    /// The default of [`Settings::max_steps`].
    pub const DEFAULT_MAX_STEPS: u32 = 100_000;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: MemoryModel::Rc11,
            max_steps: Self::DEFAULT_MAX_STEPS,
            inject: Inject::default(),
            params: Vec::new(),
            explored: false,
            insistence: 0,
        }
    }
}
