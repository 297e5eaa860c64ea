//! What a thread may find out about another one without being ordered behind it: that a lock is taken, a
//! channel empty, a reference gone. Data that it takes for ready by that is raced for.

use crate::handed_over::Data;
use crate::{fails, holds};
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*, fence};
use racefuzz::sync::{Arc, Condvar, Mutex, Once, RwLock, mpsc};
use racefuzz::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::time::Duration;

/// One thread sets the data and does something; the other reads the data if it finds out that this was
/// done, perhaps behind a fence.
fn told<T: Send + Sync + 'static>(
    shared: T,
    does: impl FnOnce(&T) + Send + 'static,
    finds: impl FnOnce(&T) -> bool,
    fences: bool,
) {
    let shared = Arc::new((shared, Data::new(0)));
    let theirs = Arc::clone(&shared);
    let other = thread::spawn(move || {
        theirs.1.set(7);
        does(&theirs.0);
    });
    if finds(&shared.0) {
        if fences {
            fence(Acquire);
        }
        assert_eq!(shared.1.get(), 7);
    }
    other.join().unwrap();
}

#[test]
fn a_lock_that_is_taken() {
    let hold = |lock: &Mutex<()>| drop(lock.lock().unwrap());
    fails("data race", || told(Mutex::new(()), hold, |lock| lock.try_lock().is_err(), false));
    let read = |lock: &RwLock<()>| drop(lock.read().unwrap());
    fails("data race", || told(RwLock::new(()), read, |lock| lock.try_write().is_err(), false));
}

#[test]
fn a_lock_that_is_poisoned() {
    let poison = |lock: &Mutex<()>| {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.lock();
            panic!("with the lock");
        }));
        assert!(panics.is_err());
    };
    fails("data race", || told(Mutex::new(()), poison, Mutex::is_poisoned, false));
    holds(|| told(Mutex::new(()), poison, |lock| lock.lock().is_err(), false));
}

#[test]
fn a_channel_that_had_something() {
    let program = |takes: bool| {
        let (sender, receiver) = mpsc::sync_channel(1);
        let does = |receiver: &Mutex<mpsc::Receiver<u32>>| _ = receiver.lock().unwrap().try_recv();
        sender.send(1).unwrap();
        // There is room only when the other thread has taken what was there.
        let finds = move |receiver: &Mutex<mpsc::Receiver<u32>>| match takes {
            true => receiver.lock().unwrap().try_recv().is_err(),
            false => receiver.try_lock().is_err(),
        };
        told(Mutex::new(receiver), does, finds, false);
        drop(sender);
    };
    holds(|| program(true));
    fails("data race", || program(false));
}

#[test]
fn a_reference_that_is_gone() {
    let program = |fences: bool| {
        let owned = Arc::new(());
        let weak = Arc::downgrade(&owned);
        let does = |owned: &Mutex<Option<Arc<()>>>| {
            let owned = owned.lock().unwrap().take();
            drop(owned);
        };
        told(Mutex::new(Some(owned)), does, |_| weak.upgrade().is_none(), fences);
    };
    holds(|| program(true));
    fails("data race", || program(false));
}

#[test]
fn a_wait_that_ends_without_the_mutex() {
    let pair = || (Mutex::new(()), Condvar::new());
    let waits = |pair: &(Mutex<()>, Condvar)| {
        let guard = pair.0.lock().unwrap();
        !pair.1.wait_timeout(guard, Duration::from_secs(5)).unwrap().1.timed_out()
    };
    fails("data race", || told(pair(), |pair| pair.1.notify_one(), waits, false));
}

#[test]
fn an_initialisation_that_is_completed_is_known() {
    holds(|| told(Once::new(), |once| once.call_once(|| ()), Once::is_completed, false));
}

static SLOT: AtomicPtr<Data> = AtomicPtr::new(null_mut());
static READY: AtomicBool = AtomicBool::new(false);

/// Statics are what they were in the beginning of each execution.
fn through_a_static(releases: bool) {
    let maker = thread::spawn(move || {
        SLOT.store(Box::into_raw(Box::new(Data::new(7))), Relaxed);
        READY.store(true, if releases { Release } else { Relaxed });
    });
    if READY.load(Acquire) {
        // SAFETY: freed below.
        if let Some(data) = unsafe { SLOT.load(Relaxed).as_ref() } {
            assert_eq!(data.get(), 7);
        }
    }
    maker.join().unwrap();
    // SAFETY: nobody else is left.
    drop(unsafe { Box::from_raw(SLOT.load(Relaxed)) });
}

#[test]
fn statics_publish_by_their_orderings() {
    holds(|| through_a_static(true));
    fails("unsafe publication", || through_a_static(false));
}

/// Two threads that are joined one after the other, and a scope's end, order what they did.
#[test]
fn ends_are_ordered() {
    holds(|| {
        let data = Arc::new(Data::new(0));
        let (one, two) = (Arc::clone(&data), Arc::clone(&data));
        let first = thread::spawn(move || one.set(1));
        let second = thread::spawn(move || {
            first.join().unwrap();
            two.set(2);
        });
        second.join().unwrap();
        assert_eq!(data.get(), 2);
    });
    holds(|| {
        let (data, kept) = (Data::new(0), Data::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                data.set(1);
                scope.spawn(|| data.set(data.get() + 1));
            });
            kept.set(1);
        });
        assert_eq!((data.get(), kept.get()), (2, 1));
    });
}
