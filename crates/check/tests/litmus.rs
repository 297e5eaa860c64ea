//! The litmus files of `tests/litmus`, sampled: what a random walk over schedules and stores shows is
//! a subset of the graphs the files count, and under `sc` it is all of them.
//!
//! The counts come from published checkers and an enumerator that shares no code with the runtime.

use racefuzz_runtime::{Config, Primitive, Shared, Shown, Site, ops};
use racefuzz_trace::{MemoryModel, MemoryOrder, ObjectKind, Value, Verb};
use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "../../runtime/tests/lit/mod.rs"]
mod lit;

use lit::{Op, Test};

struct Location {
    shared: Shared,
    initial: u64,
}

impl Primitive for Location {
    const KIND: ObjectKind = ObjectKind::Atomic;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        self.initial
    }

    fn show(&self, word: u64) -> Shown {
        Shown::Value(Value::Int(i128::from(word.cast_signed())))
    }
}

fn order(name: &str) -> MemoryOrder {
    match name {
        // No test has a race, so a plain access behaves as a relaxed one.
        "na" | "rlx" => MemoryOrder::Relaxed,
        "acq" => MemoryOrder::Acquire,
        "rel" => MemoryOrder::Release,
        "ar" => MemoryOrder::AcqRel,
        "sc" => MemoryOrder::SeqCst,
        _ => panic!("order {name}"),
    }
}

/// The part of an order that a load can have.
fn read_part(order: MemoryOrder) -> MemoryOrder {
    match order {
        MemoryOrder::AcqRel => MemoryOrder::Acquire,
        MemoryOrder::Release => MemoryOrder::Relaxed,
        other => other,
    }
}

type Locations = BTreeMap<String, Location>;

fn run_ops(code: &[Op], registers: &mut BTreeMap<String, i64>, locations: &Locations) {
    let site = Site::caller();
    for op in code {
        let location = |name: &String| &locations[name];
        match op {
            Op::Store(x, value, mode) => {
                let value = value.eval(registers).cast_unsigned();
                ops::store(location(x), value, order(mode), Verb::Store, site).unwrap();
            }
            Op::Load(r, x, mode) => {
                let value = ops::load(location(x), order(mode), Verb::Load, site).unwrap();
                registers.insert(r.clone(), value.cast_signed());
            }
            Op::Add(r, x, value, mode) => {
                let add = value.eval(registers);
                let orders = (order(mode), read_part(order(mode)));
                let f = |old: u64| Some(old.cast_signed().wrapping_add(add).cast_unsigned());
                let rmw = ops::rmw(location(x), orders, Verb::FetchAdd, site, f).unwrap();
                registers.insert(r.clone(), rmw.read.cast_signed());
            }
            Op::Exchange(r, x, value, mode) => {
                let value = value.eval(registers).cast_unsigned();
                let orders = (order(mode), read_part(order(mode)));
                let rmw = ops::rmw(location(x), orders, Verb::Swap, site, |_| Some(value)).unwrap();
                registers.insert(r.clone(), rmw.read.cast_signed());
            }
            Op::Cas { r, x, expected, new, mode, failure } => {
                let expected = expected.eval(registers).cast_unsigned();
                let new = new.eval(registers).cast_unsigned();
                let failure = failure.as_ref().map_or_else(|| read_part(order(mode)), |mode| order(mode));
                let f = |old: u64| (old == expected).then_some(new);
                let orders = (order(mode), failure);
                let rmw = ops::rmw(location(x), orders, Verb::CompareExchange, site, f).unwrap();
                registers.insert(r.clone(), rmw.read.cast_signed());
            }
            Op::Fence(mode) => ops::fence(order(mode), site).unwrap(),
            Op::Let(r, value) => {
                let value = value.eval(registers);
                registers.insert(r.clone(), value);
            }
            Op::Assume(value) => ops::assume(value.eval(registers) != 0, site).unwrap(),
            Op::Repeat(times, body) => (0..*times).for_each(|_| run_ops(body, registers, locations)),
            Op::If(condition, then, other) => {
                let branch = if condition.eval(registers) != 0 { then } else { other };
                run_ops(branch, registers, locations);
            }
        }
    }
}

fn program(test: &Test) {
    let names = test.locations();
    let locations: Arc<Locations> = Arc::new(
        names
            .into_iter()
            .map(|name| {
                let initial = test.initial.get(&name).copied().unwrap_or(0).cast_unsigned();
                (name, Location { shared: Shared::new(), initial })
            })
            .collect(),
    );
    let site = Site::caller();
    let threads: Vec<_> = test
        .threads
        .iter()
        .map(|code| {
            let (code, locations) = (Arc::clone(code), Arc::clone(&locations));
            let body = move || run_ops(&code, &mut BTreeMap::new(), &locations);
            // SAFETY: everything moved into the thread is `'static`.
            unsafe { ops::spawn(ops::SpawnOptions::default(), site, body) }.unwrap()
        })
        .collect();
    for thread in threads {
        ops::join(thread, site).unwrap().unwrap();
    }
}

fn files() -> Vec<Test> {
    let published = include_str!("../../../tests/litmus/published.lit");
    let more = include_str!("../../../tests/litmus/more.lit");
    [published, more].into_iter().flat_map(lit::parse).collect()
}

#[test]
fn counts() {
    let only = std::env::var("ONLY").ok();
    let mut wrong = 0;
    for test in files() {
        if only.as_ref().is_some_and(|only| *only != test.name) {
            continue;
        }
        for (memory, expected) in [(MemoryModel::Sc, test.sc), (MemoryModel::Rc11, test.rc11)] {
            let start = std::time::Instant::now();
            let counts = std::panic::catch_unwind(|| {
                racefuzz_check::explore(&|| program(&test), Config { memory, ..Config::default() })
            });
            match counts {
                Ok(counts) if counts.complete == expected as u64 => {
                    println!("ok {} {memory} {counts:?} {:?}", test.name, start.elapsed())
                }
                other => {
                    wrong += 1;
                    println!("WRONG {} {memory} expected {expected}: {other:?}", test.name)
                }
            }
        }
    }
    assert_eq!(wrong, 0);
}
