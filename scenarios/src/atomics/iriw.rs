//! Independent reads of independent writes.
//!
//! Two writers each set a variable of their own; two readers look at both, in opposite order. With
//! `Acquire` and `Release` one reader may see only the first write and the other only the second:
//! they disagree about which came first, because there is no first. With `SeqCst` all agree.
//!
//! Source: the IRIW litmus test; Boehm and Adve, "Foundations of the C++ Concurrency Memory Model"
//! (PLDI 2008), section 4.

use super::spawn;
use racefuzz::FailureKind;
use racefuzz::scenario::{Expected, Scenario, Source};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release, SeqCst},
};

const SOURCE: Source = Source { file: file!(), text: include_str!("iriw.rs") };

/// The racy program.
pub const SCENARIO: Scenario = Scenario {
    name: "iriw",
    summary: "two readers disagree about which of two writes came first",
    teaches: "`Release` and `Acquire` order events along a chain of who saw what. Two writes that know nothing of each \
              other have no order, and readers need not agree on one. POWER hardware really shows this.",
    expected: Expected::Fails { kind: FailureKind::Panic, anomaly: "order violation" },
    twin: Some("iriw-fixed"),
    params: &[],
    source: SOURCE,
    run: |_| play(tell, before),
};

/// The repaired twin.
pub const FIXED: Scenario = Scenario {
    name: "iriw-fixed",
    summary: "with SeqCst all readers agree on the order of the writes",
    teaches: "SeqCst accesses have one order that every thread agrees on. That is what they cost more for, and few \
              programs need it; this one does.",
    expected: Expected::Holds,
    twin: Some("iriw"),
    params: &[],
    source: SOURCE,
    run: |_| play(tell_fixed, before_fixed),
};

struct News {
    east: AtomicBool,
    west: AtomicBool,
}

/// Racy.
fn tell(news: &AtomicBool) {
    news.store(true, Release);
}

/// Racy: whether the one news was there before the other.
fn before(one: &AtomicBool, other: &AtomicBool) -> bool {
    one.load(Acquire) && !other.load(Acquire)
}

/// Repaired.
fn tell_fixed(news: &AtomicBool) {
    news.store(true, SeqCst);
}

/// Repaired.
fn before_fixed(one: &AtomicBool, other: &AtomicBool) -> bool {
    one.load(SeqCst) && !other.load(SeqCst)
}

fn play(tell: fn(&AtomicBool), before: fn(&AtomicBool, &AtomicBool) -> bool) {
    let news = Arc::new(News { east: AtomicBool::new(false), west: AtomicBool::new(false) });
    let [a, b, c, d] = std::array::from_fn(|_| Arc::clone(&news));
    let eastern = spawn("writer 1", move || tell(&a.east));
    let western = spawn("writer 2", move || tell(&b.west));
    let one = spawn("reader 1", move || before(&c.east, &c.west));
    let two = spawn("reader 2", move || before(&d.west, &d.east));
    eastern.join().unwrap();
    western.join().unwrap();
    let (east_first, west_first) = (one.join().unwrap(), two.join().unwrap());
    assert!(!(east_first && west_first), "reader 1 saw east before west, reader 2 saw west before east");
}
