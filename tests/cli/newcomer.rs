//! Plays somebody who has nothing but README or the tutorial: files are written and commands typed in
//! the order of the text, in an empty folder, and what is printed is compared.

use crate::support::markdown::{Document, document};
use crate::support::package::{ran_in, repository, share_features};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The report in the output of cargo's test harness.
fn report(output: &str) -> String {
    let begins =
        |line: &&str| ["bug  ", "ok   ", "fix  "].iter().any(|word| line.trim_start().starts_with(word));
    let ends = |line: &&str| {
        ["failures:", "test result:", "test ", "error:"].iter().any(|word| line.starts_with(word))
            || line.contains("panicked at")
    };
    let lines: Vec<&str> =
        output.lines().skip_while(|line| !begins(line)).take_while(|line| !ends(line)).collect();
    lines.join("\n").trim_end().to_owned()
}

fn play(mut document: Document, package: &str) {
    let home = crate::support::folder();
    symlink(repository(), home.path().join("racefuzz")).unwrap();
    let folder = home.path().join(package);
    let cargo = |folder: &Path, arguments: &[&str]| {
        let made = ran_in(folder, env!("CARGO"), arguments, "0");
        assert_eq!(made.code, Some(0), "{}", made.stderr);
    };
    let mut typed = 0;
    for block in document.blocks() {
        if let Some(file) = block.file() {
            if !folder.exists() {
                cargo(home.path(), &["new", "--quiet", "--lib", package]);
            }
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, block.lines.join("\n")).unwrap();
        }
        let Some(command) = block.command() else { continue };
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["cargo", "new", ..] => cargo(home.path(), &[&words[1..], &["--quiet"]].concat()),
            ["cargo", "racefuzz", "init", ..] => {
                // The versions that are here already.
                fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
                let ran = ran_in(&folder, env!("CARGO_BIN_EXE_cargo-racefuzz"), &words[1..], "0");
                assert_eq!(ran.code, Some(0), "{}", ran.stderr);
                document.compare(&block, &ran.stdout);
                share_features(&folder.join("Cargo.toml"));
                // "The only line that changes."
                let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
                fs::write(folder.join("src/lib.rs"), library.replace("use std::sync::", "use crate::sync::"))
                    .unwrap();
            }
            ["cargo", "racefuzz", ..] if folder.exists() => {
                let arguments = [&words[1..], &["--no-nextest"]].concat();
                let ran = ran_in(&folder, env!("CARGO_BIN_EXE_cargo-racefuzz"), &arguments, "0");
                document.compare(&block, &report(&(ran.stdout + &ran.stderr)));
            }
            _ => continue,
        }
        typed += 1;
    }
    assert!(typed >= 2, "{} has commands", document.path().display());
}

#[test]
fn readme_leads_to_the_first_bug() {
    play(document("README.md"), "permits");
}

#[test]
fn the_tutorial_leads_from_a_bug_to_a_proved_repair() {
    play(document("tutorial.md"), "semaphore");
}
