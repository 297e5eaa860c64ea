//! `cargo racefuzz test` over programs that wait by what the standard library has for that.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::folder;
use crate::unmodified::{library, run};
use std::fs;

/// Programs that are wrong in some order, and what is to be found.
const WRONG: &str = r#"
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

type Flag = Arc<(Mutex<()>, Condvar, AtomicBool)>;

// Whoever sets the flag does not take the lock: it may do so between the look at it and the wait.
fn set_outside() -> (Flag, thread::JoinHandle<()>) {
    let flag = Flag::default();
    let other = flag.clone();
    let thread = thread::spawn(move || {
        other.2.store(true, SeqCst);
        other.1.notify_one();
    });
    (flag, thread)
}

#[test]
fn notified_too_early() {
    let (flag, thread) = set_outside();
    let mut guard = flag.0.lock().unwrap();
    while !flag.2.load(SeqCst) {
        guard = flag.1.wait(guard).unwrap();
    }
    drop(guard);
    thread.join().unwrap();
}

#[test]
fn notified_too_early_with_a_limit() {
    let (flag, thread) = set_outside();
    let mut guard = flag.0.lock().unwrap();
    while !flag.2.load(SeqCst) {
        let (again, limit) = flag.1.wait_timeout(guard, Duration::from_secs(60)).unwrap();
        assert!(!limit.timed_out(), "a minute was up");
        guard = again;
    }
    drop(guard);
    thread.join().unwrap();
}
"#;

#[test]
fn waits_of_the_standard_library_are_seen() {
    let library = library();
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("src")).unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"waits\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    fs::write(path("src/lib.rs"), WRONG).unwrap();
    for profile in [&[][..], &["--release"]] {
        let test = ["test", "--jobs", "1", "--iterations", "300", "--max-time", "1m"];
        let ran = run(folder.path(), &library, &[&test[..], profile].concat());
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(": 0 passed, 2 failed"), "{}", ran.stderr);
    }
}
