//! What ends the process is reported before, with the execution that was running: each in a process of
//! its own.

use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicUsize, Ordering};
use racefuzz::{Checker, Fuzzer, Outcome, thread};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// The text, the signal and the exit code that the test `name` of this file comes to.
fn child(name: &str) -> (String, Option<i32>, Option<i32>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("crashes::{name}"), "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    (text, output.status.signal(), output.status.code())
}

/// The program goes wrong where the other thread comes first.
fn racy(wrong: fn()) -> impl Fn() + Sync {
    move || {
        let x = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&x);
        let other = thread::spawn(move || theirs.store(1, Ordering::SeqCst));
        if x.load(Ordering::SeqCst) == 1 {
            wrong();
        }
        other.join().unwrap();
    }
}

fn reads_nowhere() {
    // SAFETY: none: that is what is tested.
    unsafe { std::ptr::read_volatile(std::hint::black_box(16usize) as *const u8) };
}

#[test]
#[ignore = "ends the process"]
fn fuzz_segv() {
    Fuzzer::new().name("wild").fuzz(racy(reads_nowhere));
}

#[test]
#[ignore = "ends the process"]
fn check_segv() {
    Checker::new().name("wild").check(racy(reads_nowhere));
}

#[test]
#[ignore = "ends the process"]
fn fuzz_abort() {
    Fuzzer::new().name("wild").fuzz(racy(|| std::process::abort()));
}

#[test]
#[ignore = "ends the process"]
fn fuzz_static() {
    static READY: AtomicUsize = AtomicUsize::new(0);
    Fuzzer::new().name("wild").fuzz(|| {
        let other = thread::spawn(|| READY.store(1, Ordering::SeqCst));
        if READY.load(Ordering::SeqCst) == 1 {
            reads_nowhere();
        }
        other.join().unwrap();
    });
}

#[test]
#[ignore = "ends the process"]
fn fuzz_exit() {
    Fuzzer::new().name("wild").fuzz(racy(|| std::process::exit(0)));
}

#[test]
#[ignore = "ends the process"]
fn fuzz_overflow() {
    fn deeper(n: u64) -> u64 {
        if n == 0 { 0 } else { std::hint::black_box(deeper(std::hint::black_box(n) + 1)) + 1 }
    }
    Fuzzer::new().name("wild").fuzz(racy(|| drop(std::hint::black_box(deeper(1)).to_string())));
}

#[test]
fn a_signal_is_reported_with_trace_and_token() {
    for (name, signal, word) in [
        ("fuzz_segv", libc_sigsegv(), "SIGSEGV"),
        ("check_segv", libc_sigsegv(), "SIGSEGV"),
        ("fuzz_abort", 6, "SIGABRT"),
        ("fuzz_static", libc_sigsegv(), "SIGSEGV"),
    ] {
        let began = std::time::Instant::now();
        let (text, by, _) = child(name);
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{name}: {:?}", began.elapsed());
        assert_eq!(by, Some(signal), "{name}: {text}");
        assert!(text.contains(word), "{name}: {text}");
        assert!(text.contains("load x ") || text.contains("load "), "{name}: {text}");
        assert!(text.contains("wild:"), "{name} has no token: {text}");
    }
}

const fn libc_sigsegv() -> i32 {
    11
}

#[test]
fn an_exit_is_no_success() {
    let (text, _, code) = child("fuzz_exit");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("crashes::fuzz_exit") && text.contains("std::process::exit"), "{text}");
    assert!(text.contains("crashes.rs:"), "{text}");
}

#[test]
fn an_exhausted_stack_names_the_test() {
    let (text, _, code) = child("fuzz_overflow");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("crashes::fuzz_overflow") && text.contains("stack overflow"), "{text}");
}

#[test]
fn an_explorer_inside_a_program_is_its_failure() {
    for report in [
        Fuzzer::new().iterations(5).fuzz(|| drop(Fuzzer::new().fuzz(|| {}))),
        Checker::new().check(|| drop(Checker::new().check(|| {}))),
    ] {
        assert_eq!(report.outcome(), Outcome::Failed);
        let failure = &report.failures()[0];
        assert!(failure.message().contains("from inside a program under test"), "{}", failure.message());
        assert!(racefuzz::render(&report).contains("crashes.rs:"), "{}", racefuzz::render(&report));
    }
}

/// A resource of which its holder gives back a part before it waits for somebody, and the rest after: one
/// that is dropped in between aborts, as code without a panic in sight may.
struct Halved {
    is_half: bool,
}

impl Halved {
    fn give_back(mut self, ready: &AtomicUsize) {
        self.is_half = true;
        while ready.load(Ordering::SeqCst) == 0 {
            std::hint::spin_loop();
        }
        self.is_half = false;
    }
}

impl Drop for Halved {
    fn drop(&mut self) {
        if self.is_half {
            std::process::abort();
        }
    }
}

/// The executions that an exploration cuts off leave threads in the middle of what no code expects to
/// unwind.
#[test]
fn a_destructor_may_abort_where_an_execution_is_cut_off() {
    let program = |fails: bool| {
        move || {
            let ready = Arc::new(AtomicUsize::new(0));
            let theirs = Arc::clone(&ready);
            let other = thread::spawn(move || Halved { is_half: false }.give_back(&theirs));
            assert!(!fails, "the failure");
            ready.store(1, Ordering::SeqCst);
            other.join().unwrap();
        }
    };
    let report = Checker::new().check(program(false));
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
    for report in [Checker::new().check(program(true)), Fuzzer::new().iterations(50).fuzz(program(true))] {
        assert_eq!(report.failures()[0].message(), "the failure");
    }
}

#[test]
#[ignore = "leaves threads behind"]
fn panicking_destructors() {
    struct Halved(Arc<AtomicUsize>);
    impl Drop for Halved {
        fn drop(&mut self) {
            assert!(!std::thread::panicking(), "in the middle");
        }
    }
    let report = Checker::new().check(|| {
        let ready = Arc::new(AtomicUsize::new(0));
        let theirs = Halved(Arc::clone(&ready));
        let other = thread::spawn(move || {
            while theirs.0.load(Ordering::SeqCst) == 0 {
                std::hint::spin_loop();
            }
        });
        ready.store(1, Ordering::SeqCst);
        other.join().unwrap();
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
}

/// libtest replaces the panic hook at its end, so that a thread which stays in the hook keeps it waiting.
#[test]
fn panics_in_destructors_that_are_cut_off_do_not_keep_the_process_from_ending() {
    let (text, signal, code) = child("panicking_destructors");
    assert_eq!((signal, code), (None, Some(0)), "{text}");
    assert_eq!(text.matches("nothing is aborted, in spite of:").count(), 1, "{text}");
}
