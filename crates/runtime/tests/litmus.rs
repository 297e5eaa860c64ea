//! The litmus files of `tests/litmus`, sampled: what a random walk over schedules and stores shows is
//! a subset of the graphs the files count, and under `sc` it is all of them.
//!
//! The counts come from published checkers and an enumerator that shares no code with the runtime.

use racefuzz_runtime::{
    Alternatives, Config, Explorer, Primitive, Record, Runner, Shared, Shown, Site, ThreadChoice, ops,
};
use racefuzz_trace::{MemoryModel, MemoryOrder, ObjectKind, ThreadId, Value, Verb};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

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

/// A random walk, weaker in some executions than in others.
struct Walk {
    state: u64,
    newest: u64,
}

impl Walk {
    fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((u128::from(self.state) * u128::from(bound)) >> 64) as u32
    }
}

impl Explorer for Walk {
    fn begin(&mut self) {
        self.newest = u64::from(self.below(4));
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.below(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        if u64::from(self.below(4)) < self.newest { 0 } else { self.below(alternatives.count) }
    }
}

/// The classes that a random walk of at most `most` executions shows; it ends early once all are
/// seen and as many executions again have shown no other.
fn sample(test: &Test, memory: MemoryModel, expected: usize, most: usize) -> usize {
    let mut runner = Runner::new(Config { memory, ..Config::default() });
    let mut walk = Walk { state: 0x9e37_79b9_7f4a_7c15, newest: 0 };
    let mut classes = HashSet::new();
    let mut complete_at = None;
    for index in 0..most {
        let ended = runner.run(&|| program(test), &mut walk, Record::Choices);
        assert!(ended.failure.is_none(), "{}: {:?}", test.name, ended.failure);
        if !ended.blocked {
            classes.insert(ended.class);
        }
        if classes.len() == expected && complete_at.is_none() {
            complete_at = Some(index);
        }
        if complete_at.is_some_and(|complete| index > 2 * complete + 500) {
            break;
        }
    }
    classes.len()
}

fn files() -> Vec<Test> {
    let published = include_str!("../../../tests/litmus/published.lit");
    let more = include_str!("../../../tests/litmus/more.lit");
    [published, more].into_iter().flat_map(lit::parse).collect()
}

const MOST: usize = 60_000;

/// Tests most of whose executions block, so that a random walk hardly ever completes one.
const MOSTLY_BLOCKED: [&str; 3] = ["lastzero/5", "lock2inc/3", "pgsql"];

#[test]
fn under_sc_every_graph_is_reached_and_no_other() {
    let mut wrong = Vec::new();
    for test in files() {
        let seen = match MOSTLY_BLOCKED.contains(&test.name.as_str()) {
            true => enumerate(&test, 5),
            false => sample(&test, MemoryModel::Sc, test.sc, MOST),
        };
        if seen != test.sc {
            wrong.push(format!("{}: {seen} of {}", test.name, test.sc));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Graphs of RC11 that no order of execution shows, because their SeqCst order is none (see the
/// documentation of the runtime's memory).
const OUT_OF_REACH: [&str; 4] = ["psc-base-notin-ar", "RWC+acq-sc", "random/5", "random/57"];

#[test]
fn under_rc11_no_graph_is_shown_that_the_model_forbids() {
    let (mut wrong, mut missed) = (Vec::new(), Vec::new());
    for test in files() {
        let incomplete = [&OUT_OF_REACH[..], &MOSTLY_BLOCKED].concat().contains(&test.name.as_str());
        let seen = sample(&test, MemoryModel::Rc11, test.rc11, if incomplete { MOST / 10 } else { MOST });
        let text = format!("{}: {seen} of {}", test.name, test.rc11);
        if seen > test.rc11 {
            wrong.push(text);
        } else if seen < test.rc11
            && ![&OUT_OF_REACH[..], &MOSTLY_BLOCKED].concat().contains(&test.name.as_str())
        {
            missed.push(text);
        }
    }
    assert!(wrong.is_empty(), "forbidden graphs:\n{}", wrong.join("\n"));
    assert!(missed.is_empty(), "graphs not reached:\n{}", missed.join("\n"));
}

/// All schedules with at most so many switches away from a thread that could go on.
struct FewSwitches {
    prefix: Vec<(u32, u32)>,
    at: usize,
    switches: u32,
    most: u32,
}

impl Explorer for FewSwitches {
    fn begin(&mut self) {
        (self.at, self.switches) = (0, 0);
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        let default = choice.default_thread();
        if self.switches == self.most {
            return default;
        }
        if self.at == self.prefix.len() {
            self.prefix.push((0, choice.options.len() as u32));
        }
        let index = self.prefix[self.at].0;
        self.at += 1;
        if index == 0 {
            return default;
        }
        self.switches += u32::from(choice.current.is_some());
        let others = choice.options.iter().filter(|thread| **thread != default);
        *others.clone().nth(index as usize - 1).unwrap_or(&default)
    }

    fn choose(&mut self, _: Alternatives) -> u32 {
        0
    }
}

fn enumerate(test: &Test, most: u32) -> usize {
    let mut runner = Runner::new(Config { memory: MemoryModel::Sc, ..Config::default() });
    let mut explorer = FewSwitches { prefix: Vec::new(), at: 0, switches: 0, most };
    let mut classes = HashSet::new();
    loop {
        let ended = runner.run(&|| program(test), &mut explorer, Record::Choices);
        if !ended.blocked {
            classes.insert(ended.class);
        }
        // An execution that an assume ended early leaves choices behind that were not asked for.
        explorer.prefix.truncate(explorer.at);
        loop {
            match explorer.prefix.pop() {
                None => return classes.len(),
                Some((index, count)) if index + 1 < count => {
                    explorer.prefix.push((index + 1, count));
                    break;
                }
                Some(_) => {}
            }
        }
    }
}
