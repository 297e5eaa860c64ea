//! What `#[racefuzz::test]` expands to.

use std::fmt::Debug;

/// A test as the attribute describes it.
pub struct TestCase {
    /// `module::path::name`.
    pub name: &'static str,
    /// The package it belongs to.
    pub package: &'static str,
    /// The package's folder.
    pub manifest_dir: &'static str,
    /// The options given to the attribute.
    pub options: TestOptions,
}

/// The options of the attribute.
pub struct TestOptions {
    /// `check`: prove the test instead of sampling its schedules.
    pub check: bool,
    /// `max_executions = N`, with `check`.
    pub max_executions: Option<u64>,
    /// `iterations = N`.
    pub iterations: Option<u64>,
    /// `seed = N`.
    pub seed: Option<u64>,
    /// `strategy = "NAME"`.
    pub strategy: Option<&'static str>,
    /// `memory = "NAME"`.
    pub memory: Option<&'static str>,
    /// `workers = N`.
    pub workers: Option<usize>,
    /// `max_steps = N`.
    pub max_steps: Option<u32>,
    /// `depth = N`.
    pub depth: Option<u32>,
    /// `inject = "FAULT,FAULT"`.
    pub inject: Option<&'static str>,
    /// `stack_size = BYTES`.
    pub stack_size: Option<usize>,
}

impl TestOptions {
    /// No option given.
    pub const DEFAULT: Self = Self {
        check: false,
        max_executions: None,
        iterations: None,
        seed: None,
        strategy: None,
        memory: None,
        workers: None,
        max_steps: None,
        depth: None,
        inject: None,
        stack_size: None,
    };
}

/// What a test may return.
pub trait Returned {
    /// Panics if it stands for a failure.
    fn check(self);
}

impl Returned for () {
    fn check(self) {}
}

impl<E: Debug> Returned for Result<(), E> {
    #[track_caller]
    fn check(self) {
        if let Err(error) = self {
            panic!("the test returned Err: {error:?}");
        }
    }
}

/// Runs the test.
#[cfg(not(feature = "model"))]
pub fn run_test(_: &TestCase, body: impl Fn() + Sync) {
    body();
}

#[cfg(feature = "model")]
pub use model::run_test;

#[cfg(feature = "model")]
mod model {
    use super::TestCase;
    use crate::checker::Checker;
    use crate::fixer::Fixer;
    use crate::fuzzer::{Fuzzer, SettingError};
    use crate::regressions::Regressions;
    use crate::show;
    use racefuzz_report::{Command, DiskSources, Patch, Sources};
    use racefuzz_trace::{
        Failure, FailureDetail, FailureKind, FixReport, Outcome, RunReport, Schedule, Settings,
    };
    use std::fs;
    use std::path::Path;

    /// Runs the test: kept failing schedules first, then its iterations; or proves it.
    ///
    /// # Panics
    /// With the rendered report, if a bug is found or a proof is not complete; if a setting is none.
    pub fn run_test(case: &TestCase, body: impl Fn() + Sync) {
        if std::env::var_os("RACEFUZZ_FIX").is_some_and(|value| value != "0") {
            return repair(case, body);
        }
        if case.options.check || std::env::var_os("RACEFUZZ_CHECK").is_some_and(|value| value != "0") {
            return prove(case, body);
        }
        let mut fuzzer = configure(case).unwrap_or_else(|error| show::fail_test(error.to_string()));
        fuzzer.options.roots = show::roots_of(Path::new(case.manifest_dir));
        if let Ok(token) = std::env::var("RACEFUZZ_REPLAY") {
            let schedule: Schedule = token
                .parse()
                .unwrap_or_else(|error| show::fail_test(format!("RACEFUZZ_REPLAY={token}: {error}")));
            if schedule.program == case.name {
                return replay(&fuzzer, case, &schedule, body);
            }
        }
        let regressions = Regressions::of(Path::new(case.manifest_dir), case.name);
        fuzzer.options.first = regressions.load();
        let report = fuzzer.fuzz(body);
        match report.outcome {
            Outcome::Passed => {}
            Outcome::Failed => {
                let repeats = |failure: &&Failure| {
                    failure.kind != FailureKind::Nondeterminism
                        && !matches!(failure.detail, FailureDetail::Unseen(_))
                };
                let first = report.failures.first().filter(repeats);
                let kept = first.and_then(|failure| regressions.keep(failure));
                fail(case, &report, kept.as_deref());
            }
            Outcome::Incomplete => show::fail_test(text(case, &report)),
        }
    }

    /// Searches for changes that repair the test, and shows them; it fails if it needs one.
    fn repair(case: &TestCase, body: impl Fn() + Sync) {
        let fuzzer = configure(case).unwrap_or_else(|error| show::fail_test(error.to_string()));
        let mut fixer = Fixer::new().name(case.name);
        let options = &mut fixer.options;
        options.seed = fuzzer.options.seed;
        options.stack_size = fuzzer.options.stack_size;
        options.roots = show::roots_of(Path::new(case.manifest_dir));
        options.settings = Settings { max_steps: options.settings.max_steps, ..fuzzer.options.settings };
        let mut report = fixer.fix(body);
        let sources = DiskSources::in_directories([Path::new(case.manifest_dir).to_owned()]);
        racefuzz_report::put_harness_last(&mut report, &sources);
        if let Some(folder) = std::env::var_os("RACEFUZZ_TYPED") {
            leave_typed(case, &report, &sources, Path::new(&folder));
        }
        let text = racefuzz_report::fix_text(&report, &sources, &show::style_from_env(), &[]);
        if report.nothing_to_fix() {
            println!("\n{text}");
        } else {
            show::fail_test(text);
        }
    }

