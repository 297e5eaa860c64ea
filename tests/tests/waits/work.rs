//! Threads that wait for work, and find some again and again: rounds that find what others have brought are no
//! rounds that go on for ever.

use crate::{fails, not_failing, verified};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex, mpsc};
use racefuzz::{hint, thread};
use std::collections::VecDeque;
use std::ptr;

/// More pieces of work than rounds that see each other are explored one after the other.
const PIECES: usize = 6;
/// As many where it cannot be seen whether there was any.
const FEW: usize = 4;

/// Runs a producer in a thread of its own, and the consumer in this one.
fn with_producer<T: Sync + Send + 'static>(shared: T, produces: fn(&T), consumes: impl FnOnce(&T)) {
    let shared = Arc::new(shared);
    let theirs = Arc::clone(&shared);
    let producer = thread::spawn(move || produces(&theirs));
    consumes(&shared);
    producer.join().unwrap();
}

/// Takes so many pieces, in the order in which they were brought.
fn take_in_order(most: usize, mut next: impl FnMut() -> Option<usize>) {
    let mut taken = 0;
    while taken < most {
        match next() {
            Some(piece) => assert_eq!(piece, std::mem::replace(&mut taken, piece + 1)),
            None => thread::yield_now(),
        }
    }
}

/// Whoever finds nothing keeps the lock while it gives way.
#[test]
fn in_a_queue_under_a_mutex() {
    type Queue = Mutex<VecDeque<usize>>;
    let produces = |queue: &Queue| (0..FEW).for_each(|piece| queue.lock().unwrap().push_back(piece));
    verified(1_500, move || {
        with_producer(Queue::default(), produces, |queue| {
            let mut taken = 0;
            while taken < FEW {
                match queue.lock().unwrap().pop_front() {
                    Some(piece) => assert_eq!(piece, std::mem::replace(&mut taken, piece + 1)),
                    None => thread::yield_now(),
                }
            }
        });
    });
}

/// One piece at a time, whose taker gives the room back.
#[test]
fn in_a_box_for_one() {
    let produces = |full: &AtomicBool| {
        for _ in 0..PIECES {
            while full.swap(true, AcqRel) {
                hint::spin_loop();
            }
        }
    };
    verified(1_000, move || {
        with_producer(AtomicBool::new(false), produces, |full| {
            let mut taken = 0;
            while taken < PIECES {
                match full.swap(false, AcqRel) {
                    true => taken += 1,
                    false => hint::spin_loop(),
                }
            }
        });
    });
}

#[test]
fn counted_in_permits() {
    let produces = |permits: &AtomicUsize| {
        (0..PIECES).for_each(|_| _ = permits.fetch_add(1, Release));
    };
    verified(1_500, move || {
        with_producer(AtomicUsize::new(0), produces, |permits| {
            for _ in 0..PIECES {
                while permits.load(Acquire) == 0 {
                    hint::spin_loop();
                }
                permits.fetch_sub(1, Acquire);
            }
        });
    });
}

/// A stack that is taken as a whole.
#[test]
fn in_a_list_that_is_taken_at_once() {
    struct Node {
        next: *mut Node,
    }
    fn push(list: &AtomicPtr<Node>) {
        let mut next = list.load(Relaxed);
        let node = Box::into_raw(Box::new(Node { next }));
        while let Err(newest) = list.compare_exchange(next, node, AcqRel, Acquire) {
            next = newest;
            // SAFETY: nobody else has the node yet.
            unsafe { (*node).next = next };
        }
    }
    fn take(list: &AtomicPtr<Node>) -> usize {
        let (mut node, mut count) = (list.swap(ptr::null_mut(), AcqRel), 0);
        while !node.is_null() {
            // SAFETY: what was taken is this thread's.
            node = unsafe { Box::from_raw(node) }.next;
            count += 1;
        }
        count
    }
    verified(5_000, || {
        with_producer(
            AtomicPtr::new(ptr::null_mut()),
            |list| (0..PIECES).for_each(|_| push(list)),
            |list| {
                let mut taken = 0;
                while taken < PIECES {
                    match take(list) {
                        0 => thread::yield_now(),
                        some => taken += some,
                    }
                }
            },
        );
    });
}

#[test]
fn in_a_channel() {
    verified(1_000, || {
        let (sender, receiver) = mpsc::channel();
        let producer = thread::spawn(move || (0..PIECES).for_each(|piece| sender.send(piece).unwrap()));
        take_in_order(PIECES, || receiver.try_recv().ok());
        producer.join().unwrap();
    });
}

/// Who finds the lock taken tries again.
#[test]
fn in_a_queue_whose_lock_is_tried() {
    type Queue = Mutex<VecDeque<usize>>;
    let produces = |queue: &Queue| (0..FEW).for_each(|piece| queue.lock().unwrap().push_back(piece));
    verified(1_500, move || {
        with_producer(Queue::default(), produces, |queue| {
            take_in_order(FEW, || queue.try_lock().ok().and_then(|mut queue| queue.pop_front()));
        });
    });
}

/// A lock of one's own, of which it is not known that it guards something: no proof.
#[test]
fn in_a_queue_under_a_flag() {
    #[derive(Default)]
    struct Queue {
        taken: AtomicBool,
        pieces: UnsafeCell<VecDeque<usize>>,
    }
    // SAFETY: the queue is only used by whoever has set the flag.
    unsafe impl Sync for Queue {}
    impl Queue {
        fn with<R>(&self, uses: impl FnOnce(&mut VecDeque<usize>) -> R) -> R {
            while self.taken.compare_exchange(false, true, Acquire, Relaxed).is_err() {
                hint::spin_loop();
            }
            // SAFETY: the flag was not set.
            let result = self.pieces.with_mut(|pieces| uses(unsafe { &mut *pieces }));
            self.taken.store(false, Release);
            result
        }
    }
    let produces = |queue: &Queue| (0..FEW).for_each(|piece| queue.with(|pieces| pieces.push_back(piece)));
    not_failing(move || {
        with_producer(Queue::default(), produces, |queue| {
            take_in_order(FEW, || queue.with(VecDeque::pop_front));
        });
    });
}

/// How far the others are is looked at, one step at a time.
#[test]
fn by_following_a_counter() {
    let produces = |done: &AtomicUsize| (1..=PIECES).for_each(|piece| done.store(piece, Release));
    verified(5_000, move || {
        with_producer(AtomicUsize::new(0), produces, |done| {
            let mut seen = 0;
            while seen < PIECES {
                match done.load(Acquire) {
                    now if now > seen => seen = now,
                    _ => hint::spin_loop(),
                }
            }
        });
    });
}

/// Two bring it, and one takes more than there is.
#[test]
fn from_two_sides() {
    let takes = |most: usize| {
        move || {
            let permits = Arc::new(AtomicUsize::new(0));
            let producers = [0, 1].map(|_| {
                let permits = Arc::clone(&permits);
                thread::spawn(move || (0..PIECES / 2).for_each(|_| _ = permits.fetch_add(1, Release)))
            });
            let mut taken = 0;
            while taken < PIECES {
                match permits.swap(0, AcqRel) {
                    0 => thread::yield_now(),
                    some => taken += some,
                }
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            assert!(taken <= most, "too many");
        }
    };
    verified(5_000, takes(PIECES));
    fails("too many", takes(PIECES - 1));
}
