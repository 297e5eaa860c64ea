//! Objects that one thread makes and another uses.

use crate::{always_fails, checked, passes};
use racefuzz_primitives::cell::{Cell, UnsafeCell};
use racefuzz_primitives::local::lazy_static;
use racefuzz_primitives::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*, fence};
use racefuzz_primitives::sync::{Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock, mpsc};
use racefuzz_primitives::thread;
use racefuzz_primitives::var::Var;
use racefuzz_trace::{FailureDetail, FailureKind, Inject, MemoryModel, Verb};
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

struct Data(UnsafeCell<u32>);
// SAFETY: whether accesses are ordered is what the tests are about.
unsafe impl Sync for Data {}

/// A thread makes something in a box and publishes its address; another uses what it finds.
fn publish<T: 'static>(
    orders: (Ordering, Ordering),
    make: impl Fn() -> T + Copy + Send + 'static,
    consume: impl Fn(&T),
) {
    let slot = Arc::new(AtomicPtr::new(null_mut()));
    let theirs = Arc::clone(&slot);
    let maker = thread::spawn(move || theirs.store(Box::into_raw(Box::new(make())), orders.0));
    let found: *mut T = slot.load(orders.1);
    if !found.is_null() {
        // SAFETY: it is freed below, after this use.
        consume(unsafe { &*found });
    }
    maker.join().unwrap();
    // SAFETY: made by `Box::into_raw`, and given back once.
    drop(unsafe { Box::from_raw(slot.load(Relaxed)) });
}

/// Published rightly it passes, and wrongly it is a data race with its creation.
#[track_caller]
fn judge<T: 'static>(
    make: impl Fn() -> T + Copy + Send + Sync + 'static,
    consume: impl Fn(&T) + Copy + Sync,
) {
    passes(|| publish((Release, Acquire), make, consume));
    passes(|| publish((SeqCst, SeqCst), make, consume));
    always_fails(FailureKind::DataRace, || publish((Relaxed, Relaxed), make, consume));
    always_fails(FailureKind::DataRace, || publish((Release, Relaxed), make, consume));
    always_fails(FailureKind::DataRace, || publish((Relaxed, Acquire), make, consume));
}

#[test]
fn an_atomic() {
    judge(|| AtomicU32::new(7), |atomic| assert_eq!(atomic.load(Relaxed), 7));
    judge(|| AtomicBool::new(true), |atomic| assert!(atomic.swap(false, AcqRel)));
    judge(|| AtomicU32::new(7), |atomic| atomic.store(8, SeqCst));
}

#[test]
fn data_in_a_cell() {
    judge(
        || Data(UnsafeCell::new(7)),
        // SAFETY: nobody writes.
        |data| assert_eq!(data.0.with(|value| unsafe { *value }), 7),
    );
    judge(|| Cell::new(7), |cell| assert_eq!(cell.get(), 7));
}

#[test]
fn a_mutex() {
    judge(|| Mutex::new(7), |mutex| assert_eq!(*mutex.lock().unwrap(), 7));
    judge(|| Mutex::new(7), |mutex| assert!(mutex.try_lock().is_ok()));
}

#[test]
fn a_lock_for_readers() {
    judge(|| RwLock::new(7), |lock| assert_eq!(*lock.read().unwrap(), 7));
    judge(|| RwLock::new(7), |lock| *lock.write().unwrap() = 8);
}

#[test]
fn a_condition_variable() {
    judge(Condvar::new, Condvar::notify_all);
}

#[test]
fn a_once() {
    judge(Once::new, |once| once.call_once(|| {}));
    judge(OnceLock::new, |once| assert_eq!(*once.get_or_init(|| 7), 7));
}

#[test]
fn a_barrier() {
    judge(|| Barrier::new(1), |barrier| assert!(barrier.wait().is_leader()));
}

#[test]
fn a_variable() {
    judge(|| Var::new("value", 7), |value| assert_eq!(value.get(), 7));
}

#[test]
fn a_channel() {
    judge(mpsc::channel, |(sender, _)| sender.send(7).unwrap());
    judge(|| mpsc::sync_channel(1), |(sender, _)| sender.send(7).unwrap());
}

#[test]
fn a_counted_value() {
    judge(|| Arc::new(7), |counted| assert_eq!(**counted, *Arc::clone(counted)));
}

