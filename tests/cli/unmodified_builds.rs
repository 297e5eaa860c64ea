//! `cargo racefuzz test --check`: what is found in a test, and that nothing is found in a right one, however it is
//! compiled.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use crate::support::folder;
use crate::unmodified::{library, run};
use crate::unmodified_check::package;
use serde_json::Value;
use std::fs;

/// Tests by what is to be said of them: nothing is wrong, something is, or something is not seen.
const TESTS: &str = r#"
#![cfg(test)]
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;

struct Shared<T>(UnsafeCell<T>);
unsafe impl<T> Sync for Shared<T> {}
unsafe impl<T> Send for Shared<T> {}

/// One thread changes a value, another one uses it, and nothing orders the two.
fn races<T: 'static>(value: T, change: fn(&mut T), using: fn(&T)) {
    let shared = Arc::new(Shared(UnsafeCell::new(value)));
    let other = shared.clone();
    let thread = thread::spawn(move || {
        let other = other;
        change(unsafe { &mut *other.0.get() })
    });
    using(unsafe { &*shared.0.get() });
    thread.join().unwrap();
}

mod right {
    use super::*;

    #[test]
    fn keeps_results_of_locks() {
        let (one, other) = (Mutex::new(()), Mutex::new(()));
        thread::scope(|scope| {
            scope.spawn(|| {
                let _one = one.lock();
                let _other = other.lock();
            });
            let _one = one.lock();
            let _other = other.lock();
        });
    }

    #[test]
    fn drops_results_of_locks() {
        let (lock, changed) = (Mutex::new(0), Condvar::new());
        let count = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                count.store(1, SeqCst);
                drop(lock.lock());
                changed.notify_one();
            });
            let mut held = lock.lock().unwrap();
            while count.load(SeqCst) == 0 {
                held = changed.wait(held).unwrap();
            }
        });
    }

    #[test]
    fn looks_at_results_of_locks() {
        let (one, other) = (Mutex::new(0), RwLock::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                if let Ok(mut held) = one.try_lock() {
                    *held += 1;
                }
                let _held = other.write();
            });
            match one.lock() {
                Ok(mut held) => *held += 1,
                Err(poisoned) => *poisoned.into_inner() += 1,
            }
            let _held = other.read();
            let _again = other.try_read();
        });
    }

    #[test]
    fn parks() {
        let ready = Arc::new(AtomicU32::new(0));
        let other = ready.clone();
        let thread = thread::spawn(move || {
            while other.load(Acquire) == 0 {
                thread::park();
            }
        });
        ready.store(1, Release);
        thread.thread().unpark();
        thread.join().unwrap();
    }

    /// All that is printed goes to one place, which grows.
    #[test]
    fn prints() {
        let print = || {
            for _ in 0..4 {
                println!("{}", "text".repeat(16));
            }
        };
        let thread = thread::spawn(print);
        print();
        assert!(thread.join().is_ok());
    }

    #[test]
    fn has_texts_of_its_own() {
        let named = thread::Builder::new().name("other".to_owned());
        let texts = Arc::new(Mutex::new(vec![String::from("first")]));
        let other = texts.clone();
        let add = move || {
            let name = thread::current().name().unwrap_or_default().to_owned();
            other.lock().unwrap().push(format!("{name} {:?}", std::env::var("HOME").is_ok()));
            panic!("{}", name)
        };
        let thread = named.spawn(add).unwrap();
        texts.lock().unwrap().push("second".to_owned());
        let thrown = *thread.join().unwrap_err().downcast::<String>().unwrap();
        assert_eq!((thrown, texts.lock().unwrap().len()), ("other".to_owned(), 3));
    }
}

mod wrong {
    use super::*;

    #[test]
    fn copies() {
        races(vec![0; 64], |bytes| bytes[8..40].copy_from_slice(&[1; 32]), |bytes| {
            black_box(bytes[20]);
        });
    }

    #[test]
    fn is_copied() {
        races(vec![0; 64], |bytes| bytes[20] = 1, |bytes| {
            let mut copy = [0; 64];
            copy.copy_from_slice(bytes);
            black_box(copy);
        });
    }

    #[test]
    fn is_compared() {
        races([1; 64], |bytes| bytes[20] = 2, |bytes| {
            black_box(*bytes == [3; 64]);
        });
    }

    #[test]
    fn is_cloned() {
        races(String::from("text"), |text| text.make_ascii_uppercase(), |text| {
            black_box(text.clone());
        });
    }

    #[test]
    fn is_written_out() {
        races(String::from("text"), |text| text.make_ascii_uppercase(), |text| {
            black_box(format!("<{text}>"));
        });
    }

    #[test]
    fn is_a_number_that_is_written_out() {
        races(1_u32, |number| *number += 1, |number| {
            black_box(format!("{number}"));
        });
    }

    #[test]
    fn is_searched() {
        races([1; 64], |bytes| bytes[20] = 2, |bytes| {
            black_box(bytes.contains(&3));
        });
    }

    #[test]
    fn is_local_to_a_thread() {
        thread_local! { static LOCAL: UnsafeCell<u32> = const { UnsafeCell::new(0) } }
        let place = Arc::new(AtomicUsize::new(0));
        let other = place.clone();
        let thread = thread::spawn(move || {
            LOCAL.with(|local| {
                other.store(local.get() as usize, Release);
                unsafe { *local.get() = 1 };
            });
        });
        let local = place.load(Acquire) as *const u32;
        if !local.is_null() {
            black_box(unsafe { *local });
        }
        thread.join().unwrap();
    }

    #[test]
    fn is_freed() {
        let place = Box::into_raw(Box::new(String::from("text"))) as usize;
        let thread = thread::spawn(move || drop(unsafe { Box::from_raw(place as *mut String) }));
        black_box(format!("<{}>", unsafe { &*(place as *const String) }));
        thread.join().unwrap();
    }
}

mod unseen {
    use super::*;

    #[test]
    fn takes_the_larger() {
        let most = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| most.fetch_max(3, Relaxed));
            scope.spawn(|| most.store(most.load(Relaxed).max(2), Relaxed));
        });
        assert_eq!(most.load(Relaxed), 3);
    }
}
"#;

/// All that is linked is optimised as one.
const PROFILE: &str = "\
[profile.as-one]
inherits = \"release\"
lto = \"fat\"
codegen-units = 1
";

#[test]
fn a_verdict_is_that_of_the_source() {
    let folder = folder();
    package(folder.path(), TESTS);
    let manifest = folder.path().join("Cargo.toml");
    let plain = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{plain}\n{PROFILE}")).unwrap();
    let library = library();
    for more in [&[][..], &["--release"], &["--", "--profile", "as-one"]] {
        let check = ["test", "--check", "--format", "json", "--max-time", "1m"];
        let ran = run(folder.path(), &library, &[&check[..], more].concat());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        let tests = document["tests"].as_array().unwrap();
        assert_eq!(tests.len(), TESTS.matches("#[test]").count(), "{}", ran.stderr);
        for test in tests {
            let name = test["test"].as_str().unwrap();
            let expected = match name.split("::").nth(1) {
                Some("right") => "passed",
                Some("wrong") => "failed",
                _ => "incomplete",
            };
            assert_eq!(test["report"]["report"]["outcome"], expected, "{name} {more:?}: {}", ran.stderr);
        }
    }
}
