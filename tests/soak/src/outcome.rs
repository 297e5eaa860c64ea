//! What an execution of a program comes to.

use std::fmt;

/// How far a thread came.
#[allow(missing_docs, reason = "said above each")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    Done,
    Panicked,
    /// It waits.
    Waits,
}

/// What an execution comes to.
#[allow(missing_docs, reason = "said above each")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It ends; or it does not, where a thread waits. For each thread its observations and its end, and
    /// the variables.
    Ends { logs: Vec<Vec<i64>>, ends: Vec<End>, variables: Vec<i64> },
    /// Two accesses to a cell are not ordered.
    Race(usize),
    /// Something that no program here does.
    Other(String),
}

impl Outcome {
    /// Whether some thread waits for ever.
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Ends { ends, .. } if ends.contains(&End::Waits))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends { logs, ends, variables } => {
                for (thread, (log, end)) in logs.iter().zip(ends).enumerate() {
                    let end = match end {
                        End::Done => "",
                        End::Panicked => " panics",
                        End::Waits => " WAITS",
                    };
                    write!(f, "t{thread} {log:?}{end}  ")?;
                }
                write!(f, "x {variables:?}")
            }
            Self::Race(cell) => write!(f, "data race on d{cell}"),
            Self::Other(text) => write!(f, "{text}"),
        }
    }
}
