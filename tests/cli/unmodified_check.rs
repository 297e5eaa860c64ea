//! `cargo racefuzz test --check`: every execution of tests that know nothing of racefuzz.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::{Ran, folder, snapshot};
use crate::unmodified::{library, lines, run};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The programs that are explored twice, over racefuzz's own types.
#[allow(dead_code, reason = "all of them are named once, in the table")]
mod own {
    use racefuzz::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
    use racefuzz::sync::atomic::{AtomicU32, fence};
    use racefuzz::sync::{Barrier, Condvar, LazyLock, Mutex, RwLock};
    use racefuzz::thread;

    include!("support/explored.rs");
}

/// What the same programs are included behind in a package that knows nothing of racefuzz.
const STANDARD: &str = "\
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, fence};
use std::sync::{Barrier, Condvar, LazyLock, Mutex, RwLock};
use std::thread;
";

macro_rules! programs {
    ($($name:ident)*) => { [$((stringify!($name), own::$name as fn())),*] };
}

pub fn package(folder: &Path, tests: &str) {
    fs::create_dir(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"explored\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), tests).unwrap();
}

/// What racefuzz says to a program over its own types is what it says to it over the standard library's.
#[test]
fn a_test_has_the_executions_that_it_has_over_own_types() {
    let programs = programs! {
        buffers buffers_released passes_message passes_message_relaxed fences counts counts_under_lock counts_apart
        tries reads_and_writes orders_locks waits waits_once waits_for_a_time spins meets
    };
    let folder = folder();
    let mut text = format!("#![cfg(test)]\n{STANDARD}{}", include_str!("support/explored.rs"));
    for (name, _) in programs {
        text.push_str(&format!("mod {name} {{ #[test] fn test() {{ super::{name}() }} }}\n"));
    }
    package(folder.path(), &text);
    let library = library();
    for model in ["rc11", "sc"] {
        let arguments = ["test", "--check", "--format", "json", "--memory", model, "--max-time", "2m"];
        let ran = run(folder.path(), &library, &arguments);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        let tests = document["tests"].as_array().unwrap();
        assert_eq!(tests.len(), programs.len());
        for (name, program) in programs {
            let test = format!("explored/lib::{name}::test");
            let found = tests.iter().find(|found| found["test"] == *test).unwrap();
            let report = &found["report"]["report"];
            let own = racefuzz::Checker::new().memory_model(model.parse().unwrap()).check(program);
            assert_eq!(report["outcome"], own.outcome().to_string(), "{name}, {model}: {found}");
            if own.outcome() == racefuzz::Outcome::Passed {
                let executions = report["stats"]["executions"].as_u64();
                assert_eq!(executions, Some(own.executions()), "{name}, {model}");
                assert_eq!(report["proof"]["whole"], true, "{name}, {model}");
            }
        }
    }
}

/// Of each verdict some, and what is wrong with tests in ways that only an exploration is sure to find, or must not be
/// sure of.
const TESTS: &str = r#"
#![cfg(test)]
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, Once, mpsc};
use std::thread;

struct Shared(UnsafeCell<u32>);
unsafe impl Sync for Shared {}

mod verified {
    use super::*;

