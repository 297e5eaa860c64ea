//! Locks that are taken by trying again: as many executions as there are orders of their holders.

use crate::{verified, verified_in};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz::sync::{Mutex, RwLock};
use racefuzz::{hint, thread};
use std::ptr;

/// Threads that each take a lock, count, and give it back.
fn counting<L: Default + Send + Sync + 'static>(
    threads: usize,
    take: fn(&L),
    give_back: fn(&L),
) -> impl Fn() + Sync {
    move || {
        let shared = Arc::new((L::default(), AtomicUsize::new(0)));
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    take(&shared.0);
                    let count = shared.1.load(Relaxed);
                    shared.1.store(count + 1, Relaxed);
                    give_back(&shared.0);
                })
            })
            .collect();
        let count = threads.len();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.1.load(Relaxed), count);
    }
}

#[test]
fn test_and_set() {
    let take = |lock: &AtomicBool| {
        while lock.swap(true, Acquire) {
            hint::spin_loop();
        }
    };
    let give_back = |lock: &AtomicBool| lock.store(false, Release);
    verified_in(2, counting(2, take, give_back));
    verified_in(6, counting(3, take, give_back));
    verified_in(24, counting(4, take, give_back));
    verified(24, counting(2, take, give_back));
}

#[test]
fn without_a_hint() {
    let take = |lock: &AtomicBool| while lock.swap(true, Acquire) {};
    verified_in(6, counting(3, take, |lock| lock.store(false, Release)));
}

#[test]
fn given_back_by_a_swap() {
    let take = |lock: &AtomicBool| {
        while lock.swap(true, Acquire) {
            hint::spin_loop();
        }
    };
    verified_in(6, counting(3, take, |lock| _ = lock.swap(false, Release)));
}

#[test]
fn a_bit_of_a_word() {
    let take = |lock: &AtomicUsize| {
        while lock.fetch_or(1, Acquire) & 1 == 1 {
            hint::spin_loop();
        }
    };
    verified_in(2, counting(2, take, |lock: &AtomicUsize| _ = lock.fetch_and(!1, Release)));
    verified_in(2, counting(2, take, |lock: &AtomicUsize| lock.store(0, Release)));
}

#[test]
fn compare_exchange() {
    let take = |lock: &AtomicUsize| {
        while lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            hint::spin_loop();
        }
    };
    verified_in(6, counting(3, take, |lock| lock.store(0, Release)));
    let take = |lock: &AtomicUsize| {
        while lock.compare_exchange_weak(0, 1, Acquire, Relaxed).is_err() {
            thread::yield_now();
        }
    };
    verified_in(2, counting(2, take, |lock| lock.store(0, Release)));
    verified_in(6, counting(3, take, |lock| lock.store(0, Release)));
    // A failure for no reason is chosen in the middle of an operation, whose other part may be new.
    let take = |lock: &AtomicBool| {
        while lock.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() {
            hint::spin_loop();
        }
    };
    verified_in(2, counting(2, take, |lock| lock.store(false, Release)));
}

#[test]
fn test_and_test_and_set() {
    let take = |lock: &AtomicBool| {
        while lock.swap(true, Acquire) {
            while lock.load(Relaxed) {
                hint::spin_loop();
            }
        }
    };
    verified(20, counting(2, take, |lock| lock.store(false, Release)));
}

/// The loops are two places in the source.
#[test]
fn written_out() {
    verified(20, || {
        let lock = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || {
            while theirs.swap(true, Acquire) {
                hint::spin_loop();
            }
            theirs.store(false, Release);
        });
        while lock.swap(true, Acquire) {
            hint::spin_loop();
        }
        lock.store(false, Release);
        other.join().unwrap();
    });
}

#[test]
fn held_by_another_from_the_start() {
    verified(2, || {
        let lock = Arc::new(AtomicBool::new(true));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || theirs.store(false, Release));
        while lock.swap(true, Acquire) {
            hint::spin_loop();
        }
        other.join().unwrap();
    });
}

#[derive(Default)]
struct Tickets {
    next: AtomicUsize,
    serving: AtomicUsize,
}

#[test]
fn tickets() {
    let take = |lock: &Tickets| {
        let mine = lock.next.fetch_add(1, Relaxed);
        while lock.serving.load(Acquire) != mine {
            hint::spin_loop();
        }
    };
    let give_back = |lock: &Tickets| lock.serving.store(lock.serving.load(Relaxed) + 1, Release);
    verified_in(2, counting(2, take, give_back));
    verified_in(6, counting(3, take, give_back));
}

