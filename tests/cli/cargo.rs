//! `cargo racefuzz` over a package of somebody else's.

use crate::support::package::Package;
use crate::support::{Ran, has_nextest};
use std::fs;
use std::path::Path;
use std::process::Command;

const TESTS: &str = r#"
use racefuzz::{Var, sync::{Arc, Mutex}, thread};

fn incremented(lock: &Mutex<()>, n: &Arc<Var<u32>>) -> thread::JoinHandle<()> {
    let n = Arc::clone(n);
    let _lock = lock;
    thread::spawn(move || {
        n.set(n.get() + 1);
    })
}

#[racefuzz::test]
fn racy() {
    let (lock, n) = (Mutex::new(()), Arc::new(Var::new("n", 0)));
    let threads = [incremented(&lock, &n), incremented(&lock, &n)];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(n.get(), 2);
}

#[racefuzz::test(iterations = 300)]
fn locked() {
    let n = Arc::new(Mutex::new(0));
    let threads = [Arc::clone(&n), Arc::clone(&n)].map(|n| thread::spawn(move || *n.lock().unwrap() += 1));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*n.lock().unwrap(), 2);
}

#[racefuzz::test(iterations = 300)]
fn returning() -> Result<(), String> {
    let n = Arc::new(Var::new("n", 0));
    let other = Arc::clone(&n);
    let thread = thread::spawn(move || other.set(1));
    let seen = n.get();
    thread.join().unwrap();
    if seen == 0 { Ok(()) } else { Err(format!("saw {seen}")) }
}

#[racefuzz::test(iterations = 300)]
async fn awaiting() {
    let n = Arc::new(Var::new("n", 0));
    let tasks = [Arc::clone(&n), Arc::clone(&n)].map(|n| racefuzz::future::spawn(async move {
        let seen = n.get();
        racefuzz::future::yield_now().await;
        n.set(seen + 1);
    }));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(n.get(), 2);
}
"#;

/// The token in the report of a failing test.
fn token(output: &str) -> &str {
    let (_, rest) = output.split_once("cargo racefuzz replay '").expect("a replay command");
    rest.split('\'').next().unwrap()
}

