//! The litmus files of `tests/litmus`, sampled: what a random walk over schedules and stores shows is
//! a subset of the graphs the files count, and under `sc` it is all of them.
//!
//! The counts come from published checkers and an enumerator that shares no code with the runtime.

use racefuzz_oracle::{Model, Program, Sharing, closure, enumerate, generate, litmus, observed};
use racefuzz_runtime::{Alternatives, Config, Explorer, Record, Runner, ThreadChoice};
use racefuzz_trace::{FailureKind, MemoryModel, ThreadId};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

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
fn sample(test: &Program, memory: MemoryModel, expected: usize, most: usize) -> usize {
    let program = closure(test);
    let mut runner = Runner::new(Config { memory, ..Config::default() });
    let mut walk = Walk { state: 0x9e37_79b9_7f4a_7c15, newest: 0 };
    let mut classes = HashSet::new();
    let mut complete_at = None;
    for index in 0..most {
        let ended = runner.run(&program, &mut walk, Record::Choices);
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

fn stated(test: &Program, model: &str) -> usize {
    test.stated(model).expect("a litmus test states it") as usize
}

const MOST: usize = 60_000;

/// Tests most of whose executions block, so that a random walk hardly ever completes one.
const MOSTLY_BLOCKED: [&str; 3] = ["lastzero/5", "lock2inc/3", "pgsql"];

#[test]
fn under_sc_every_graph_is_reached_and_no_other() {
    let mut wrong = Vec::new();
    for test in litmus() {
        let seen = match MOSTLY_BLOCKED.contains(&test.name.as_str()) {
            true => with_few_switches(&test, 5),
            false => sample(&test, MemoryModel::Sc, stated(&test, "sc"), MOST),
        };
        if seen != stated(&test, "sc") {
            wrong.push(format!("{}: {seen} of {}", test.name, stated(&test, "sc")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn under_rc11_no_graph_is_shown_that_the_model_forbids() {
    let (mut wrong, mut missed) = (Vec::new(), Vec::new());
    let tests = litmus();
    for test in &tests {
        let blocks = MOSTLY_BLOCKED.contains(&test.name.as_str());
        let expected = stated(test, "rc11");
        let seen = sample(test, MemoryModel::Rc11, expected, if blocks { MOST / 10 } else { MOST });
        if seen > expected {
            wrong.push(format!("{}: {seen} of {}", test.name, expected));
        } else if seen < expected && !blocks {
            missed.push(format!("{:20} {seen:4} of {expected:4} graphs\n", test.name));
        }
    }
    assert!(wrong.is_empty(), "forbidden graphs:\n{}", wrong.join("\n"));
    let count = missed.len();
    let page = format!(
        "Litmus tests with graphs of RC11 that no schedule shows, as their SeqCst order is none in which the\n\
         steps could be executed (see the runtime's store histories): {count} of {}. The checker has them all.\n\n{}",
        tests.len(),
        missed.concat(),
    );
    insta::with_settings!({ snapshot_path => "../../../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("sampler__out_of_reach", page);
    });
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

fn with_few_switches(test: &Program, most: u32) -> usize {
    let program = closure(test);
    let mut runner = Runner::new(Config { memory: MemoryModel::Sc, ..Config::default() });
    let mut explorer = FewSwitches { prefix: Vec::new(), at: 0, switches: 0, most };
    let mut classes = HashSet::new();
    loop {
        let ended = runner.run(&program, &mut explorer, Record::Choices);
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

/// Samples a generated program: every final state must be one that the enumerator knows, and a
/// deadlock only where it knows one. Returns how many of the final states were seen.
fn sample_finals(program: &Program, memory: MemoryModel, model: Model, sharing: Sharing) -> usize {
    let expected = enumerate(program, model);
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let sink = Arc::clone(&seen);
    let observed = observed(program, sharing, move |state| {
        sink.lock().unwrap().insert(state);
    });
    // Waiting for ever runs into the limit.
    let mut runner = Runner::new(Config { memory, max_steps: 300, ..Config::default() });
    let mut walk = Walk { state: 0x9e37_79b9_7f4a_7c15, newest: 0 };
    for _ in 0..120 {
        let ended = runner.run(&observed, &mut walk, Record::Choices);
        match ended.failure.map(|failure| failure.kind) {
            None => {}
            Some(FailureKind::Deadlock) => assert!(expected.deadlocks > 0, "{program}"),
            Some(FailureKind::StepLimit) => {}
            Some(other) => panic!("{other:?}: {program}"),
        }
    }
    let seen = seen.lock().unwrap();
    let unknown: Vec<_> = seen.difference(&expected.finals).collect();
    assert!(unknown.is_empty(), "{} {unknown:?}: {program}", model.name());
    seen.len()
}

#[test]
fn generated_programs_end_in_states_that_the_enumerator_knows() {
    let (mut sc, mut rc11) = (0, 0);
    for seed in 0..400 {
        let program = generate(seed);
        let sharing = if seed % 2 == 0 { Sharing::Free } else { Sharing::Counted };
        sc += sample_finals(&program, MemoryModel::Sc, Model::Sc, sharing);
        rc11 += sample_finals(&program, MemoryModel::Rc11, Model::Rc11, sharing);
    }
    assert!(rc11 > sc, "weak memory shows in {rc11} states, sc in {sc}");
}
