//! Running tests that were written for another tool.
//!
//! In go a [`Fuzzer`] with what the other tool's settings come to, and the test's program. Out comes
//! a report, with the other tool's test found again by its name: what the crates with loom's and
//! shuttle's interfaces share, and where it is decided how their tests are run.

use crate::checker::Checker;
use crate::fuzzer::{Fuzzer, SettingError};
use crate::show;
use racefuzz_report::{Command, DiskSources};
use racefuzz_trace::{RunReport, Schedule};
use std::cell::Cell;
use std::io::Write;

/// One call of the other tool by the test that runs on this operating-system thread.
#[derive(Clone, Debug)]
pub struct Ported {
    name: String,
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Some thousand schedules are sampled.
    Fuzz,
    /// Every execution is explored.
    Check,
}

impl Ported {
    /// The next call: it bears the name of the test (that of its thread), and from the second on its
    /// number.
    #[expect(clippy::new_without_default, reason = "each one has another name")]
    pub fn new() -> Self {
        thread_local! {
            static CALLS: Cell<u32> = const { Cell::new(0) };
        }
        let call = CALLS.get() + 1;
        CALLS.set(call);
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("program");
        Self { name: if call == 1 { test.to_owned() } else { format!("{test}#{call}") } }
    }

    /// Runs the program: by the schedule `RACEFUZZ_REPLAY` asks for, if it is one of this program,
    /// else as `RACEFUZZ_MODE` says (`fuzz` or `check`), or else in the mode given. The settings of
    /// the environment (see [`Fuzzer::from_env`]) win; an exploration takes those it has a use for.
    /// Adds a line with the name and the number of executions to the file `RACEFUZZ_COUNT_FILE`.
    ///
    /// # Panics
    /// If a variable's value is none.
    #[track_caller]
    pub fn run(
        &self,
        otherwise: Mode,
        fuzzer: Fuzzer,
        checker: Checker,
        program: impl Fn() + Sync,
    ) -> RunReport {
        let fuzzer = fuzzer.name(&self.name).from_env().unwrap_or_else(|error| panic!("{error}"));
        let report = match (replayed(&self.name), mode(otherwise)) {
            (Some(schedule), _) => fuzzer.replay(&schedule, program).report,
            (None, Mode::Fuzz) => fuzzer.fuzz(program),
            (None, Mode::Check) => {
                let options = &fuzzer.options;
                checker
                    .name(&self.name)
                    .memory_model(options.settings.memory)
                    .max_steps(options.settings.max_steps)
                    .inject(options.settings.inject)
                    .stack_size(options.stack_size)
                    .workers(options.workers)
                    .check(program)
            }
        };
        count(&report);
        report
    }

    /// The report as the failing test prints it.
    pub fn text(&self, report: &RunReport) -> String {
        let next: Vec<Command> = report
            .failures
            .iter()
            .take(1)
            .map(|failure| Command {
                label: "replay".to_owned(),
                line: format!(
                    "RACEFUZZ_REPLAY='{}' cargo test {}",
                    failure.schedule,
                    self.name.split('#').next().unwrap_or_default()
                ),
            })
            .collect();
        show::render_with(report, &DiskSources::new(), &show::style_from_env(), &next)
    }
}

/// The mode `RACEFUZZ_MODE` asks for, or the given one.
#[track_caller]
fn mode(otherwise: Mode) -> Mode {
    match std::env::var("RACEFUZZ_MODE").as_deref() {
        Err(_) => otherwise,
        Ok("fuzz") => Mode::Fuzz,
        Ok("check") => Mode::Check,
        Ok(other) => panic!("{}", SettingError::new("RACEFUZZ_MODE", other, "known: fuzz, check")),
    }
}

/// The schedule that `RACEFUZZ_REPLAY` asks for, if it is one of this program.
#[track_caller]
fn replayed(program: &str) -> Option<Schedule> {
    let token = std::env::var("RACEFUZZ_REPLAY").ok()?;
    match token.trim().parse::<Schedule>() {
        Ok(schedule) => (schedule.program == program).then_some(schedule),
        Err(error) => panic!("{}", SettingError::new("RACEFUZZ_REPLAY", &token, error)),
    }
}

#[track_caller]
fn count(report: &RunReport) {
    let Some(file) = std::env::var_os("RACEFUZZ_COUNT_FILE") else { return };
    let line = format!("{}\t{}\n", report.program, report.executions());
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("RACEFUZZ_COUNT_FILE={}: {error}", file.display());
    }
}
