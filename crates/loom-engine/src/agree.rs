//! Whether two engines say the same of a program.

use crate::engine::Checked;
use crate::exceptions::Exception;
use racefuzz_trace::{FailureKind, Outcome, RunReport};
use std::fmt;

/// What comes of comparing the graph engine's report with loom's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The comparison.
    pub verdict: Verdict,
    graph: Side,
    loom: Side,
}

/// How two verdicts compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both engines verify the program, or both fail it.
    Agree,
    /// They differ, and these limitations of loom, which the program met, may be why.
    Excused(Vec<Exception>),
    /// One of them has no answer.
    Undecided,
    /// They differ, and nothing that is known of loom explains it.
    Disagree,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Side {
    outcome: Outcome,
    executions: u64,
    kind: Option<FailureKind>,
    stopped: Option<String>,
}

impl Side {
    fn of(report: &RunReport) -> Self {
        Self {
            outcome: report.outcome,
            executions: report.stats.executions,
            kind: report.failures.first().map(|failure| failure.kind),
            stopped: report.stopped.clone(),
        }
    }
}

impl Agreement {
    /// Whether the engines agree.
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Agree
    }

    /// Whether the engines contradict each other for no known reason.
    pub fn is_disagreement(&self) -> bool {
        self.verdict == Verdict::Disagree
    }
}

/// Compares the graph engine's report with loom's.
pub fn agree(graph: &RunReport, loom: &RunReport) -> Agreement {
    compare(graph, loom, &[])
}

/// The same with the limitations of loom that the program met, which excuse a difference that they
/// can be the reason of.
pub fn agree_despite(graph: &RunReport, loom: &Checked) -> Agreement {
    compare(graph, &loom.report, &loom.exceptions)
}

fn compare(graph: &RunReport, loom: &RunReport, exceptions: &[Exception]) -> Agreement {
    let excuses = |counts: fn(Exception) -> bool| {
        let excuses: Vec<_> = exceptions.iter().copied().filter(|exception| counts(*exception)).collect();
        if excuses.is_empty() { Verdict::Disagree } else { Verdict::Excused(excuses) }
    };
    let verdict = match (graph.outcome, loom.outcome) {
        (Outcome::Incomplete, _) | (_, Outcome::Incomplete) => Verdict::Undecided,
        (Outcome::Passed, Outcome::Failed) => excuses(Exception::invents),
        (Outcome::Failed, Outcome::Passed) => excuses(Exception::hides),
        _ => Verdict::Agree,
    };
    Agreement { verdict, graph: Side::of(graph), loom: Side::of(loom) }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outcome, self.kind) {
            (Outcome::Passed, _) => f.write_str("no bug")?,
            (Outcome::Failed, Some(kind)) => write!(f, "{kind}")?,
            (Outcome::Failed, None) => f.write_str("bug")?,
            (Outcome::Incomplete, _) => f.write_str("no answer")?,
        }
        let plural = if self.executions == 1 { "" } else { "s" };
        write!(f, " in {} execution{plural}", self.executions)?;
        match (&self.stopped, self.outcome) {
            (Some(why), Outcome::Incomplete) => write!(f, " ({why})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Agree => f.write_str("the engines agree")?,
            Verdict::Excused(_) => f.write_str("the engines differ where loom is known to be wrong")?,
            Verdict::Undecided => f.write_str("the engines cannot be compared")?,
            Verdict::Disagree => f.write_str("the engines DISAGREE")?,
        }
        write!(f, "; graph: {}; loom: {}", self.graph, self.loom)?;
        if let Verdict::Excused(exceptions) = &self.verdict {
            for exception in exceptions {
                write!(f, "; {exception}")?;
            }
        }
        Ok(())
    }
}
