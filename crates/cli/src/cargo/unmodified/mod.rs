//! `cargo racefuzz test`: the tests of any package, unmodified, under many schedules.
//!
//! The package's tests are compiled with the compiler's hooks and linked to the library of `racefuzz-hooks`,
//! which is built once for each toolchain; each test then runs in a process of its own, which answers a
//! request with a report.

mod build;
mod library;
mod run;
mod show;

use crate::args::{BuildArgs, CargoTestArgs, FormArgs, LookArgs, PlainFormat};
use crate::error::Failure;
use crate::{exit, output};
use build::Test;
use racefuzz::{Inject, Schedule};
use racefuzz_hooks::Request;
use run::{Done, Verdict};
use show::Shown;
use std::path::Path;

/// What tells the name of a test that runs unmodified from the path of another: no path has it.
const MARK: char = '/';

/// Runs the tests; the exit code.
pub(super) fn test(args: &CargoTestArgs) -> Result<u8, Failure> {
    check_platform()?;
    let built = build::build(&args.build)?;
    let tests = built.tests(args.name.as_deref())?;
    let selected: Vec<&Test> = tests.iter().collect();
    let shown = Shown::begin(&selected, args);
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let request = |test: &Test| Request {
        program: test.program.clone(),
        seed: args.seed,
        iterations: args.iterations,
        strategy: args.strategy,
        settings: settings(args),
        max_time: Some(args.max_time),
        keep_going: false,
        harness: true,
        roots: test.roots.clone(),
        first: Vec::new(),
        replay: None,
        answer: String::new(),
    };
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
    } else if any(Verdict::Unable) || any(Verdict::Unsure) {
        exit::INCOMPLETE
    } else {
        exit::OK
    }
}

/// Whether a schedule is one of a test that runs unmodified.
pub(super) fn is_unmodified(schedule: &Schedule) -> bool {
    schedule.program.contains(MARK)
}

/// Repeats a schedule; the exit code.
pub(super) fn replay(
    schedule: &Schedule,
    token: &str,
    args: &crate::args::CargoArgs,
    form: &FormArgs,
) -> Result<u8, Failure> {
    let format = form.plain("that of an unmodified test")?;
    replayed(schedule, token, args, |done, build| {
        let style = output::style(LookArgs { ascii: false, width: None });
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

/// Builds the test of a schedule, repeats the schedule, and makes something of what came of it.
fn replayed<T>(
    schedule: &Schedule,
    token: &str,
    args: &crate::args::CargoArgs,
    make: impl Fn(&[Done<'_>], &BuildArgs) -> Result<T, Failure>,
) -> Result<T, Failure> {
    check_platform()?;
    let build = BuildArgs { package: args.package.clone(), rest: args.rest.clone(), ..BuildArgs::default() };
    let built = build::build(&build)?;
    let tests = built.tests(None)?;
    let Some(test) = tests.iter().find(|test| test.program == schedule.program) else {
        return Err(Failure::Cargo(format!("no test matches `{}`", schedule.program)));
    };
    let request = |test: &Test| Request {
        program: test.program.clone(),
        seed: 0,
        iterations: 1,
        strategy: racefuzz::Strategy::default(),
        settings: schedule.settings.clone(),
        max_time: None,
        keep_going: false,
        harness: true,
        roots: test.roots.clone(),
        first: Vec::new(),
        replay: Some(token.to_owned()),
        answer: String::new(),
    };
    let done = run::all(&[test], 1, run::PATIENCE, &request, &|_| {})?;
    make(&done, &build)
}

/// Whether unmodified programs can run here at all.
fn check_platform() -> Result<(), Failure> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(());
    }
    let text = "unmodified tests run on Linux on x86-64 with glibc only; here, use racefuzz's own types \
                (`cargo racefuzz init`)";
    Err(Failure::Cargo(text.to_owned()))
}

/// Folders that paths in reports are shown relative to.
fn roots(package: &Path, workspace: &Path) -> Vec<String> {
    [package, workspace].iter().filter_map(|folder| folder.to_str().map(str::to_owned)).collect()
}
