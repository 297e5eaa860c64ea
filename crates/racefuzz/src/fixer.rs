//! Repairing as a call.

use crate::setters::{memory_setter, program_setters};
use crate::show;
use racefuzz_fix::Observer as FixObserver;
use racefuzz_fix::Options;
use racefuzz_report::{Command, DiskSources, Sources, Style};
use racefuzz_trace::{AuditReport, FixReport, MemoryModel};

/// Searches for changes that repair a program, and proves them.
///
/// The program is run again and again, so it must be deterministic apart from the schedule. Nothing
/// of its source is changed: repairs are tried on the running program.
///
/// ```
/// use racefuzz::sync::Arc;
/// use racefuzz::{FixKind, Fixer, Var, thread};
///
/// let fixes = Fixer::new().fix(|| {
///     let n = Arc::new(Var::new("n", 0));
///     let other = Arc::clone(&n);
///     let thread = thread::spawn(move || other.set(other.get() + 1));
///     n.set(n.get() + 1);
///     thread.join().unwrap();
///     assert_eq!(n.get(), 2);
/// });
/// let best = &fixes.fixes()[0];
/// assert_eq!(best.kind, FixKind::NewLock);
/// assert_eq!(best.kept().unwrap().share(), 1.0);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fixer does nothing until `fix` is called"]
pub struct Fixer {
    pub(crate) options: Options,
}

impl Fixer {
    /// A fixer with the default settings.
    pub fn new() -> Self {
        Self { options: Options { roots: show::roots(), ..Options::default() } }
    }

    program_setters!();
    memory_setter!();

    /// Which executions are possible.
    pub fn memory_model(mut self, memory: MemoryModel) -> Self {
        self.options.settings.memory = memory;
        self
    }

    /// Executions after which the exploration of one change is given up and executions are sampled.
    pub fn max_executions(mut self, executions: u64) -> Self {
        self.options.budget = executions;
        self
    }

    /// The number of locks that a change may add.
    pub fn max_locks(mut self, locks: usize) -> Self {
        self.options.locks = locks;
        self
    }

    /// Searches. Never panics on a bug: look at the report.
    pub fn fix(&self, program: impl Fn() + Sync) -> FixReport {
        racefuzz_fix::fix(&self.options, &program)
    }

    /// [`fix`](Self::fix), watched.
    pub fn fix_watched(&self, program: impl Fn() + Sync, observer: &dyn FixObserver) -> FixReport {
        racefuzz_fix::fix_watched(&self.options, &program, observer)
    }
}

impl Fixer {
    /// Audits the program's synchronisation: what of it is needed, and what it leaves.
    pub fn audit(&self, program: impl Fn() + Sync) -> AuditReport {
        racefuzz_fix::audit(&self.options, &program)
    }

    /// [`audit`](Self::audit), watched.
    pub fn audit_watched(&self, program: impl Fn() + Sync, observer: &dyn FixObserver) -> AuditReport {
        racefuzz_fix::audit_watched(&self.options, &program, observer)
    }
}

impl Default for Fixer {
    fn default() -> Self {
        Self::new()
    }
}

/// The repairs as text.
pub fn render_fixes(report: &FixReport) -> String {
    render_fixes_with(report, &DiskSources::default(), &show::style_from_env(), &[])
}

/// The repairs as text, with sources, style and next commands of the caller's.
pub fn render_fixes_with(
    report: &FixReport,
    sources: &dyn Sources,
    style: &Style,
    next: &[Command],
) -> String {
    racefuzz_report::fix_text(report, sources, style, next)
}
