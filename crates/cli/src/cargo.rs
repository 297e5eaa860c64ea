//! `cargo racefuzz`: settings become environment variables, cargo does the rest.

use crate::args::{CargoArgs, CargoCli, CargoCommand, CargoFixArgs};
use crate::confirm::{self, Check, Repair, Scratch, TypedRepair};
use crate::error::Failure;
use crate::exit;
use racefuzz::{Inject, Schedule};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) fn run(cli: &CargoCli) -> Result<u8, Failure> {
    match &cli.command {
        CargoCommand::Run(args) => {
            let mut settings: Vec<(&str, String)> = Vec::new();
            let mut set = |name, value: Option<String>| settings.extend(value.map(|value| (name, value)));
            set("RACEFUZZ_SEED", args.seed.map(|seed| seed.to_string()));
            set("RACEFUZZ_ITERATIONS", args.iterations.map(|iterations| iterations.to_string()));
            set("RACEFUZZ_STRATEGY", args.strategy.map(|strategy| strategy.to_string()));
            set("RACEFUZZ_MEMORY", args.memory.map(|memory| memory.to_string()));
            set("RACEFUZZ_DEPTH", args.depth.map(|depth| depth.to_string()));
            set("RACEFUZZ_MAX_STEPS", args.max_steps.map(|steps| steps.to_string()));
            set("RACEFUZZ_WORKERS", args.workers.map(|workers| workers.to_string()));
            let inject = args.inject.iter().fold(Inject::default(), |all, one| all.union(*one));
            set("RACEFUZZ_INJECT", (!args.inject.is_empty()).then(|| inject.to_string()));
            drive(&args.name, Shown::Failing, &args.cargo, &settings)
        }
        CargoCommand::Fix(args) => {
            let mut settings = vec![("RACEFUZZ_FIX", "1".to_owned())];
            settings.extend(args.memory.map(|memory| ("RACEFUZZ_MEMORY", memory.to_string())));
            if args.confirm {
                return fix_and_confirm(args, settings);
            }
            drive(&args.name, Shown::All, &args.cargo, &settings)
        }
        CargoCommand::Replay(args) => {
            let schedule: Schedule =
                args.token.parse().map_err(|error| Failure::Token { text: args.token.clone(), error })?;
            // A test's path within its binary is its name without the crate.
            let path = schedule.program.split_once("::").map_or(schedule.program.as_str(), |(_, path)| path);
            drive(path, Shown::AllOfOne, &args.cargo, &[("RACEFUZZ_REPLAY", args.token.clone())])
        }
    }
}

/// Runs the tests, which leave what can be typed in, in a folder; then types it in.
fn fix_and_confirm(args: &CargoFixArgs, mut settings: Vec<(&str, String)>) -> Result<u8, Failure> {
    let folder = std::env::temp_dir().join(format!("racefuzz-typed-{}", std::process::id()));
    let write = |error| Failure::Write { file: folder.clone(), error };
    std::fs::create_dir_all(&folder).map_err(write)?;
    settings.push(("RACEFUZZ_TYPED", folder.to_string_lossy().into_owned()));
    let driven = drive(&args.name, Shown::All, &args.cargo, &settings);
    let typed = TypedRepair::read_all(&folder);
    std::fs::remove_dir_all(&folder).map_err(write)?;
    let code = driven?;
    let typed = typed.map_err(write)?;
    let mut repairs: BTreeMap<PathBuf, Vec<Repair>> = BTreeMap::new();
    for (test, typed) in &typed {
        for one in typed {
            let manifest = Path::new(&one.manifest);
            let workspace = confirm::workspace_of(manifest).unwrap_or_else(|| manifest.to_owned());
            repairs.entry(workspace.clone()).or_default().push(repair(args, test, one, workspace));
        }
    }
    let mut agree = true;
    for (workspace, repairs) in repairs {
        let confirmed = Scratch::in_target_of(&workspace)?.confirm(&repairs)?;
        let (text, all) = confirm::said(repairs.iter().zip(&confirmed), 0);
        crate::output::print(&text)?;
        agree &= all;
    }
    Ok(if agree { code } else { exit::BUG })
}