    /// Leaves the repairs that are verified as text for `cargo racefuzz fix --confirm`, which types them
    /// in: a folder for each, with the package and each changed file.
    fn leave_typed(case: &TestCase, report: &FixReport, sources: &dyn Sources, folder: &Path) {
        let test = folder.join(format!("{}-{}", case.package, case.name.replace("::", "-")));
        let write = |path: &Path, text: &str| {
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text))
        };
        let leave = |patch: &Patch| -> std::io::Result<()> {
            let repair = test.join(patch.number.to_string());
            write(&test.join("name"), case.name)?;
            write(&repair.join("package"), case.package)?;
            write(&repair.join("manifest"), case.manifest_dir)?;
            patch.files.iter().enumerate().try_for_each(|(number, (file, text))| {
                write(&repair.join(format!("files/{number}")), &format!("{file}\n{text}"))
            })
        };
        for patch in racefuzz_report::patches(report, sources) {
            if let Err(error) = leave(&patch) {
                show::fail_test(format!("RACEFUZZ_TYPED={}: {error}", folder.display()));
            }
        }
    }

    fn prove(case: &TestCase, body: impl Fn() + Sync) {
        let mut checker = checker(case).unwrap_or_else(|error| show::fail_test(error.to_string()));
        checker.options.roots = show::roots_of(Path::new(case.manifest_dir));
        if let Ok(token) = std::env::var("RACEFUZZ_REPLAY") {
            let schedule: Schedule = token
                .parse()
                .unwrap_or_else(|error| show::fail_test(format!("RACEFUZZ_REPLAY={token}: {error}")));
            if schedule.program == case.name {
                let mut fuzzer = Fuzzer::new().name(case.name).stack_size(checker.options.stack_size);
                fuzzer.options.roots = checker.options.roots;
                return replay(&fuzzer, case, &schedule, body);
            }
        }
        let report = checker.check(body);
        match report.outcome {
            Outcome::Passed => {}
            Outcome::Failed | Outcome::Incomplete => fail(case, &report, None),
        }
    }

    fn checker(case: &TestCase) -> Result<Checker, SettingError> {
        let mut checker = Checker::new().name(case.name);
        let given = &case.options;
        let options = &mut checker.options;
        options.max_executions = given.max_executions;
        options.workers = given.workers.unwrap_or(options.workers).max(1);
        options.stack_size = given.stack_size.unwrap_or(options.stack_size);
        options.settings.max_steps = given.max_steps.unwrap_or(options.settings.max_steps);
        if let Some(name) = given.memory {
            let wrong = |error| SettingError::new("memory", name, error);
            options.settings.memory = name.parse().map_err(wrong)?;
        }
        checker.from_env()
    }

    fn configure(case: &TestCase) -> Result<Fuzzer, SettingError> {
        let mut fuzzer = Fuzzer::new().name(case.name);
        let given = &case.options;
        let options = &mut fuzzer.options;
        options.iterations = given.iterations.unwrap_or(options.iterations);
        options.seed = given.seed.unwrap_or(options.seed);
        options.workers = given.workers.unwrap_or(options.workers).max(1);
        options.depth = given.depth.unwrap_or(options.depth);
        options.stack_size = given.stack_size.unwrap_or(options.stack_size);
        options.settings.max_steps = given.max_steps.unwrap_or(options.settings.max_steps);
        let wrong = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned());
            move |error| SettingError::new(&name, &value, error)
        };
        if let Some(name) = given.strategy {
            options.strategy = name.parse().map_err(wrong("strategy", name))?;
        }
        if let Some(name) = given.memory {
            options.settings.memory = name.parse().map_err(wrong("memory", name))?;
        }
        if let Some(name) = given.inject {
            options.settings.inject = name.parse().map_err(wrong("inject", name))?;
        }
        fuzzer.from_env()
    }

    fn replay(fuzzer: &Fuzzer, case: &TestCase, schedule: &Schedule, body: impl Fn() + Sync) {
        let replayed = fuzzer.replay(schedule, body);
        if let Some(divergence) = &replayed.diverged {
            eprintln!("{divergence}");
        }
        if replayed.report.outcome == Outcome::Failed {
            fail(case, &replayed.report, None);
        }
        eprintln!("the schedule of this token no longer fails");
    }

    fn text(case: &TestCase, report: &RunReport) -> String {
        let filter = case.name.split_once("::").map_or(case.name, |(_, path)| path);
        let next: Vec<Command> = report
            .failures
            .iter()
            .take(1)
            .filter(|failure| failure.is_replayable())
            .map(|failure| Command {
                label: "replay".to_owned(),
                line: format!(
                    "RACEFUZZ_REPLAY='{}' cargo test -p {} {filter}",
                    failure.schedule, case.package
                ),
            })
            .collect();
        let sources = DiskSources::in_directories([Path::new(case.manifest_dir).to_owned()]);
        show::render_with(report, &sources, &show::style_from_env(), &next)
    }

    fn fail(case: &TestCase, report: &RunReport, kept: Option<&str>) {
        let text = text(case, report);
        match kept {
            Some(file) => show::fail_test(format!(
                "{text}\nThe schedule is kept in {file} and tried first next time.\n"
            )),
            None => show::fail_test(text),
        }
    }
}
