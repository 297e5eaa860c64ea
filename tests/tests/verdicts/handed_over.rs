//! Objects that one thread makes and another one uses: what orders the two, and what does not.

use crate::{fails, holds};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{self, *},
    fence,
};
use racefuzz::sync::{Arc, Barrier, OnceLock, mpsc};
use racefuzz::{hint, thread};
use std::ptr::null_mut;

/// A number in a cell, made by one thread for another.
pub(crate) struct Data(UnsafeCell<u32>);

// SAFETY: accesses that nothing orders are what racefuzz reports.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

impl Data {
    pub(crate) fn new(value: u32) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> u32 {
        // SAFETY: see at `Sync`.
        self.0.with(|value| unsafe { *value })
    }

    pub(crate) fn set(&self, to: u32) {
        // SAFETY: see at `Sync`.
        self.0.with_mut(|value| unsafe { *value = to });
    }
}

fn leak(value: u32) -> *mut Data {
    Box::into_raw(Box::new(Data::new(value)))
}

/// # Safety
/// Null, or from [`leak`] and used no more.
unsafe fn free(data: *mut Data) {
    if !data.is_null() {
        // SAFETY: as the caller says.
        drop(unsafe { Box::from_raw(data) });
    }
}

/// # Safety
/// Null, or not freed.
unsafe fn look(data: *mut Data) {
    // SAFETY: as the caller says.
    if let Some(data) = unsafe { data.as_ref() } {
        assert_eq!(data.get(), 7);
    }
}

/// A third thread changes the pointer's place between the release and the acquire: by an update that
/// writes the same, or by a store of what it has read.
fn passed_on(updates: bool) {
    let slot = Arc::new(AtomicPtr::new(null_mut()));
    let (one, two) = (Arc::clone(&slot), Arc::clone(&slot));
    let maker = thread::spawn(move || one.store(leak(7), Release));
    let between = thread::spawn(move || {
        let found = two.load(Relaxed);
        if !found.is_null() {
            if updates {
                two.swap(found, Relaxed);
            } else {
                two.store(found, Relaxed);
            }
        }
    });
    // SAFETY: freed at the end.
    unsafe { look(slot.load(Acquire)) };
    maker.join().unwrap();
    between.join().unwrap();
    // SAFETY: nobody else is left.
    unsafe { free(slot.load(Relaxed)) };
}

#[test]
fn a_release_sequence_goes_on_through_updates_only() {
    holds(|| passed_on(true));
    fails("unsafe publication", || passed_on(false));
}