/// The report names the creation and the use.
#[test]
fn both_places_are_known() {
    let report = checked(MemoryModel::Rc11, Inject::default(), &|| {
        publish((Relaxed, Relaxed), || AtomicU32::new(7), |atomic| assert_eq!(atomic.load(Relaxed), 7));
    });
    let failure = &report.failures[0];
    let FailureDetail::DataRace { object, first, second } = &failure.detail else { panic!("{failure:?}") };
    assert_eq!((first.verb, second.verb), (Verb::Create, Verb::Load));
    assert_eq!((first.thread.0, second.thread.0), (1, 0));
    assert_ne!(first.site, second.site);
    assert_eq!(Some(first.site), failure.trace.object(*object).created);
    assert_eq!(
        failure.message,
        "data race on an atomic: creation by thread 1 and load by main are not ordered"
    );
}

/// Fences order as well as accesses do.
#[test]
fn published_by_fences() {
    let program = |release: bool, acquire: bool| {
        let slot = Arc::new(AtomicPtr::new(null_mut::<AtomicU32>()));
        let theirs = Arc::clone(&slot);
        let maker = thread::spawn(move || {
            let made = Box::into_raw(Box::new(AtomicU32::new(7)));
            if release {
                fence(Release);
            }
            theirs.store(made, Relaxed);
        });
        let found = slot.load(Relaxed);
        if acquire {
            fence(Acquire);
        }
        if !found.is_null() {
            // SAFETY: freed below.
            assert_eq!(unsafe { &*found }.load(Relaxed), 7);
        }
        maker.join().unwrap();
        // SAFETY: as in `publish`.
        drop(unsafe { Box::from_raw(slot.load(Relaxed)) });
    };
    passes(|| program(true, true));
    always_fails(FailureKind::DataRace, || program(false, true));
    always_fails(FailureKind::DataRace, || program(true, false));
}

/// A read-modify-write publishes, and a release sequence carries on what it published.
#[test]
fn published_by_a_list() {
    struct Node {
        value: AtomicU32,
        next: *mut Node,
    }
    let program = |success: Ordering| {
        let head = Arc::new(AtomicPtr::new(null_mut::<Node>()));
        let push = move |head: &AtomicPtr<Node>, value| {
            let node = Box::into_raw(Box::new(Node { value: AtomicU32::new(value), next: null_mut() }));
            let mut old = head.load(Relaxed);
            loop {
                // SAFETY: not published yet.
                unsafe { (*node).next = old };
                match head.compare_exchange(old, node, success, Relaxed) {
                    Ok(_) => return,
                    Err(now) => old = now,
                }
            }
        };
        let theirs = Arc::clone(&head);
        let other = thread::spawn(move || push(&theirs, 1));
        push(&head, 2);
        let mut node = head.load(Acquire);
        while !node.is_null() {
            // SAFETY: nodes are freed below only.
            let here = unsafe { &*node };
            assert!(here.value.load(Relaxed) > 0);
            node = here.next;
        }
        other.join().unwrap();
        let mut node = head.load(Acquire);
        while !node.is_null() {
            // SAFETY: both threads are done.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.next;
        }
    };
    passes(|| program(Release));
    always_fails(FailureKind::DataRace, || program(Relaxed));
}

/// What comes through a lock, a channel, a spawn or a join is known, whatever the orderings inside.
#[test]
fn handed_over() {
    passes(|| {
        let slot = Arc::new(Mutex::new(None::<Box<AtomicU32>>));
        let theirs = Arc::clone(&slot);
        let maker = thread::spawn(move || *theirs.lock().unwrap() = Some(Box::new(AtomicU32::new(7))));
        if let Some(atomic) = &*slot.lock().unwrap() {
            assert_eq!(atomic.load(Relaxed), 7);
        }
        maker.join().unwrap();
        assert_eq!(slot.lock().unwrap().as_ref().unwrap().load(Relaxed), 7);
    });
    passes(|| {
        let (sender, receiver) = mpsc::channel::<Box<AtomicU32>>();
        let maker = thread::spawn(move || sender.send(Box::new(AtomicU32::new(7))).unwrap());
        assert_eq!(receiver.recv().unwrap().load(Relaxed), 7);
        maker.join().unwrap();
    });
    passes(|| {
        let made = Box::new(Mutex::new(7));
        let user = thread::spawn(move || {
            *made.lock().unwrap() += 1;
            made
        });
        assert_eq!(*user.join().unwrap().lock().unwrap(), 8);
    });
    passes(|| {
        let slot = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&slot);
        let other = thread::spawn(move || theirs.get_or_init(|| Box::new(AtomicU32::new(7))).load(Relaxed));
        assert_eq!(slot.get_or_init(|| Box::new(AtomicU32::new(7))).load(Relaxed), 7);
        other.join().unwrap();
    });
}

