//! Floor 4: turns the result of a run into what a person, or another program, reads.
//!
//! What goes in: a [`RunReport`] of plain data, and the [`Sources`] of the program. What comes out:
//! [`text`] for people; with feature `json` any `Format` of a `Document`, by `render`; and [`explain`],
//! the data behind all of them: which anomaly a failure is, its story, its trace in numbered rows. Nothing here runs a
//! program, and nothing depends on time, terminal or environment except [`DiskSources`].
//!
//! ```
//! use racefuzz_report::{Command, Style, text};
//! use racefuzz_trace::{Outcome, RunReport, Settings, Stats, Strategy};
//!
//! let report = RunReport {
//!     version: racefuzz_trace::FORMAT_VERSION,
//!     program: "refcount-locked".into(),
//!     outcome: Outcome::Passed,
//!     seed: 42,
//!     strategy: Strategy::Portfolio,
//!     settings: Settings::default(),
//!     iterations: 10_000,
//!     stats: Stats { executions: 10_000, ..Stats::default() },
//!     failures: Vec::new(),
//!     stopped: None,
//!     warnings: Vec::new(),
//!     proof: None,
//!     expectations: Vec::new(),
//! };
//! let next = [Command { label: "prove".into(), line: "racefuzz check refcount-locked".into() }];
//! let printed = text(&report, &(), &Style::default(), &next);
//! assert!(printed.starts_with(" ok   no bug in 10,000 executions of refcount-locked"));
//! ```
#![forbid(unsafe_code)]

mod action;
mod anomaly;
mod decision;
#[cfg(feature = "json")]
mod document;
mod explanation;
mod format;
#[cfg(feature = "json")]
mod graph;
mod message;
mod names;
#[cfg(feature = "fix")]
mod repair;
mod rows;
mod sources;
mod view;
mod words;

pub use anomaly::explain;
#[cfg(feature = "json")]
pub use document::{Content, Document};
pub use explanation::{Anomaly, Explanation, Place, Row, RowKind};
pub use format::text::{Command, Style, text};
#[cfg(feature = "fix")]
pub use format::text::{audit_text, fix_text};
#[cfg(feature = "json")]
pub use format::{Format, Stepper, TestCase, UnknownFormat, combine, junit_suite, render};
pub use racefuzz_trace::RunReport;
#[cfg(feature = "fix")]
pub use repair::{Patch, is_typed, patch, patches, proposals, put_harness_last};
pub use sources::{DiskSources, Sources};
