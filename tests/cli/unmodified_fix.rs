//! `cargo racefuzz fix` for tests that know nothing of racefuzz.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::{folder, snapshot};
use crate::unmodified::{library, lines, run};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A package beside the one that is tested.
const TICKETS: &str = "\
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub struct Tickets(AtomicUsize);

impl Tickets {
    pub fn take(&self) -> usize {
        let next = self.0.load(Ordering::SeqCst);
        self.0.store(next + 1, Ordering::SeqCst);
        next
    }
}
";

const TESTS: &str = r#"
#![cfg(test)]
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[derive(Default)]
pub struct Mailbox {
    full: AtomicBool,
    letter: UnsafeCell<u64>,
}

unsafe impl Sync for Mailbox {}

impl Mailbox {
    pub fn put(&self, letter: u64) {
        unsafe { *self.letter.get() = letter };
        self.full.store(true, Ordering::Relaxed);
    }

    pub fn take(&self) -> Option<u64> {
        if self.full.load(Ordering::Relaxed) {
            Some(unsafe { *self.letter.get() })
        } else {
            None
        }
    }
}

pub struct Counter(UnsafeCell<u32>);

unsafe impl Sync for Counter {}

impl Counter {
    pub fn add(&self) {
        unsafe { *self.0.get() += 1 };
    }
}

#[test]
fn tickets_differ() {
    let tickets = tickets::Tickets::default();
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| tickets.take());
        (tickets.take(), one.join().unwrap())
    });
    assert_ne!(one, other);
}

#[test]
fn letters_arrive() {
    let mailbox = Arc::new(Mailbox::default());
    let other = mailbox.clone();
    let thread = thread::spawn(move || other.put(42));
    assert!(mailbox.take().is_none_or(|letter| letter == 42));
    thread.join().unwrap();
}

#[test]
fn counts_both() {
    static COUNTER: Counter = Counter(UnsafeCell::new(0));
    let thread = thread::spawn(|| COUNTER.add());
    COUNTER.add();
    thread.join().unwrap();
    assert_eq!(unsafe { *COUNTER.0.get() }, 2);
}

#[test]
fn the_gate_is_open() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let other = gate.clone();
    let thread = thread::spawn(move || {
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    });
    let mut open = gate.0.lock().unwrap();
    if !*open {
        open = gate.1.wait(open).unwrap();
    }
    assert!(*open);
    drop(open);
    thread.join().unwrap();
}

#[test]
fn both_locks_are_taken() {
    let locks = [Mutex::new(()), Mutex::new(())];
    let take = |first: &Mutex<()>, second: &Mutex<()>| {
        let one = first.lock().unwrap();
        let other = second.lock().unwrap();
        drop((one, other));
    };
    thread::scope(|scope| {
        scope.spawn(|| take(&locks[0], &locks[1]));
        take(&locks[1], &locks[0]);
    });
}

#[test]
fn passes() {
    thread::spawn(|| ()).join().unwrap();
}

#[test]
fn sends() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || sender.send(1).unwrap());
    assert_eq!(receiver.recv(), Ok(1));
    thread.join().unwrap();
}
"#;

fn package(folder: &Path, name: &str, dependencies: &str, source: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
}

#[test]
fn what_repairs_a_test_is_told() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    package(&path("tickets"), "tickets", "", TICKETS);
    package(&path("office"), "office", "tickets = { path = \"../tickets\" }\n", TESTS);
    let library = library();
    let fix = |arguments: &[&str]| run(&path("office"), &library, &[&["fix"], arguments].concat());
    let plain = |text: &str| text.replace(&folder.path().display().to_string(), "FOLDER");

    let mut text = String::new();
    for name in
        ["letters_arrive", "counts_both", "the_gate_is_open", "both_locks_are_taken", "passes", "sends"]
    {
        let ran = fix(&[name]);
        let said = lines(&ran.stderr);
        let said = said.split_once("    Checking ").map_or(&*said, |(_, said)| said);
        text.push_str(&format!("fix {name} {:?}\n{said}{}\n", ran.code, ran.stdout));
    }
    snapshot("cli__unmodified_fix", &plain(&text));

    // What lies in a package beside it may be changed, too. Its path is as long as a temporary folder's is.
    let beside = fix(&["tickets_differ", "--format", "json"]);
    assert_eq!(beside.code, Some(1), "{}", beside.stderr);
    let document: Value = serde_json::from_str(&beside.stdout).unwrap();
    let report = &document["tests"][0]["fix"]["report"];
    let fixes = report["fixes"].as_array().unwrap_or_else(|| panic!("{}", beside.stdout));
    assert_eq!(fixes[0]["kind"], "one-step", "{report}");
    assert_eq!(fixes[0]["verdict"]["certainty"], "verified");
    let load = &fixes[0]["overlay"][0]["update"]["load"];
    assert_eq!(plain(load["file"].as_str().unwrap()), "FOLDER/tickets/src/lib.rs");
    assert_eq!(load["line"], 8);

    // Typed in, what is verified holds, and a proposal is found out; what lies beside the workspace is left alone.
    let confirmed = fix(&["the_gate_is_open", "--confirm"]);
    assert_eq!(confirmed.code, Some(1), "{}", confirmed.stderr);
    assert!(confirmed.stdout.contains("1 of 1 proposal repairs"), "{}", confirmed.stdout);
    let confirmed = fix(&["tickets_differ", "--confirm"]);
    assert!(confirmed.stderr.contains("note: no repair is typed in"), "{}", confirmed.stderr);

    for wrong in [&["nothing"][..], &["passes", "--no-nextest"], &["passes", "--format", "html"]] {
        let ran = fix(wrong);
        let said = ran.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!((ran.code, said), (Some(2), 1), "{}", ran.stderr);
    }
}
