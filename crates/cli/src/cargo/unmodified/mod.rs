//! `cargo racefuzz test`: the tests of any package, unmodified, under many schedules; and `cargo racefuzz run` for
//! the `main` of a binary or example.
//!
//! What is run is compiled with the compiler's hooks and linked to the library of `racefuzz-hooks`,
//! which is built once for each toolchain; each test, or the `main`, then runs in a process of its own, which answers a
//! request with a report.

mod build;
mod confirm;
mod library;
mod main_program;
mod name;
mod nextest;
mod repair;
mod run;
mod show;

use crate::args::{BuildArgs, CargoReplayArgs, CargoTestArgs, LookArgs, PlainFormat};
use crate::error::Failure;
use crate::{exit, output};
use build::{Entry, Hooked, Main, Runnable};
use name::Name;
use racefuzz::{Inject, Schedule};
use racefuzz_hooks::{Check, Request};
use run::{Done, Verdict};
use show::Shown;
use std::path::Path;

pub(super) use main_program::{main, main_of};
pub(super) use repair::{fix, is_about};

/// What tells the name of a program that runs unmodified from the path of another: no path has it.
const MARK: char = '/';

/// Runs the tests; the exit code.
pub(super) fn test(args: &CargoTestArgs) -> Result<u8, Failure> {
    check_platform()?;
    if !args.filterset.is_empty() {
        nextest::check()?;
    }
    let hooked = Hooked::prepare()?;
    let built = hooked.tests(&args.build)?;
    let filter = match &*args.filterset {
        [] => None,
        expressions => Some(nextest::Matches::of(&hooked, &args.build, expressions)?),
    };
    let name = args.name.as_deref().map(|text| Name { text, whole: args.exact });
    let tests = built.tests(name, filter.as_ref())?;
    let selected: Vec<&Runnable> = tests.iter().collect();
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let asked = Request {
        seed: args.seed,
        iterations: args.iterations,
        strategy: args.strategy,
        settings: settings(args),
        check: args
            .check
            .then_some(Check { preemptions: args.preemptions, max_executions: args.max_executions }),
        max_time: Some(args.max_time),
        ..request()
    };
    let shown = Shown::begin(&selected, &asked);
    let request = |test: &Runnable| about(test, &asked);
    let done = run::all(&selected, jobs, args.max_time, &request, &|done| shown.line(done))?;
    for done in &done {
        done.keep();
    }
    shown.summary(&done);
    let style = output::style(args.output.look);
    let text = match args.output.format {
        PlainFormat::Text => show::text(&done, &style, &args.build),
        PlainFormat::Json => show::json(&done),
    };
    output::print(&text)?;
    Ok(code(&done))
}

/// What is asked for where nothing else is said.
fn request() -> Request {
    Request {
        program: String::new(),
        seed: 0,
        iterations: 1,
        strategy: racefuzz::Strategy::default(),
        depth: None,
        settings: racefuzz::Settings::default(),
        max_time: None,
        keep_going: false,
        harness: true,
        roots: Vec::new(),
        first: Vec::new(),
        replay: None,
        check: None,
        fix: None,
        answer: String::new(),
    }
}

/// What is asked, of one test or `main`.
fn about(test: &Runnable, asked: &Request) -> Request {
    Request {
        program: test.program.clone(),
        harness: matches!(test.entry, Entry::Test(_)),
        roots: test.roots.clone(),
        ..asked.clone()
    }
}

/// What holds for every execution.
fn settings(args: &CargoTestArgs) -> racefuzz::Settings {
    let inject = args.inject.iter().fold(Inject::default(), |all, one| all.union(*one));
    racefuzz::Settings { memory: args.memory, max_steps: args.max_steps, inject, ..Default::default() }
}

/// The exit code for all tests: a bug wins.
fn code(done: &[Done]) -> u8 {
    let any = |verdict: Verdict| done.iter().any(|done| done.verdict() == verdict);
    if any(Verdict::Bug) {
        exit::BUG
    } else if any(Verdict::Unable) || any(Verdict::Unsure) || any(Verdict::Incomplete) {
        exit::INCOMPLETE
    } else {
        exit::OK
    }
}

/// Whether a schedule is one of a test or `main` that runs unmodified.
pub(super) fn is_unmodified(schedule: &Schedule) -> bool {
    schedule.program.contains(MARK)
}

/// Repeats a schedule; the exit code.
pub(super) fn replay(schedule: &Schedule, args: &CargoReplayArgs) -> Result<u8, Failure> {
    let format = args.form.plain("that of an unmodified test")?;
    replayed(schedule, &args.token, &args.cargo, |done, build| {
        let style = output::style(LookArgs { steps: args.steps, ..LookArgs::default() });
        for divergence in done.iter().filter_map(Done::divergence) {
            output::note_line(divergence).map_err(Failure::Output)?;
        }
        if code(done) == exit::OK {
            output::note_line("the schedule of this token does not fail").map_err(Failure::Output)?;
        }
        output::print(&match format {
            PlainFormat::Text => show::text(done, &style, build),
            PlainFormat::Json => show::json(done),
        })?;
        Ok(code(done))
    })
}

/// Repeats a schedule; what came of it as JSON.
pub(super) fn replay_as_json(
    schedule: &Schedule,
    token: &str,
    args: &crate::args::CargoArgs,
) -> Result<String, Failure> {
    replayed(schedule, token, args, |done, _| Ok(show::json(done)))
}

/// Builds the program of a schedule, repeats the schedule, and makes something of what came of it.
fn replayed<T>(
    schedule: &Schedule,
    token: &str,
    args: &crate::args::CargoArgs,
    make: impl Fn(&[Done<'_>], &BuildArgs) -> Result<T, Failure>,
) -> Result<T, Failure> {
    check_platform()?;
    let (rest, arguments) = main_program::split(&args.rest);
    let build = BuildArgs { package: args.package.clone(), rest: rest.to_vec(), ..BuildArgs::default() };
    let hooked = Hooked::prepare()?;
    let tests = match Main::of_program(&schedule.program) {
        Some(main) => hooked.main(&main, &build)?.mains(arguments),
        None => hooked.tests(&build)?.tests(None, None)?,
    };
    let Some(test) = tests.iter().find(|test| test.program == schedule.program) else {
        return Err(Failure::Cargo(format!("no test matches `{}`", schedule.program)));
    };
    let asked = Request { settings: schedule.settings.clone(), replay: Some(token.to_owned()), ..request() };
    let done = run::all(&[test], 1, run::PATIENCE, &|test| about(test, &asked), &|_| {})?;
    make(&done, &build)
}

/// Whether unmodified programs can run here at all.
fn check_platform() -> Result<(), Failure> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(());
    }
    let text = "unmodified programs run on Linux on x86-64 with glibc only; here, use racefuzz's own types \
                (`cargo racefuzz init`)";
    Err(Failure::Cargo(text.to_owned()))
}

/// Folders that paths in reports are shown relative to.
fn roots(package: &Path, workspace: &Path) -> Vec<String> {
    [package, workspace].iter().filter_map(|folder| folder.to_str().map(str::to_owned)).collect()
}
