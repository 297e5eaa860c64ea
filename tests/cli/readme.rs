//! README shows what the binary prints.

use std::process::Command;

const README: &str = include_str!("../../README.md");

#[test]
fn the_first_command_prints_what_readme_shows() {
    let arguments = README
        .lines()
        .find_map(|line| line.strip_prefix("$ cargo run --release -- "))
        .expect("README's first command")
        .split_whitespace();
    let output = Command::new(env!("CARGO_BIN_EXE_racefuzz")).args(arguments).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(README.contains(printed.trim_end()), "README does not show this:\n{printed}");
}

#[test]
fn every_scenario_that_readme_names_exists() {
    let list =
        Command::new(env!("CARGO_BIN_EXE_racefuzz")).args(["list", "--format", "json"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for line in README.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(place) = words.iter().position(|word| *word == "run")
            && words[0] == "racefuzz"
        {
            assert!(list.contains(&format!("\"name\": \"{}\"", words[place + 1])), "{line}");
        }
    }
}

/// Of the commands whose output is the same everywhere.
#[test]
fn repairs_and_audits_print_what_readme_shows() {
    let blocks = README.split("```console\n").skip(1).filter_map(|block| block.split("\n```").next());
    let mut shown = 0;
    for block in blocks {
        let (command, printed) = block.split_once('\n').unwrap_or((block, ""));
        let words: Vec<&str> = command.split_whitespace().skip(2).collect();
        if matches!(words.first(), Some(&("fix" | "audit"))) {
            let output = Command::new(env!("CARGO_BIN_EXE_racefuzz")).args(&words).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), printed, "{command}");
            shown += 1;
        }
    }
    assert!(shown >= 2, "README shows a repair and an audit");
}
