//! Running tests that were written for another tool.
//!
//! In go a [`Fuzzer`] with what the other tool's settings come to, and the test's program. Out comes
//! a report, with the other tool's test found again by its name: what the crates with loom's and
//! shuttle's interfaces share, and where it is decided how their tests are run.

use crate::checker::Checker;
use crate::env::SettingError;
use crate::fuzzer::Fuzzer;
use crate::show;
use racefuzz_check::{Observer, Progress};
use racefuzz_report::{Command, DiskSources};
use racefuzz_trace::{Outcome, RunReport, Schedule};
use std::cell::Cell;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// Adds a line with the name, the numbers of executions and blocked ones, and the verdict to the
    /// file `RACEFUZZ_COUNT_FILE`.
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
        let options = &fuzzer.options;
        let checker = checker
            .name(&self.name)
            .memory_model(options.settings.memory)
            .max_steps(options.settings.max_steps)
            .inject(options.settings.inject)
            .stack_size(options.stack_size)
            .max_memory(options.max_memory)
            .workers(options.workers);
        let report = match (replayed(&self.name), mode(otherwise)) {
            (Some(schedule), _) => fuzzer.replay(&schedule, program).report,
            (None, Mode::Fuzz) => fuzzer.fuzz(program),
            (None, Mode::Check) => checker.check_watched(program, &Patience::new(&self.name)),
        };
        count(&report);
        report
    }

    /// Ends the failing test with a text, which is printed once, without the place of this function.
    ///
    /// # Panics
    /// Always, with the text as payload.
    pub fn fail(&self, text: String) -> ! {
        show::fail_test(text)
    }

    /// The report as the failing test prints it.
    pub fn text(&self, report: &RunReport) -> String {
        let next: Vec<Command> = report
            .failures
            .iter()
            .take(1)
            .filter(|failure| failure.is_replayable())
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

/// Says how far a long exploration is, and what else can be done: whoever waits for a test does not
/// know whether there is an end to it.
struct Patience<'a> {
    name: &'a str,
    began: Instant,
    next: Mutex<Duration>,
}

impl<'a> Patience<'a> {
    /// When it speaks first; then after twice as long, and so on.
    const FIRST: Duration = Duration::from_secs(10);

    fn new(name: &'a str) -> Self {
        Self { name, began: Instant::now(), next: Mutex::new(Self::FIRST) }
    }
}

impl Observer for Patience<'_> {
    fn progress(&self, progress: &Progress) {
        let passed = self.began.elapsed();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if passed < *next {
            return;
        }
        while *next <= passed {
            *next *= 2;
        }
        say(format_args!("{}", waiting(self.name, passed, progress)));
    }
}

/// A line on stderr, past the capture of a test's output, which nobody sees before its end.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn waiting(name: &str, passed: Duration, progress: &Progress) -> String {
    let estimate = match progress.estimate {
        // Below what was seen, or with an error of a third of it, it says nothing.
        Some((total, error)) if 3.0 * error <= total && total > progress.executions as f64 => {
            let least = (total - 2.0 * error).max(progress.executions as f64);
            format!(" of perhaps {least:.0} to {:.0}", total + 2.0 * error)
        }
        _ => String::new(),
    };
    format!(
        "racefuzz: {name}: {} executions{estimate} explored in {} s; RACEFUZZ_MODE=fuzz samples instead",
        progress.executions,
        passed.as_secs()
    )
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
    let verdict = match report.outcome() {
        Outcome::Passed if report.proof.is_some() => "verified",
        Outcome::Passed => "no bug",
        Outcome::Failed => "bug",
        Outcome::Incomplete => "incomplete",
    };
    let (executions, blocked) = (report.executions(), report.blocked());
    let line = format!("{}\t{executions}\t{blocked}\t{verdict}\n", report.program);
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("RACEFUZZ_COUNT_FILE={}: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_shown_where_it_says_something() {
        let line = |estimate| {
            waiting(
                "slow",
                Duration::from_secs(10),
                &Progress { executions: 700, estimate, ..Progress::default() },
            )
        };
        assert_eq!(
            line(Some((9_000.4, 80.0))),
            "racefuzz: slow: 700 executions of perhaps 8840 to 9160 explored in 10 s; RACEFUZZ_MODE=fuzz samples instead"
        );
        for useless in [None, Some((600.0, 1.0)), Some((9_000.0, 9_000.0))] {
            assert_eq!(
                line(useless),
                "racefuzz: slow: 700 executions explored in 10 s; RACEFUZZ_MODE=fuzz samples instead"
            );
        }
    }
}
