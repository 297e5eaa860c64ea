//! `racefuzz check --engine loom|both`: a second opinion, and `--checkpoint`: in several goes.

use crate::support::{Ran, argument, folder, line, racefuzz, run, snapshot};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

#[test]
fn what_loom_says_to_it() {
    let mut text = String::new();
    for (arguments, code) in [
        ("refcount --engine both", 1),
        ("refcount --engine loom", 1),
        ("refcount-locked --engine both", 0),
        ("refcount-locked --engine loom", 0),
        // Loom is wrong about these two, the one it cannot run, and the last takes it too long.
        ("iriw-fixed --engine both --width 80", 0),
        ("async-counter --engine both --width 80", 0),
        ("async-counter --engine loom", 3),
        ("message-passing --engine both --param workers=2 --max-executions 500 --width 80", 0),
        ("dekker --engine loom --memory sc", 3),
    ] {
        let ran = line(&format!("check {arguments}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{arguments}\n{}", ran.stdout);
        text.push_str(&format!("$ racefuzz check {arguments}\n{}\n", ran.stdout));
    }
    snapshot("cli__check_engines", &text);
}

#[test]
fn what_programs_are_told_of_both() {
    let both = |arguments: &str| -> Value {
        serde_json::from_str(&line(&format!("check {arguments} --engine both --format json")).stdout).unwrap()
    };
    let agreed = both("refcount-locked");
    assert_eq!((&agreed["verdict"], &agreed["exceptions"]), (&"agree".into(), &Value::Array(Vec::new())));
    assert_eq!(agreed["graph"]["report"]["stats"]["executions"], 2);
    assert_eq!(agreed["loom"]["report"]["outcome"], "passed");
    let excused = both("iriw-fixed");
    assert_eq!(excused["verdict"], "excused");
    assert!(excused["exceptions"][0].as_str().unwrap().contains("loom#180"), "{excused:#}");
    assert_eq!(both("async-counter")["verdict"], "undecided");
}

const LONG: &str = "check refcount --keep-going --param threads=6 --max-executions 100000 --format json";

/// Killed again and again, until it comes to its end.
#[test]
#[cfg(unix)]
fn a_check_that_is_killed_comes_to_the_same_in_the_end() {
    let long: Vec<&str> = LONG.split(' ').collect();
    let whole = run(&long);
    assert_eq!(whole.code, Some(1));
    for (workers, first) in [("1", 150), ("2", 175)] {
        let folder = folder();
        let file = folder.path().join("check.checkpoint");
        // A little longer each time, so that it ends on every machine.
        for wait in (first..).step_by(25) {
            let mut command = racefuzz(&long);
            command.args(["--checkpoint", argument(&file), "--workers", workers]);
            // A pipe that nobody reads would hold it up.
            let printed = folder.path().join("printed");
            let mut child = command.stdout(std::fs::File::create(&printed).unwrap()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
            }
            if let Some(code) = child.wait().unwrap().code() {
                assert_eq!((code, std::fs::read_to_string(&printed).unwrap()), (1, whole.stdout.clone()));
                break;
            }
        }
    }
}

fn with_checkpoint(arguments: &str, file: &Path) -> Ran {
    let mut all: Vec<&str> = arguments.split_whitespace().collect();
    all.extend(["--checkpoint", argument(file)]);
    run(&all)
}

#[test]
fn a_check_out_of_time_can_be_gone_on_with() {
    let folder = folder();
    let file = folder.path().join("check.checkpoint");
    let ran = with_checkpoint("check refcount-locked --max-executions 1", &file);
    assert_eq!(ran.code, Some(3), "{}", ran.stdout);
    let offered = format!("racefuzz check refcount-locked --checkpoint {}", file.display());
    assert!(ran.stdout.contains(&offered), "{}", ran.stdout);
    let ran = with_checkpoint("check refcount-locked", &file);
    assert_eq!((ran.code, &ran.stdout), (Some(0), &line("check refcount-locked").stdout));
    assert!(!file.exists());
}

#[test]
fn a_checkpoint_of_something_else_is_one_line() {
    let folder = folder();
    let file = folder.path().join("check.checkpoint");
    let mut text = String::new();
    let mut said = |arguments: &str, file: &Path| {
        let ran = with_checkpoint(arguments, file);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments}");
        let error = ran.stderr.replace(folder.path().to_str().unwrap(), "FOLDER");
        text.push_str(&format!(
            "$ racefuzz {arguments} --checkpoint {}\n{error}\n",
            file.file_name().unwrap().display()
        ));
    };
    with_checkpoint("check refcount-locked --max-executions 1", &file);
    said("check refcount", &file);
    said("check refcount-locked --memory sc", &file);
    said("check refcount-locked --keep-going", &file);
    said("check refcount-locked --param threads=3", &file);
    std::fs::write(&file, "dear diary").unwrap();
    said("check refcount-locked", &file);
    said("check refcount-locked", &folder.path().join("none/check.checkpoint"));
    said("check refcount-locked --engine loom", &file);
    said("check --all", &file);
    snapshot("cli__checkpoint_errors", &text);
}
