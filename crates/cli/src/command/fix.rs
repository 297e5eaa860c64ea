//! `racefuzz fix`: which change repairs a scenario, and what it leaves of the parallelism.

use super::{find, plain_text};
use crate::args::{FixArgs, check_writable};
use crate::confirm::{self, Check, Repair, Scratch};
use crate::error::Failure;
use crate::progress::CheckProgress;
use crate::{Tool, exit, output, reporting};
use racefuzz::FixReport;
use racefuzz_report::{Command as Next, Content, Document, Format, Patch, Sources};
use std::path::Path;

pub(super) fn run(tool: &Tool<'_>, args: &FixArgs) -> Result<u8, Failure> {
    let scenario = find(tool, &args.name)?;
    let params = scenario.params(&args.program.param).map_err(|error| Failure::Setting(error.to_string()))?;
    args.patch.iter().try_for_each(|file| check_writable(file))?;
    reporting::check_writable(&args.output.form)?;
    let mut fixer = scenario
        .fixer(&params)
        .memory_model(args.program.memory)
        .max_executions(args.max_executions)
        .max_memory(args.max_memory)
        .max_locks(args.max_locks);
    if let Some(time) = args.max_time {
        fixer = fixer.max_time(time);
    }
    let progress = CheckProgress::new();
    let mut report = fixer.fix_watched(scenario.program(&params), &progress);
    progress.clear();
    let sources = tool.registry.sources();
    racefuzz_report::put_harness_last(&mut report, &sources);
    if let Some(file) = &args.patch {
        write_patch(file, &report, &sources)?;
    }
    let mut next = Vec::new();
    if let Some(failure) = report.failure.as_ref().filter(|failure| !failure.schedule.choices.is_empty()) {
        let line = format!("{} replay {}", tool.name, failure.schedule);
        next.push(Next { label: "replay".to_owned(), line });
    }
    let document = Document { content: Content::Fix(&report), sources: &sources, next: &next };
    reporting::report(&document, &args.output)?;
    if args.confirm && !confirm(tool, args, &report, &sources)? {
        return Ok(exit::BUG);
    }
    Ok(match (report.nothing_to_fix(), &report.stopped) {
        (false, _) => exit::BUG,
        (true, None) => exit::OK,
        (true, Some(_)) => exit::INCOMPLETE,
    })
}

/// Types the repairs that are verified as text, and the proposals, into a copy of the workspace, and checks
/// each there with this command. Whether all of the repairs hold.
fn confirm(
    tool: &Tool<'_>,
    args: &FixArgs,
    report: &FixReport,
    sources: &dyn Sources,
) -> Result<bool, Failure> {
    let mut patches = racefuzz_report::patches(report, sources);
    patches.extend(racefuzz_report::proposals(report, sources));
    let folder = std::env::current_dir().map_err(Failure::Output)?;
    let Some(workspace) = confirm::workspace_of(&folder) else {
        return Err(Failure::Setting(
            "--confirm needs a folder below the workspace of the scenarios".to_owned(),
        ));
    };
    let owned = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let memory = args.program.memory.to_string();
    let params: Vec<String> =
        args.program.param.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut check =
        vec!["run", "--quiet", "--bin", &tool.name, "--", "check", &args.name, "--memory", &memory];
    check.extend(params.iter().flat_map(|param| ["--param", param.as_str()]));
    let repair = |patch: &Patch| Repair {
        name: format!("repair {}", patch.number),
        proposal: patch.proposal,
        files: patch.files.clone(),
        folders: vec![folder.clone(), workspace.clone()],
        build: owned(&["build", "--quiet", "--bin", &tool.name]),
        check: Check::Cargo(owned(&check)),
        variables: Vec::new(),
    };
    let repairs: Vec<Repair> = patches.iter().map(repair).collect();
    let confirmed = Scratch::in_target_of(&workspace)?.confirm(&repairs)?;
    let (text, agree) = confirm::said(repairs.iter().zip(&confirmed), report.fixes.len() - patches.len());
    match args.output.form.format {
        Format::Text => output::print(&plain_text(text, args.output.look))?,
        // The report on standard output stays what it is.
        _ => text
            .lines()
            .filter(|line| !line.is_empty())
            .try_for_each(|line| output::note_line(line.trim()))
            .map_err(Failure::Output)?,
    }
    Ok(agree)
}

/// Writes the repair that can be written down best, and says which it is if that is not the first.
fn write_patch(file: &Path, report: &FixReport, sources: &dyn Sources) -> Result<(), Failure> {
    let Some(patch) = racefuzz_report::patch(report, sources) else {
        let text = "no repair can be written as a patch: none was written";
        return output::note_line(text).map_err(Failure::Output);
    };
    std::fs::write(file, patch.text).map_err(|error| Failure::Write { file: file.to_owned(), error })?;
    let number = patch.number;
    let text = match patch.complete {
        true if number == 1 => return Ok(()),
        true => format!("the patch is repair {number}, the first that can be written as one"),
        false => format!("the patch is a part of repair {number}: its comments say what is left to do"),
    };
    output::note_line(&text).map_err(Failure::Output)
}