/// A length says how much of a buffer has been filled.
fn filled(publishes: Ordering, learns: Ordering) {
    let shared = Arc::new(([const { AtomicPtr::new(null_mut::<Data>()) }; 2], AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let maker = thread::spawn(move || {
        for (number, place) in theirs.0.iter().enumerate() {
            place.store(leak(7), Relaxed);
            theirs.1.store(number + 1, publishes);
        }
    });
    for place in &shared.0[..shared.1.load(learns)] {
        // SAFETY: freed at the end.
        unsafe { look(place.load(Relaxed)) };
    }
    maker.join().unwrap();
    for place in &shared.0 {
        // SAFETY: nobody else is left.
        unsafe { free(place.load(Relaxed)) };
    }
}

#[test]
fn a_length_publishes_what_is_below_it() {
    holds(|| filled(Release, Acquire));
    fails("unsafe publication", || filled(Relaxed, Acquire));
    fails("unsafe publication", || filled(Release, Relaxed));
}

/// The pointer travels without any ordering, and something else orders the two threads.
fn beside(waits: impl FnOnce() -> (Box<dyn FnOnce() + Send>, Box<dyn FnOnce(thread::Thread)>)) {
    let slot = Arc::new(AtomicPtr::new(null_mut()));
    let (wait, signal) = waits();
    let theirs = Arc::clone(&slot);
    let user = thread::spawn(move || {
        wait();
        // SAFETY: freed at the end.
        unsafe { look(theirs.load(Relaxed)) };
    });
    slot.store(leak(7), Relaxed);
    signal(user.thread().clone());
    user.join().unwrap();
    // SAFETY: nobody else is left.
    unsafe { free(slot.load(Relaxed)) };
}

#[test]
fn what_orders_threads_publishes() {
    holds(|| {
        beside(|| {
            let (sender, receiver) = mpsc::channel();
            (Box::new(move || receiver.recv().unwrap()), Box::new(move |_| sender.send(()).unwrap()))
        });
    });
    holds(|| {
        beside(|| {
            let one = Arc::new(Barrier::new(2));
            let two = Arc::clone(&one);
            (Box::new(move || _ = one.wait()), Box::new(move |_| _ = two.wait()))
        });
    });
    holds(|| {
        beside(|| {
            let one = Arc::new(OnceLock::new());
            let two = Arc::clone(&one);
            let wait = move || {
                while one.get().is_none() {
                    hint::spin_loop();
                }
            };
            (Box::new(wait), Box::new(move |_| two.set(()).unwrap()))
        });
    });
    holds(|| {
        beside(|| {
            let one = Arc::new(AtomicBool::new(false));
            let two = Arc::clone(&one);
            let wait = move || {
                while !one.load(Relaxed) {
                    hint::spin_loop();
                }
                fence(SeqCst);
            };
            (
                Box::new(wait),
                Box::new(move |_| {
                    fence(SeqCst);
                    two.store(true, Relaxed);
                }),
            )
        });
    });
}

/// That a thread has finished is read from a count, Relaxed; only joining it says what it did.
#[test]
fn is_finished_orders_nothing() {
    let program = |joins: bool| {
        let data = Arc::new(Data::new(0));
        let theirs = Arc::clone(&data);
        let other = thread::spawn(move || theirs.set(7));
        if other.is_finished() && !joins {
            data.get();
        }
        other.join().unwrap();
        data.get();
    };
    holds(|| program(true));
    fails("data race", || program(false));
}

/// A pointer that is put there by a swap and found by an update.
fn found(find: impl Fn(&AtomicPtr<Data>) -> *mut Data) {
    let slot = Arc::new(AtomicPtr::new(null_mut()));
    let theirs = Arc::clone(&slot);
    let maker = thread::spawn(move || _ = theirs.swap(leak(7), Release));
    let found = find(&slot);
    // SAFETY: freed at the end.
    unsafe { look(found) };
    maker.join().unwrap();
    let left = slot.load(Relaxed);
    // SAFETY: nobody else is left; what was taken and what is there may be one.
    unsafe {
        free(left);
        if found != left {
            free(found);
        }
    }
}

#[test]
fn updates_publish_by_their_orderings() {
    let taking = |order| move |slot: &AtomicPtr<Data>| slot.swap(null_mut(), order);
    holds(|| found(taking(Acquire)));
    fails("unsafe publication", || found(taking(Release)));
    let failing = |failure| {
        move |slot: &AtomicPtr<Data>| {
            slot.compare_exchange(null_mut(), null_mut(), SeqCst, failure).unwrap_or_else(|found| found)
        }
    };
    holds(|| found(failing(Acquire)));
    fails("unsafe publication", || found(failing(Relaxed)));
    let updating = |fetch| {
        move |slot: &AtomicPtr<Data>| {
            let same = |found: *mut Data| found.is_null().then_some(found);
            slot.fetch_update(SeqCst, fetch, same).unwrap_or_else(|found| found)
        }
    };
    holds(|| found(updating(Acquire)));
    fails("unsafe publication", || found(updating(Relaxed)));
}

/// Each of two threads makes an object and installs it unless the other one has: the loser frees its own
/// and uses the winner's.
fn installed(success: Ordering, failure: Ordering) {
    let slot = Arc::new(AtomicPtr::new(null_mut()));
    let get = move |slot: &AtomicPtr<Data>| {
        let found = slot.load(Acquire);
        if !found.is_null() {
            return found;
        }
        let mine = leak(7);
        slot.compare_exchange(null_mut(), mine, success, failure).map_or_else(
            |theirs| {
                // SAFETY: nobody else has seen it.
                unsafe { free(mine) };
                theirs
            },
            |_| mine,
        )
    };
    let theirs = Arc::clone(&slot);
    // SAFETY: freed at the end.
    let other = thread::spawn(move || unsafe { look(get(&theirs)) });
    // SAFETY: as above.
    unsafe { look(get(&slot)) };
    other.join().unwrap();
    // SAFETY: nobody else is left.
    unsafe { free(slot.load(Relaxed)) };
}

#[test]
fn the_loser_of_a_race_to_install_reads_by_its_failure_ordering() {
    holds(|| installed(Release, Acquire));
    fails("unsafe publication", || installed(AcqRel, Relaxed));
    fails("unsafe publication", || installed(Acquire, Acquire));
}

/// What is overwritten, exchanged or taken apart in place goes with its value.
#[test]
fn objects_that_their_owner_moves() {
    holds(|| {
        let mut numbers = vec![AtomicU32::new(1), AtomicU32::new(2), AtomicU32::new(3)];
        numbers[0].store(10, Relaxed);
        numbers[1].load(Relaxed);
        numbers.swap(0, 2);
        numbers[1] = AtomicU32::new(20);
        let (first, rest) = numbers.split_at_mut(1);
        std::mem::swap(&mut first[0], &mut rest[0]);
        assert_eq!(std::mem::take(rest[0].get_mut()), 3);
        let numbers = Arc::new(numbers);
        let theirs = Arc::clone(&numbers);
        let other =
            thread::spawn(move || theirs.iter().map(|one| one.fetch_add(1, Relaxed)).collect::<Vec<_>>());
        let mine: Vec<_> = numbers.iter().map(|one| one.fetch_add(1, Relaxed)).collect();
        let theirs = other.join().unwrap();
        for (place, start) in [20, 0, 10].into_iter().enumerate() {
            let mut seen = [mine[place], theirs[place]];
            seen.sort_unstable();
            assert_eq!(seen, [start, start + 1]);
        }
    });
}

/// Where the standard library asks for the next message, the place told is one of the program.
#[test]
fn messages_that_are_collected() {
    let reports = fails("deadlock", || {
        let (sender, messages) = mpsc::channel();
        let theirs = sender.clone();
        let other = thread::spawn(move || theirs.send(1).unwrap());
        assert_eq!(messages.iter().collect::<Vec<u32>>(), [1]);
        other.join().unwrap();
        drop(sender);
    });
    for text in reports {
        assert!(text.contains("handed_over.rs") && !text.contains("std/"), "{text}");
    }
}
