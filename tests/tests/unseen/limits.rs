//! Limits end any exploration, also inside one endless execution.

use racefuzz::sync::atomic::{AtomicUsize, Ordering};
use racefuzz::{CheckObserver, Checker, Fixer, Fuzzer, Outcome, Report, Settings};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const NEVER: u32 = u32::MAX;
static ONE: Mutex<()> = Mutex::new(());

fn endless() -> Settings {
    Settings { max_steps: NEVER, ..Settings::default() }
}

/// No verdict, because of this, and in time.
#[track_caller]
fn ends(reports: impl FnOnce() -> [Report; 2], why: &str) {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let began = Instant::now();
    for report in reports() {
        assert_eq!(report.outcome(), Outcome::Incomplete, "{report:?}");
        assert!(report.stopped.as_deref().unwrap().contains(why), "{:?}", report.stopped);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// No two rounds are alike, so it is not seen at once that none is the last.
fn stepping() {
    let x = AtomicUsize::new(0);
    loop {
        x.store(x.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

fn silent() {
    AtomicUsize::new(0).fetch_add(1, Ordering::Relaxed);
    let mut x = 0u64;
    while std::hint::black_box(x) < u64::MAX {
        x += 1;
    }
}

fn allocating() {
    AtomicUsize::new(0).fetch_add(1, Ordering::Relaxed);
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 16]);
        std::hint::black_box(&all);
    }
}

fn allocating_in_steps() {
    let x = AtomicUsize::new(0);
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        x.fetch_add(1, Ordering::Relaxed);
        all.push(vec![1; 1 << 16]);
    }
}

fn in_time(program: fn()) -> [Report; 2] {
    let time = Duration::from_millis(600);
    [
        Fuzzer::new().settings(endless()).max_time(time).max_memory(None).fuzz(program),
        Checker::new().settings(endless()).max_time(time).max_memory(None).check(program),
    ]
}

fn in_memory(program: fn()) -> [Report; 2] {
    let most = 200 << 20;
    [
        Fuzzer::new().settings(endless()).max_memory(most).fuzz(program),
        Checker::new().settings(endless()).max_memory(most).check(program),
    ]
}

#[test]
fn time_ends_a_loop_with_steps() {
    ends(|| in_time(stepping), "the time limit of 600ms was reached");
}

#[test]
fn time_ends_a_silent_loop() {
    ends(|| in_time(silent), "the time limit of 600ms was reached");
}

#[test]
fn memory_ends_a_loop_that_allocates() {
    ends(|| in_memory(allocating), "the memory limit of 200 MiB was reached");
}

#[test]
fn memory_ends_a_loop_that_allocates_in_steps() {
    ends(|| in_memory(allocating_in_steps), "the memory limit of 200 MiB was reached");
}

/// Repairs and audits: what is said of a search that ends before its end.
#[test]
fn limits_end_repairs_and_audits() {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let began = Instant::now();
    let fixer = || Fixer::new().settings(endless());
    let time = fixer().max_time(Duration::from_millis(600)).max_memory(None);
    let memory = fixer().max_memory(200 << 20);
    let limited: [(_, fn(), _); 3] = [
        (time.clone(), silent, "the time limit of 600ms was reached"),
        (time, stepping, "the time limit of 600ms was reached"),
        (memory, allocating_in_steps, "the memory limit of 200 MiB was reached"),
    ];
    for (fixer, program, why) in limited {
        let fixes = fixer.fix(program);
        assert_eq!(fixes.stopped.as_deref(), Some(why));
        let audit = fixer.audit(program);
        assert_eq!(audit.stopped.as_deref(), Some(why));
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn whoever_watches_ends_a_silent_loop() {
    struct Soon(Instant);
    impl Soon {
        fn now(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(300)
        }
    }
    impl CheckObserver for Soon {
        fn cancelled(&self) -> bool {
            self.now()
        }
    }
    impl racefuzz::Observer for Soon {
        fn cancelled(&self) -> bool {
            self.now()
        }
    }
    let reports = || {
        [
            Fuzzer::new().fuzz_observed(silent, &Soon(Instant::now())),
            Checker::new().check_watched(silent, &Soon(Instant::now())),
        ]
    };
    ends(reports, "interrupted");
}
