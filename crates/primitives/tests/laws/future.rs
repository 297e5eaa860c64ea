//! Laws of `future`.

use crate::words::{Word, all, always_fails, every, none_fails, outcomes, some_fail, trace};
use racefuzz_primitives::choose::note;
use racefuzz_primitives::future::{AtomicWaker, block_on, spawn, yield_now};
use racefuzz_primitives::local::thread_local;
use racefuzz_primitives::thread;
use racefuzz_runtime::{Config, Record};
use racefuzz_trace::{FailureKind, MemoryModel, ThreadId, Verb};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

#[test]
fn block_on_gives_the_output() {
    none_fails(|| assert_eq!(block_on(async { 1 + 1 }), 2));
    let trace = trace(|| block_on(async {}));
    assert!(trace.events.iter().all(|event| event.verb == Verb::Finish));
}

/// Two tasks add one each; what came of it.
fn count(between: impl AsyncFn() + Clone + 'static) -> u64 {
    let word = Word::new();
    let theirs = word.clone();
    block_on(async move {
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (word, between) = (theirs.clone(), between.clone());
                spawn(async move {
                    let n = word.load();
                    between().await;
                    word.store(n + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    word.load()
}

#[test]
fn tasks_switch_only_at_an_await() {
    assert_eq!(outcomes(|| count(async || ())), BTreeSet::from([2]));
    assert_eq!(outcomes(|| count(async || yield_now().await)), BTreeSet::from([1, 2]));
}

#[test]
fn every_order_of_the_tasks_is_seen() {
    let seen = outcomes(|| {
        let order = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&order);
        block_on(async move {
            let tasks: Vec<_> = (1..=3)
                .map(|n| {
                    let order = Rc::clone(&theirs);
                    spawn(async move { order.set(order.get() * 10 + n) })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        order.get()
    });
    assert_eq!(seen, BTreeSet::from([123, 132, 213, 231, 312, 321]));
}

#[test]
fn tasks_of_one_executor_do_not_race() {
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        block_on(async move {
            let task = spawn({
                let word = theirs.clone();
                async move {
                    word.write(1);
                    yield_now().await;
                    word.write(2);
                }
            });
            theirs.write(3);
            yield_now().await;
            theirs.read();
            task.await.unwrap();
        });
    });
    // Those of two executors do.
    assert!(some_fail(FailureKind::DataRace, || {
        let word = Word::new();
        let theirs = word.clone();
        let other = thread::spawn(move || block_on(async move { theirs.write(1) }));
        block_on(async move { word.write(2) });
        other.join().unwrap();
    }));
}

#[test]
fn a_task_has_a_column_of_its_own() {
    let trace = trace(|| {
        block_on(async {
            let task = spawn(async {
                note("inside");
                yield_now().await;
            });
            task.await.unwrap();
        });
    });
    assert!(trace.threads[1].task);
    let told: Vec<_> = trace
        .events
        .iter()
        .filter(|event| event.verb != Verb::Finish)
        .map(|event| (event.thread.0, event.verb, event.implied))
        .collect();
    assert_eq!(
        told,
        [
            (0, Verb::Spawn, false),
            (0, Verb::Await, false),
            (1, Verb::Poll, true),
            (1, Verb::Note, false),
            (1, Verb::Await, false),
            (1, Verb::Poll, false),
            (1, Verb::Wake, true),
            (0, Verb::Poll, false),
            (0, Verb::Join, false),
        ]
    );
    let wake = trace.events.iter().find(|event| event.verb == Verb::Wake).unwrap();
    assert_eq!(wake.other, Some(ThreadId::ROOT));
    for event in &trace.events {
        let site = trace.site(event.site);
        assert!(site.file.ends_with("laws/future.rs"), "{event:?} at {site:?}");
    }
    // An await stands where the program says so.
    let note = trace.events.iter().find(|event| event.verb == Verb::Note).unwrap();
    let awaits = trace.events.iter().find(|e| e.verb == Verb::Await && e.thread == ThreadId(1)).unwrap();
    assert_eq!(trace.site(awaits.site).line, trace.site(note.site).line + 1);
}

/// Set from another thread.
#[derive(Clone)]
struct Flag(Arc<(AtomicWaker, Word)>);

impl Flag {
    #[track_caller]
    fn new() -> Self {
        Self(Arc::new((AtomicWaker::new(), Word::new())))
    }

    fn set(&self) {
        self.0.1.store(1);
        self.0.0.wake();
    }

    async fn wait(&self) {
        poll_fn(|context| {
            self.0.0.register_by_ref(context.waker());
            if self.0.1.load() == 1 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Looks first and registers then: a wake in between is lost.
    async fn wait_wrongly(&self) {
        poll_fn(|context| {
            if self.0.1.load() == 1 {
                return Poll::Ready(());
            }
            self.0.0.register_by_ref(context.waker());
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn a_waker_reaches_across_threads() {
    none_fails(|| {
        let flag = Flag::new();
        let theirs = flag.clone();
        let data = Word::new();
        let written = data.clone();
        thread::spawn(move || {
            written.write(9);
            theirs.set();
        });
        block_on(flag.wait());
        assert_eq!(data.read(), 9);
    });
}

#[test]
fn a_lost_wake_is_a_deadlock() {
    let found = all(|| {
        let flag = Flag::new();
        let theirs = flag.clone();
        thread::spawn(move || theirs.set());
        block_on(flag.wait_wrongly());
    });
    assert!(!found.failures.is_empty() && found.failures.len() < found.executions);
    assert!(found.failures.iter().all(|failure| failure.kind == FailureKind::Deadlock));
    let message = always_fails(FailureKind::Deadlock, || {
        block_on(async {
            spawn(std::future::pending::<()>()).await.unwrap();
        });
    });
    assert!(message.contains("waits for a task to be woken"), "{message}");
}

#[test]
fn a_task_waits_for_a_thread_while_others_go_on() {
    let seen = outcomes(|| {
        let flag = Flag::new();
        let theirs = flag.clone();
        thread::spawn(move || theirs.set());
        let log = Rc::new(Cell::new(0));
        let first = Rc::clone(&log);
        let second = Rc::clone(&log);
        block_on(async move {
            let waits = spawn(async move {
                flag.wait().await;
                first.set(first.get() * 10 + 1);
            });
            let goes = spawn(async move { second.set(second.get() * 10 + 2) });
            waits.await.unwrap();
            goes.await.unwrap();
        });
        log.get()
    });
    assert_eq!(seen, BTreeSet::from([12, 21]));
}

#[test]
fn a_task_that_blocks_its_thread_blocks_all() {
    always_fails(FailureKind::Deadlock, || {
        block_on(async {
            let task = spawn(async {
                thread::park();
            });
            let main = thread::current();
            let other = spawn(async move {
                yield_now().await;
                yield_now().await;
                main.unpark();
                thread::park();
            });
            other.await.unwrap();
            task.await.unwrap();
        });
    });
    // The token is the thread's: given by one task, taken by another.
    none_fails(|| {
        block_on(async {
            thread::current().unpark();
            spawn(async { thread::park() }).await.unwrap();
        });
    });
}

#[test]
fn tasks_share_their_threads_identity_and_values() {
    thread_local! {
        static LOCAL: Cell<u32> = const { Cell::new(0) };
    }
    none_fails(|| {
        LOCAL.set(1);
        let id = thread::current().id();
        block_on(async move {
            let task = spawn(async move {
                assert_eq!(thread::current().id(), id);
                LOCAL.set(LOCAL.get() + 1);
            });
            task.await.unwrap();
        });
        assert_eq!(LOCAL.get(), 2);
    });
}

#[test]
fn panics_of_tasks() {
    none_fails(|| {
        block_on(async {
            let error = spawn(async { panic!("boom") }).await.unwrap_err();
            assert_eq!(error.downcast_ref::<&str>(), Some(&"boom"));
        });
    });
    let message = always_fails(FailureKind::Panic, || {
        block_on(async {
            drop(spawn(async { panic!("nobody looks") }));
            for _ in 0..2 {
                // The second time at the same place others go first.
                yield_now().await;
            }
        });
    });
    assert_eq!(message, "nobody looks");
    let message = always_fails(FailureKind::Panic, || {
        block_on(async {
            drop(spawn(std::future::pending::<()>()));
            panic!("outer");
        });
    });
    assert_eq!(message, "outer");
    none_fails(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            block_on(async {
                drop(spawn(std::future::pending::<()>()));
                yield_now().await;
                panic!("outer");
            });
        }));
        assert!(caught.is_err());
    });
}

struct OnDrop(Rc<Cell<u32>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        note("cancelled");
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn what_is_left_is_cancelled() {
    none_fails(|| {
        let dropped = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&dropped);
        let handle = block_on(async move {
            for _ in 0..2 {
                let guard = OnDrop(Rc::clone(&theirs));
                drop(spawn(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                }));
            }
            yield_now().await;
            let left = spawn(std::future::pending::<()>());
            Some(left)
        });
        assert_eq!(dropped.get(), 2);
        assert!(block_on(handle.unwrap()).is_err());
    });
}

#[test]
fn executors_nest_and_tasks_spawn_tasks() {
    none_fails(|| {
        let value = block_on(async {
            let outer = spawn(async {
                let inner = spawn(async { 20 });
                let nested = block_on(async { spawn(async { 2 }).await.unwrap() });
                inner.await.unwrap() + nested
            });
            outer.await.unwrap()
        });
        assert_eq!(value, 22);
    });
    always_fails(FailureKind::Panic, || drop(spawn(async {})));
}

#[test]
fn more_tasks_than_bits() {
    let trace = trace(|| {
        let done = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&done);
        block_on(async move {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let done = Rc::clone(&theirs);
                    spawn(async move {
                        yield_now().await;
                        done.set(done.get() + 1);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(done.get(), 100);
    });
    assert_eq!(trace.threads.len(), 101);
    assert!(trace.threads.iter().all(|thread| thread.end == racefuzz_trace::ThreadEnd::Finished));
}

#[test]
fn a_spinning_task_lets_others_act() {
    let config = Config { memory: MemoryModel::Sc, ..Config::default() };
    let program = || {
        let word = Word::new();
        let theirs = word.clone();
        thread::spawn(move || {
            note("step");
            theirs.store(1);
        });
        block_on(async move {
            while word.load() == 0 {
                yield_now().await;
            }
        });
    };
    let mut executions = 0;
    every(config, Record::Choices, &program, |ended| {
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        executions += 1;
    });
    assert!(executions > 2);
}

#[test]
fn tearing_down_an_executor_neither_blocks_nor_aborts() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_on(async {
                yield_now().await;
                let _ = spawn(async { yield_now().await }).await;
            });
        }
    }
    let kept = Arc::new(());
    let message = always_fails(FailureKind::Panic, || {
        let kept = Arc::clone(&kept);
        thread::spawn(move || {
            block_on(async move {
                let _guard = Blocks;
                let task = spawn(async move {
                    let _guard = Blocks;
                    let _kept = kept;
                    std::future::pending::<()>().await;
                });
                let _ = task.await;
            });
        });
        note("step");
        panic!("first cause");
    });
    assert_eq!(message, "first cause");
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn outside_an_execution_it_runs_too() {
    assert_eq!(count_plainly(), 1);
    let flag = Arc::new((AtomicWaker::new(), std::sync::atomic::AtomicBool::new(false)));
    let theirs = Arc::clone(&flag);
    let setter = thread::spawn(move || {
        theirs.1.store(true, std::sync::atomic::Ordering::SeqCst);
        theirs.0.wake();
    });
    block_on(poll_fn(|context| {
        flag.0.register(context.waker().clone());
        if flag.1.load(std::sync::atomic::Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }));
    setter.join().unwrap();
    let left = block_on(async {
        assert!(spawn(async { panic!("on purpose") }).await.is_err());
        let left = spawn(std::future::pending::<()>());
        Some(left)
    });
    assert!(block_on(left.unwrap()).is_err());
}

fn count_plainly() -> u32 {
    let word = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&word);
    block_on(async move {
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let word = Rc::clone(&theirs);
                spawn(async move {
                    let n = word.get();
                    yield_now().await;
                    word.set(n + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    word.get()
}
