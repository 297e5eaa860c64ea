//! The names of strategies: those that are built in, and those that users bring.

use crate::UnknownName;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Names of strategies that users have brought, in the order of their registration.
static CUSTOM: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

macro_rules! strategies {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// How the fuzzer chooses among what may happen next.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Strategy {
            $($(#[$doc])* $variant,)*
            /// One that the user has brought, by its name.
            Custom(CustomStrategy),
        }

        impl Strategy {
            /// Every strategy that is built in, in the order of the names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Every name of one that is built in, in the order of the values.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The name users type.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Custom(custom) => custom.0,
                }
            }
        }
    };
}

strategies! {
    /// Every step sleeps a random virtual time; the earliest thread is next.
    Delay = "delay",
    /// A uniform choice among the enabled threads at every step.
    Random = "random",
    /// Probabilistic concurrency testing: random priorities, few change points.
    Pct = "pct",
    /// Partial order sampling: priorities drawn anew for events that race.
    Pos = "pos",
    /// Uniform random walk over orders, weighted by a profile run.
    Urw = "urw",
    /// Selectively uniform random walk over the accesses of one object.
    Surw = "surw",
    /// Reads-from feedback over partial order sampling.
    Rff = "rff",
    /// Threads take turns, with a quantum that grows; the same in every iteration of a quantum.
    RoundRobin = "round-robin",
    /// Rotates through the others.
    #[default]
    Portfolio = "portfolio",
}

/// The name of a strategy that the user has brought.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CustomStrategy(&'static str);

impl fmt::Debug for CustomStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Strategy {
    /// Makes a name known as that of a strategy which the user brings; from then on it can be parsed.
    ///
    /// # Panics
    /// If the name is that of a built-in strategy, or does not consist of lower-case letters, digits and `-`,
    /// beginning with a letter.
    pub fn register(name: &'static str) -> Self {
        assert!(!Self::NAMES.contains(&name), "`{name}` is the name of a built-in strategy");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(
            name.bytes().all(fits) && name.starts_with(|first: char| first.is_ascii_lowercase()),
            "`{name}` is no name for a strategy: lower-case letters, digits and `-` are, a letter first"
        );
        let mut known = CUSTOM.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&name) {
            known.push(name);
        }
        Self::Custom(CustomStrategy(name))
    }

    /// The names that can be parsed: those that are built in, and those registered so far.
    pub fn known_names() -> Vec<&'static str> {
        let custom = CUSTOM.lock().unwrap_or_else(PoisonError::into_inner);
        Self::NAMES.iter().chain(custom.iter()).copied().collect()
    }

    fn find(name: &str) -> Option<Self> {
        let built_in = Self::ALL.iter().copied().find(|strategy| strategy.name() == name);
        built_in.or_else(|| {
            let custom = CUSTOM.lock().unwrap_or_else(PoisonError::into_inner);
            custom.iter().find(|known| **known == name).map(|known| Self::Custom(CustomStrategy(known)))
        })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Strategy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::find(name).ok_or_else(|| UnknownName {
            what: "strategy",
            given: name.to_owned(),
            known: Self::NAMES,
        })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Strategy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A report of another process may name a strategy that nobody has brought to this one: its name is kept.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Strategy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self::find(&name).unwrap_or_else(|| Self::Custom(CustomStrategy(name.leak()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_once_they_are_known() {
        assert_eq!("pos".parse(), Ok(Strategy::Pos));
        assert!("of-a-test".parse::<Strategy>().is_err());
        let custom = Strategy::register("of-a-test");
        assert_eq!("of-a-test".parse(), Ok(custom));
        assert_eq!(custom.to_string(), "of-a-test");
        assert_eq!(Strategy::register("of-a-test"), custom);
        assert!(Strategy::known_names().ends_with(&["of-a-test"]));
    }

    #[test]
    fn a_name_is_refused_that_is_taken_or_could_not_be_typed() {
        for name in ["pos", "", "Two words", "-x", "7"] {
            assert!(std::panic::catch_unwind(|| Strategy::register(name)).is_err(), "{name}");
        }
    }
}
