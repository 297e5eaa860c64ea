//! `racefuzz run`: many schedules, and the one that breaks the scenario.

use super::{again, find, finish, threads};
use crate::args::{RunArgs, RunEngine};
use crate::error::Failure;
use crate::progress::Progress;
use crate::{Tool, reporting};
use racefuzz::scenario::Scenario;
use racefuzz::{Inject, MemoryModel, Report, Strategy};
use racefuzz_report::Command as Next;

pub(super) fn run(tool: &Tool<'_>, args: &RunArgs) -> Result<u8, Failure> {
    let scenario = find(tool, &args.name)?;
    let params = scenario.params(&args.program.param).map_err(|error| Failure::Setting(error.to_string()))?;
    if args.engine == RunEngine::Threads {
        no_effect(args)?;
        return threads::run(scenario, &params, args);
    }
    reporting::check_writable(&args.output.form)?;
    let inject = args.inject.iter().fold(Inject::default(), |all, one| all.union(*one));
    let mut fuzzer = scenario
        .fuzzer(&params)
        .seed(args.seed)
        .iterations(args.iterations)
        .strategy(args.strategy)
        .depth(args.depth)
        .max_steps(args.limits.max_steps)
        .workers(args.workers)
        .memory_model(args.program.memory)
        .keep_going(args.keep_going)
        .inject(inject)
        .stack_size(args.limits.stack_size);
    fuzzer = fuzzer.max_memory(args.max_memory);
    if let Some(time) = args.max_time {
        fuzzer = fuzzer.max_time(time);
    }
    let sources = tool.registry.sources();
    tracing::info!(scenario = scenario.name, iterations = args.iterations, "run begins");
    let progress = Progress::new(args.iterations);
    let report = fuzzer.fuzz_observed(scenario.program(&params), &progress);
    progress.clear();
    let took = progress.elapsed();
    tracing::info!(executions = report.stats.executions, failing = report.stats.failing, "run ended");
    let code = finish(&report, &sources, &args.output, &next(tool, scenario, &report))?;
    progress.sum_up(&report, took)?;
    Ok(code)
}

/// Refuses what real threads cannot do, rather than passing it over.
fn no_effect(args: &RunArgs) -> Result<(), Failure> {
    let given = [
        ("--strategy", args.strategy != Strategy::Portfolio),
        ("--memory", args.program.memory != MemoryModel::Rc11),
        ("--keep-going", args.keep_going),
        ("--inject", !args.inject.is_empty()),
        ("--report", !args.output.form.report.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::Usage(format!("`{option}` has no meaning for real threads (`--engine threads`)")))
        }
        None => Ok(()),
    }
}

/// What to type next.
pub(super) fn next(tool: &Tool<'_>, scenario: &Scenario, report: &Report) -> Vec<Next> {
    let command = |label: &str, line: String| Next { label: label.to_owned(), line };
    match report.failures.first() {
        Some(failure) => {
            let settings = &failure.schedule.settings;
            let mut next = vec![
                command("replay", format!("{} replay {}", tool.name, failure.schedule)),
                command("prove", again(tool, "check", scenario, settings)),
                command("fix", again(tool, "fix", scenario, settings)),
            ];
            if let Some(twin) = scenario.twin {
                next.push(command("repaired", format!("{} run {twin}", tool.name)));
            }
            next
        }
        None => vec![command("prove", again(tool, "check", scenario, &report.settings))],
    }
}
