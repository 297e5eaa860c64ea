//! Programs with a name: what a command line lists, shows and runs.
//!
//! ```
//! use racefuzz::scenario::{Expected, Param, Params, Registry, Scenario, Source};
//! use racefuzz::FailureKind;
//!
//! fn run(params: &Params) {
//!     let n = racefuzz::Var::new("n", 0);
//!     for _ in 0..params.number("times") {
//!         n.set(n.get() + 1);
//!     }
//!     assert_eq!(n.get(), params.number("times"));
//! }
//!
//! let registry = Registry::new([Scenario {
//!     name: "count-alone",
//!     summary: "one thread counts",
//!     teaches: "Nothing can go wrong with one thread.",
//!     expected: Expected::Holds,
//!     twin: None,
//!     params: &[Param { name: "times", default: 3, min: 0, max: 100, about: "increments" }],
//!     source: Source { file: file!(), text: "fn run(..) { .. }" },
//!     run,
//! }]);
//! let scenario = registry.find("count-alone").unwrap();
//! let params = scenario.params(&[("times".into(), "5".into())]).unwrap();
//! scenario.fuzzer(&params).iterations(10).fuzz(scenario.program(&params));
//! ```

use crate::checker::Checker;
use crate::fuzzer::Fuzzer;
use racefuzz_report::{DiskSources, Sources};
use racefuzz_trace::{FailureKind, normalize_path};
use std::borrow::Cow;
use std::fmt;

/// What a scenario is expected to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No execution fails.
    Holds,
    /// Some execution fails.
    Fails {
        /// With this kind of failure.
        kind: FailureKind,
        /// Which the report names so.
        anomaly: &'static str,
    },
}

/// A number that a scenario can be run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its value if none is given.
    pub default: u64,
    /// The least value allowed.
    pub min: u64,
    /// The greatest value allowed.
    pub max: u64,
    /// What it is, in a few words.
    pub about: &'static str,
}

/// Where a scenario's source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, as `file!()` gives it.
    pub file: &'static str,
    /// Its text, as `include_str!` gives it.
    pub text: &'static str,
}

/// A program with a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What users type; `-` between words.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What it teaches: a few sentences.
    pub teaches: &'static str,
    /// What it is expected to show.
    pub expected: Expected,
    /// The scenario that repairs it, or that it repairs.
    pub twin: Option<&'static str>,
    /// What it can be run with.
    pub params: &'static [Param],
    /// Its source.
    pub source: Source,
    /// The program.
    pub run: fn(&Params),
}

/// The values a scenario runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    values: Vec<(&'static str, u64)>,
    /// Those that differ from the default, as they were given.
    given: Vec<(String, String)>,
}

impl Params {
    /// The value of a parameter.
    ///
    /// # Panics
    /// If the scenario declares no such parameter.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        match self.values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => *value,
            None => panic!("the scenario declares no parameter `{name}`"),
        }
    }

    /// The value of a parameter, as a count.
    ///
    /// # Panics
    /// As [`Params::number`].
    #[track_caller]
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }
}

/// A parameter that a scenario cannot be run with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParamError {
    /// There is no such parameter.
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The value is no number, or out of range.
    Value {
        /// The parameter.
        param: Param,
        /// The value given.
        value: String,
    },
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "no parameter `{name}`: this scenario takes none")
            }
            Self::Unknown { name, known } => {
                write!(f, "no parameter `{name}`; this scenario takes {}", known.join(", "))
            }
            Self::Value { param, value } => {
                write!(f, "`{}={value}`: a number from {} to {} is needed", param.name, param.min, param.max)
            }
        }
    }
}

impl std::error::Error for ParamError {}

impl Scenario {
    /// The values to run with, from pairs of name and value; the others have their defaults.
    ///
    /// # Errors
    /// A name that is none of the scenario's, or a value out of its range.
    pub fn params(&self, given: &[(String, String)]) -> Result<Params, ParamError> {
        let mut params = Params {
            values: self.params.iter().map(|param| (param.name, param.default)).collect(),
            given: Vec::new(),
        };
        for (name, value) in given {
            let Some(place) = self.params.iter().position(|param| param.name == name) else {
                let known = self.params.iter().map(|param| param.name).collect();
                return Err(ParamError::Unknown { name: name.clone(), known });
            };
            let param = self.params[place];
            let number = value.parse().ok().filter(|number| (param.min..=param.max).contains(number));
            let wrong = || ParamError::Value { param, value: value.clone() };
            params.values[place].1 = number.ok_or_else(wrong)?;
        }
        for (param, (name, value)) in self.params.iter().zip(&params.values) {
            if param.default != *value {
                params.given.push(((*name).to_owned(), value.to_string()));
            }
        }
        Ok(params)
    }

    /// A fuzzer for the scenario; the parameters travel inside its schedules.
    pub fn fuzzer(&self, params: &Params) -> Fuzzer {
        let mut fuzzer = Fuzzer::new().name(self.name);
        fuzzer.options.settings.params = params.given.clone();
        fuzzer
    }

    /// A checker for the scenario; the parameters travel inside its schedules.
    pub fn checker(&self, params: &Params) -> Checker {
        let mut checker = Checker::new().name(self.name);
        checker.options.settings.params = params.given.clone();
        checker
    }

    /// A fixer for the scenario.
    #[cfg(feature = "fix")]
    pub fn fixer(&self, params: &Params) -> crate::Fixer {
        let mut fixer = crate::Fixer::new().name(self.name);
        fixer.options.settings.params = params.given.clone();
        fixer
    }

    /// The program with these values.
    pub fn program<'a>(&self, params: &'a Params) -> impl Fn() + Sync + 'a {
        let run = self.run;
        move || run(params)
    }
}

/// The scenarios of a command line.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    scenarios: Vec<Scenario>,
}

impl Registry {
    /// A registry of these scenarios, in this order.
    ///
    /// # Panics
    /// If two have one name.
    pub fn new(scenarios: impl IntoIterator<Item = Scenario>) -> Self {
        let scenarios: Vec<_> = scenarios.into_iter().collect();
        for (place, scenario) in scenarios.iter().enumerate() {
            let twice = scenarios[..place].iter().any(|earlier| earlier.name == scenario.name);
            assert!(!twice, "two scenarios are named `{}`", scenario.name);
        }
        Self { scenarios }
    }

    /// The scenarios, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scenario> {
        self.scenarios.iter()
    }

    /// The scenario with this name.
    pub fn find(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// The scenarios' sources, which a report quotes wherever the program runs; other files are
    /// looked for on disk.
    pub fn sources(&self) -> impl Sources {
        let embedded = self
            .scenarios
            .iter()
            .map(|scenario| (normalize_path(scenario.source.file, &[]), scenario.source.text))
            .collect();
        Embedded { embedded, disk: DiskSources::default() }
    }
}

struct Embedded {
    embedded: Vec<(String, &'static str)>,
    disk: DiskSources,
}

impl Sources for Embedded {
    fn text(&self, file: &str) -> Option<Cow<'_, str>> {
        match self.embedded.iter().find(|(known, _)| known == file) {
            Some((_, text)) => Some(Cow::Borrowed(*text)),
            None => self.disk.text(file),
        }
    }
}
