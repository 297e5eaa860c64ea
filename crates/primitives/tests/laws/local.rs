//! Laws of `thread_local!` and `lazy_static!`.

use crate::words::{Word, all, always_fails, none_fails, outcomes, trace};
use racefuzz_primitives::choose::note;
use racefuzz_primitives::local::{AccessError, lazy_static, thread_local};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, Verb};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The same through another name, as a facade crate has it.
mod facade {
    pub(crate) use racefuzz_primitives::local::{lazy_static, thread_local};
}

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(10) };
    /// With an attribute.
    pub(crate) static NAMES: RefCell<Vec<&'static str>> = RefCell::new(vec!["first"])
}

#[test]
fn values_belong_to_threads_and_to_executions() {
    none_fails(|| {
        assert_eq!(COUNT.get(), 10);
        COUNT.set(11);
        let other = thread::spawn(|| {
            COUNT.set(COUNT.get() + 5);
            note("between");
            NAMES.with_borrow_mut(|names| names.push("second"));
            (COUNT.get(), NAMES.take())
        });
        note("between");
        assert_eq!(COUNT.replace(12), 11);
        assert_eq!(other.join().unwrap(), (15, vec!["first", "second"]));
        assert_eq!(COUNT.take(), 12);
        assert_eq!(NAMES.with_borrow(Vec::len), 1);
        assert_eq!(NAMES.replace(Vec::new()), ["first"]);
        NAMES.set(vec![]);
        assert_eq!(COUNT.with(Cell::get), 0);
    });
}

#[test]
fn set_does_not_make_the_initial_value() {
    thread_local! {
        static NEVER: Cell<u32> = panic!("made");
    }
    none_fails(|| {
        NEVER.set(3);
        assert_eq!(NEVER.get(), 3);
    });
    NEVER.set(4);
    assert_eq!(NEVER.get(), 4);
}

struct Noisy(Word);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.write(1);
        note("dropped");
        COUNT.set(1);
        let error: AccessError = OWN.try_with(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "already destroyed");
    }
}

thread_local! {
    static OWN: RefCell<Option<Noisy>> = const { RefCell::new(None) };
}

#[test]
fn destructors_run_at_the_end_of_the_thread_and_before_join_returns() {
    none_fails(|| {
        let word = Word::new();
        let theirs = word.clone();
        thread::spawn(move || OWN.set(Some(Noisy(theirs)))).join().unwrap();
        assert_eq!(word.read(), 1);
    });
    let trace = trace(|| {
        OWN.set(Some(Noisy(Word::new())));
    });
    assert!(trace.events.iter().any(|event| event.verb == Verb::Note));
}

#[test]
fn use_after_destruction_is_a_panic() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            BAD.with(|_| ());
        }
    }
    facade::thread_local! {
        static BAD: Bad = Bad;
    }
    let message = always_fails(FailureKind::Panic, || {
        thread::spawn(|| BAD.with(|_| ())).join().unwrap();
    });
    assert!(message.contains("during or after destruction"), "{message}");
}

static MADE: AtomicUsize = AtomicUsize::new(0);

facade::lazy_static! {
    /// Counts how often it is made.
    static ref LAZY: Cell2 = {
        MADE.fetch_add(1, Ordering::Relaxed);
        note("making");
        let word = Word::new();
        word.write(7);
        Cell2(word)
    };
    pub(crate) static ref PLAIN: u32 = 3;
}

struct Cell2(Word);

#[test]
fn a_lazy_static_is_made_once_per_execution_and_published() {
    MADE.store(0, Ordering::Relaxed);
    let executions = none_fails(|| {
        let handle = thread::spawn(|| LAZY.0.read());
        assert_eq!(LAZY.0.read(), 7);
        assert_eq!(LAZY.0.read(), 7);
        assert_eq!(handle.join().unwrap(), 7);
    });
    assert_eq!(MADE.load(Ordering::Relaxed), 2 * executions);
    assert_eq!(executions, 2);
    let trace = trace(|| {
        let _ = *PLAIN;
        let _ = *PLAIN;
    });
    assert_eq!(trace.objects[0].name.as_deref(), Some("PLAIN"));
    let site = trace.objects[0].created.unwrap();
    assert!(trace.site(site).file.ends_with("laws/local.rs"));
    // The second use is no step.
    assert_eq!(trace.events.iter().filter(|event| event.verb == Verb::OnceBegin).count(), 1);
}

