//! What racefuzz cannot see: operating-system threads, calls and memory outside its types.

use crate::{ObjectKind, Site, Verb};
use std::fmt;

/// Something outside racefuzz's types that decided an execution, or ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Unseen {
    /// An operating-system thread that is none of the execution's used an object of it.
    ForeignThread {
        /// The thread, as the standard library names it.
        thread: String,
        /// What it did, if that is an operation.
        verb: Option<Verb>,
        /// What it used; none for what belongs to no object (a fence, a spawn).
        object: Option<ForeignObject>,
        /// Where.
        site: Site,
    },
    /// A call of the standard library (or of the system) blocks the operating-system thread that all
    /// threads of the program share.
    Blocked {
        /// The call, such as `std::sync::Mutex::lock`.
        call: String,
        /// What racefuzz has in its place.
        instead: Option<String>,
        /// Where the program calls it, if debug information tells.
        site: Option<Site>,
        /// The place of the thread's last step.
        after: Option<Site>,
    },
    /// A loop without an instrumented operation that does not end.
    SilentLoop {
        /// The function that runs.
        function: Option<String>,
        /// The line that runs, if debug information tells.
        site: Option<Site>,
        /// The place of the thread's last step.
        after: Option<Site>,
    },
    /// A thread of the program used more stack than it has.
    StackOverflow {
        /// Bytes that its stack has.
        size: u64,
        /// The function that ran.
        function: Option<String>,
        /// The line that ran, if debug information tells.
        site: Option<Site>,
    },
    /// A signal that ends the process (an access to memory that is not there, an abort).
    Signal {
        /// Its name, such as `SIGSEGV`.
        name: String,
    },
}

/// An object of an execution, as a thread outside of it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ForeignObject {
    /// What it is.
    pub kind: ObjectKind,
    /// The name users gave it.
    pub name: Option<String>,
    /// Where it was made.
    pub created: Site,
}

impl fmt::Display for ForeignObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "`{name}`"),
            None => write!(f, "the {} made at {}", self.kind.word(), self.created),
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, site: &Option<Site>| match site {
            Some(site) => write!(f, " at {site}"),
            None => Ok(()),
        };
        match self {
            Self::ForeignThread { thread, verb, object, site } => {
                let what = verb.map_or("use", Verb::word);
                write!(f, "{thread}, which racefuzz does not run, acts in an execution: ")?;
                match object {
                    Some(object) => write!(f, "`{what}` on {object}, at {site}"),
                    None => write!(f, "`{what}` at {site}"),
                }
            }
            Self::Blocked { call, site, .. } => {
                write!(f, "`{call}` blocks, called")?;
                match site {
                    Some(site) => write!(f, " at {site}"),
                    None => f.write_str(" by the program"),
                }
            }
            Self::SilentLoop { function, site, .. } => {
                f.write_str("a loop without an instrumented operation does not end")?;
                if let Some(function) = function {
                    write!(f, ", in `{function}`")?;
                }
                at(f, site)
            }
            Self::StackOverflow { size, function, site } => {
                write!(f, "stack overflow: the stack has {} KiB", size / 1024)?;
                if let Some(function) = function {
                    write!(f, ", in `{function}`")?;
                }
                at(f, site)
            }
            Self::Signal { name } => write!(f, "the program is ended by {name}"),
        }
    }
}
