//! A run that is cut short says what it has, and a bug always wins.
#![cfg(unix)]

use crate::support::{Ran, argument, folder, line, racefuzz, run};
use std::io::pipe;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(arguments: &[&str]) -> Child {
    racefuzz(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Presses Ctrl-C after a second.
fn interrupt(child: Child) -> Ran {
    std::thread::sleep(Duration::from_secs(1));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let asked = Instant::now();
    let ran = child.wait_with_output().unwrap().into();
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to stop", asked.elapsed());
    ran
}

#[test]
fn an_interrupted_run_without_a_bug_is_incomplete() {
    for workers in ["1", "2"] {
        let child = start(&["run", "refcount-locked", "--iterations", "1000000000", "--workers", workers]);
        let ran = interrupt(child);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
        let head = ran.stdout.lines().next().unwrap();
        assert!(head.starts_with(" incomplete  refcount-locked: interrupted; no bug in "), "{}", ran.stdout);
        assert!(head.contains(" of 1,000,000,000 executions"), "{}", ran.stdout);
        assert!(!head.contains("no bug in 0 "), "{}", ran.stdout);
    }
}

#[test]
fn an_interrupted_run_reports_the_bug_it_has_seen() {
    let folder = folder();
    let file = folder.path().join("report.json");
    let arguments =
        ["run", "refcount", "--seed", "42", "--keep-going", "-n", "1000000000", "--report", argument(&file)];
    let ran = interrupt(start(&arguments));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{}", ran.stdout);
    assert!(ran.stdout.starts_with(" bug  lost update on `references`"), "{}", ran.stdout);
    assert!(ran.stdout.contains("interrupted"), "{}", ran.stdout);
    assert_eq!(run(&["replay", argument(&file)]).trace(), ran.trace());
}

#[test]
fn a_run_out_of_time_is_incomplete() {
    let ran = line("run refcount-locked --iterations 1000000000 --max-time 700ms");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
    assert!(
        ran.stdout
            .starts_with(" incomplete  refcount-locked: the time limit of 700ms was reached; no bug in "),
        "{}",
        ran.stdout
    );
    let ran = line("run refcount --iterations 1000000000 --max-time 1h --seed 42");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with(" bug  lost update"), "{}", ran.stdout);
}

#[test]
fn real_threads_are_something_to_compare_with() {
    let ran = line("run refcount --engine threads --iterations 50 --seed 42");
    assert!(matches!(ran.code, Some(0 | 1)), "{:?}", ran.code);
    let lines: Vec<&str> = ran.stdout.lines().take(3).collect();
    assert!(lines[0].starts_with(" os threads, no delay "), "{}", ran.stdout);
    assert!(lines[0].contains(" of 50 runs fail"), "{}", ran.stdout);
    assert!(lines[1].starts_with(" os threads, with delays "), "{}", ran.stdout);
    assert!(lines[1].contains(" of 50 runs fail"), "{}", ran.stdout);
    assert_eq!(lines[2], " racefuzz delay            first failure in schedule 1: expected 7, found 6");

    let ran = line("run refcount --engine threads --iterations 20 --format json");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["delays"]["runs"], 20);
}

#[test]
fn a_closed_pipe_is_an_error_of_one_line() {
    for arguments in [&["list"][..], &["run", "refcount"], &["run", "--help"], &["completions", "zsh"]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let child = racefuzz(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert_eq!(ran.stderr, "error: standard output was closed before the report was written\n");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_one_line() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = racefuzz(&["list"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr, "error: cannot write to standard output: no space left on device\n");
    let ran = line("run refcount --report /dev/full");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(ran.stderr, "error: cannot write /dev/full: no space left on device\n");
}

#[test]
fn an_interrupted_search_says_what_it_has() {
    let endless = ["--max-executions", "1000000000"];
    let fix = [&["fix", "counter", "--param", "threads=9"][..], &endless].concat();
    let ran = interrupt(start(&fix));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{}", ran.stdout);
    assert!(ran.stdout.starts_with(" fix  counter: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("interrupted"), "{}", ran.stdout);

    let audit = [&["audit", "counter-locked", "--param", "threads=9"][..], &endless].concat();
    let ran = interrupt(start(&audit));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
    let incomplete = " incomplete  counter-locked: interrupted; nothing fails so far";
    assert!(ran.stdout.starts_with(incomplete), "{}", ran.stdout);
}
