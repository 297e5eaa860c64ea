//! What every scenario shows, word for word.

use crate::support::{folder, line, racefuzz, scenarios, snapshot, widest};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_scenario_shows_what_it_declares() {
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        let name = scenario["name"].as_str().unwrap();
        let expected = &scenario["expected"];
        let checked = catch_unwind(|| match expected["anomaly"].as_str() {
            Some(anomaly) => {
                let ran = line(&format!("run {name} --seed 42"));
                assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
                snapshot(&format!("trace__{name}"), &ran.stdout);
                assert!(ran.stdout.starts_with(&format!(" bug  {anomaly}")), "no {anomaly}:\n{}", ran.stdout);
                assert!(widest(&ran.stdout) <= 100, "{}", ran.stdout);
            }
            None => {
                let ran = line(&format!("run {name} --seed 42 --iterations 500"));
                assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
                snapshot(&format!("trace__{name}"), &ran.stdout);
            }
        });
        if checked.is_err() {
            wrong.push(name.to_owned());
        }
    }
    assert!(wrong.is_empty(), "these show something else, see above: {wrong:?}");
}

#[test]
fn no_snapshot_is_left_of_a_scenario_that_is_gone() {
    let known: BTreeSet<String> = scenarios()
        .iter()
        .map(|scenario| format!("trace__{}.snap", scenario["name"].as_str().unwrap()))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots");
    let kept: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("trace__") && name.ends_with(".snap"))
        .collect();
    assert_eq!(kept.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_output_depends_on_the_arguments_alone() {
    let first = line("run refcount --seed 42");
    let elsewhere = folder();
    for workers in ["1", "2"] {
        for (home, terminal) in [("/", "dumb"), ("/nowhere", "xterm-256color")] {
            let mut command = racefuzz(&["run", "refcount", "--seed", "42", "--workers", workers]);
            command.current_dir(elsewhere.path()).env("HOME", home).env("TERM", terminal);
            let again: crate::support::Ran = command.output().unwrap().into();
            assert_eq!((again.code, again.stderr.as_str()), (Some(1), ""));
            assert_eq!(again.stdout, first.stdout);
        }
    }
}

#[test]
fn the_number_of_workers_changes_nothing() {
    for scenario in ["bounded-buffer", "publish-relaxed", "treiber-stack", "dining-philosophers"] {
        for rest in ["", " --keep-going --iterations 2000", " --strategy pct --iterations 3000"] {
            let runs =
                [1, 2, 5].map(|n| line(&format!("run {scenario} --seed 7{rest} --workers {n}")).stdout);
            assert_eq!(runs[0], runs[1], "{scenario}{rest}");
            assert_eq!(runs[0], runs[2], "{scenario}{rest}");
        }
    }
}

#[test]
fn the_first_command_finds_a_lost_update_and_shows_it_in_eight_rows() {
    let ran = line("run refcount --seed 42");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("lost update"));
    let is_step = |line: &&str| line.get(..5).is_some_and(|column| column.trim().parse::<u32>().is_ok());
    let steps = ran.trace().lines().filter(is_step).count();
    assert!((4..=8).contains(&steps), "{}", ran.stdout);
    let switches = ran.trace().matches("switch (").count();
    assert!((1..=2).contains(&switches), "{}", ran.stdout);
}

#[test]
fn the_second_command_finds_nothing() {
    let ran = line("run refcount-locked --iterations 100000");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(
        ran.stdout.starts_with(" ok   no bug in 100,000 executions of refcount-locked"),
        "{}",
        ran.stdout
    );
}
