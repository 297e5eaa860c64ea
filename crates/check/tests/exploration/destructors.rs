//! Destructors of counted values: nobody says which reference is the last, and what an earlier
//! execution of the same graph knew does not hold for the next.
//!
//! Each program is written so that its graph is executed first with the one thread as the last
//! owner of a value and then again with the other.

use racefuzz_check::{Options, check};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::atomic::{AtomicU32, Ordering};
use racefuzz_primitives::sync::{Arc, mpsc};
use racefuzz_primitives::thread;
use racefuzz_trace::{FailureKind, Outcome, RunReport};

fn explore(program: impl Fn() + Sync) -> RunReport {
    check(&Options { keep_going: true, minimise: false, ..Options::default() }, &program, &())
}

fn kinds(report: &RunReport) -> Vec<FailureKind> {
    report.failures.iter().map(|failure| failure.kind).collect()
}

/// Memory that is checked for races, and shared whatever may come of it.
#[derive(Default)]
struct Plain(UnsafeCell<u32>);

// SAFETY: races are what the tests are about; the checker's threads run one at a time.
unsafe impl Sync for Plain {}
// SAFETY: as above.
unsafe impl Send for Plain {}

impl Plain {
    fn read(&self) -> u32 {
        // SAFETY: see above.
        self.0.with(|value| unsafe { *value })
    }

