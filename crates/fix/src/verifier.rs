//! The seam between the search and whatever explores executions.

use racefuzz_runtime::Detected;
use racefuzz_trace::{FailureDetail, FailureKind, MemoryModel, Overlay, ThreadId, Trace};

/// Whether an exploration goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// To the next execution.
    On,
    /// No further.
    Stop,
}

/// What an exploration has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Whether every class was visited.
    pub complete: bool,
    /// Complete executions, each class once.
    pub executions: u64,
    /// Executions that an `assume` stopped.
    pub blocked: u64,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The virtual edits that apply.
    pub overlay: &'a Overlay,
    /// The memory model.
    pub memory: MemoryModel,
    /// Executions after which to stop.
    pub budget: u64,
}

/// One complete execution.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// What happened.
    pub trace: &'a Trace,
    /// What went wrong, if anything did.
    pub failure: Option<&'a Detected>,
}

/// Explores every class of executions of one program under an overlay.
///
/// The search knows nothing else of an engine, so another one is another implementation of this.
pub trait Verifier {
    /// Visits an execution of every class, with its trace, as long as the visitor says so.
    fn explore(&mut self, task: Task<'_>, visit: &mut dyn FnMut(&Visit<'_>) -> Go) -> Explored;
}

/// An execution that fails.
#[derive(Clone, Debug)]
pub struct Bad {
    /// What went wrong.
    pub kind: FailureKind,
    /// In one line.
    pub message: String,
    /// Where it was noticed.
    pub thread: ThreadId,
    /// Events executed then.
    pub step: u32,
    /// What it is about.
    pub detail: Option<FailureDetail>,
    /// The execution.
    pub trace: Trace,
}

impl Bad {
    /// What went wrong, without the names of threads and objects where the kind says enough.
    pub fn in_short(&self) -> String {
        match self.kind {
            FailureKind::Deadlock => match &self.detail {
                Some(FailureDetail::Deadlock { cycle, .. }) if cycle.is_empty() => {
                    "a thread waits for ever".to_owned()
                }
                _ => "threads wait for each other for ever".to_owned(),
            },
            FailureKind::DataRace | FailureKind::UseAfterFree => self.kind.to_string(),
            _ => self.message.clone(),
        }
    }

    /// The failure of an execution, if it failed.
    pub fn of(visit: &Visit<'_>) -> Option<Self> {
        let detected = visit.failure?;
        Some(Self {
            kind: detected.kind,
            message: detected.message.clone(),
            thread: detected.thread,
            step: detected.step,
            detail: detected.detail.clone(),
            trace: visit.trace.clone(),
        })
    }
}
