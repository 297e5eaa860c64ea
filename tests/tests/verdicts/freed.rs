//! Memory that a reader may still use when a writer frees it: what the report shows of the reader.

use crate::{fails, holds, rows};
use racefuzz::alloc::{Layout, dealloc};
use racefuzz::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{self, *},
};
use racefuzz::sync::{Arc, Condvar, Mutex, mpsc};
use racefuzz::{Checker, Outcome, hint, thread};
use racefuzz_tests::defects::freeing::{Announced, used_by_main, used_by_other};
use std::ptr::null_mut;

/// Whether main or another thread reads, its announcement, its load of the pointer and its use are rows,
/// and the numbers that the text gives are those of the rows.
#[test]
fn the_steps_of_the_reader_are_shown() {
    for program in [used_by_main, used_by_other] {
        for text in fails("use after free", program) {
            let rows = rows(&text);
            for part in ["fetch_add readers", "load node"] {
                assert!(rows.iter().any(|(_, row)| row.contains(part)), "{part}: {text}");
            }
            let shows = |number: &str, part| {
                let number = number.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
                rows.iter().any(|(row, text)| row.to_string() == number && text.contains(part))
            };
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut freed = flat.split("released it (step ").skip(1);
            assert!(freed.next().is_some_and(|number| shows(number, "free *node")), "{text}");
            let stale: Vec<_> = flat.split("stale: step ").skip(1).collect();
            assert!(!stale.is_empty() && stale.iter().all(|number| shows(number, ", = ")), "{text}");
        }
    }
}

/// A list of one hazard pointer: a reader announces what it is about to use, and looks again.
fn hazard(looks_again: bool, announces: Ordering) {
    let shared = Arc::new((Announced::new(), AtomicPtr::new(null_mut::<AtomicU32>())));
    let theirs = Arc::clone(&shared);
    let reader = thread::spawn(move || {
        let node = theirs.0.node.load(SeqCst);
        theirs.1.store(node, announces);
        let holds = !looks_again || theirs.0.node.load(SeqCst) == node;
        if holds && !node.is_null() {
            // SAFETY: the writer sees the announcement, or the reader sees that it has come.
            assert_eq!(unsafe { &*node }.load(Relaxed), 7);
        }
        theirs.1.store(null_mut(), Release);
    });
    let node = shared.0.node.swap(null_mut(), SeqCst);
    let free = |node: *mut AtomicU32| {
        // SAFETY: see above.
        unsafe { dealloc(node.cast(), Layout::new::<AtomicU32>()) };
    };
    let announced = shared.1.load(SeqCst) == node;
    if !announced {
        free(node);
    }
    reader.join().unwrap();
    if announced {
        free(node);
    }
}

#[test]
fn a_reader_that_announces_and_looks_again() {
    holds(|| hazard(true, SeqCst));
    fails("use after free", || hazard(false, SeqCst));
    fails("use after free", || hazard(true, Release));
}

/// Whoever notifies behind the mutex may do so when the condition variable has been freed by the thread
/// that did not need the notification.
fn notified(under_the_mutex: bool) {
    let shared = Box::into_raw(Box::new((Mutex::new(false), Condvar::new()))) as usize;
    let get = move || shared as *const (Mutex<bool>, Condvar);
    let other = thread::spawn(move || {
        // SAFETY: freed by whoever waits, when the mutex is free again.
        let (ready, changed) = unsafe { &*get() };
        let mut guard = ready.lock().unwrap();
        *guard = true;
        let guard = (under_the_mutex).then_some(guard);
        changed.notify_one();
        drop(guard);
    });
    // SAFETY: freed below.
    let (ready, changed) = unsafe { &*get() };
    drop(changed.wait_while(ready.lock().unwrap(), |ready| !*ready).unwrap());
    // SAFETY: made above; that the other thread has gone is what the program relies on.
    drop(unsafe { Box::from_raw(shared as *mut (Mutex<bool>, Condvar)) });
    other.join().unwrap();
}

