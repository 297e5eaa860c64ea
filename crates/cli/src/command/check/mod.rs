//! `racefuzz check`: every execution of a scenario, or of all of them.

mod all;
mod engines;

use super::{again, find, finish};
use crate::args::{CheckArgs, CheckEngine};
use crate::error::Failure;
use crate::progress::CheckProgress;
use crate::{Tool, reporting};
use racefuzz::scenario::{Params, Scenario};
use racefuzz::{Checker, Inject, MemoryModel, Report};
use racefuzz_report::Command as Next;

pub(super) fn run(tool: &Tool<'_>, args: &CheckArgs) -> Result<u8, Failure> {
    match &args.name {
        None if args.engine != CheckEngine::Graph => {
            Err(Failure::Usage("`--all` is for the graph engine; name one scenario to ask loom".to_owned()))
        }
        None => all::run(tool, args),
        Some(_) if args.checkpoint.is_some() && args.engine != CheckEngine::Graph => {
            Err(Failure::Usage("`--checkpoint` is for the graph engine".to_owned()))
        }
        Some(name) => {
            let scenario = find(tool, name)?;
            let params = scenario.params(&args.param).map_err(|error| Failure::Setting(error.to_string()))?;
            reporting::check_writable(&args.output.form)?;
            tracing::info!(scenario = scenario.name, "check begins");
            match args.engine {
                CheckEngine::Graph => one(tool, scenario, &params, args),
                CheckEngine::Loom => engines::loom(tool, scenario, &params, args),
                CheckEngine::Both => engines::both(tool, scenario, &params, args),
            }
        }
    }
}

fn checker(scenario: &Scenario, params: &Params, args: &CheckArgs) -> Checker {
    let spurious = Inject { spurious: true, ..Inject::default() };
    let mut checker = scenario
        .checker(params)
        .memory_model(args.memory)
        .workers(args.workers)
        .keep_going(args.keep_going)
        .max_steps(args.limits.max_steps)
        .stack_size(args.limits.stack_size)
        .inject(args.inject.iter().fold(spurious, |all, one| all.union(*one)));
    if let Some(most) = args.preemptions {
        checker = checker.preemptions(most);
    }
    if let Some(most) = args.max_executions {
        checker = checker.max_executions(most);
    }
    checker = checker.max_memory(args.max_memory);
    if let Some(time) = args.max_time {
        checker = checker.max_time(time);
    }
    checker
}

fn one(tool: &Tool<'_>, scenario: &Scenario, params: &Params, args: &CheckArgs) -> Result<u8, Failure> {
    let progress = CheckProgress::new();
    let (checker, program) = (checker(scenario, params, args), scenario.program(params));
    let checked = match &args.checkpoint {
        Some(file) => checker.check_with_checkpoint(program, &progress, file),
        None => Ok(checker.check_watched(program, &progress)),
    };
    progress.clear();
    let took = progress.elapsed();
    let report = checked.map_err(Failure::Checkpoint)?;
    tracing::info!(executions = report.stats.executions, blocked = report.stats.blocked, "check ended");
    let sources = tool.registry.sources();
    let code = finish(&report, &sources, &args.output, &next(tool, scenario, &report, args))?;
    progress.sum_up(&report, took)?;
    Ok(code)
}

/// What to type next.
fn next(tool: &Tool<'_>, scenario: &Scenario, report: &Report, args: &CheckArgs) -> Vec<Next> {
    let command = |label: &str, line: String| Next { label: label.to_owned(), line };
    let goes_on = args.checkpoint.as_ref().filter(|file| report.stopped.is_some() && file.exists());
    let goes_on = goes_on.map(|file| {
        command("go on", format!("{} check {} --checkpoint {}", tool.name, scenario.name, file.display()))
    });
    let Some(failure) = report.failures.first() else { return goes_on.into_iter().collect() };
    let replay = failure
        .is_replayable()
        .then(|| command("replay", format!("{} replay {}", tool.name, failure.schedule)));
    // Repairs are searched for in executions that can be sampled, too.
    let is_sampled = report.settings.memory != MemoryModel::Tso;
    let fix = is_sampled.then(|| command("fix", again(tool, "fix", scenario, &report.settings)));
    let repaired = scenario.twin.map(|twin| command("repaired", format!("{} check {twin}", tool.name)));
    goes_on.into_iter().chain(replay).chain(fix).chain(repaired).collect()
}
