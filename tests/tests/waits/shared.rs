//! Threads that wait for what others do with something they share: its references, its lock, their end.

use crate::{fails, not_failing, not_verified, verified};
use racefuzz::cell::UnsafeCell;
use racefuzz::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex, RwLock};
use racefuzz::{Checker, Outcome, hint, thread};
use std::collections::VecDeque;
use std::ptr;

#[test]
fn until_it_can_no_longer_be_upgraded() {
    verified(4, || {
        let owner = Arc::new(7);
        let weak = Arc::downgrade(&owner);
        let other = thread::spawn(move || drop(owner));
        while weak.upgrade().is_some() {
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

/// The thread may be the last owner, or find nobody left.
#[test]
fn looking_through_a_weak_reference() {
    verified(60, || {
        let number = Arc::new(AtomicUsize::new(0));
        let weak = Arc::downgrade(&number);
        let other = thread::spawn(move || {
            while let Some(number) = weak.upgrade() {
                if number.load(Acquire) == 1 {
                    break;
                }
                hint::spin_loop();
            }
        });
        number.store(1, Release);
        drop(number);
        other.join().unwrap();
    });
}

#[test]
fn looking_through_a_reference_of_its_own() {
    verified(4, || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || {
            while Arc::clone(&theirs).load(Acquire) != 1 {
                thread::yield_now();
            }
        });
        number.store(1, Release);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&number), 1);
    });
}

#[test]
fn until_it_is_the_only_owner() {
    verified(4, || {
        let mut owner = Arc::new(7);
        let theirs = Arc::clone(&owner);
        let other = thread::spawn(move || drop(theirs));
        let number = loop {
            match Arc::try_unwrap(owner) {
                Ok(number) => break number,
                Err(shared) => owner = shared,
            }
            thread::yield_now();
        };
        assert_eq!(number, 7);
        other.join().unwrap();
    });
}

