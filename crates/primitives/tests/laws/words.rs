//! Runs every schedule of a program, recorded and not, and shared words for it.
#![allow(clippy::arc_with_non_send_sync)]

use crate::enumerate::Enumerate;
use racefuzz_runtime::{Config, Detected, Ended, Primitive, Record, Runner, Shared, Shown, Site, ops};
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, Trace, Value, Verb};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What all schedules of a program gave.
#[derive(Default)]
pub struct All {
    pub executions: usize,
    pub blocked: usize,
    pub failures: Vec<Detected>,
}

/// Runs every schedule of the program.
pub fn every(config: Config, record: Record, program: &dyn Fn(), mut each: impl FnMut(Ended)) {
    let mut explorer = Enumerate::default();
    let mut runner = Runner::new(config);
    let mut executions = 0;
    loop {
        let ended = runner.run(program, &mut explorer, record);
        assert_eq!(ended.abandoned, 0, "a thread was abandoned");
        assert!(ended.left_over.is_empty(), "{:?}", ended.left_over);
        each(ended);
        executions += 1;
        assert!(executions < 200_000, "the program is too large to enumerate");
        if !explorer.advance() {
            return;
        }
    }
}

/// Runs every schedule of the program.
pub fn all(program: impl Fn()) -> All {
    let mut found = All::default();
    every(Config::default(), Record::Choices, &program, |ended| {
        found.executions += 1;
        found.blocked += usize::from(ended.blocked);
        found.failures.extend(ended.failure);
    });
    // Recording must not change anything.
    let mut again = 0;
    every(Config::default(), Record::Trace, &program, |_| again += 1);
    assert_eq!(found.executions, again);
    found
}

/// Runs every schedule; none may fail. How many there were.
pub fn none_fails(program: impl Fn()) -> usize {
    let found = all(program);
    assert!(found.failures.is_empty(), "{:?}", found.failures[0]);
    found.executions
}

/// The results of the program in all its schedules, none of which may fail.
pub fn outcomes<T: Ord>(program: impl Fn() -> T) -> BTreeSet<T> {
    let seen = RefCell::new(BTreeSet::new());
    none_fails(|| {
        let outcome = program();
        seen.borrow_mut().insert(outcome);
    });
    seen.into_inner()
}

/// Every schedule fails, and in this way; the first message.
pub fn always_fails(kind: FailureKind, program: impl Fn()) -> String {
    let found = all(program);
    assert_eq!(found.failures.len(), found.executions, "some schedules pass");
    for failure in &found.failures {
        assert_eq!(failure.kind, kind, "{failure:?}");
    }
    found.failures[0].message.clone()
}

/// Whether some schedule fails; all that do, in this way.
pub fn some_fail(kind: FailureKind, program: impl Fn()) -> bool {
    let found = all(program);
    for failure in &found.failures {
        assert_eq!(failure.kind, kind, "{failure:?}");
    }
    !found.failures.is_empty()
}

/// The trace of the first schedule.
pub fn trace(program: impl Fn()) -> Trace {
    Runner::new(Config::default()).run(&program, &mut Enumerate::default(), Record::Trace).trace.unwrap()
}

/// A shared word: an atomic (acquire, release), or plain memory that races.
pub struct Word(Arc<Cell>);

struct Cell {
    shared: Shared,
    plain: std::cell::Cell<u64>,
}

// SAFETY: executions are serial.
unsafe impl Send for Word {}
// SAFETY: executions are serial.
unsafe impl Sync for Word {}

impl Clone for Word {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Word {
    #[track_caller]
    pub fn new() -> Self {
        Self(Arc::new(Cell { shared: Shared::new(), plain: std::cell::Cell::new(0) }))
    }

    #[track_caller]
    pub fn load(&self) -> u64 {
        ops::load(&*self.0, MemoryOrder::Acquire, Verb::Load, Site::caller()).unwrap_or(0)
    }

    #[track_caller]
    pub fn store(&self, value: u64) {
        let _ = ops::store(&*self.0, value, MemoryOrder::Release, Verb::Store, Site::caller());
    }

    /// A read that races.
    #[track_caller]
    pub fn read(&self) -> u64 {
        let _ = ops::read(&*self.0, Verb::CellRead, Site::caller());
        self.0.plain.get()
    }

    /// A write that races.
    #[track_caller]
    pub fn write(&self, value: u64) {
        let _ = ops::write(&*self.0, Verb::CellWrite, Site::caller());
        self.0.plain.set(value);
    }
}

impl Primitive for Cell {
    const KIND: ObjectKind = ObjectKind::Atomic;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn show(&self, word: u64) -> Shown {
        Shown::Value(Value::Int(word.into()))
    }
}
