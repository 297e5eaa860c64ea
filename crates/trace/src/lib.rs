//! Floor 0: the vocabulary of racefuzz as plain data.
//!
//! What goes in: what the runtime observed in one execution. What comes out: nothing; every other
//! crate reads these types. There is no behaviour here beyond conversions, lookups and the
//! printable [`Schedule`] token, and no dependency on how an execution is produced: an event from
//! a coroutine and one from an operating-system thread look the same.
//!
//! ```
//! use racefuzz_trace::{Schedule, Settings, Choice, Point};
//!
//! let schedule = Schedule {
//!     program: "refcount".into(),
//!     settings: Settings::default(),
//!     fingerprint: 0x1234,
//!     choices: vec![Choice::DEFAULT, Choice::new(Point::Thread, 1), Choice::DEFAULT],
//! };
//! let token = schedule.to_string();
//! assert!(token.starts_with("refcount:"));
//! assert_eq!(token.parse::<Schedule>().unwrap().to_string(), token);
//! ```
#![forbid(unsafe_code)]

mod audit;
mod decision;
mod event;
mod failure;
mod ids;
mod op;
mod overlay;
mod repair;
mod report;
mod schedule;
mod settings;
mod site;
mod strategy;
mod token;
mod unseen;
mod value;

pub use audit::{AuditReport, Audited, Finding, Subject, Told};
pub use decision::{Decision, Passes};
pub use event::{Event, ObjectInfo, ReadsFrom, ThreadEnd, ThreadInfo, Trace, Waiting};
pub use failure::{Failure, FailureDetail, FailureKind, RacingAccess, WaitEdge};
pub use ids::{ObjectId, SiteId, ThreadId};
pub use op::{MemoryOrder, ObjectKind, OpKind, Verb};
pub use overlay::{Change, Compare, Edit, LockName, Overlay};
pub use repair::{
    Baseline, Certainty, Certificate, Fix, FixKind, FixReport, Kept, NowWaits, Parallelism, Region, Verdict,
};
pub use report::{Expectation, Outcome, Proof, RunReport, Share, Stats, Warning};
pub use schedule::{Choice, Point, Schedule};
pub use settings::{Engine, Inject, MemoryModel, Settings, UnknownName};
pub use site::{Site, normalize_path};
pub use strategy::{CustomStrategy, Strategy};
pub use token::TokenError;
pub use unseen::{ForeignObject, Unseen};
pub use value::Value;

/// Version of the serialised forms in this crate; raised when a field changes its meaning.
pub const FORMAT_VERSION: u32 = 1;
