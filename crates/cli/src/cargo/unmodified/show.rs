//! What a person sees: a line for each test, and the reports of those that fail.

use super::build::{Entry, Runnable};
use super::run::{Done, Verdict};
use crate::args::BuildArgs;
use racefuzz::{FixReport, MemoryModel, Style};
use racefuzz_hooks::Request;
use racefuzz_report::{Command, Content, DiskSources, Document, Format};
use serde_json::json;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// The version of the document; its reports have one of their own.
const VERSION: u32 = 1;

/// Lines on standard error while tests run.
pub(super) struct Shown {
    begun: Instant,
}

impl Shown {
    pub(super) fn begin(tests: &[&Runnable], asked: &Request) -> Self {
        let time = asked.max_time.map_or(String::new(), |time| format!(" or {}", seconds(time)));
        if asked.check.is_some() {
            let time =
                asked.max_time.map_or(String::new(), |time| format!(", {} each at most", seconds(time)));
            let (what, model) = (counted(tests), asked.settings.memory);
            say(&format!("{:>12} {what}: every execution{time}, memory model {model}", "Checking"));
            return Self { begun: Instant::now() };
        }
        say(&format!(
            "{:>12} {}: {} executions{time} each, seed {}, {}, memory model {}",
            "Running",
            counted(tests),
            number(asked.iterations),
            asked.seed,
            asked.strategy,
            asked.settings.memory
        ));
        Self { begun: Instant::now() }
    }

    /// A test is done.
    pub(super) fn line(&self, done: &Done<'_>) {
        say(&format!(
            "{} [{:>7.3}s] {}  {}",
            word(done.verdict()),
            done.time.as_secs_f64(),
            done.test.program,
            about(done)
        ));
    }

    /// All are.
    pub(super) fn summary(&self, done: &[Done<'_>]) {
        let count = |verdict| done.iter().filter(|done| done.verdict() == verdict).count();
        let explored = done.iter().filter_map(Done::report).any(|report| report.proof.is_some());
        let good = if explored { (Verdict::Verified, "verified") } else { (Verdict::Passed, "passed") };
        let mut parts =
            vec![format!("{} {}", count(good.0), good.1), format!("{} failed", count(Verdict::Bug))];
        let mut add = |verdict, word: &str| {
            if count(verdict) > 0 {
                parts.push(format!("{} {word}", count(verdict)));
            }
        };
        add(Verdict::Incomplete, "incomplete");
        add(Verdict::Unsure, "unsure");
        add(Verdict::Unable, "not run");
        let executions: u64 =
            done.iter().filter_map(Done::report).map(|report| report.stats.executions).sum();
        say(&format!(
            "{:>12} {}, {} executions in {:.1}s: {}",
            "Summary",
            counted(&done.iter().map(|done| done.test).collect::<Vec<&Runnable>>()),
            number(executions),
            self.begun.elapsed().as_secs_f64(),
            parts.join(", ")
        ));
        if count(Verdict::Verified) > 0 {
            say(GRANTED);
        }
    }
}

/// Writes a line to standard error; if that is closed there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "        PASS",
        Verdict::Verified => "    VERIFIED",
        Verdict::Incomplete => "  INCOMPLETE",
        Verdict::Bug => "        FAIL",
        Verdict::Unsure => "      UNSURE",
        Verdict::Unable => "     NOT RUN",
    }
}

/// What is to be said of a test in its line.
fn about(done: &Done<'_>) -> String {
    let answer = match &done.answer {
        Ok(answer) => answer,
        Err(reason) => return reason.clone(),
    };
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    match answer.report.failures.first() {
        Some(failure) if failure.kind == racefuzz::FailureKind::StepLimit => {
            format!("{} (a long test, or one that spins for ever: --max-steps)", first(&failure.message))
        }
        Some(failure) if let Some(real) = &answer.real => {
            format!("it uses {real}, which are real here; {}: {}", failure.kind, first(&failure.message))
        }
        Some(failure) if done.verdict() == Verdict::Unsure => {
            format!("something that racefuzz does not control differs: {}", first(&failure.message))
        }
        Some(failure) if failure.kind == racefuzz::FailureKind::Exit => first(&failure.message),
        Some(failure) => format!("{}: {}", failure.kind, first(&failure.message)),
        None if done.verdict() == Verdict::Incomplete => {
            let reason = answer.report.stopped.as_deref().unwrap_or("not everything was explored");
            match &*answer.unseen {
                [] => reason.to_owned(),
                unseen => format!("not all of it is seen: {}", unseen.join("; ")),
            }
        }
        None if done.verdict() == Verdict::Unsure => {
            "no execution has ended in the time given (--max-time)".to_owned()
        }
        None if !answer.threads && answer.report.proof.is_none() => "no threads".to_owned(),
        None if done.verdict() == Verdict::Verified => verified(&answer.report),
        None => format!("{} executions", number(answer.report.stats.executions)),
    }
}

