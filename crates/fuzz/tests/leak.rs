//! Alone in its process, whose memory it measures.

mod common;

use common::*;
use racefuzz_fuzz::Options;
use racefuzz_runtime::{Site, ops};
use racefuzz_trace::Strategy;

#[test]
fn failing_a_hundred_thousand_times_leaks_nothing() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    };
    let options = |iterations| Options { keep_going: true, ..options(Strategy::Random, 1, iterations) };
    let program = || {
        let thread = spawn(|| panic!("always"));
        let _ = ops::join(thread, Site::caller());
        lock_order();
        panic!("always");
    };
    run(&options(2_000), program);
    let before = resident();
    let report = run(&options(100_000), program);
    assert_eq!((report.stats.failing, report.stats.abandoned), (100_000, 0));
    assert!(resident() < before + (8 << 20), "{} bytes more", resident() - before);
}
