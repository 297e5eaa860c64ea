//! What is reported: the result of one command, with what it takes to show it.

use crate::{Command, Sources};
use racefuzz_trace::{AuditReport, Failure, FixReport, RunReport};

/// The result of one command, as every format renders it.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    /// The result itself.
    pub content: Content<'a>,
    /// The program's source text.
    pub sources: &'a dyn Sources,
    /// Commands that suggest themselves.
    pub next: &'a [Command],
}

/// The kinds of result.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Executions that were sampled, enumerated or replayed.
    Run(&'a RunReport),
    /// Repairs.
    Fix(&'a FixReport),
    /// What the program's synchronisation is good for.
    Audit(&'a AuditReport),
}

impl<'a> Content<'a> {
    /// The name of the program.
    pub fn program(self) -> &'a str {
        match self {
            Self::Run(report) => &report.program,
            Self::Fix(report) => &report.program,
            Self::Audit(report) => &report.program,
        }
    }

    /// The failures of the program as it is, first found first.
    pub fn failures(self) -> &'a [Failure] {
        let one = |failure: &'a Option<Failure>| failure.as_ref().map_or(&[][..], std::slice::from_ref);
        match self {
            Self::Run(report) => &report.failures,
            Self::Fix(report) => one(&report.failure),
            Self::Audit(report) => one(&report.failure),
        }
    }

    /// Why there is no whole answer, if there is none.
    pub fn stopped(self) -> Option<&'a str> {
        match self {
            Self::Run(report) => report.stopped.as_deref(),
            Self::Fix(report) => report.stopped.as_deref(),
            Self::Audit(report) => report.stopped.as_deref(),
        }
    }
}