/// What was explored.
fn verified(report: &racefuzz::Report) -> String {
    let executions = match report.stats.executions {
        1 => "the only execution".to_owned(),
        all => format!("all {} executions", number(all)),
    };
    let bound = match report.proof.and_then(|proof| proof.preemptions) {
        Some(1) => " with at most 1 preemption".to_owned(),
        Some(most) => format!(" with at most {most} preemptions"),
        None => String::new(),
    };
    let relaxed = report.proof.is_some_and(|proof| proof.relaxed);
    let buffers =
        if relaxed && report.settings.memory == MemoryModel::Rc11 { ", without load buffering" } else { "" };
    format!("{executions}{bound}{buffers}")
}

/// What a verdict takes for granted that is about a program linked to a library which comes compiled.
const GRANTED: &str = "\
note: verified is what of the tests is compiled with them. The standard library comes compiled: what of it is not
      inlined is taken to do what its documentation says, and is not looked into for data races";

/// The reports of the tests that fail, and what is to be typed to see one again.
pub(super) fn text(done: &[Done<'_>], style: &Style, build: &BuildArgs) -> String {
    let rest: Vec<String> =
        build.release.then(|| "--release".to_owned()).into_iter().chain(build.rest.iter().cloned()).collect();
    let mut text = String::new();
    for done in done.iter().filter(|done| done.verdict() == Verdict::Bug) {
        let Some(report) = done.report() else { continue };
        let replays = report.failures.iter().take(1).filter(|failure| failure.is_replayable());
        let rest = match &done.test.entry {
            Entry::Main(arguments) if !arguments.is_empty() => {
                let given = arguments.iter().map(|argument| quoted(argument));
                rest.iter().cloned().chain(["--".to_owned()]).chain(given).collect()
            }
            _ => rest.clone(),
        };
        let next: Vec<Command> = replays
            .map(|failure| Command {
                label: "replay".to_owned(),
                line: format!("cargo racefuzz replay '{}'{}", failure.schedule, behind(&rest)),
            })
            .collect();
        let sources = DiskSources::in_directories([done.test.package.clone()]);
        text.push_str(&format!("\n{}\n", done.test.program));
        text.push_str(&racefuzz::render_with(report, &sources, style, &next));
    }
    text
}

/// What repairs the tests, of which something is known.
pub(super) fn repairs(done: &[Done<'_>], style: &Style, build: &BuildArgs) -> String {
    let mut text = String::new();
    let known =
        |done: &&Done<'_>| matches!(done.verdict(), Verdict::Bug | Verdict::Verified | Verdict::Incomplete);
    for done in done.iter().filter(known) {
        let Some(report) = done.repairs() else { continue };
        let replayed = report.failure.as_ref().filter(|failure| failure.is_replayable());
        let next = replayed.map(|failure| Command {
            label: "replay".to_owned(),
            line: format!("cargo racefuzz replay '{}'{}", failure.schedule, behind(&build.rest)),
        });
        let (report, sources) = as_shown(report, done.test);
        let next: Vec<Command> = next.into_iter().collect();
        text.push_str(&format!("\n{}", racefuzz::render_fixes_with(&report, &sources, style, &next)));
    }
    text
}

/// Repairs in the order in which they are shown, and the sources that they are of.
pub(super) fn as_shown(report: &FixReport, test: &Runnable) -> (FixReport, DiskSources) {
    let sources = DiskSources::in_directories([test.package.clone()]);
    let mut report = report.clone();
    racefuzz_report::put_harness_last(&mut report, &sources);
    (report, sources)
}

/// Arguments behind `--`.
fn behind(rest: &[String]) -> String {
    if rest.is_empty() { String::new() } else { format!(" -- {}", rest.join(" ")) }
}

/// An argument as it is typed in a shell.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// How many there are, and of what.
fn counted(tests: &[&Runnable]) -> String {
    let is_main = tests.iter().any(|test| matches!(test.entry, Entry::Main(_)));
    let (one, more) = if is_main { ("program", "programs") } else { ("test", "tests") };
    format!("{} {}", tests.len(), if tests.len() == 1 { one } else { more })
}

/// All reports, for programs.
pub(super) fn json(done: &[Done<'_>]) -> String {
    let tests: Vec<serde_json::Value> = done
        .iter()
        .map(|done| {
            let report = done.report().map(|report| rendered(done, Content::Run(report)));
            let unseen = done.answer.as_ref().map_or(&[][..], |answer| &answer.unseen);
            let reason = done.answer.as_ref().err();
            let mut test = json!({ "test": done.test.program, "report": report, "reason": reason });
            if let Some(fix) = done.repairs() {
                test["fix"] = rendered(done, Content::Fix(fix));
            }
            if !unseen.is_empty() {
                test["unseen"] = json!(unseen);
            }
            test
        })
        .collect();
    format!("{:#}\n", json!({ "version": VERSION, "kind": "unmodified-tests", "tests": tests }))
}

/// A report as JSON.
fn rendered(done: &Done<'_>, content: Content<'_>) -> serde_json::Value {
    let sources = DiskSources::in_directories([done.test.package.clone()]);
    let document = Document { content, sources: &sources, next: &[] };
    let text = racefuzz_report::render(&document, Format::Json, &Style::default());
    serde_json::from_str(&text).unwrap_or(serde_json::Value::Null)
}

/// A number with its thousands apart.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn seconds(time: Duration) -> String {
    format!("{time:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_quoted_where_it_must_be() {
        assert_eq!(quoted("--port=80"), "--port=80");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
    }
}
