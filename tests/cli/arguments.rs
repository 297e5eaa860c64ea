//! What can be typed, and what is said to what cannot.

use crate::support::{line, run, snapshot};

#[test]
fn every_error_is_one_line_that_says_what_to_do() {
    let mut text = String::new();
    for arguments in [
        "",
        "runn refcount",
        "--bogus",
        "run",
        "run refcuont",
        "run zzzz",
        "run refcount refcount-locked",
        "run refcount --sed 42",
        "run refcount --seed",
        "run refcount --seed x",
        "run refcount --seed -1",
        "run refcount --seed 18446744073709551616",
        "run refcount --seed 1 --seed 2",
        "run refcount --iterations 0",
        "run refcount --iterations -5",
        "run refcount --iterations 1e6",
        "run refcount --iterations 281474976710657",
        "run refcount --iterations 99999999999999999999999",
        "run refcount --strategy luck",
        "run refcount --strategy pct --depth 0",
        "run refcount --max-time 0s",
        "run refcount --max-time -3s",
        "run refcount --max-time 3 days",
        "run refcount --max-steps 0",
        "run refcount --workers 0",
        "run refcount --workers 100000",
        "run refcount --memory tso",
        "run refcount --param threads",
        "run refcount --param =3",
        "run refcount --param threads=",
        "run refcount --param threads=two",
        "run refcount --param threads=1",
        "run refcount --param threads=99999999999999999999",
        "run refcount --param thread=2",
        "run lock-order --param threads=2",
        "run refcount --inject fire",
        "run refcount --engine loom",
        "run refcount --engine threads --report report.json",
        "run refcount --engine threads --memory sc",
        "run refcount --stack-size 1",
        "run refcount --format xml",
        "run refcount --width 5",
        "run refcount --report no/such/folder/report.json",
        "run refcount --report /",
        "check",
        "check refcuont",
        "check refcount --all",
        "check --all --keep-going",
        "check --all --param threads=2",
        "check --all --report report.sarif",
        "check --all --format dot",
        "check refcount --engine both --format sarif",
        "run refcount --report report.pdf",
        "run refcount --engine threads --format mermaid",
        "list --format sarif",
        "check refcount --memory x86",
        "check refcount --engine lom",
        "check --all --engine both",
        "check refcount --engine loom --checkpoint a",
        "check refcount --engine threads",
        "check refcount --max-executions 0",
        "check refcount --workers 0",
        "check refcount --seed 1",
        "check refcount --param threads=two",
        "check refcount --report no/such/folder/report.json",
        "replay",
        "replay nothing",
        "replay refcount:!",
        "replay no/such/report.json",
        "list zzzz",
        "show",
        "show refcunt",
        "completions",
        "completions tcsh",
    ] {
        let ran = line(arguments);
        text.push_str(&format!("racefuzz {arguments}\n  {}", ran.stderr));
        assert_eq!(ran.code, Some(2), "{arguments}");
        assert_eq!(ran.stdout, "", "{arguments}");
        assert!(ran.stderr.starts_with("error: "), "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.ends_with('\n'), "{arguments}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{arguments}: {}", ran.stderr);
    }
    snapshot("cli__errors", &text);
}

#[test]
fn strange_text_cannot_break_out_of_its_line() {
    let long = "x".repeat(100_000);
    for name in ["re\nfcount", "\u{1b}[31mred", "漢字", "", "--", long.as_str()] {
        for command in ["run", "show", "replay", "list"] {
            let ran = run(&[command, name]);
            if (command, name) == ("list", "") || (command, name) == ("list", "--") {
                assert_eq!(ran.code, Some(0));
                continue;
            }
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{command} {name:?}");
            assert_eq!(ran.stderr.lines().count(), 1, "{command} {name:?}: {}", ran.stderr);
            assert!(!ran.stderr.contains('\u{1b}'), "{command} {name:?}");
            assert!(ran.stderr.len() < 400, "{command}: {} bytes", ran.stderr.len());
        }
    }
}

#[test]
fn help() {
    let mut text = String::new();
    for command in ["", "run", "check", "replay", "list", "show", "completions"] {
        let ran = line(&format!("{command} --help"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert_eq!(ran.stdout, line(&format!("help {command}")).stdout, "{command}");
        assert!(crate::support::widest(&ran.stdout) <= 100, "{}", ran.stdout);
        text.push_str(&format!("$ racefuzz {command} --help\n{}\n", ran.stdout));
    }
    snapshot("cli__help", &text);
}

#[test]
fn version() {
    let expected = format!("racefuzz {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(line("--version").stdout, expected);
    assert_eq!(line("-V").stdout, expected);
}

#[test]
fn completions() {
    for (shell, start) in [
        ("bash", "_racefuzz()"),
        ("zsh", "#compdef racefuzz"),
        ("fish", "# Print an optspec"),
        ("elvish", ""),
        ("powershell", ""),
    ] {
        let ran = line(&format!("completions {shell}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.starts_with(start), "{shell}: {}", &ran.stdout[..80]);
        assert!(ran.stdout.contains("keep-going"), "{shell}");
    }
}

#[test]
fn numbers_may_be_grouped() {
    let ran = line("run refcount-locked --iterations 1_000");
    assert!(ran.stdout.starts_with(" ok   no bug in 1,000 executions"), "{}", ran.stdout);
}

#[test]
fn a_log_goes_to_standard_error_and_changes_nothing() {
    let quiet = line("run refcount --seed 42");
    let loud = line("-v run refcount --seed 42");
    assert_eq!(loud.stdout, quiet.stdout);
    assert!(loud.stderr.contains("run begins"), "{}", loud.stderr);
    let louder = line("-vv run refcount --seed 42");
    assert_eq!(louder.stdout, quiet.stdout);
    for said in ["iterations from=0", "execution recorded", "choices made fewer"] {
        assert!(louder.stderr.contains(said) && !loud.stderr.contains(said), "{said}: {}", louder.stderr);
    }
    let repairing = line("-vv fix refcount");
    for said in ["candidate{number=1", "fails: ", "repairs executions="] {
        assert!(repairing.stderr.contains(said), "{said}: {}", repairing.stderr);
    }
}