/// The rows of the trace.
fn rows(output: &str) -> Vec<String> {
    let from = output.lines().map(str::trim).skip_while(|line| !line.starts_with("step "));
    from.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn drive(name: &str, more: &[&str]) {
    let package = Package::new(name, TESTS);
    let run = |arguments: &[&str]| package.run(&[arguments, more].concat());

    let first = run(&["run", "racy", "--seed", "42"]);
    assert_eq!(first.code, Some(1), "{}", first.stdout);
    assert!(first.stdout.contains("bug  lost update on `n`"), "{}", first.stdout);
    assert!(first.stdout.contains("seed 42"), "{}", first.stdout);
    assert!(first.stdout.contains("tests/races.rs:"), "sites are those of the package: {}", first.stdout);
    assert!(!rows(&first.stdout).is_empty(), "{}", first.stdout);

    let kept = fs::read_to_string(package.path("racefuzz-regressions/races.txt")).unwrap();
    let token = token(&first.stdout);
    assert!(kept.contains(token), "{kept}");

    let asked = run(&["run", "racy", "--seed", "43"]);
    assert_eq!(asked.code, Some(1), "{}", asked.stdout);
    assert!(asked.stdout.contains("seed 43"), "a seed that is given is obeyed: {}", asked.stdout);
    assert!(asked.stdout.contains("a kept schedule of racefuzz-regressions/races.txt still fails"));
    fs::write(package.path("racefuzz-regressions/races.txt"), &kept).unwrap();

    let second = run(&["run", "racy"]);
    assert_eq!(second.code, Some(1), "{}", second.stdout);
    assert!(second.stdout.contains("a kept schedule"), "{}", second.stdout);
    assert_eq!(rows(&second.stdout), rows(&first.stdout));
    assert_eq!(fs::read_to_string(package.path("racefuzz-regressions/races.txt")).unwrap(), kept);

    let replayed = run(&["replay", token]);
    assert_eq!(replayed.code, Some(1), "{}", replayed.stdout);
    assert!(replayed.stdout.contains("replayed"), "{}", replayed.stdout);
    assert_eq!(rows(&replayed.stdout), rows(&first.stdout));

    #[cfg(target_os = "linux")]
    {
        let command = format!("{} replay '{token}' --step", env!("CARGO_BIN_EXE_cargo-racefuzz"));
        let (screen, code) = package.typed_at(&command, "q quit", "q");
        assert_eq!(code, Some(1), "{screen}");
        assert!(screen.contains("lost update"), "{screen}");
    }

    assert_eq!(run(&["run", "locked", "--iterations", "100"]).code, Some(0));
    let returning = run(&["run", "returning"]);
    assert_eq!(returning.code, Some(1), "{}", returning.stdout);
    assert!(returning.stdout.contains("the test returned Err: \"saw 1\""), "{}", returning.stdout);
    let awaiting = run(&["run", "awaiting"]);
    assert_eq!(awaiting.code, Some(1), "{}", awaiting.stdout);
    assert!(awaiting.stdout.contains("lost update on `n`"), "{}", awaiting.stdout);

    let repaired = run(&["fix", "racy"]);
    let shown = repaired.stdout + &repaired.stderr;
    assert_eq!(repaired.code, Some(1), "{shown}");
    assert!(shown.contains("new lock") && shown.contains("verified"), "{shown}");
    let nothing = run(&["fix", "locked"]);
    let shown = nothing.stdout + &nothing.stderr;
    assert_eq!(nothing.code, Some(0), "{shown}");
    assert!(shown.contains("nothing to fix"), "{shown}");

    let proved = run(&["check", "locked"]);
    assert_eq!(proved.code, Some(0), "{}", proved.stdout);
    assert!(proved.stdout.contains("verified: all 2 executions of races::locked pass"), "{}", proved.stdout);
    let refuted = run(&["check", "racy", "--memory", "sc"]);
    assert_eq!(refuted.code, Some(1), "{}", refuted.stdout);
    assert!(refuted.stdout.contains("lost update on `n`"), "{}", refuted.stdout);
    let short = run(&["check", "locked", "--max-executions", "1"]);
    assert_eq!(short.code, Some(3), "{}", short.stdout);
    assert!(short.stdout.contains("incomplete"), "{}", short.stdout);
    let audited = run(&["audit", "locked"]);
    assert_eq!(audited.code, Some(0), "{}", audited.stdout);
    assert!(audited.stdout.contains("races::locked: nothing fails"), "{}", audited.stdout);
    assert!(audited.stdout.contains("needed"), "{}", audited.stdout);

    for arguments in [&["run", "nothing_like_it"][..], &["replay", "races::nothing:118dEX7gr"]] {
        let none = run(arguments);
        assert_eq!(none.code, Some(2), "{arguments:?}: {}", none.stdout);
        assert!(none.stderr.contains("error: no test matches"), "{}", none.stderr);
    }

    fs::write(package.path("tests/races.rs"), TESTS.replace("n.set(n.get() + 1)", "n.set(1)")).unwrap();
    let changed = run(&["replay", token]);
    assert!(changed.stdout.contains("the program has changed"), "{}", changed.stdout);

    fs::write(package.path("tests/races.rs"), "this is no Rust").unwrap();
    let broken = run(&["run", "racy"]);
    assert_eq!(broken.code, Some(2));
    assert!(broken.stderr.contains("error: the tests do not build"), "{}", broken.stderr);
}

#[test]
fn a_package_is_driven_by_cargo_test() {
    drive("driven-by-cargo", &["--no-nextest"]);
}

#[test]
fn a_package_is_driven_by_nextest_where_it_is_present() {
    if has_nextest() {
        drive("driven-by-nextest", &[]);
    }
}

#[test]
fn repairs_are_typed_in_compiled_and_checked_again() {
    let package = Package::new("confirmed-by-cargo", TESTS);
    // What repairs need is left out of the dependency, and switched on for the run.
    let manifest = fs::read_to_string(package.path("Cargo.toml")).unwrap();
    let without = manifest.replace("[\"json\"]", "[\"allocator\", \"json\"], default-features = false");
    assert_ne!(manifest, without);
    fs::write(package.path("Cargo.toml"), without).unwrap();
    // A path out of the package, as that of racefuzz, leads from the copy to the same place.
    let ran = package.run(&["fix", "racy", "--confirm", "--no-nextest"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let said: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(" typed in: ")).collect();
    assert!(!said.is_empty(), "{}", ran.stdout);
    for line in &said {
        assert!(line.ends_with("it compiles and holds, verified"), "{}", ran.stdout);
    }
    let all = said.len();
    assert!(ran.stdout.contains(&format!(" confirmed: {all} of {all} repair")), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(package.path("tests/races.rs")).unwrap(), TESTS, "the source is as it was");

    let nothing = package.run(&["fix", "locked", "--confirm", "--no-nextest"]);
    assert_eq!(nothing.code, Some(0), "{}", nothing.stdout);
}

/// The kinds of report, each from the tests of one package.
#[test]
fn reports_are_one_document_of_json() {
    let package = Package::new("told-by-cargo", TESTS);
    for (command, wanted) in [("run", 1), ("check", 1), ("fix", 1), ("audit", 1)] {
        let sarif = package.path("FAIL.sarif");
        let arguments = [command, "ac", "--format", "json", "--report", sarif.to_str().unwrap()];
        let ran = package.ran(env!("CARGO_BIN_EXE_cargo-racefuzz"), &arguments, "0");
        assert_eq!(ran.code, Some(wanted), "{command}: {}", ran.stderr);
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect(command);
        let tests = document["tests"].as_array().unwrap();
        assert_eq!((tests.len(), &tests[0]["package"]), (1, &"told-by-cargo".into()), "{}", ran.stdout);
        let text = tests[0]["report"].to_string();
        assert!(text.contains("races::racy"), "{command}: {text}");
        let log: serde_json::Value = serde_json::from_str(&fs::read_to_string(&sarif).unwrap()).unwrap();
        assert_eq!(log["runs"][0]["results"][0]["properties"]["program"], "races::racy", "{log:#}");
    }
    let files = package.run(&["run", "--report", "FAIL.mmd", "--no-nextest"]);
    assert!(files.stderr.contains("FAIL-races-racy.mmd is of races-racy"), "{}", files.stderr);
    let diagram = fs::read_to_string(package.path("FAIL-races-racy.mmd")).unwrap();
    assert!(diagram.starts_with("sequenceDiagram"), "{diagram}");
    assert!(!package.path("FAIL-races-locked.mmd").exists(), "there is nothing to show");
}

#[test]
fn a_package_is_set_up() {
    let folder = crate::support::folder();
    let path = |path: &str| folder.path().join(path);
    let init = |arguments: &[&str]| -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-racefuzz"));
        command.current_dir(folder.path()).env("CARGO_NET_OFFLINE", "true").arg("init").args(arguments);
        command.output().unwrap().into()
    };
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let library = top.join("crates/racefuzz").to_str().unwrap().to_owned();
    let mut text = String::new();
    let mut say = |title: &str, ran: &Ran, files: &[&str]| {
        text.push_str(&format!("$ {title}\n{}{}", ran.stdout, ran.stderr));
        for file in files {
            let content = fs::read_to_string(path(file)).unwrap().replace(&library, "../racefuzz");
            // Relative, and so another one for each temporary folder.
            let content = content.lines().map(|line| match line.split_once(", path = ") {
                Some((line, _)) => format!("{line}, path = .. }}"),
                None => line.to_owned(),
            });
            text.push_str(&format!("--- {file}\n{}\n", content.collect::<Vec<_>>().join("\n")));
        }
    };
    let manifest = "[package]\nname = \"mine\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::create_dir(path("src")).unwrap();
    fs::write(path("Cargo.toml"), manifest).unwrap();
    fs::write(path("src/main.rs"), "fn main() {}\n").unwrap();
    say("cargo racefuzz init          # a binary", &init(&["--path", &library]), &[]);
    fs::write(path("src/lib.rs"), "//! Mine.\n\npub struct Queue;\n").unwrap();
    let all = ["Cargo.toml", "src/lib.rs", "src/sync.rs", "tests/racefuzz.rs"];
    say("cargo racefuzz init", &init(&["--path", &library]), &all);
    say("cargo racefuzz init          # again", &init(&["--path", &library]), &[]);
    fs::write(path("Cargo.toml"), manifest).unwrap();
    fs::remove_file(path("src/sync.rs")).unwrap();
    fs::remove_dir_all(path("tests")).unwrap();
    say("cargo racefuzz init --feature", &init(&["--feature", "--path", &library]), &all);
    crate::support::snapshot("cli__cargo_init", &text);
}

#[test]
fn each_command_has_a_man_page_and_a_completion() {
    for binary in [env!("CARGO_BIN_EXE_cargo-racefuzz"), env!("CARGO_BIN_EXE_racefuzz")] {
        let output =
            |arguments: &[&str]| -> Ran { Command::new(binary).args(arguments).output().unwrap().into() };
        let page = output(&["man"]);
        assert_eq!(page.code, Some(0), "{}", page.stderr);
        for command in ["run", "check", "fix", "audit", "replay"] {
            assert!(page.stdout.contains(command), "{}", page.stdout);
            let page = output(&["man", command]);
            assert_eq!((page.code, page.stdout.contains(".SH SYNOPSIS")), (Some(0), true), "{command}");
            assert!(output(&["completions", "bash"]).stdout.contains(command));
        }
        let none = output(&["man", "walk"]);
        assert_eq!((none.code, none.stdout.as_str()), (Some(2), ""), "{}", none.stderr);
    }
}

/// Tests whose outputs are compared whole.
const FAILING: &str = r#"
use racefuzz::{Var, sync::Arc, thread};

fn race() {
    let n = Arc::new(Var::new("n", 0));
    let other = Arc::clone(&n);
    let thread = thread::spawn(move || other.set(other.get() + 1));
    n.set(n.get() + 1);
    thread.join().unwrap();
    assert_eq!(n.get(), 2);
}

#[racefuzz::test]
fn sampled() {
    race();
}

#[racefuzz::test(check)]
fn proved() {
    race();
}

#[racefuzz::test(check, max_executions = 1)]
fn limited() {
    let other = thread::spawn(|| racefuzz::println!("here"));
    racefuzz::println!("there");
    other.join().unwrap();
}

#[racefuzz::test]
#[should_panic(expected = "lost update on `n`")]
fn expected() {
    race();
}

#[racefuzz::test(strategy = "none")]
fn misspelt() {}

#[test]
fn called() {
    racefuzz::fuzz(1_000, race);
}
"#;

#[test]
fn a_failing_test_shows_its_report_once_and_nothing_else() {
    let package = Package::new("shown-by-cargo", TESTS);
    fs::write(package.path("tests/races.rs"), FAILING).unwrap();
    // One at a time: what is kept of one does not change the other's output.
    let shown = |backtrace: &str| {
        let _ = fs::remove_dir_all(package.path("racefuzz-regressions"));
        let arguments = ["test", "--test", "races", "--", "--test-threads=1"];
        let ran = package.ran(env!("CARGO"), &arguments, backtrace);
        assert_eq!(ran.code, Some(101), "{}{}", ran.stdout, ran.stderr);
        for absent in ["panicked at", "backtrace", "testing.rs"] {
            assert!(!ran.stdout.contains(absent) && !ran.stderr.contains(absent), "{absent}: {}", ran.stdout);
        }
        let lines = ran.stdout.lines().map(|line| line.split("; finished in").next().unwrap().trim_end());
        lines.collect::<Vec<_>>().join("\n").trim().to_owned()
    };
    let plain = shown("0");
    assert_eq!(shown("1"), plain);
    crate::support::snapshot("cli__cargo_test", &plain);
}

#[test]
fn wrong_arguments_are_said_in_one_line() {
    let mut text = String::new();
    for line in ["", "fix", "run racy --seed x", "run racy --sed 1", "replay nothing", "walk", "racefuzz fix"]
    {
        let output =
            Command::new(env!("CARGO_BIN_EXE_cargo-racefuzz")).args(line.split_whitespace()).output();
        let ran: Ran = output.unwrap().into();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
        assert_eq!(ran.stderr.lines().count(), 1, "{line}: {}", ran.stderr);
        text.push_str(&format!("cargo racefuzz {line}\n  {}", ran.stderr));
    }
    for line in
        ["--help", "run --help", "check --help", "fix --help", "audit --help", "replay --help", "init --help"]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-racefuzz"))
            .arg("racefuzz")
            .args(line.split_whitespace())
            .env_remove("COLUMNS")
            .output();
        let ran: Ran = output.unwrap().into();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}");
        text.push_str(&format!("\n$ cargo racefuzz {line}\n{}", ran.stdout));
    }
    crate::support::snapshot("cli__cargo", &text);
}
