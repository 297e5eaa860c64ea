//! `cargo racefuzz fix` for the tests of packages that know nothing of racefuzz.

use super::super::switch;
use super::build::{Hooked, Runnable};
use super::name::Name;
use super::show::{self, Shown};
use super::{about, check_platform, code, confirm, request, run};
use crate::args::{BuildArgs, CargoFixArgs, LookArgs, MAX_STEPS, MEMORY, PlainFormat};
use crate::error::Failure;
use crate::{exit, output};
use racefuzz::Settings;
use racefuzz_hooks::{Changeable, Check, Request};
use std::time::Duration;

/// The time for each test, unless another is asked for.
const MAX_TIME: Duration = Duration::from_secs(60);

/// Whether a package, or all packages of the workspace, have no tests over racefuzz's own types.
pub(in crate::cargo) fn is_about(package: Option<&str>) -> Result<bool, Failure> {
    let packages = switch::described(package)?;
    Ok(!packages.is_empty() && !packages.iter().any(switch::is_modelled))
}

/// Searches for changes that repair the tests; the exit code.
pub(in crate::cargo) fn fix(args: &CargoFixArgs) -> Result<u8, Failure> {
    check_platform()?;
    check(args)?;
    let format = args.form.plain("that of an unmodified test")?;
    let build = BuildArgs {
        package: args.cargo.package.clone(),
        rest: args.cargo.rest.clone(),
        ..BuildArgs::default()
    };
    let hooked = Hooked::for_repairs()?;
    let tests = hooked.tests(&build)?.tests(Some(Name::part(&args.name)), None)?;
    let selected: Vec<&Runnable> = tests.iter().collect();
    let time = args.max_time.unwrap_or(MAX_TIME);
    let asked = Request {
        settings: Settings {
            memory: args.memory.unwrap_or(MEMORY),
            max_steps: MAX_STEPS,
            ..Settings::default()
        },
        check: Some(Check::default()),
        fix: Some(changeable()?),
        max_time: Some(time),
        ..request()
    };
    let shown = Shown::begin(&selected, &asked);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    // The search has that time, too.
    let done = run::all(&selected, jobs, time * 2, &|test| about(test, &asked), &|done| shown.line(done))?;
    shown.summary(&done);
    output::print(&match format {
        PlainFormat::Text => show::repairs(&done, &output::style(LookArgs::default()), &build),
        PlainFormat::Json => show::json(&done),
    })?;
    if args.confirm && !confirm::confirm(&done, args, &hooked)? {
        return Ok(exit::BUG);
    }
    Ok(code(&done))
}

/// Refuses what has no meaning here, rather than passing it over.
fn check(args: &CargoFixArgs) -> Result<(), Failure> {
    let given = [("--report", !args.form.report.is_empty()), ("--no-nextest", args.cargo.no_nextest)];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::Usage(format!("`{option}` has no meaning for tests that run unmodified")))
        }
        None => Ok(()),
    }
}

/// The folders of packages that are the user's own files, and of those that are not.
fn changeable() -> Result<Changeable, Failure> {
    let packages = switch::all_described()?;
    let folders = |own: bool| {
        let packages = packages.iter().filter(|package| package["source"].is_null() == own);
        let manifests = packages.filter_map(|package| package["manifest_path"].as_str());
        manifests.filter_map(|manifest| Some(manifest.rsplit_once('/')?.0.to_owned())).collect()
    };
    Ok(Changeable { folders: folders(true), others: folders(false) })
}