/// An object in memory that its user allocated, or that was handed to its maker first.
#[test]
fn memory_of_one_thread_and_an_object_of_another() {
    passes(|| {
        let mut memory = Box::new(std::mem::MaybeUninit::<AtomicU32>::uninit());
        let place = memory.as_mut_ptr() as usize;
        let ready = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ready);
        let maker = thread::spawn(move || {
            // SAFETY: the memory outlives the thread, and nobody uses it before `ready`.
            unsafe { (place as *mut AtomicU32).write(AtomicU32::new(7)) };
            theirs.store(true, Release);
        });
        if ready.load(Acquire) {
            // SAFETY: written before.
            assert_eq!(unsafe { &*memory.as_ptr() }.load(Relaxed), 7);
        }
        maker.join().unwrap();
    });
}

/// An object that its maker has used, on its stack, and then put into a box.
#[test]
fn moved_after_its_first_use() {
    let make = || {
        let atomic = AtomicU32::new(0);
        atomic.store(7, Relaxed);
        atomic
    };
    judge(make, |atomic| assert_eq!(atomic.load(Relaxed), 7));
    // A vector that grows moves what is in it.
    judge(
        || {
            let mut all = vec![AtomicU32::new(7)];
            all[0].store(8, Relaxed);
            all.reserve_exact(8);
            all
        },
        |all| assert_eq!(all[0].load(Relaxed), 8),
    );
}

/// Behind a pointer that is known there may be one that is not.
#[test]
fn reached_through_another_object() {
    struct Outer(AtomicPtr<AtomicU32>);
    impl Drop for Outer {
        fn drop(&mut self) {
            // SAFETY: made by `Box::into_raw` below.
            drop(unsafe { Box::from_raw(*self.0.get_mut()) });
        }
    }
    judge(
        || Outer(AtomicPtr::new(Box::into_raw(Box::new(AtomicU32::new(7))))),
        // SAFETY: freed with the outer object.
        |outer| assert_eq!(unsafe { &*outer.0.load(Relaxed) }.load(Relaxed), 7),
    );
}

/// A place in memory that is known may be named by a number, whatever its ordering.
#[test]
fn an_index_is_no_publication() {
    passes(|| {
        let slots = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let used = Arc::new(AtomicUsize::new(0));
        let (theirs, their_used) = (Arc::clone(&slots), Arc::clone(&used));
        let other = thread::spawn(move || {
            theirs[1].store(7, Relaxed);
            their_used.store(1, Relaxed);
        });
        let _ = slots[used.load(Relaxed)].load(Relaxed);
        other.join().unwrap();
    });
}

/// What is handed over by means that are not instrumented is not accused.
#[test]
fn handed_over_unseen() {
    passes(|| {
        let slot = std::sync::Arc::new(std::sync::Mutex::new(None::<Box<AtomicU32>>));
        let theirs = std::sync::Arc::clone(&slot);
        let maker = thread::spawn(move || *theirs.lock().unwrap() = Some(Box::new(AtomicU32::new(7))));
        thread::yield_now();
        if let Some(atomic) = &*slot.lock().unwrap() {
            assert_eq!(atomic.load(Relaxed), 7);
        }
        maker.join().unwrap();
    });
}

lazy_static! {
    static ref FIRST: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
}

/// The place of a lazy static is made by no thread, whichever comes to it first: one that has seen an address
/// whose memory it does not know may use the static all the same.
#[test]
fn a_lazy_static() {
    passes(|| {
        let offer = || {
            let own = Box::into_raw(Box::new(AtomicU32::new(7)));
            if FIRST.compare_exchange(null_mut(), own, AcqRel, Relaxed).is_err() {
                // SAFETY: made above, and nobody else has it.
                drop(unsafe { Box::from_raw(own) });
            }
            assert!(!FIRST.load(Relaxed).is_null());
        };
        let threads = [thread::spawn(offer), thread::spawn(offer)];
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: the one that was the first.
        drop(unsafe { Box::from_raw(FIRST.load(Acquire)) });
    });
}

/// Borrowed by a scoped thread, from a stack and from a box.
#[test]
fn lent() {
    passes(|| {
        let (stack, boxed) = (AtomicU32::new(7), Box::new(AtomicU32::new(7)));
        thread::scope(|scope| {
            scope.spawn(|| stack.store(8, Relaxed));
            scope.spawn(|| boxed.store(8, Relaxed));
            assert!(stack.load(Relaxed) >= 7 && boxed.load(Relaxed) >= 7);
        });
    });
}

/// Publication costs no executions: as many as for an object that is known to both.
#[test]
fn births_are_no_events() {
    let executions =
        |program: &(dyn Fn() + Sync)| checked(MemoryModel::Rc11, Inject::default(), program).stats.executions;
    let published = executions(&|| {
        publish((Release, Acquire), || AtomicU32::new(7), |atomic| assert_eq!(atomic.load(Relaxed), 7));
    });
    assert_eq!(published, 2);
}