    #[test]
    fn counts_in_a_scope() {
        let count = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| *count.lock().unwrap() += 1);
            }
        });
        assert_eq!(count.into_inner().unwrap(), 2);
    }

    #[test]
    fn publishes() {
        static PLACE: AtomicPtr<u32> = AtomicPtr::new(std::ptr::null_mut());
        let other = thread::spawn(|| PLACE.store(Box::into_raw(Box::new(5)), Release));
        let place = PLACE.load(Acquire);
        if !place.is_null() {
            assert_eq!(unsafe { *place }, 5);
        }
        other.join().unwrap();
    }

    #[test]
    fn begins_once() {
        static ONCE: Once = Once::new();
        static DATA: Shared = Shared(UnsafeCell::new(0));
        let begin = || ONCE.call_once(|| unsafe { *DATA.0.get() += 1 });
        let other = thread::spawn(move || begin());
        begin();
        assert_eq!(unsafe { *DATA.0.get() }, 1);
        other.join().unwrap();
    }

    #[test]
    fn parks() {
        static READY: AtomicBool = AtomicBool::new(false);
        let me = thread::current();
        let other = thread::spawn(move || {
            READY.store(true, Release);
            me.unpark();
        });
        while !READY.load(Acquire) {
            thread::park();
        }
        other.join().unwrap();
    }

    #[test]
    fn drops_the_last() {
        struct Last(Arc<AtomicU32>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        let drops = Arc::new(AtomicU32::new(0));
        let shared = Arc::new(Last(drops.clone()));
        let other = shared.clone();
        let thread = thread::spawn(move || drop(other));
        drop(shared);
        thread.join().unwrap();
        assert_eq!(drops.load(Relaxed), 1);
    }

    #[test]
    fn reuses_its_stack() {
        fn once(first: u32) {
            let value = AtomicU32::new(first);
            thread::scope(|scope| {
                scope.spawn(|| value.store(9, Relaxed));
                let seen = value.load(Relaxed);
                assert!(seen == first || seen == 9);
            });
            assert_eq!(value.load(Relaxed), 9);
        }
        once(1);
        once(2);
    }

    #[test]
    fn prints_and_panics() {
        let lock = Arc::new(Mutex::new(0));
        let other = lock.clone();
        let thread = thread::spawn(move || {
            let _held = other.lock().unwrap();
            panic!("while it is held");
        });
        println!("waits");
        assert!(thread.join().is_err());
        assert!(lock.is_poisoned());
    }

    #[test]
    fn reads_a_file() {
        let thread = thread::spawn(|| std::fs::read("Cargo.toml").unwrap().len());
        assert!(thread.join().unwrap() > 0);
    }

    #[test]
    fn has_one_thread() {}
}

mod wrong {
    use super::*;

    #[test]
    fn publishes_relaxed() {
        static PLACE: AtomicPtr<u32> = AtomicPtr::new(std::ptr::null_mut());
        let other = thread::spawn(|| PLACE.store(Box::into_raw(Box::new(5)), Relaxed));
        let place = PLACE.load(Relaxed);
        if !place.is_null() {
            assert_eq!(unsafe { *place }, 5);
        }
        other.join().unwrap();
    }

    #[test]
    fn frees_early() {
        static PLACE: AtomicPtr<u32> = AtomicPtr::new(std::ptr::null_mut());
        PLACE.store(Box::into_raw(Box::new(5)), SeqCst);
        let other = thread::spawn(|| {
            let place = PLACE.load(SeqCst);
            if !place.is_null() {
                assert_eq!(unsafe { *place }, 5);
            }
        });
        drop(unsafe { Box::from_raw(PLACE.swap(std::ptr::null_mut(), SeqCst)) });
        other.join().unwrap();
    }

    #[test]
    fn waits_without_a_loop() {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let other = pair.clone();
        let thread = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let mut ready = pair.0.lock().unwrap();
        if !*ready {
            ready = pair.1.wait(ready).unwrap();
        }
        // A wait may end for no reason.
        assert!(*ready);
        drop(ready);
        thread.join().unwrap();
    }
}

mod unseen {
    use super::*;

    #[test]
    fn sends() {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
        thread.join().unwrap();
    }

    #[test]
    fn leaves_a_thread() {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        thread::spawn(|| COUNT.store(1, SeqCst));
    }

    #[test]
    fn writes_a_file() {
        let file = std::env::temp_dir().join("racefuzz-explored");
        let thread = thread::spawn(move || std::fs::write(file, "text").unwrap());
        thread.join().unwrap();
    }

    #[test]
    fn takes_the_larger() {
        static MOST: AtomicU32 = AtomicU32::new(0);
        let thread = thread::spawn(|| MOST.fetch_max(2, SeqCst));
        MOST.fetch_max(1, SeqCst);
        thread.join().unwrap();
    }