#[test]
fn a_condition_variable_that_is_notified_when_nobody_needs_it() {
    holds(|| notified(true));
    fails("use after free", || notified(false));
}

/// A count that is taken once too often.
#[test]
fn a_reference_that_nobody_owned() {
    let program = |owned: bool| {
        let shared = Arc::new(AtomicU32::new(7));
        let raw = Arc::into_raw(Arc::clone(&shared)) as usize;
        let other = thread::spawn(move || {
            // SAFETY: the reference that `into_raw` has given out.
            let shared = unsafe { Arc::from_raw(raw as *const AtomicU32) };
            assert_eq!(shared.load(Relaxed), 7);
            if !owned {
                // SAFETY: none: that is the bug.
                unsafe { Arc::decrement_strong_count(Arc::as_ptr(&shared)) };
            }
        });
        assert_eq!(shared.load(Relaxed), 7);
        if owned {
            other.join().unwrap();
        } else {
            drop(shared);
            let _ = other.join();
        }
    };
    holds(|| program(true));
    fails("use after free", || program(false));
}

/// The last reference is taken apart while somebody may still make a strong one of a weak one.
#[test]
fn a_value_that_is_taken_out_of_its_references() {
    holds(|| {
        let shared = Arc::new(AtomicU32::new(7));
        let weak = Arc::downgrade(&shared);
        let other = thread::spawn(move || weak.upgrade().map(|shared| shared.fetch_add(1, Relaxed)));
        let value = Arc::try_unwrap(shared).map(AtomicU32::into_inner);
        let added = other.join().unwrap();
        match value {
            Ok(value) => assert_eq!(value, 7 + u32::from(added.is_some())),
            Err(shared) => assert_eq!(shared.load(Relaxed), 8),
        }
    });
}

/// A grace period: what was taken out is freed when every reader has been seen outside.
fn grace(waits: bool) {
    let shared = Arc::new((Announced::new(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let reader = thread::spawn(move || {
        for round in 1..=2 {
            let node = theirs.0.node.load(Acquire);
            if !node.is_null() {
                // SAFETY: not freed before this round is over, if the writer waits for that.
                assert_eq!(unsafe { &*node }.load(Relaxed), 7);
            }
            theirs.1.store(round, Release);
        }
    });
    let node = shared.0.node.swap(null_mut(), AcqRel);
    if waits {
        reader.join().unwrap();
    } else {
        // Quiescent once: but it may have been before the swap, and the next round began before it, too.
        while shared.1.load(Acquire) == 0 {
            hint::spin_loop();
        }
    }
    // SAFETY: see above.
    unsafe { dealloc(node.cast(), Layout::new::<AtomicU32>()) };
}

#[test]
fn a_grace_period() {
    holds(|| grace(true));
    fails("use after free", || grace(false));
}

/// What nobody received is dropped with the receiver, in steps between which the sender goes, too: the
/// channel is freed by whichever half went last.
fn unreceived<S: Send + 'static, R>(
    channel: impl FnOnce() -> (S, R),
    send: impl Fn(&S, Counted) + Send + 'static,
) {
    let dropped = Arc::new(AtomicU32::new(0));
    let (sender, receiver) = channel();
    let theirs = Arc::clone(&dropped);
    let other = thread::spawn(move || {
        for _ in 0..2 {
            send(&sender, Counted(Arc::clone(&theirs)));
        }
    });
    drop(receiver);
    other.join().unwrap();
    assert_eq!(dropped.load(Relaxed), 2);
}

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn messages_that_nobody_received() {
    let unbounded = || unreceived(mpsc::channel, |sender, message| _ = sender.send(message));
    let bounded =
        |bound| move || unreceived(|| mpsc::sync_channel(bound), |sender, message| _ = sender.send(message));
    let programs: [&(dyn Fn() + Sync); 4] = [&unbounded, &bounded(0), &bounded(1), &bounded(2)];
    for program in programs {
        holds(program);
        let report = Checker::new().preemptions(20).check(program);
        assert_eq!(report.outcome(), Outcome::Passed, "{}", racefuzz::render(&report));
    }
}