/// A queue of those that wait: each spins on its predecessor's flag.
#[test]
fn a_queue() {
    struct Node {
        locked: AtomicBool,
        next: AtomicPtr<Node>,
    }
    verified(40, || {
        let tail = Arc::new(AtomicPtr::<Node>::new(ptr::null_mut()));
        let count = Arc::new(AtomicUsize::new(0));
        let threads = [0, 1].map(|_| {
            let (tail, count) = (Arc::clone(&tail), Arc::clone(&count));
            thread::spawn(move || {
                let node = Node { locked: AtomicBool::new(true), next: AtomicPtr::new(ptr::null_mut()) };
                let mine = ptr::from_ref(&node).cast_mut();
                let before = tail.swap(mine, AcqRel);
                if !before.is_null() {
                    // SAFETY: its owner waits for its successor before it leaves.
                    unsafe { &*before }.next.store(mine, Release);
                    while node.locked.load(Acquire) {
                        hint::spin_loop();
                    }
                }
                count.store(count.load(Relaxed) + 1, Relaxed);
                if tail.compare_exchange(mine, ptr::null_mut(), Release, Relaxed).is_ok() {
                    return;
                }
                let mut next = node.next.load(Acquire);
                while next.is_null() {
                    hint::spin_loop();
                    next = node.next.load(Acquire);
                }
                // SAFETY: the successor waits for this store.
                unsafe { &*next }.locked.store(false, Release);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(count.load(Relaxed), 2);
    });
}

#[test]
fn two_flags_and_a_turn() {
    fn enter(me: usize, flags: &[AtomicBool; 2], turn: &AtomicUsize, count: &AtomicUsize) {
        flags[me].store(true, SeqCst);
        turn.store(1 - me, SeqCst);
        while flags[1 - me].load(SeqCst) && turn.load(SeqCst) == 1 - me {
            hint::spin_loop();
        }
        count.store(count.load(Relaxed) + 1, Relaxed);
        flags[me].store(false, SeqCst);
    }
    verified(60, || {
        let shared = Arc::new((<[AtomicBool; 2]>::default(), AtomicUsize::new(0), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || enter(1, &theirs.0, &theirs.1, &theirs.2));
        enter(0, &shared.0, &shared.1, &shared.2);
        other.join().unwrap();
        assert_eq!(shared.2.load(Relaxed), 2);
    });
}

/// A reader announces itself, finds the writer, takes it back and spins.
#[test]
fn a_reader_that_steps_back() {
    verified(20, || {
        let lock = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&lock);
        let writer = thread::spawn(move || {
            while theirs.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
                hint::spin_loop();
            }
            theirs.fetch_and(!1, Release);
        });
        while lock.fetch_add(2, Acquire) & 1 != 0 {
            lock.fetch_sub(2, Release);
            hint::spin_loop();
        }
        lock.fetch_sub(2, Release);
        writer.join().unwrap();
    });
}

#[test]
fn try_lock() {
    verified(8, || {
        let count = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&count);
        let other = thread::spawn(move || *theirs.lock().unwrap() += 1);
        loop {
            if let Ok(mut count) = count.try_lock() {
                *count += 1;
                break;
            }
            thread::yield_now();
        }
        other.join().unwrap();
        assert_eq!(*count.lock().unwrap(), 2);
    });
}

#[test]
fn looking_at_what_a_mutex_guards() {
    verified(4, || {
        let flag = Arc::new(Mutex::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || *theirs.lock().unwrap() = true);
        while !*flag.lock().unwrap() {
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

#[test]
fn looking_at_what_a_read_write_lock_guards() {
    verified(8, || {
        let count = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&count);
        let other = thread::spawn(move || (1..=2).for_each(|number| *theirs.write().unwrap() = number));
        while *count.read().unwrap() < 2 {
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

/// Each order of those that look, once it is there.
#[test]
fn many_that_look_under_a_lock() {
    let program = |threads: usize| {
        move || {
            let shared = Arc::new(Mutex::new(false));
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || while !*shared.lock().unwrap() {})
                })
                .collect();
            *shared.lock().unwrap() = true;
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    };
    verified_in(2, program(2));
    verified_in(6, program(3));
}

#[test]
fn popping_until_all_are_there() {
    verified(40, || {
        let queue = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&queue);
        let other = thread::spawn(move || (0..2).for_each(|number| theirs.lock().unwrap().push(number)));
        let mut got = 0;
        while got < 2 {
            match queue.lock().unwrap().pop() {
                Some(_) => got += 1,
                None => thread::yield_now(),
            }
        }
        other.join().unwrap();
    });
}
