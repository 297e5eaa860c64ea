//! Programs that take the process down: each runs in a process of its own, this test binary again.

mod common;

use common::*;
use racefuzz_fuzz::{Options, guarded, on_abort_report, replay};
use racefuzz_runtime::{Alternatives, Config, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{RunReport, Strategy, ThreadId};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const CHILD: &str = "RACEFUZZ_TEST_WORKERS";

/// The number of workers to use, in the child; in the parent the child's output.
fn in_child(test: &str, workers: usize) -> Result<usize, Output> {
    if let Ok(workers) = std::env::var(CHILD) {
        return Ok(workers.parse().unwrap());
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    Err(child.env(CHILD, workers.to_string()).output().unwrap())
}

struct Bomb(Arc<Var>);

impl Drop for Bomb {
    fn drop(&mut self) {
        let seen = self.0.get();
        assert!(!std::thread::panicking() || seen != 1, "second cause");
    }
}

/// Aborts the process if the setter comes between a thread's two steps.
fn bomb() {
    let x = Var::new("x", 0);
    let (y, z) = (Arc::clone(&x), Arc::clone(&x));
    let setter = spawn(move || {
        y.set(3);
        y.set(1);
    });
    let thread = spawn(move || {
        let _bomb = Bomb(Arc::clone(&z));
        let seen = z.get();
        assert_ne!(seen, 3, "first cause");
    });
    let _ = racefuzz_runtime::ops::join(setter, racefuzz_runtime::Site::caller());
    let _ = racefuzz_runtime::ops::join(thread, racefuzz_runtime::Site::caller());
}

fn show(report: &RunReport) {
    let failure = &report.failures[0];
    println!("REPORT {} {:?} {:?}", failure.schedule, report.stats, failure.trace.events.len());
    println!("REPORT iteration {}: {} {}", failure.iteration, failure.kind, failure.message);
}

fn reported(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.contains("REPORT"));
    lines.map(|line| line[line.find("REPORT").unwrap()..].to_owned()).collect()
}

#[test]
fn a_program_that_aborts_the_process_is_reported_first() {
    let outputs: Vec<_> = (1..=3)
        .map(|workers| match in_child("a_program_that_aborts_the_process_is_reported_first", workers) {
            Ok(workers) => {
                on_abort_report(show);
                run(&Options { workers, ..options(Strategy::Random, 3, 10_000) }, bomb);
                unreachable!("the process ends before");
            }
            Err(output) => output,
        })
        .collect();
    for output in &outputs {
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(reported(output), reported(&outputs[0]));
    }
    let lines = reported(&outputs[0]);
    assert!(lines[1].contains("first cause"), "{lines:?}");
}

#[test]
fn the_token_of_an_abort_repeats_it() {
    let program = || {
        let x = Var::new("x", 1);
        let _bomb = Bomb(Arc::clone(&x));
        panic!("first cause");
    };
    match in_child("the_token_of_an_abort_repeats_it", 1) {
        Ok(_) => {
            on_abort_report(show);
            replay(&empty(), &Options::default(), &program);
        }
        Err(output) => {
            assert_eq!(output.status.code(), Some(1));
            assert!(reported(&output)[1].contains("first cause"), "{:?}", reported(&output));
        }
    }
}

fn empty() -> racefuzz_trace::Schedule {
    racefuzz_trace::Schedule {
        program: "program".into(),
        settings: Default::default(),
        fingerprint: 0,
        choices: Vec::new(),
    }
}

#[test]
fn a_loop_without_steps_is_a_failure() {
    for workers in [1, 2] {
        let watchdog = Some(Duration::from_millis(300));
        let report = run(&Options { workers, watchdog, ..options(Strategy::Random, 3, 10_000) }, || {
            let x = Var::new("x", 0);
            let y = Arc::clone(&x);
            let setter = spawn(move || y.set(1));
            let seen = x.get();
            while std::hint::black_box(seen) == 1 {
                std::hint::spin_loop();
            }
            join(setter);
        });
        let message = report.failures()[0].message();
        assert!(message.contains("does not end") && message.contains("tests/process.rs"), "{message}");
    }
}

struct First;

impl Explorer for First {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.default_thread()
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }
}

/// An exploration of graphs may think long about what to execute next.
#[test]
fn the_watchdog_does_not_mind_what_lies_between_executions() {
    const TEST: &str = "the_watchdog_does_not_mind_what_lies_between_executions";
    match in_child(TEST, 1) {
        Ok(_) => {
            let watchdog = Some(Duration::from_millis(100));
            let options = Options { watchdog, ..Options::default() };
            guarded(&options, &|| {}, &|| None, |guard| {
                let mut runner = Runner::new(Config::default());
                let pulse = guard.watch(runner.heart());
                pulse.set_active(true);
                for _ in 0..2 {
                    std::thread::sleep(Duration::from_millis(600));
                    runner.run(&|| assert_eq!(Var::new("x", 1).get(), 1), &mut First, Record::Choices);
                }
                pulse.set_active(false);
            });
            println!("REPORT alive");
        }
        Err(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{text}");
            assert_eq!(reported(&output), ["REPORT alive"]);
        }
    }
}
