//! A failure found once can be shown again, and what cannot be repeated is said so.

use crate::support::{Ran, argument, folder, line, run, scenarios, snapshot};
use serde_json::Value;
use std::fs;

fn found() -> Ran {
    line("run refcount --seed 42")
}

#[test]
fn a_token_repeats_the_trace_of_every_scenario() {
    for scenario in scenarios().iter().filter(|scenario| scenario["expected"]["anomaly"].is_string()) {
        let name = scenario["name"].as_str().unwrap();
        let ran = line(&format!("run {name} --seed 42"));
        let again = run(&["replay", ran.token()]);
        assert_eq!((again.code, again.stderr.as_str()), (Some(1), ""), "{name}: {}", ran.token());
        assert_eq!(again.trace(), ran.trace(), "{name}");
        assert_eq!(again.token(), ran.token(), "{name}");
    }
}

#[test]
fn settings_travel_inside_the_token() {
    let ran = line("run dining-philosophers --param philosophers=4 --memory sc --seed 1");
    let again = run(&["replay", ran.token()]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(1), ""));
    assert_eq!(again.trace(), ran.trace());
    assert!(again.stdout.contains("philosopher 4"), "{}", again.stdout);
}

#[test]
fn a_report_file_repeats_the_trace() {
    let folder = folder();
    let file = folder.path().join("refcount.json");
    let ran = run(&["run", "refcount", "--seed", "42", "--report", argument(&file)]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stdout, found().stdout, "--report changes nothing on standard output");
    let again = run(&["replay", argument(&file)]);
    assert_eq!((again.code, again.trace()), (Some(1), ran.trace()));

    // The replay's own report is good for another replay.
    let second = folder.path().join("again.json");
    let again = run(&["replay", ran.token(), "--report", argument(&second)]);
    assert_eq!(again.code, Some(1));
    assert_eq!(run(&["replay", argument(&second)]).trace(), ran.trace());
}

#[test]
fn the_json_report_says_what_the_text_says() {
    let ran = line("run refcount --seed 42 --format json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(json["version"].is_u64(), "{json:#}");
    let report = &json["report"];
    assert_eq!(report["program"], "refcount");
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["seed"], 42);
    assert_eq!(report["failures"].as_array().unwrap().len(), 1);
    assert_eq!(report["failures"][0]["kind"], "panic");
    assert_eq!(json["explanations"][0]["name"], "lost update");
    snapshot("cli__run_json", &ran.stdout);

    let ran = line("run refcount-locked --iterations 100 --format json");
    assert_eq!(ran.code, Some(0));
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["report"]["outcome"], "passed");
    assert_eq!(json["report"]["stats"]["executions"], 100);
    assert_eq!(json["report"]["failures"].as_array().unwrap().len(), 0);
}

#[test]
fn what_does_not_repeat_is_said() {
    let ran = found();
    let token = ran.token();
    let (_, choices) = token.split_once(':').unwrap();
    let damaged = if token.ends_with('X') { "Y" } else { "X" };
    let folder = folder();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    // The schedule of three philosophers, said to be of four.
    let report = line("run dining-philosophers --seed 42 --format json").stdout;
    let mut json: Value = serde_json::from_str(&report).unwrap();
    json["report"]["failures"][0]["schedule"]["settings"]["params"] =
        serde_json::json!([["philosophers", "4"]]);
    let other_params = file("other-params.json", &json.to_string());
    json["report"]["failures"][0]["schedule"]["settings"]["params"] = serde_json::json!([["spoons", "4"]]);
    let no_param = file("no-param.json", &json.to_string());
    json["report"]["failures"][0]["schedule"]["settings"]["params"] =
        serde_json::json!([["philosophers", "2"]]);
    let fewer = file("fewer.json", &json.to_string());
    let passing = file("passing.json", &line("run refcount-locked --iterations 10 --format json").stdout);
    let no_report = file("no-report.json", "{}");
    let no_json = file("no-json.json", "not JSON");

    let mut text = String::new();
    for (what, argument) in [
        ("a character is wrong", &*format!("{}{damaged}", &token[..token.len() - 1])),
        ("the end is missing", &token[..token.len() - 2]),
        ("nothing behind the name", "refcount:"),
        ("no name", choices),
        ("a scenario that there is not", &format!("refcounts:{choices}")),
        ("another scenario, which does not fail", &format!("refcount-locked:{choices}")),
        ("a report of the scenario with another parameter", argument(&other_params)),
        ("a report of the scenario with fewer threads", argument(&fewer)),
        ("a report with a parameter that there is not", argument(&no_param)),
        ("a report without a failure", argument(&passing)),
        ("JSON that is no report", argument(&no_report)),
        ("a file without JSON", argument(&no_json)),
        ("a file that there is not", "nowhere/report.json"),
        ("a folder", argument(folder.path())),
    ] {
        let ran = run(&["replay", argument]);
        let shown = |text: &str| {
            let text = text.replace(crate::support::argument(folder.path()), "FOLDER");
            text.lines().map(|line| format!("  {line}\n")).collect::<String>()
        };
        text.push_str(&format!(
            "{what}: exit {}\n{}{}\n",
            ran.code.unwrap(),
            shown(&ran.stderr),
            shown(&ran.stdout)
        ));
    }
    // Tokens are no longer than they are said to be above.
    snapshot(
        "cli__replay",
        &text.replace(choices, "CHOICES").replace(&choices[..choices.len() - 1], "CHOICE"),
    );
}
