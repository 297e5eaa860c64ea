//! `cargo racefuzz`: settings become environment variables, cargo does the rest.

mod drive;
mod init;
mod reports;
mod stepping;
mod switch;
mod typed;
mod unmodified;

use crate::args::{CargoCheckArgs, CargoCli, CargoCommand, CargoReplayArgs, CargoRunArgs, FormArgs};
use crate::error::Failure;
use crate::{exit, output, reporting, terminal};
use clap::CommandFactory;
use drive::{Driven, Reports, Shown};
use racefuzz::{Inject, Schedule};
use racefuzz_report::Format;
use std::time::Duration;

pub(crate) fn run(cli: &CargoCli) -> Result<u8, Failure> {
    match &cli.command {
        CargoCommand::Run(args) => {
            if let Some(main) = unmodified::main_of(args)? {
                return unmodified::main(args, &main);
            }
            let name = args.name.as_deref();
            drive(name, Shown::Failing, &args.cargo, settings_of_run(args), &args.form)
        }
        CargoCommand::Test(args) => unmodified::test(args),
        CargoCommand::Check(args) => {
            let name = args.name.as_deref();
            drive(name, Shown::All, &args.cargo, settings_of_check(args), &args.form)
        }
        CargoCommand::Fix(args) if unmodified::is_about(args.cargo.package.as_deref())? => {
            unmodified::fix(args)
        }
        CargoCommand::Fix(args) => {
            let mut settings = settings_of_repair("RACEFUZZ_FIX", args.memory);
            settings.extend(args.max_time.map(|time| ("RACEFUZZ_MAX_TIME", milliseconds(time))));
            if args.confirm {
                return typed::fix_and_confirm(args, settings);
            }
            drive(Some(&args.name), Shown::All, &args.cargo, settings, &args.form)
        }
        CargoCommand::Audit(args) => {
            let settings = settings_of_repair("RACEFUZZ_AUDIT", args.memory);
            drive(Some(&args.name), Shown::All, &args.cargo, settings, &args.form)
        }
        CargoCommand::Replay(args) => replay(args),
        CargoCommand::Init(args) => init::init(args),
        CargoCommand::Completions { shell } => {
            crate::manual::completions(*shell, CargoCli::command(), "cargo-racefuzz")
        }
        CargoCommand::Man { command } => {
            crate::manual::page(CargoCli::command(), "cargo-racefuzz", command.as_deref())
        }
    }
}

/// One schedule of a test again; stepped through where that is wanted, and there is a terminal.
fn replay(args: &CargoReplayArgs) -> Result<u8, Failure> {
    let schedule: Schedule =
        args.token.parse().map_err(|error| Failure::Token { text: args.token.clone(), error })?;
    let steps = args.step && terminal::is_there();
    if unmodified::is_unmodified(&schedule) {
        if steps && stepping::through(&unmodified::replay_as_json(&schedule, &args.token, &args.cargo)?)? {
            return Ok(exit::BUG);
        }
        return unmodified::replay(&schedule, args);
    }
    // A test's path within its binary is its name without the crate.
    let path = schedule.program.split_once("::").map_or(schedule.program.as_str(), |(_, path)| path);
    let settings = || {
        let token = ("RACEFUZZ_REPLAY", args.token.clone());
        std::iter::once(token).chain(args.steps.setting()).collect::<Settings>()
    };
    if steps {
        let driven = Driven {
            name: Some(path),
            shown: Shown::AllOfOne,
            cargo: &args.cargo,
            settings: &settings(),
            reports: Reports::OnStdout,
        };
        let (_, folder) = driven.run_for(&[Format::Json])?;
        if stepping::through(&folder.collect(Format::Json)?)? {
            return Ok(exit::BUG);
        }
    }
    drive(Some(path), Shown::AllOfOne, &args.cargo, settings(), &args.form)
}

/// Settings of one kind of run, as the tests read them from their environment.
type Settings = Vec<(&'static str, String)>;

fn settings_of_run(args: &CargoRunArgs) -> Settings {
    let mut settings = Settings::from_iter(args.steps.setting());
    let mut set = |name, value: Option<String>| settings.extend(value.map(|value| (name, value)));
    set("RACEFUZZ_SEED", args.seed.map(|seed| seed.to_string()));
    set("RACEFUZZ_ITERATIONS", args.iterations.map(|iterations| iterations.to_string()));
    set("RACEFUZZ_STRATEGY", args.strategy.map(|strategy| strategy.to_string()));
    set("RACEFUZZ_MEMORY", args.memory.map(|memory| memory.to_string()));
    set("RACEFUZZ_DEPTH", args.depth.map(|depth| depth.to_string()));
    set("RACEFUZZ_MAX_STEPS", args.max_steps.map(|steps| steps.to_string()));
    set("RACEFUZZ_MAX_TIME", args.max_time.map(milliseconds));
    set("RACEFUZZ_WORKERS", args.workers.map(|workers| workers.to_string()));
    let inject = args.inject.iter().fold(Inject::default(), |all, one| all.union(*one));
    set("RACEFUZZ_INJECT", (!args.inject.is_empty()).then(|| inject.to_string()));
    settings
}

fn settings_of_check(args: &CargoCheckArgs) -> Settings {
    let mut settings = vec![("RACEFUZZ_CHECK", "1".to_owned())];
    let mut set = |name, value: Option<String>| settings.extend(value.map(|value| (name, value)));
    set("RACEFUZZ_MEMORY", args.memory.map(|memory| memory.to_string()));
    set("RACEFUZZ_MAX_EXECUTIONS", args.max_executions.map(|most| most.to_string()));
    set("RACEFUZZ_PREEMPTIONS", args.preemptions.map(|most| most.to_string()));
    set("RACEFUZZ_MAX_STEPS", args.max_steps.map(|steps| steps.to_string()));
    set("RACEFUZZ_MAX_TIME", args.max_time.map(milliseconds));
    set("RACEFUZZ_WORKERS", args.workers.map(|workers| workers.to_string()));
    settings
}

fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis().max(1))
}

fn settings_of_repair(request: &'static str, memory: Option<racefuzz::MemoryModel>) -> Settings {
    let mut settings = vec![(request, "1".to_owned())];
    settings.extend(memory.map(|memory| ("RACEFUZZ_MEMORY", memory.to_string())));
    settings
}

/// Runs the tests that a name selects, and writes their reports in the forms that are asked for.
fn drive(
    name: Option<&str>,
    shown: Shown,
    cargo: &crate::args::CargoArgs,
    settings: Settings,
    form: &FormArgs,
) -> Result<u8, Failure> {
    let on_stdout = (form.format != Format::Text).then_some(form.format);
    let mut formats: Vec<Format> = form.report.iter().map(|file| file.format).chain(on_stdout).collect();
    formats.dedup();
    let reports = match (formats.is_empty(), on_stdout) {
        (true, _) => Reports::None,
        (false, None) => Reports::InFiles,
        (false, Some(_)) => Reports::OnStdout,
    };
    let driven = Driven { name, shown, cargo, settings: &settings, reports };
    if formats.is_empty() {
        return driven.run();
    }
    reporting::check_writable(form)?;
    let (code, folder) = driven.run_for(&formats)?;
    form.report.iter().try_for_each(|file| folder.write(file))?;
    if let Some(format) = on_stdout {
        output::print(&folder.collect(format)?)?;
    }
    Ok(code)
}
