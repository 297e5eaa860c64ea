//! `racefuzz audit`: what of a scenario's synchronisation is needed, and what it leaves.

use super::find;
use crate::args::AuditArgs;
use crate::error::Failure;
use crate::progress::CheckProgress;
use crate::{Tool, exit, reporting};
use racefuzz_report::{Content, Document};

pub(super) fn run(tool: &Tool<'_>, args: &AuditArgs) -> Result<u8, Failure> {
    let scenario = find(tool, &args.name)?;
    let params = scenario.params(&args.program.param).map_err(|error| Failure::Setting(error.to_string()))?;
    reporting::check_writable(&args.output.form)?;
    let mut fixer = scenario
        .fixer(&params)
        .memory_model(args.program.memory)
        .max_executions(args.max_executions)
        .max_memory(args.max_memory);
    if let Some(time) = args.max_time {
        fixer = fixer.max_time(time);
    }
    let progress = CheckProgress::new();
    let report = fixer.audit_watched(scenario.program(&params), &progress);
    progress.clear();
    let sources = tool.registry.sources();
    let document = Document { content: Content::Audit(&report), sources: &sources, next: &[] };
    reporting::report(&document, &args.output)?;
    Ok(match (&report.failure, &report.stopped) {
        (Some(_), _) => exit::BUG,
        (None, None) => exit::OK,
        (None, Some(_)) => exit::INCOMPLETE,
    })
}
