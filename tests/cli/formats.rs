//! The forms of a report, on standard output and in files.

use crate::support::{argument, folder, line, run};
use serde_json::Value;
use std::fs;

/// Beginnings of the forms other than text.
const FORMS: &[(&str, &str, &str)] = &[
    ("html", "FAIL.html", "<!doctype html>"),
    ("json", "FAIL.json", "{"),
    ("sarif", "FAIL.sarif", "{"),
    ("perfetto", "FAIL.perfetto.json", "{"),
    ("dot", "FAIL.dot", "digraph"),
    ("mermaid", "FAIL.mmd", "sequenceDiagram"),
    ("junit", "FAIL.xml", "<?xml"),
];

#[test]
fn every_command_that_reports_writes_every_form() {
    let folder = folder();
    let token = line("run refcount --seed 42").token().to_owned();
    let commands = ["run refcount --seed 42", "check refcount", "fix refcount", "audit refcount", "replay"];
    for command in commands {
        let mut words: Vec<&str> = command.split(' ').collect();
        if command == "replay" {
            words.push(&token);
        }
        let plain = run(&words);
        let files: Vec<_> = FORMS.iter().map(|(_, file, _)| folder.path().join(file)).collect();
        let mut all = words.clone();
        all.extend(files.iter().flat_map(|file| ["--report", argument(file)]));
        let ran = run(&all);
        assert_eq!((ran.code, &ran.stdout), (plain.code, &plain.stdout), "{command}: files change nothing");
        for ((format, _, begins), file) in FORMS.iter().zip(&files) {
            let written = fs::read_to_string(file).unwrap();
            let printed = run(&[&words[..], &["--format", format]].concat()).stdout;
            assert!(printed.starts_with(begins), "{command}: {printed}");
            assert_eq!(printed, written, "{command} as {format}");
            let ascii = run(&[&words[..], &["--ascii", "--format", format]].concat()).stdout;
            assert!(ascii.is_ascii(), "{command} as {format}: {ascii}");
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn repairs_that_can_be_typed_in_are_fixes_in_sarif() {
    let log: Value = serde_json::from_str(&line("fix refcount --format sarif").stdout).unwrap();
    let fixes = log["runs"][0]["results"][0]["fixes"].as_array().unwrap();
    assert!(!fixes.is_empty());
    for fix in fixes {
        let change = &fix["artifactChanges"][0];
        let file = change["artifactLocation"]["uri"].as_str().unwrap();
        assert!(file.ends_with("refcount.rs"), "{file}");
        for replacement in change["replacements"].as_array().unwrap() {
            assert!(replacement["deletedRegion"]["startLine"].as_u64() > Some(0), "{replacement}");
        }
    }
    let audit: Value = serde_json::from_str(&line("audit gil --format sarif").stdout).unwrap();
    let results = audit["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() > 1, "the failure, and a lock that is no good: {audit:#}");
}

#[test]
fn all_scenarios_are_test_cases_for_a_build_server() {
    let folder = folder();
    let file = folder.path().join("all.xml");
    let ran = run(&["check", "--all", "--max-executions", "50", "--report", argument(&file)]);
    let xml = fs::read_to_string(&file).unwrap();
    let scenarios = crate::support::scenarios().len();
    assert_eq!(xml.matches("<testcase ").count(), scenarios, "{}", ran.stdout);
    assert!(xml.contains("name=\"refcount-locked\"/>"), "{xml}");
}
