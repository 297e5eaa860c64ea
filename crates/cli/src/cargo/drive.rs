//! Running the tests that a name selects through `cargo test` or cargo-nextest.

use super::reports::Folder;
use super::switch;
use crate::args::CargoArgs;
use crate::error::Failure;
use crate::exit;
use racefuzz_report::Format;
use std::process::{Command, Stdio};

pub(super) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(super) fn cannot(error: &std::io::Error) -> Failure {
    Failure::Cargo(format!("cannot run cargo: {error}"))
}

pub(super) fn has_nextest() -> bool {
    let version = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Which tests a name selects, and whose output is of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All that have it in their path; that of those that fail.
    Failing,
    /// The same; that of all.
    All,
    /// The one whose path it is.
    AllOfOne,
}

/// The tests that are run, and how.
pub(super) struct Driven<'a> {
    /// Part of the tests' paths, or the whole path; all tests without it.
    pub(super) name: Option<&'a str>,
    pub(super) shown: Shown,
    pub(super) cargo: &'a CargoArgs,
    /// Environment variables.
    pub(super) settings: &'a [(&'static str, String)],
    pub(super) reports: Reports,
}

/// Where the tests' reports go besides what each test prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reports {
    None,
    /// Into files.
    InFiles,
    /// To standard output, which is the caller's then.
    OnStdout,
}

impl Driven<'_> {
    /// Builds and runs the tests, each of which leaves its report in these forms: the exit code, and the folder.
    pub(super) fn run_for(&self, formats: &[Format]) -> Result<(u8, Folder), Failure> {
        let folder = Folder::new("reports")?;
        let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
        let mut settings = self.settings.to_vec();
        settings.push(("RACEFUZZ_REPORT_DIR", folder.path().to_string_lossy().into_owned()));
        settings.push(("RACEFUZZ_REPORT_FORMATS", names.join(",")));
        let code = Driven { settings: &settings, ..*self }.run()?;
        Ok((code, folder))
    }

    /// Builds and runs the tests; the exit code.
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let exact = self.shown == Shown::AllOfOne;
        let selection = self.selection()?;
        let mut build = cargo();
        build.args(["test", "--no-run", "--quiet"]).args(&selection);
        if !build.status().map_err(|error| cannot(&error))?.success() {
            return Err(Failure::Cargo("the tests do not build; see cargo's messages above".to_owned()));
        }
        let none = || {
            Failure::Cargo(match self.name {
                Some(name) => format!("no test matches `{name}`"),
                None => "there is no test".to_owned(),
            })
        };
        let nextest = !self.cargo.no_nextest && has_nextest();
        let mut tests = cargo();
        if nextest {
            tests.args(["nextest", "run", "--no-fail-fast", "--no-tests=fail"]).args(&selection);
            if self.shown != Shown::Failing {
                tests.arg("--no-capture");
            }
            match self.name {
                Some(name) if exact => _ = tests.args(["-E", &format!("test(={name})")]),
                name => _ = tests.args(name),
            }
        } else {
            if !any(self.name, exact, &selection)? {
                return Err(none());
            }
            tests.args(["test", "--no-fail-fast"]).args(&selection).args(self.name);
            match self.shown {
                Shown::Failing => {}
                Shown::All => _ = tests.args(["--", "--nocapture"]),
                Shown::AllOfOne => _ = tests.args(["--", "--exact", "--nocapture"]),
            }
        }
        tests.envs(self.settings.iter().map(|(name, value)| (name, value)));
        // For the commands at the end of a report.
        tests.env("RACEFUZZ_CARGO_ARGUMENTS", self.cargo.rest.join(" "));
        if self.reports == Reports::OnStdout {
            tests.stdout(std::io::stderr());
        }
        let outcomes = Folder::new("outcomes")?;
        tests.env("RACEFUZZ_OUTCOME_DIR", outcomes.path());
        let status = tests.status().map_err(|error| cannot(&error))?;
        match (status.code(), nextest) {
            (Some(0), _) => Ok(exit::OK),
            (Some(100), true) | (Some(101), false) if outcomes.is_incomplete() => Ok(exit::INCOMPLETE),
            // cargo-nextest's codes: no test, and a test failed.
            (Some(4), true) => Err(none()),
            (Some(100), true) | (_, false) => Ok(exit::BUG),
            (_, true) => Err(Failure::Cargo("cargo-nextest did not run; see its messages above".to_owned())),
        }
    }

    /// Cargo's arguments that say which packages, targets and features to build.
    fn selection(&self) -> Result<Vec<String>, Failure> {
        let package = self.cargo.package.as_deref();
        let mut selection: Vec<String> = Vec::new();
        if let Some(package) = package {
            selection.extend(["--package".to_owned(), package.to_owned()]);
        }
        selection.extend(switch::arguments(package)?);
        if self.reports != Reports::None {
            selection.push("--features=racefuzz/json".to_owned());
        }
        let repairs = |(name, _): &(&str, String)| matches!(*name, "RACEFUZZ_FIX" | "RACEFUZZ_AUDIT");
        if self.settings.iter().any(repairs) && switch::leaves_out(package, "fix")? {
            selection.push("--features=racefuzz/fix".to_owned());
        }
        selection.extend(self.cargo.rest.iter().cloned());
        if !self.cargo.rest.iter().any(|argument| selects_targets(argument)) {
            // Not the examples in documentation: they are built one by one and hold no tests of ours.
            selection.push("--tests".to_owned());
        }
        Ok(selection)
    }
}

/// Whether an argument of cargo's says which targets to build.
pub(super) fn selects_targets(argument: &str) -> bool {
    const TARGETS: &[&str] =
        &["--lib", "--bin", "--bins", "--example", "--examples", "--test", "--tests", "--bench", "--benches"];
    let option = argument.split('=').next().unwrap_or(argument);
    TARGETS.contains(&option) || option == "--all-targets"
}

/// Whether the test harness, which is content with nothing to do, finds any test of that name.
fn any(name: Option<&str>, exact: bool, selection: &[String]) -> Result<bool, Failure> {
    let mut list = cargo();
    list.args(["test", "--quiet"]).args(selection).args(name).args(["--", "--list", "--format", "terse"]);
    if exact {
        list.arg("--exact");
    }
    let listed = list.stderr(Stdio::null()).output().map_err(|error| cannot(&error))?;
    // A harness of another kind may know nothing of lists; then the tests themselves must tell.
    Ok(!listed.status.success()
        || String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.ends_with(": test")))
}
