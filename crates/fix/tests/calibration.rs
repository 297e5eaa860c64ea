//! The worked example by which counts, shares and spans are calibrated: three threads, each
//! `a a R c W b b`, where `R c W` increments a variable and the other steps are a thread's own.

use racefuzz_fix::count::Schedules;
use racefuzz_fix::span::Spans;
use racefuzz_fix::{Dfs, FixKind, Go, Graphs, Limit, Options, Overlay, Task, Verifier, fix};
use racefuzz_primitives::{choose::note, thread, var::Var};
use racefuzz_runtime::Config;
use racefuzz_trace::{Edit, LockName, MemoryModel, Site};
use std::sync::Arc;

/// Three threads, with `around` further steps of their own before and behind the increment.
fn three(around: bool) {
    let shared = Arc::new(Var::new("c", 0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if around {
                    note("a1");
                    note("a2");
                }
                let next = shared.get() + 1;
                note("c");
                shared.set(next);
                if around {
                    note("b1");
                    note("b2");
                }
                next
            })
        })
        .collect();
    let mut stored: Vec<i32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    stored.sort_unstable();
    assert!(stored == [1, 2, 3], "an increment is lost");
}

struct Left {
    good: u128,
    failing: u128,
    span: u64,
    work: u64,
    parallelism: f64,
}

/// Explores the program under a lock over these of its lines, by both engines.
fn under_lock(lines: &[u32]) -> Left {
    let program = || three(true);
    let options = Options::default();
    let mut sites: Vec<Site> = Vec::new();
    let config = || Config::new(&options.settings);
    let task = |overlay, memory| Task { overlay, memory, budget: 100_000 };
    let none = Overlay::default();
    Dfs::new(&program, config(), Limit::default()).explore(task(&none, MemoryModel::Sc), &mut |visit| {
        sites = visit.trace.sites.clone();
        Go::Stop
    });
    let sites: Vec<Site> = sites.into_iter().filter(|site| lines.contains(&site.line)).collect();
    assert_eq!(sites.len(), lines.len(), "every line is a step's");
    let lock = Edit::Lock { lock: LockName::New(0), sites, shared: Vec::new() };
    let overlay = if lines.is_empty() { Overlay::default() } else { Overlay::from(vec![lock]) };
    let mut found = Vec::new();
    let engines: [Box<dyn Verifier>; 2] = [
        Box::new(Dfs::new(&program, config(), Limit::default())),
        Box::new(Graphs::new(&program, racefuzz_check::Options::default(), Limit::default())),
    ];
    for mut engine in engines {
        let (mut good, mut bad, mut spans) = (Schedules::default(), Schedules::default(), Spans::default());
        let explored = engine.explore(task(&overlay, MemoryModel::Sc), &mut |visit| {
            spans.add(visit.trace);
            if visit.failure.is_some() {
                bad.add(visit.trace)
            } else {
                good.add(visit.trace)
            }
            Go::On
        });
        assert!(explored.complete);
        let left = spans.parallelism().unwrap();
        found.push(Left {
            good: good.sum().unwrap(),
            failing: bad.sum().unwrap(),
            span: left.span,
            work: left.work,
            parallelism: left.mean,
        });
    }
    let other = found.pop().unwrap();
    let one = found.pop().unwrap();
    assert_eq!((one.good, one.failing, one.span), (other.good, other.failing, other.span));
    one
}

fn line_of(text: &str) -> u32 {
    let source = include_str!("calibration.rs");
    1 + source.lines().position(|line| line.trim() == text).unwrap() as u32
}

#[test]
fn no_lock() {
    let left = under_lock(&[]);
    assert_eq!(left.good + left.failing, 399_072_960);
    assert_eq!(left.failing, 384_155_100);
    assert_eq!((left.work, left.span), (21, 7));
    assert_eq!(left.parallelism, 3.0);
}

#[test]
fn the_lock_from_read_to_write_keeps_every_good_schedule() {
    let lines = ["let next = shared.get() + 1;", "note(\"c\");", "shared.set(next);"].map(line_of);
    let left = under_lock(&lines);
    assert_eq!((left.good, left.failing), (14_917_860, 0));
    assert_eq!((left.work, left.span), (21, 13));
    assert_eq!(format!("{:.2}", left.parallelism), "1.62");
}

#[test]
fn a_lock_that_begins_too_early_keeps_few() {
    let lines = [
        "note(\"a1\");",
        "note(\"a2\");",
        "let next = shared.get() + 1;",
        "note(\"c\");",
        "shared.set(next);",
    ]
    .map(line_of);
    let left = under_lock(&lines);
    assert_eq!((left.good, left.failing), (25_920, 0));
    assert_eq!(format!("{:.2} %", 100.0 * left.good as f64 / 14_917_860.0), "0.17 %");
    assert_eq!(format!("{:.2}", left.parallelism), "1.24");
}

#[test]
fn a_lock_over_the_whole_body_is_sequential() {
    let lines = [
        "note(\"a1\");",
        "note(\"a2\");",
        "let next = shared.get() + 1;",
        "note(\"c\");",
        "shared.set(next);",
        "note(\"b1\");",
        "note(\"b2\");",
    ]
    .map(line_of);
    let left = under_lock(&lines);
    assert_eq!((left.good, left.failing), (6, 0));
    assert_eq!(left.parallelism, 1.0);
}

#[test]
fn the_search_finds_the_lock_from_read_to_write() {
    let report = fix(&Options::default(), &|| three(true));
    assert_eq!(report.baseline.schedules, Some(399_072_960));
    assert_eq!(report.baseline.good, Some(14_917_860));
    let best = &report.fixes()[0];
    assert_eq!(best.kind, FixKind::NewLock);
    assert_eq!(best.kept().unwrap().schedules, 14_917_860);
    assert!(best.kept().unwrap().is_all());
    assert_eq!(best.guarded, 3);
    assert!(!best.is_sequential());
}

/// The increment alone: any lock that repairs it keeps every good schedule and is sequential.
#[test]
fn an_increment_is_inherently_sequential() {
    let report = fix(&Options::default(), &|| three(false));
    let best = &report.fixes()[0];
    assert!(best.kept().unwrap().is_all());
    assert!(best.is_sequential());
}
