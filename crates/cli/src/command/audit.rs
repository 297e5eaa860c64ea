//! `racefuzz audit`: what of a scenario's synchronisation is needed, and what it leaves.

use super::{find, json_text, plain_text};
use crate::args::{AuditArgs, Format};
use crate::error::Failure;
use crate::progress::CheckProgress;
use crate::{Tool, exit, output};

pub(super) fn run(tool: &Tool<'_>, args: &AuditArgs) -> Result<u8, Failure> {
    let scenario = find(tool, &args.name)?;
    let params = scenario.params(&args.program.param).map_err(|error| Failure::Setting(error.to_string()))?;
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
    output::print(&match args.output.format {
        Format::Json => json_text(racefuzz_report::audit_json(&report), args.output),
        Format::Text => {
            let style = output::style(args.output);
            plain_text(racefuzz_report::audit_text(&report, &sources, &style, &[]), args.output)
        }
    })?;
    Ok(match (&report.failure, &report.stopped) {
        (Some(_), _) => exit::BUG,
        (None, None) => exit::OK,
        (None, Some(_)) => exit::INCOMPLETE,
    })
}