#[test]
fn a_lazy_static_that_needs_itself_is_a_deadlock() {
    lazy_static! {
        static ref RING: u32 = *RING + 1;
    }
    always_fails(FailureKind::Deadlock, || {
        let _ = *RING;
    });
}

#[test]
fn a_lazy_static_whose_initialiser_panics_is_poisoned() {
    lazy_static! {
        static ref BROKEN: u32 = panic!("initialiser");
    }
    let seen = outcomes(|| {
        let first = thread::spawn(|| *BROKEN).join().unwrap_err();
        let second = thread::spawn(|| *BROKEN).join().unwrap_err();
        assert_eq!(first.downcast_ref::<&str>(), Some(&"initialiser"));
        second.downcast_ref::<String>().unwrap().clone()
    });
    assert_eq!(seen.len(), 1);
    assert!(seen.first().unwrap().contains("BROKEN"), "{seen:?}");
}

#[test]
fn tearing_down_reaches_no_dead_value() {
    struct Uses(&'static str);
    impl Drop for Uses {
        fn drop(&mut self) {
            let _ = COUNT.try_with(Cell::get);
            let _ = *PLAIN;
            assert!(!self.0.is_empty());
        }
    }
    facade::thread_local! {
        static HOLDS: Uses = Uses("local");
    }
    let found = all(|| {
        let handle = thread::spawn(|| {
            HOLDS.with(|_| ());
            let _here = Uses("stack");
            thread::park();
        });
        note("step");
        drop(handle);
        panic!("over");
    });
    assert_eq!(found.failures.len(), found.executions);
}

#[test]
fn outside_an_execution_it_is_std() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread_local! {
        static COUNTS: Counts = Counts;
    }
    let seen: BTreeSet<u32> = (0..3)
        .map(|_| {
            thread::spawn(|| {
                COUNTS.with(|_| ());
                COUNT.set(COUNT.get() + 1);
                COUNT.get()
            })
            .join()
            .unwrap()
        })
        .collect();
    assert_eq!(seen, BTreeSet::from([11]));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 3);
    assert_eq!(*PLAIN, 3);
    assert!(std::ptr::eq(&*PLAIN, &*PLAIN));
}

thread_local! {
    static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

/// Writes a word when the thread's local values are destroyed.
struct Farewell(Word);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.store(1);
    }
}

#[test]
fn a_scope_ends_and_a_thread_is_finished_before_its_values_are_destroyed() {
    let through_scope = outcomes(|| {
        let word = Word::new();
        thread::scope(|scope| {
            scope.spawn(|| FAREWELL.set(Some(Farewell(word.clone()))));
        });
        word.load()
    });
    assert_eq!(through_scope, [0, 1].into());
    let joined = outcomes(|| {
        let word = Word::new();
        thread::scope(|scope| {
            scope.spawn(|| FAREWELL.set(Some(Farewell(word.clone())))).join().unwrap();
        });
        word.load()
    });
    assert_eq!(joined, [1].into());
    let asked = outcomes(|| {
        let word = Word::new();
        let theirs = word.clone();
        let other = thread::spawn(move || {
            theirs.load();
            FAREWELL.set(Some(Farewell(theirs)));
        });
        let finished = other.is_finished();
        let seen = word.load();
        other.join().unwrap();
        (finished, seen, word.load())
    });
    assert_eq!(asked, [(false, 0, 1), (false, 1, 1), (true, 0, 1), (true, 1, 1)].into());
}