#[test]
fn until_threads_have_ended() {
    verified(6, || {
        let other = thread::spawn(|| ());
        while !other.is_finished() {
            hint::spin_loop();
        }
        other.join().unwrap();
    });
    verified(6, || {
        let threads = [(); 2].map(|()| thread::spawn(|| ()));
        while !threads.iter().all(|thread| thread.is_finished()) {
            thread::yield_now();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Both only try: each keeps the other out for a moment.
#[test]
fn by_trying_to_read_and_to_write() {
    verified(20, || {
        let number = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || {
            loop {
                if let Ok(mut number) = theirs.try_write() {
                    *number += 1;
                    break;
                }
                thread::yield_now();
            }
        });
        while !number.try_read().is_ok_and(|number| *number == 1) {
            hint::spin_loop();
        }
        other.join().unwrap();
    });
    verified(200, || {
        let number = Arc::new(Mutex::new(0));
        let threads = [(); 3].map(|()| {
            let number = Arc::clone(&number);
            thread::spawn(move || {
                loop {
                    if let Ok(mut number) = number.try_lock() {
                        *number += 1;
                        break;
                    }
                    thread::yield_now();
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*number.lock().unwrap(), 3);
    });
}

/// Each round changes what the lock guards, which is no event: it looks like a thread that waits. That
/// not all of its rounds are explored is said.
#[test]
fn for_what_rounds_under_a_lock_count() {
    not_failing(|| {
        let shared = Arc::new((Mutex::new(0), AtomicBool::new(false)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            loop {
                *theirs.0.lock().unwrap() += 1;
                if theirs.1.load(Acquire) {
                    break;
                }
                hint::spin_loop();
            }
        });
        while *shared.0.lock().unwrap() < 3 {
            hint::spin_loop();
        }
        shared.1.store(true, Release);
        other.join().unwrap();
    });
}

/// A lock of their own, under which they take turns.
#[test]
fn for_turns_under_a_lock_of_their_own() {
    #[derive(Default)]
    struct Guarded {
        taken: AtomicBool,
        turn: UnsafeCell<u32>,
    }
    // SAFETY: `turn` is used under the lock only.
    unsafe impl Sync for Guarded {}
    impl Guarded {
        fn with<R>(&self, f: impl Fn(&mut u32) -> R) -> R {
            while self.taken.compare_exchange(false, true, Acquire, Relaxed).is_err() {
                hint::spin_loop();
            }
            // SAFETY: the lock is held.
            let result = self.turn.with_mut(|turn| f(unsafe { &mut *turn }));
            self.taken.store(false, Release);
            result
        }
    }
    verified(20, || {
        let guarded = Arc::new(Guarded::default());
        let threads = [0, 1].map(|me| {
            let guarded = Arc::clone(&guarded);
            thread::spawn(move || {
                for round in 0..2 {
                    let mine = |turn: &mut u32| {
                        let is_mine = *turn == 2 * round + me;
                        *turn += u32::from(is_mine);
                        is_mine
                    };
                    while !guarded.with(mine) {
                        hint::spin_loop();
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    // Here one counts in each round, and the other looks.
    not_failing(|| {
        let guarded = Arc::new((Guarded::default(), AtomicBool::new(false)));
        let theirs = Arc::clone(&guarded);
        let other = thread::spawn(move || {
            loop {
                theirs.0.with(|count| *count += 1);
                if theirs.1.load(Acquire) {
                    break;
                }
                hint::spin_loop();
            }
        });
        while guarded.0.with(|count| *count < 3) {
            hint::spin_loop();
        }
        guarded.1.store(true, Release);
        other.join().unwrap();
    });
}

/// The same by a mutex: that its rounds do not all fail is noticed.
#[test]
fn for_turns_under_a_mutex() {
    not_failing(|| {
        let turn = Arc::new(Mutex::new(0));
        let threads = [0, 1].map(|me| {
            let turn = Arc::clone(&turn);
            thread::spawn(move || {
                for round in 0..2 {
                    loop {
                        let mut turn = turn.lock().unwrap();
                        if *turn == 2 * round + me {
                            *turn += 1;
                            break;
                        }
                        drop(turn);
                        thread::yield_now();
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Takes what is in a queue until its producer has ended; `flag_first` if it looks for that first.
fn drains(flag_first: bool) -> impl Fn() + Sync {
    move || {
        let shared = Arc::new((Mutex::new(VecDeque::new()), AtomicBool::new(false)));
        let theirs = Arc::clone(&shared);
        let producer = thread::spawn(move || {
            (0..2).for_each(|number| theirs.0.lock().unwrap().push_back(number));
            theirs.1.store(true, Release);
        });
        let mut taken = Vec::new();
        loop {
            let mut ends = flag_first && shared.1.load(Acquire);
            while let Some(number) = shared.0.lock().unwrap().pop_front() {
                taken.push(number);
            }
            ends |= !flag_first && shared.1.load(Acquire);
            if ends {
                break;
            }
            hint::spin_loop();
        }
        assert_eq!(taken, [0, 1], "not all");
        producer.join().unwrap();
    }
}

#[test]
fn for_the_end_of_a_queue() {
    verified(200, drains(true));
    fails("not all", drains(false));
}

/// Treiber's stack: a node that is taken out is freed.
#[test]
fn for_nodes_of_a_stack() {
    struct Node {
        number: u32,
        next: *mut Node,
    }
    verified(200, || {
        let stack = Arc::new(AtomicPtr::<Node>::new(ptr::null_mut()));
        let theirs = Arc::clone(&stack);
        let producer = thread::spawn(move || {
            for number in 1..3 {
                let node = Box::into_raw(Box::new(Node { number, next: ptr::null_mut() }));
                loop {
                    let next = theirs.load(Acquire);
                    // SAFETY: nobody else has the node yet.
                    unsafe { (*node).next = next };
                    if theirs.compare_exchange(next, node, AcqRel, Relaxed).is_ok() {
                        break;
                    }
                }
            }
        });
        let (mut sum, mut taken) = (0, 0);
        while taken < 2 {
            let node = stack.load(Acquire);
            if node.is_null() {
                hint::spin_loop();
                continue;
            }
            // SAFETY: only this thread takes nodes out and frees them.
            let next = unsafe { (*node).next };
            if stack.compare_exchange(node, next, AcqRel, Relaxed).is_ok() {
                // SAFETY: it has just been taken out.
                sum += unsafe { Box::from_raw(node) }.number;
                taken += 1;
            }
        }
        assert_eq!(sum, 3);
        producer.join().unwrap();
    });
}

/// Two threads see the middles of two rounds, the one by what it counts in last, the other by what it counts in
/// first, and an order between them tells the rounds apart. Whichever thread comes first, this is no proof.
#[test]
fn rounds_that_are_told_apart_by_two_threads() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        let program = move || {
            let numbers: Arc<[AtomicUsize; 6]> = Arc::default();
            let mut waiting = None;
            let mut others = Vec::new();
            for role in order {
                let numbers = Arc::clone(&numbers);
                let [first, last, begun, over, one, two] = [0, 1, 2, 3, 4, 5];
                match role {
                    0 => {
                        waiting = Some(thread::spawn(move || {
                            let mut is_over = false;
                            while !is_over {
                                numbers[first].fetch_add(1, SeqCst);
                                numbers[first].fetch_sub(1, SeqCst);
                                numbers[last].fetch_add(1, SeqCst);
                                is_over = numbers[over].load(SeqCst) == 1;
                                numbers[last].fetch_sub(1, SeqCst);
                                hint::spin_loop();
                            }
                        }));
                    }
                    1 => others.push(thread::spawn(move || {
                        let seen = numbers[last].load(SeqCst) == 1 && numbers[begun].load(SeqCst) == 0;
                        numbers[one].store(usize::from(seen), SeqCst);
                    })),
                    _ => others.push(thread::spawn(move || {
                        numbers[begun].store(1, SeqCst);
                        let seen = numbers[first].load(SeqCst);
                        numbers[two].store(seen, SeqCst);
                    })),
                }
            }
            others.into_iter().for_each(|other| other.join().unwrap());
            numbers[3].store(1, SeqCst);
            waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
            assert!(numbers[4].load(SeqCst) == 0 || numbers[5].load(SeqCst) == 0, "two rounds");
        };
        not_verified(program);
        // Whatever else is asked for.
        for checker in [Checker::new().max_executions(1_000_000), Checker::new().keep_going(true)] {
            assert_ne!(checker.check(program).outcome(), Outcome::Passed);
        }
    }
}