    fn write(&self) {
        // SAFETY: see above.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }
}

/// A value whose destructor looks at memory that nobody else has any more.
#[derive(Default)]
struct Owner(Plain);

impl Drop for Owner {
    fn drop(&mut self) {
        (0..5).for_each(|_| self.0.write());
    }
}

#[derive(Default)]
struct Shared {
    data: Plain,
    ready: AtomicU32,
    other: AtomicU32,
}

/// The writer's clock when its events were added has the destructor in it; when they are executed
/// again it has not. The write behind the announcement is not published by it.
#[test]
fn a_race_is_not_hidden_by_a_destructor_that_another_thread_runs_now() {
    let report = explore(|| {
        let (owner, shared) = (Arc::new(Owner::default()), Arc::new(Shared::default()));
        let (others, seen) = (Arc::clone(&owner), Arc::clone(&shared));
        let reader = thread::spawn(move || {
            let ready = seen.ready.load(Ordering::Acquire) == 1;
            drop(others);
            if ready {
                seen.data.read();
            }
        });
        let writer = thread::spawn(move || {
            drop(owner);
            shared.ready.store(1, Ordering::Release);
            shared.data.write();
        });
        reader.join().unwrap();
        writer.join().unwrap();
    });
    assert_eq!(kinds(&report), [FailureKind::DataRace], "{report:?}");
}

/// The other way round: the writer destroys the value only when its events are executed again.
#[test]
fn no_race_comes_of_a_destructor_that_this_thread_runs_now() {
    let report = explore(|| {
        let (owner, shared) = (Arc::new(Owner::default()), Arc::new(Shared::default()));
        let (others, written, second) = (Arc::clone(&owner), Arc::clone(&shared), Arc::clone(&shared));
        let (send, receive) = mpsc::channel();
        let writer = thread::spawn(move || {
            receive.recv().unwrap();
            drop(others);
            written.data.write();
            written.ready.store(1, Ordering::Release);
        });
        let sender = thread::spawn(move || {
            send.send(()).unwrap();
            second.other.store(1, Ordering::Relaxed);
            drop(owner);
        });
        let reader = thread::spawn(move || {
            shared.other.load(Ordering::Relaxed);
            if shared.ready.load(Ordering::Acquire) == 1 {
                shared.data.read();
            }
        });
        writer.join().unwrap();
        sender.join().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
}

/// Each of two owners may be the last, and only the last one knows what the other did.
#[test]
fn only_the_last_owner_learns_of_the_others() {
    for first_reads in [false, true] {
        let report = explore(move || {
            let (owner, data) = (Arc::new(Owner::default()), Arc::new(Plain::default()));
            let (others, theirs) = (Arc::clone(&owner), Arc::clone(&data));
            let use_it = move |reads: bool, owner: Arc<Owner>, data: Arc<Plain>| {
                if reads {
                    drop(owner);
                    data.read();
                } else {
                    data.write();
                    drop(owner);
                }
            };
            let one = thread::spawn(move || use_it(first_reads, others, theirs));
            let two = thread::spawn(move || use_it(!first_reads, owner, data));
            one.join().unwrap();
            two.join().unwrap();
        });
        assert_eq!(kinds(&report), [FailureKind::DataRace], "first reads: {first_reads}: {report:?}");
    }
}

/// A value may hold the last reference to another one, and do what others can see after that.
#[test]
fn a_destructor_in_a_destructor_hides_nothing() {
    struct Outer(Option<Arc<u32>>, Arc<AtomicU32>);
    impl Drop for Outer {
        fn drop(&mut self) {
            drop(self.0.take());
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let report = explore(|| {
        let mark = Arc::new(AtomicU32::new(0));
        let first = Arc::new(Outer(Some(Arc::new(1)), Arc::clone(&mark)));
        let second = Arc::clone(&first);
        let seen = Arc::clone(&mark);
        let thread = thread::spawn(move || {
            drop(second);
            seen.load(Ordering::SeqCst)
        });
        drop(first);
        let here = mark.load(Ordering::SeqCst);
        let there = thread.join().unwrap();
        assert!(here == 1 || there == 1, "neither finds it gone");
        assert!(there == 1, "the other one was the last");
    });
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(report.failures[0].message().contains("the other one"), "{report:?}");
}

/// Whose panic it is can be seen.
#[test]
fn a_destructor_that_panics_is_seen() {
    struct Fails;
    impl Drop for Fails {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    let report = explore(|| {
        let first = Arc::new(Fails);
        let second = Arc::clone(&first);
        let one = thread::spawn(move || drop(first));
        let two = thread::spawn(move || drop(second));
        let (one, two) = (one.join().is_err(), two.join().is_err());
        assert!(one != two);
        assert!(one, "the second was the last");
    });
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(report.failures[0].message().contains("the second"), "{report:?}");
}

/// What is known of a thread that a destructor waits for is known to the last owner only.
#[test]
fn a_destructor_that_joins_is_seen() {
    struct Joins(Option<thread::JoinHandle<()>>);
    impl Drop for Joins {
        fn drop(&mut self) {
            self.0.take().unwrap().join().unwrap();
        }
    }
    for first_reads in [false, true] {
        let report = explore(move || {
            let data = Arc::new(Plain::default());
            let written = Arc::clone(&data);
            let first = Arc::new(Joins(Some(thread::spawn(move || written.write()))));
            let second = Arc::clone(&first);
            let other = Arc::clone(&data);
            let one = thread::spawn(move || {
                drop(first);
                if first_reads {
                    other.read();
                }
            });
            let two = thread::spawn(move || {
                drop(second);
                if !first_reads {
                    data.read();
                }
            });
            one.join().unwrap();
            two.join().unwrap();
        });
        assert_eq!(kinds(&report), [FailureKind::DataRace], "first reads: {first_reads}: {report:?}");
    }
}

/// A reference that is given back as a pointer is one as any other.
#[test]
fn a_destructor_of_a_raw_reference_is_seen() {
    struct Marks(Arc<AtomicU32>);
    impl Drop for Marks {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let report = explore(|| {
        let mark = Arc::new(AtomicU32::new(0));
        let first = Arc::into_raw(Arc::new(Marks(Arc::clone(&mark)))) as usize;
        // SAFETY: the pointer came from `into_raw`, and each reference is given back once.
        unsafe { Arc::increment_strong_count(first as *const Marks) };
        // SAFETY: as above.
        let give_back = move || unsafe { Arc::decrement_strong_count(first as *const Marks) };
        let seen = Arc::clone(&mark);
        let thread = thread::spawn(move || {
            give_back();
            seen.load(Ordering::SeqCst)
        });
        give_back();
        let here = mark.load(Ordering::SeqCst);
        let there = thread.join().unwrap();
        assert!(here == 1 || there == 1, "neither finds it gone");
        assert!(there == 1, "the other one was the last");
    });
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(report.failures[0].message().contains("the other one"), "{report:?}");
}

/// Two owners may both read old values only where neither is known to be the last: never here.
#[test]
fn what_the_last_owner_must_see_is_seen() {
    let report = explore(|| {
        let owner = Arc::new(0);
        let (x, y) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let spawn = |mine: &Arc<AtomicU32>, theirs: &Arc<AtomicU32>| {
            let (owner, mine, theirs) = (Arc::clone(&owner), Arc::clone(mine), Arc::clone(theirs));
            thread::spawn(move || {
                mine.store(1, Ordering::Relaxed);
                drop(owner);
                theirs.load(Ordering::Relaxed)
            })
        };
        let (one, two) = (spawn(&x, &y), spawn(&y, &x));
        drop(owner);
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        assert!(one + two > 0, "both are too early");
    });
    // Main may be the last; then neither knows anything.
    assert!(report.failures.len() == 1, "{report:?}");
    let report = explore(|| {
        let owner = Arc::new(0);
        let (x, y) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let spawn = |owner: Arc<u32>, mine: &Arc<AtomicU32>, theirs: &Arc<AtomicU32>| {
            let (mine, theirs) = (Arc::clone(mine), Arc::clone(theirs));
            thread::spawn(move || {
                mine.store(1, Ordering::Relaxed);
                drop(owner);
                theirs.load(Ordering::Relaxed)
            })
        };
        let other = Arc::clone(&owner);
        let (one, two) = (spawn(owner, &x, &y), spawn(other, &y, &x));
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        assert!(one + two > 0, "both are too early");
    });
    assert_eq!(report.outcome(), Outcome::Passed, "{report:?}");
}

/// Which thread is number four depends on who spawns first, which is no part of a graph.
#[test]
fn clocks_are_those_of_the_threads_whatever_their_numbers() {
    let program = |publishes: bool| {
        move || {
            let shared = Arc::new(Shared::default());
            let (written, second) = (Arc::clone(&shared), Arc::clone(&shared));
            let (send, receive) = mpsc::channel();
            let first = thread::spawn(move || {
                receive.recv().unwrap();
                let child = thread::spawn(move || {
                    written.data.write();
                    written.ready.store(1, Ordering::Release);
                    if !publishes {
                        written.data.write();
                    }
                });
                child.join().unwrap();
            });
            let sender = thread::spawn(move || {
                send.send(()).unwrap();
                second.other.store(1, Ordering::Relaxed);
                let child = thread::spawn(move || {
                    second.other.load(Ordering::Relaxed);
                });
                child.join().unwrap();
            });
            let reader = thread::spawn(move || {
                shared.other.load(Ordering::Relaxed);
                if shared.ready.load(Ordering::Acquire) == 1 {
                    shared.data.read();
                }
            });
            first.join().unwrap();
            sender.join().unwrap();
            reader.join().unwrap();
        }
    };
    let ordered = explore(program(true));
    assert_eq!(ordered.outcome(), Outcome::Passed, "{ordered:?}");
    assert_eq!(kinds(&explore(program(false))), [FailureKind::DataRace]);
}
