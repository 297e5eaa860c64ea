//! `racefuzz check`: what it proves, refutes and leaves open, and how it says so.

use crate::support::{Ran, line, racefuzz, snapshot};
use serde_json::Value;

/// The JSON report of a check, and its exit code.
fn report(arguments: &str) -> (Option<i32>, Value) {
    let ran = line(&format!("check {arguments} --format json"));
    assert_eq!(ran.stderr, "", "{arguments}");
    (ran.code, serde_json::from_str(&ran.stdout).expect("JSON"))
}

fn executions(report: &Value) -> u64 {
    report["report"]["stats"]["executions"].as_u64().expect("a count")
}

#[test]
fn every_scenario_shows_what_it_is_expected_to() {
    let ran = line("check --all");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    snapshot("cli__check_all", &ran.stdout);
    assert_eq!(line("check --all --workers 2").stdout, ran.stdout);
    let json: Value = serde_json::from_str(&line("check --all --format json").stdout).unwrap();
    let rows = json["scenarios"].as_array().unwrap();
    assert_eq!(rows.len(), crate::support::scenarios().len());
    for row in rows {
        assert_eq!(row["as_expected"], true, "{row:#}");
        assert_eq!(row["outcome"] == "passed", row["expected"]["holds"] == true, "{row:#}");
    }
}

/// A limit that ends every exploration proves nothing, and what fails behind it is not found.
#[test]
fn all_under_a_limit_is_incomplete() {
    let ran = line("check --all --max-executions 1");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(" not as expected"), "{}", ran.stdout);
    // Without weak memory some bugs are gone: then the table is wrong about them, and says so.
    let ran = line("check --all --memory sc");
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let row = ran.stdout.lines().find(|line| line.starts_with(" iriw ")).unwrap();
    assert!(row.contains("verified") && row.ends_with("expected: order violation"), "{row}");
}

/// Distinct classes of n threads that each read and then write one variable: (n!)^2.
#[test]
fn a_lost_update_is_counted_in_full() {
    for (threads, expected) in [(2, 4), (3, 36), (4, 576), (5, 14_400)] {
        let (code, report) = report(&format!("refcount --keep-going --param threads={threads}"));
        assert_eq!((code, executions(&report)), (Some(1), expected), "{threads} threads");
        assert_eq!(report["report"]["proof"]["whole"], true);
    }
}

/// Threads that take one lock once each come in any order: n!.
#[test]
fn lock_orders_are_counted_in_full() {
    let (code, report) = report("counter-locked --param threads=5");
    assert_eq!((code, executions(&report)), (Some(0), 120));
}

#[test]
fn what_the_text_says() {
    let mut text = String::new();
    for (arguments, code) in [
        ("counter-locked --param threads=5", 0),
        ("counter-sequential", 0),
        ("once-cell-fixed", 0),
        ("once-cell-fixed --memory sc", 0),
        ("refcount", 1),
        ("refcount --keep-going", 1),
        ("refcount --keep-going --param threads=3", 1),
        ("refcount --keep-going --param threads=4", 1),
        ("refcount --keep-going --param threads=5", 1),
        ("counter", 1),
        ("counter --keep-going --param threads=2", 1),
        ("dekker", 1),
        ("dekker --memory tso", 1),
        ("peterson-fixed --memory tso", 0),
        ("counter-locked --max-executions 2", 3),
        ("refcount --max-executions 1", 3),
        ("dining-philosophers --param philosophers=5", 1),
        ("dining-philosophers-fixed --param philosophers=3", 0),
        ("dining-philosophers-fixed --param philosophers=4", 0),
        ("dining-philosophers-fixed --param philosophers=5", 0),
    ] {
        let ran = line(&format!("check {arguments}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{arguments}\n{}", ran.stdout);
        let said: Vec<&str> = [" ok   verified: ", " bug  ", " incomplete  "]
            .into_iter()
            .filter(|verdict| ran.stdout.contains(verdict))
            .collect();
        assert_eq!(said.len(), 1, "one verdict: {said:?}\n{}", ran.stdout);
        assert!(crate::support::widest(&ran.stdout) <= 100, "{}", ran.stdout);
        text.push_str(&format!("$ racefuzz check {arguments}\n{}\n", ran.stdout));
    }
    snapshot("cli__check", &text);
}

#[test]
fn what_programs_are_told() {
    let (code, verified) = report("refcount-locked");
    assert_eq!((code, &verified["report"]["outcome"]), (Some(0), &Value::from("passed")));
    snapshot("cli__check_json", &format!("{verified:#}"));
    let (code, bug) = report("refcount");
    assert_eq!((code, &bug["explanations"][0]["name"]), (Some(1), &Value::from("lost update")));
    let token = bug["explanations"][0]["token"].as_str().expect("a token");
    let again = line(&format!("replay {token}"));
    assert_eq!(again.code, Some(1));
    assert_eq!(again.trace(), line("check refcount").trace());
}

/// Executions of TSO's store buffers are none of the runtime's own: the token says that a checker has
/// explored them, and fails like any other.
#[test]
fn an_execution_of_another_memory_model_is_replayed() {
    let ran = line("check dekker --memory tso");
    assert!(ran.stdout.contains("racefuzz replay"), "{}", ran.stdout);
    let (_, json) = report("dekker --memory tso");
    let token = json["explanations"][0]["token"].as_str().expect("a token");
    let again = line(&format!("replay {token}"));
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    assert_eq!(again.trace(), ran.trace());
}

#[test]
fn a_bug_found_under_a_limit_is_a_bug() {
    let ran = line("check refcount --keep-going --param threads=4 --max-executions 100");
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("the limit of 100 executions was reached"), "{}", ran.stdout);
}

#[test]
fn the_number_of_workers_changes_nothing() {
    for arguments in [
        "refcount --keep-going --param threads=5",
        "bounded-buffer-fixed",
        "message-passing",
        "message-passing --max-executions 5000",
        "treiber-stack",
        "ticket-lock",
    ] {
        let runs = [1, 2].map(|workers| {
            let ran = line(&format!("check {arguments} --workers {workers}"));
            (ran.code, ran.stdout)
        });
        assert_eq!(runs[0], runs[1], "{arguments}");
    }
}

/// The counter with four threads has far too many classes to wait for.
#[test]
#[cfg(unix)]
fn an_interrupted_check_says_what_it_has() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    for workers in ["1", "2"] {
        let arguments = ["check", "counter-locked", "--param", "threads=12", "--workers", workers];
        let mut command = racefuzz(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let asked = Instant::now();
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to stop", asked.elapsed());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
        assert!(
            ran.stdout.starts_with(" incomplete  counter-locked: interrupted; no bug in "),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_check_out_of_time_is_incomplete() {
    let ran = line("check counter-locked --param threads=12 --max-time 300ms");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("the time limit of 300ms was reached; no bug in "), "{}", ran.stdout);
}
