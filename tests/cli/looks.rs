//! How the output looks in terminals of all kinds.

use crate::support::{line, racefuzz, scenarios, snapshot, widest};

#[test]
fn the_list() {
    for width in [100, 80, 60] {
        let ran = line(&format!("list --width {width}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(widest(&ran.stdout) <= width, "{}", ran.stdout);
        snapshot(&format!("cli__list_{width}"), &ran.stdout);
    }
    let some = line("list counter").stdout;
    assert!(some.contains("counter-locked") && !some.contains("refcount "), "{some}");
    let heading = line("list locks").stdout;
    assert!(heading.contains("bank-transfer") && !heading.contains("peterson"), "{heading}");
}

#[test]
fn the_list_names_every_scenario_and_its_whole_summary() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let below = words(&line("list --width 60").stdout);
    for scenario in scenarios() {
        for key in ["name", "summary"] {
            let text = scenario[key].as_str().unwrap();
            assert!(below.contains(text), "{text}");
        }
    }
}

#[test]
fn the_list_for_programs() {
    let scenarios = scenarios();
    assert!(scenarios.len() > 60);
    for scenario in &scenarios {
        for key in ["name", "summary", "teaches", "file"] {
            assert!(scenario[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {scenario:#}");
        }
        if let Some(twin) = scenario["twin"].as_str() {
            assert!(scenarios.iter().any(|other| other["name"] == twin), "no `{twin}`");
        }
    }
    let refcount = scenarios.iter().find(|scenario| scenario["name"] == "refcount").unwrap();
    snapshot("cli__list_json", &format!("{refcount:#}"));
}

#[test]
fn a_scenario() {
    snapshot("cli__show", &line("show refcount").stdout);
    snapshot("cli__show_60", &line("show dining-philosophers --width 60").stdout);
    let json: serde_json::Value = serde_json::from_str(&line("show refcount --format json").stdout).unwrap();
    assert!(json["source"].as_str().unwrap().contains("references.set(next)"));
}

#[test]
fn a_report_keeps_to_the_width() {
    for width in [60, 80, 120] {
        let ran = line(&format!("run refcount --seed 42 --width {width}"));
        assert!(widest(&ran.stdout) <= width, "{}", ran.stdout);
        snapshot(&format!("cli__run_{width}"), &ran.stdout);
    }
}

#[test]
fn no_report_is_wider_than_asked_for() {
    for scenario in scenarios().iter().filter(|scenario| scenario["expected"]["anomaly"].is_string()) {
        let name = scenario["name"].as_str().unwrap();
        let token = line(&format!("run {name} --seed 42")).token().to_owned();
        for width in [40, 60, 80, 200] {
            let ran = line(&format!("replay {token} --width {width}"));
            // Neither a command to type nor a place is broken.
            let text: String = ran
                .stdout
                .lines()
                .filter(|line| !line.contains("  racefuzz ") && !line.contains(".rs:"))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(widest(&text) <= width, "{name} at {width}:\n{}", ran.stdout);
        }
    }
}

#[test]
fn ascii_is_ascii() {
    let ran = line("run refcount --seed 42 --ascii");
    snapshot("cli__run_ascii", &ran.stdout);
    for scenario in scenarios() {
        let name = scenario["name"].as_str().unwrap();
        for command in ["run --seed 42 --iterations 20", "show"] {
            for format in ["text", "json"] {
                let ran = line(&format!("{command} {name} --ascii --format {format}"));
                assert!(ran.stdout.is_ascii(), "{command} {name}:\n{}", ran.stdout);
                if format == "json" {
                    let plain = line(&format!("{command} {name} --format json"));
                    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                    assert_eq!(parse(&ran.stdout), parse(&plain.stdout), "{command} {name}");
                }
            }
        }
    }
    for format in ["text", "json"] {
        assert!(line(&format!("list --ascii --format {format}")).stdout.is_ascii());
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let commands: [&[&str]; 4] = [
        &["run", "refcount", "--seed", "42"],
        &["list"],
        &["show", "refcount"],
        &["run", "refcount-locked", "--iterations", "10"],
    ];
    for arguments in commands {
        let with = |variables: &[(&str, &str)]| {
            let mut command = racefuzz(arguments);
            command.envs(variables.iter().copied());
            crate::support::Ran::from(command.output().unwrap()).stdout
        };
        let piped = with(&[]);
        assert!(!piped.contains('\u{1b}'), "{arguments:?}");
        assert_eq!(with(&[("NO_COLOR", "1")]), piped);
        assert_eq!(with(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), piped);
        let forced = with(&[("CLICOLOR_FORCE", "1")]);
        assert!(forced.contains('\u{1b}'), "{arguments:?}");
        assert_eq!(plain(&forced), plain(&piped), "colours change nothing else");
    }
    let mut wrong = racefuzz(&["run", "nothing"]);
    let forced: crate::support::Ran = wrong.env("CLICOLOR_FORCE", "1").output().unwrap().into();
    assert!(forced.stderr.contains('\u{1b}'));
}

/// The text without escape sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or("").to_owned();
    let plain = parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest));
    // Blanks at the end of a line have a colour, too.
    plain.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
