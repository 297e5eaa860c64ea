//! The runtime alone: atomics, threads and failures under explorers that always take one side.

use racefuzz_runtime::{
    Absent, Alternatives, Config, Explorer, Primitive, Record, Runner, Shared, Shown, Site, ThreadChoice, ops,
};
use racefuzz_trace::{FailureKind, MemoryOrder, ObjectKind, ThreadId, Value, Verb};
use std::collections::BTreeSet;
use std::sync::Arc;

struct Word {
    shared: Shared,
}

impl Word {
    #[track_caller]
    fn new() -> Arc<Self> {
        Arc::new(Self { shared: Shared::new() })
    }

    fn load(&self, order: MemoryOrder) -> u64 {
        ops::load(self, order, Verb::Load, Site::caller()).unwrap()
    }

    fn store(&self, value: u64, order: MemoryOrder) {
        ops::store(self, value, order, Verb::Store, Site::caller()).unwrap();
    }
}

impl Primitive for Word {
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

fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> ops::Spawned<T> {
    // SAFETY: everything is `'static`.
    unsafe { ops::spawn(ops::SpawnOptions::default(), Site::caller(), body) }.unwrap()
}

/// Enumerates every sequence of choices, depth first.
#[derive(Default)]
struct Enumerate {
    prefix: Vec<(u32, u32)>,
    at: usize,
}

impl Enumerate {
    fn next(&mut self, count: u32) -> u32 {
        if self.at == self.prefix.len() {
            self.prefix.push((0, count));
        }
        self.at += 1;
        self.prefix[self.at - 1].0
    }

    fn advance(&mut self) -> bool {
        while let Some((index, count)) = self.prefix.pop() {
            if index + 1 < count {
                self.prefix.push((index + 1, count));
                return true;
            }
        }
        false
    }
}

impl Explorer for Enumerate {
    fn begin(&mut self) {
        self.at = 0;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.next(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.next(alternatives.count)
    }
}

/// Runs every schedule of the program; the number of executions and of classes.
fn enumerate(program: &dyn Fn()) -> (usize, BTreeSet<u64>) {
    let mut explorer = Enumerate::default();
    let mut runner = Runner::new(Config::default());
    let (mut executions, mut classes) = (0, BTreeSet::new());
    loop {
        let ended = runner.run(program, &mut explorer, Record::Choices);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        executions += 1;
        classes.insert(ended.class);
        if !explorer.advance() {
            return (executions, classes);
        }
    }
}

fn outcomes(order: MemoryOrder) -> BTreeSet<(u64, u64)> {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    enumerate(&|| {
        let (x, y) = (Word::new(), Word::new());
        let (x2, y2) = (Arc::clone(&x), Arc::clone(&y));
        let a = spawn(move || {
            x.store(1, order);
            y.load(order)
        });
        let b = spawn(move || {
            y2.store(1, order);
            x2.load(order)
        });
        let a = ops::join(a, Site::caller()).unwrap().unwrap();
        let b = ops::join(b, Site::caller()).unwrap().unwrap();
        seen.borrow_mut().insert((a, b));
    });
    seen.into_inner()
}

#[test]
fn store_buffering_shows_both_zeros_only_without_seqcst() {
    assert_eq!(outcomes(MemoryOrder::SeqCst), BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
    assert_eq!(outcomes(MemoryOrder::Relaxed), BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]));
}

#[test]
fn two_readers_and_a_writer_have_four_classes() {
    let (_, classes) = enumerate(&|| {
        let x = Word::new();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let x = Arc::clone(&x);
                spawn(move || x.load(MemoryOrder::Acquire))
            })
            .collect();
        x.store(42, MemoryOrder::Release);
        for reader in readers {
            ops::join(reader, Site::caller()).unwrap().unwrap();
        }
    });
    assert_eq!(classes.len(), 4);
}

#[test]
fn a_panic_in_a_thread_that_nobody_joins_is_the_failure() {
    let ended = Runner::new(Config::default()).run(
        &|| {
            let _ = spawn(|| panic!("first cause"));
        },
        &mut Enumerate::default(),
        Record::Trace,
    );
    let failure = ended.failure.unwrap();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Panic, "first cause"));
    assert_eq!(failure.thread, ThreadId(1));
}

#[test]
fn a_thread_that_waits_for_itself_is_a_deadlock_and_its_memory_is_freed() {
    let held = Arc::new(());
    let mut runner = Runner::new(Config::default());
    for _ in 0..1000 {
        let held = Arc::clone(&held);
        let ended = runner.run(
            &move || {
                let held = Arc::clone(&held);
                let _ = spawn(move || {
                    let _held = held;
                    let _ = ops::park(None, Site::caller());
                });
            },
            &mut Enumerate::default(),
            Record::Choices,
        );
        assert_eq!(ended.failure.unwrap().kind, FailureKind::Deadlock);
        assert_eq!(ended.abandoned, 0);
    }
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn outside_an_execution_nothing_happens() {
    assert_eq!(ops::mode(), Err(Absent::Outside));
    assert_eq!(ops::note(Site::caller(), String::new), Err(Absent::Outside));
}
