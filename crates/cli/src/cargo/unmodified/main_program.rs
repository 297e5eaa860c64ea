//! `cargo racefuzz run` for the `main` of a binary or example, unmodified.

use super::super::switch;
use super::build::{Hooked, Main, Runnable};
use super::show::{self, Shown};
use super::{Request, about, check_platform, code, request, run};
use crate::args::{BuildArgs, CargoRunArgs, ITERATIONS, LookArgs, MAX_STEPS, MEMORY, PlainFormat};
use crate::error::Failure;
use crate::output;
use racefuzz::{Inject, Settings};
use serde_json::Value;
use std::time::Duration;

/// The time, unless another is asked for.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The `main` that is asked for, if it is one: by its option, or by its name in a package that has no tests over
/// racefuzz's own types.
pub(in crate::cargo) fn main_of(args: &CargoRunArgs) -> Result<Option<Main>, Failure> {
    let bin = args.bin.clone().map(Main::Bin);
    if let Some(main) = bin.or_else(|| args.example.clone().map(Main::Example)) {
        return Ok(Some(main));
    }
    let Some(name) = &args.name else { return Ok(None) };
    // Where there is nothing to read, whoever builds the tests says so.
    Ok(named(name, &switch::described(args.cargo.package.as_deref())?))
}

/// The binary or example of that name, of packages that cargo describes.
fn named(name: &str, packages: &[Value]) -> Option<Main> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    packages.iter().find_map(|package| {
        let is_modelled = switch::is_modelled(package);
        let targets = list(&package["targets"]);
        let mut targets = targets.iter().filter(|target| !is_modelled && target["name"] == name);
        targets.find_map(|target| match target["kind"][0].as_str()? {
            "bin" => Some(Main::Bin(name.to_owned())),
            "example" => Some(Main::Example(name.to_owned())),
            _ => None,
        })
    })
}

/// Arguments of cargo's, and, behind another `--`, of the program's.
pub(super) fn split(rest: &[String]) -> (&[String], &[String]) {
    match rest.iter().position(|argument| argument == "--") {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &[]),
    }
}

/// Runs it; the exit code.
pub(in crate::cargo) fn main(args: &CargoRunArgs, main: &Main) -> Result<u8, Failure> {
    check_platform()?;
    check(args)?;
    let format = args.form.plain("that of an unmodified program")?;
    let (rest, arguments) = split(&args.cargo.rest);
    let build =
        BuildArgs { package: args.cargo.package.clone(), rest: rest.to_vec(), ..BuildArgs::default() };
    let programs = Hooked::prepare()?.main(main, &build)?.mains(arguments);
    let selected: Vec<&Runnable> = programs.iter().collect();
    let time = args.max_time.unwrap_or(MAX_TIME);
    let asked = Request {
        seed: args.seed.unwrap_or(0),
        iterations: args.iterations.unwrap_or(ITERATIONS),
        strategy: args.strategy.unwrap_or_default(),
        depth: args.depth,
        settings: Settings {
            memory: args.memory.unwrap_or(MEMORY),
            max_steps: args.max_steps.unwrap_or(MAX_STEPS),
            inject: args.inject.iter().fold(Inject::default(), |all, one| all.union(*one)),
            ..Settings::default()
        },
        max_time: Some(time),
        ..request()
    };
    let shown = Shown::begin(&selected, &asked);
    let done = run::all(&selected, 1, time, &|program| about(program, &asked), &|done| shown.line(done))?;
    done.iter().for_each(run::Done::keep);
    shown.summary(&done);
    output::print(&match format {
        PlainFormat::Text => {
            show::text(&done, &output::style(LookArgs { steps: args.steps, ..LookArgs::default() }), &build)
        }
        PlainFormat::Json => show::json(&done),
    })?;
    Ok(code(&done))
}

/// Refuses what has no meaning here, rather than passing it over.
fn check(args: &CargoRunArgs) -> Result<(), Failure> {
    let own = args.inject.iter().any(|fault| fault.panic || fault.kill || fault.reuse);
    let given = [
        ("--workers", args.workers.is_some()),
        ("--report", !args.form.report.is_empty()),
        ("--no-nextest", args.cargo.no_nextest),
        ("--inject", own),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some(("--inject", _)) => {
            Err(Failure::Usage("an unmodified program can be given `timeout` and `spurious` only".to_owned()))
        }
        Some((option, _)) => {
            Err(Failure::Usage(format!("`{option}` has no meaning for an unmodified program's `main`")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_that_of_an_executable_where_nothing_is_modelled() {
        let metadata = |dependency: &str| {
            json!({ "packages": [{
                "name": "mine",
                "dependencies": [{ "name": dependency }],
                "targets": [
                    { "kind": ["lib"], "name": "mine" },
                    { "kind": ["bin"], "name": "serve" },
                    { "kind": ["example"], "name": "demo" },
                ],
            }] })
        };
        let named = |name: &str, package: Option<&str>, metadata: &Value| {
            named(name, &switch::selected(metadata, package))
        };
        let plain = metadata("serde");
        assert_eq!(named("serve", None, &plain), Some(Main::Bin("serve".to_owned())));
        assert_eq!(named("demo", Some("mine"), &plain), Some(Main::Example("demo".to_owned())));
        for (name, package) in [("mine", None), ("serv", None), ("serve", Some("other"))] {
            assert_eq!(named(name, package, &plain), None);
        }
        assert_eq!(named("serve", None, &metadata("racefuzz")), None);
    }

    #[test]
    fn arguments_of_the_program_stand_behind_another_mark() {
        let rest = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        assert_eq!(split(&rest("--release -- 3 -- 4")), (&*rest("--release"), &*rest("3 -- 4")));
        assert_eq!(split(&rest("--release")), (&*rest("--release"), &[][..]));
    }
}