/// What a test has left to be typed in, and how to check it.
fn repair(args: &CargoFixArgs, test: &str, typed: &TypedRepair, workspace: PathBuf) -> Repair {
    let mut build =
        vec!["test".to_owned(), "--quiet".to_owned(), "--package".to_owned(), typed.package.clone()];
    build.extend(args.cargo.rest.iter().cloned());
    if !args.cargo.rest.iter().any(|argument| selects_targets(argument)) {
        build.push("--tests".to_owned());
    }
    let path = test.split_once("::").map_or(test, |(_, path)| path);
    let mut check = build.clone();
    check.extend(["--", "--exact", path].map(str::to_owned));
    build.push("--no-run".to_owned());
    let mut variables = vec![("RACEFUZZ_CHECK".to_owned(), "1".to_owned())];
    variables.extend(args.memory.map(|memory| ("RACEFUZZ_MEMORY".to_owned(), memory.to_string())));
    Repair {
        name: format!("{test}: repair {}", typed.number),
        files: typed.files.clone(),
        folders: vec![PathBuf::from(&typed.manifest), workspace],
        build,
        check: Check::Cargo(check),
        variables,
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn cannot(error: &std::io::Error) -> Failure {
    Failure::Cargo(format!("cannot run cargo: {error}"))
}

fn has_nextest() -> bool {
    let version = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Which tests a name selects, and whose output is of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// All that have it in their path; that of those that fail.
    Failing,
    /// The same; that of all.
    All,
    /// The one whose path it is.
    AllOfOne,
}

/// Runs the tests that a name selects.
fn drive(name: &str, shown: Shown, args: &CargoArgs, settings: &[(&str, String)]) -> Result<u8, Failure> {
    let exact = shown == Shown::AllOfOne;
    let package = args.package.iter().flat_map(|package| ["--package", package.as_str()]);
    let mut selection: Vec<&str> = package.chain(args.rest.iter().map(String::as_str)).collect();
    if !args.rest.iter().any(|argument| selects_targets(argument)) {
        // Not the examples in documentation: they are built one by one and hold no tests of ours.
        selection.push("--tests");
    }
    let mut build = cargo();
    build.args(["test", "--no-run", "--quiet"]).args(&selection);
    if !build.status().map_err(|error| cannot(&error))?.success() {
        return Err(Failure::Cargo("the tests do not build; see cargo's messages above".to_owned()));
    }
    let none = || Failure::Cargo(format!("no test matches `{name}`"));
    let nextest = !args.no_nextest && has_nextest();
    let mut tests = cargo();
    if nextest {
        tests.args(["nextest", "run", "--no-fail-fast", "--no-tests=fail"]).args(&selection);
        if shown != Shown::Failing {
            tests.arg("--no-capture");
        }
        if exact {
            tests.args(["-E", &format!("test(={name})")]);
        } else {
            tests.arg(name);
        }
    } else {
        if !any(name, exact, &selection)? {
            return Err(none());
        }
        tests.args(["test", "--no-fail-fast"]).args(&selection).arg(name);
        match shown {
            Shown::Failing => {}
            Shown::All => _ = tests.args(["--", "--nocapture"]),
            Shown::AllOfOne => _ = tests.args(["--", "--exact", "--nocapture"]),
        }
    }
    tests.envs(settings.iter().map(|(name, value)| (name, value)));
    let status = tests.status().map_err(|error| cannot(&error))?;
    match (status.code(), nextest) {
        (Some(0), _) => Ok(exit::OK),
        // cargo-nextest's codes: no test, and a test failed.
        (Some(4), true) => Err(none()),
        (Some(100), true) | (_, false) => Ok(exit::BUG),
        (_, true) => Err(Failure::Cargo("cargo-nextest did not run; see its messages above".to_owned())),
    }
}

/// Whether an argument of cargo's says which targets to build.
fn selects_targets(argument: &str) -> bool {
    const TARGETS: &[&str] =
        &["--lib", "--bin", "--bins", "--example", "--examples", "--test", "--tests", "--bench", "--benches"];
    let option = argument.split('=').next().unwrap_or(argument);
    TARGETS.contains(&option) || option == "--all-targets"
}

/// Whether the test harness, which is content with nothing to do, finds any test of that name.
fn any(name: &str, exact: bool, selection: &[&str]) -> Result<bool, Failure> {
    let mut list = cargo();
    list.args(["test", "--quiet"]).args(selection).args([name, "--", "--list", "--format", "terse"]);
    if exact {
        list.arg("--exact");
    }
    let listed = list.stderr(Stdio::null()).output().map_err(|error| cannot(&error))?;
    // A harness of another kind may know nothing of lists; then the tests themselves must tell.
    Ok(!listed.status.success()
        || String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.ends_with(": test")))
}