    #[test]
    fn looks_at_the_clock() {
        let begun = std::time::Instant::now();
        thread::spawn(|| ()).join().unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn sleeps() {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let thread = thread::spawn(|| COUNT.store(1, SeqCst));
        thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(COUNT.load(SeqCst), 1);
        thread.join().unwrap();
    }

    #[test]
    fn holds_the_output() {
        static DATA: Shared = Shared(UnsafeCell::new(0));
        let add = || {
            let _held = std::io::stdout().lock();
            unsafe { *DATA.0.get() += 1 };
        };
        let thread = thread::spawn(add);
        add();
        thread.join().unwrap();
    }

    #[test]
    fn uses_parts_of_an_atomic() {
        #[repr(C, align(8))]
        struct Parts([AtomicU32; 2]);
        static PARTS: Parts = Parts([AtomicU32::new(0), AtomicU32::new(0)]);
        let thread = thread::spawn(|| PARTS.0[0].store(1, SeqCst));
        let whole = unsafe { &*(&raw const PARTS).cast::<AtomicU64>() };
        whole.fetch_add(1 << 32, SeqCst);
        thread.join().unwrap();
    }

    #[test]
    fn is_volatile() {
        static DATA: Shared = Shared(UnsafeCell::new(0));
        let thread = thread::spawn(|| unsafe { DATA.0.get().write_volatile(1) });
        let _ = unsafe { DATA.0.get().read_volatile() };
        thread.join().unwrap();
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn is_in_assembly() {
        static DATA: Shared = Shared(UnsafeCell::new(0));
        let add = || unsafe { std::arch::asm!("lock inc dword ptr [{0}]", in(reg) DATA.0.get()) };
        let thread = thread::spawn(add);
        add();
        thread.join().unwrap();
    }
}
"#;

#[test]
fn a_verdict_says_what_was_not_seen() {
    let folder = folder();
    package(folder.path(), TESTS);
    let library = library();
    let run = |arguments: &[&str]| -> Ran { run(folder.path(), &library, arguments) };
    let check = ["test", "--check", "--jobs", "1", "--max-time", "1m"];
    let all = run(&check);
    assert_eq!(all.code, Some(1), "{}{}", all.stdout, all.stderr);
    snapshot("cli__unmodified_check", &format!("{}\n{}", lines(&all.stderr), all.stdout));
    for (module, code) in [("verified", 0), ("wrong", 1), ("unseen", 3)] {
        for more in [&[][..], &["--release"], &["--memory", "sc"]] {
            let ran = run(&[&check[..], &[module], more].concat());
            // What is wrong only if a store is not seen at once.
            let tests = match module {
                "verified" => 9,
                "wrong" => 3,
                _ => 10,
            };
            assert!(ran.stderr.contains(&format!(" {tests} tests, ")), "{}", ran.stderr);
            assert_eq!(ran.code, Some(code), "{module} {more:?}: {}", ran.stderr);
        }
    }

    // A schedule of an exploration is repeated as it was.
    let token = all.stdout.lines().find(|line| line.contains("replay  ") && line.contains("frees_early"));
    let token = token.unwrap().split('\'').nth(1).unwrap();
    let replayed = run(&["replay", token]);
    assert_eq!(replayed.code, Some(1), "{}{}", replayed.stdout, replayed.stderr);
    assert!(replayed.stdout.contains("replayed"), "{}", replayed.stdout);
    assert!(!folder.path().join("racefuzz-regressions").exists());

    // Who asks for it has sleeps and limits end at any step.
    let timed = run(&["test", "--check", "unseen::sleeps", "--inject", "timeout"]);
    assert_eq!(timed.code, Some(1), "{}", timed.stderr);

    // Sampled waits end for no reason only if that is asked for.
    for (more, code) in [(&[][..], 0), (&["--inject", "spurious"], 1)] {
        let sampled = run(&[&["test", "wrong::waits_without_a_loop"], more].concat());
        assert_eq!(sampled.code, Some(code), "{}", sampled.stderr);
    }

    let bounded = run(&["test", "--check", "verified::counts_in_a_scope", "--preemptions", "0"]);
    assert_eq!(bounded.code, Some(0), "{}", bounded.stderr);
    assert!(bounded.stderr.contains("with at most 0 preemptions"), "{}", bounded.stderr);
    let cut = run(&["test", "--check", "verified::counts_in_a_scope", "--max-executions", "1"]);
    assert_eq!(cut.code, Some(3), "{}", cut.stderr);
    assert!(cut.stderr.contains("1 incomplete"), "{}", cut.stderr);
    for wrong in [&["--iterations", "5"][..], &["--seed", "1"], &["--strategy", "random"]] {
        let ran = run(&[&["test", "--check"], wrong].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    }
    assert_eq!(run(&["test", "--preemptions", "1"]).code, Some(2));
}
