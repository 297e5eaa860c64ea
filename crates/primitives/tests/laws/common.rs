//! Runs every schedule of a small program.

use crate::enumerate::Enumerate;
use crate::random::Random;
use racefuzz_runtime::{Config, Record, Runner, Site, ops};
use racefuzz_trace::{FailureKind, MemoryModel, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// What all schedules of a program showed.
#[derive(Debug, Default)]
pub struct Explored {
    pub executions: usize,
    pub blocked: usize,
    pub classes: BTreeSet<u64>,
    /// How often each kind of failure was met, and the messages of it.
    pub failures: BTreeMap<String, (usize, BTreeSet<String>)>,
    /// The first failing execution, recorded.
    pub first: Option<(racefuzz_runtime::Detected, Trace)>,
    pub left_over: BTreeSet<String>,
    pub abandoned: u32,
}

impl Explored {
    /// Panics unless no schedule fails.
    #[track_caller]
    pub fn passes(self) -> Self {
        assert!(self.failures.is_empty(), "{:?}", self.failures);
        self
    }

    /// Panics unless some schedule fails in this way; how many of them do.
    #[track_caller]
    pub fn fails(&self, kind: FailureKind) -> usize {
        let found = self.failures.get(&format!("{kind:?}"));
        found.unwrap_or_else(|| panic!("no {kind:?} among {:?}", self.failures)).0
    }

    /// Panics unless schedules fail, all of them in this way.
    #[track_caller]
    pub fn only_fails(&self, kind: FailureKind) -> usize {
        assert!(self.failures.len() <= 1, "{:?}", self.failures);
        self.fails(kind)
    }
}

const LIMIT: usize = 400_000;

/// Runs every schedule under these settings.
pub fn explore_with(config: Config, program: impl Fn()) -> Explored {
    let mut explorer = Enumerate::default();
    let mut runner = Runner::new(config);
    let mut explored = Explored::default();
    let program: &dyn Fn() = &program;
    loop {
        let mut ended = runner.run(program, &mut explorer, Record::Choices);
        if ended.failure.is_some() && explored.first.is_none() {
            ended = runner.run(program, &mut explorer, Record::Trace);
            explored.first = ended.failure.clone().zip(ended.trace.clone());
        }
        explored.executions += 1;
        explored.blocked += usize::from(ended.blocked);
        explored.classes.insert(ended.class);
        explored.abandoned += ended.abandoned;
        explored.left_over.extend(ended.left_over);
        if let Some(failure) = ended.failure {
            let entry = explored.failures.entry(format!("{:?}", failure.kind)).or_default();
            entry.0 += 1;
            entry.1.insert(failure.message);
        }
        assert!(explored.executions < LIMIT, "too many schedules: {explored:?}");
        if !explorer.advance() {
            return explored;
        }
    }
}

/// Runs a program, of which there are too many schedules, under some of them, all of which must pass.
#[track_caller]
pub fn sample(executions: usize, program: impl Fn()) {
    let mut runner = Runner::new(Config::default());
    let mut explorer = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..executions {
        let ended = runner.run(&program, &mut explorer, Record::Choices);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
    }
}

/// Runs every schedule.
pub fn explore(program: impl Fn()) -> Explored {
    explore_with(Config::default(), program)
}

/// Runs every schedule; under sequential consistency loads are always up to date.
pub fn explore_sc(program: impl Fn()) -> Explored {
    explore_with(Config { memory: MemoryModel::Sc, ..Config::default() }, program)
}

/// Runs the schedule without preemptions and returns what was recorded.
pub fn record(program: impl Fn()) -> Trace {
    let ended = Runner::new(Config::default()).run(&program, &mut Enumerate::default(), Record::Trace);
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    ended.trace.unwrap()
}

/// A thread of the running execution.
pub struct Thread<T>(ops::Spawned<T>);

/// Starts a thread.
#[track_caller]
pub fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> Thread<T> {
    // SAFETY: everything is `'static`.
    Thread(unsafe { ops::spawn(ops::SpawnOptions::default(), Site::caller(), body) }.unwrap())
}

impl<T> Thread<T> {
    /// Waits for its end; a panic of it is handed on.
    #[track_caller]
    pub fn join(self) -> T {
        self.outcome().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn outcome(self) -> std::thread::Result<T> {
        ops::join(self.0, Site::caller()).expect("in an execution")
    }
}

/// Every value that `program` returns in some schedule, all of which must pass.
pub fn outcomes<T: Ord>(program: impl Fn() -> T) -> BTreeSet<T> {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    explore(|| {
        let value = program();
        seen.borrow_mut().insert(value);
    })
    .passes();
    seen.into_inner()
}
