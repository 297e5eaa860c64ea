//! Threads that hand something to each other again and again: each round finds what the other one's has left, and only
//! the threads themselves know how often. That is no livelock; where nobody counts, it is one.

use crate::{fails, not_failing, stuck::ENDLESS, verified};
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, Mutex, mpsc};
use racefuzz::{hint, thread};

/// More rounds than are explored of threads that see each other's, where nothing else is known of them.
const TIMES: usize = 5;
/// As many where each of them can be told from the others.
const FEW: usize = 3;

/// Runs one of these in a thread of its own, and the other one in this one.
fn both<T: Sync + Send + 'static>(shared: T, one: fn(&T), other: fn(&T)) {
    let shared = Arc::new(shared);
    let theirs = Arc::clone(&shared);
    let thread = thread::spawn(move || one(&theirs));
    other(&shared);
    thread.join().unwrap();
}

#[test]
fn the_turn() {
    fn take(turn: &AtomicUsize, me: usize) {
        for _ in 0..TIMES {
            while turn.load(Acquire) != me {
                hint::spin_loop();
            }
            turn.store(1 - me, Release);
        }
    }
    verified(1, || both(AtomicUsize::new(0), |turn| take(turn, 0), |turn| take(turn, 1)));
}

#[test]
fn the_turn_by_a_compare_exchange() {
    fn take(turn: &AtomicUsize, me: usize) {
        for _ in 0..TIMES {
            while turn.compare_exchange(me, 1 - me, AcqRel, Relaxed).is_err() {
                hint::spin_loop();
            }
        }
    }
    verified(1, || both(AtomicUsize::new(0), |turn| take(turn, 0), |turn| take(turn, 1)));
}

/// Who makes a bit what it is not yet has the turn.
#[test]
fn a_bit() {
    verified(300, || {
        both(
            AtomicUsize::new(0),
            |bits| {
                for _ in 0..TIMES {
                    while bits.fetch_or(1, AcqRel) & 1 == 1 {
                        hint::spin_loop();
                    }
                }
            },
            |bits| {
                for _ in 0..TIMES {
                    while bits.fetch_and(!1, AcqRel) & 1 == 0 {
                        hint::spin_loop();
                    }
                }
            },
        );
    });
}

#[test]
fn what_is_swapped_for_something_else() {
    fn give(place: &AtomicUsize, mine: usize) {
        for _ in 0..TIMES {
            while place.swap(mine, AcqRel) == mine {
                hint::spin_loop();
            }
        }
    }
    verified(500, || both(AtomicUsize::new(0), |place| give(place, 1), |place| give(place, 2)));
}

#[test]
fn a_question_and_its_answer() {
    verified(1, || {
        both(
            [AtomicBool::new(false), AtomicBool::new(false)],
            |[question, answer]| {
                for _ in 0..TIMES {
                    question.store(true, Release);
                    while !answer.swap(false, AcqRel) {
                        hint::spin_loop();
                    }
                }
            },
            |[question, answer]| {
                for _ in 0..TIMES {
                    while !question.swap(false, AcqRel) {
                        hint::spin_loop();
                    }
                    answer.store(true, Release);
                }
            },
        );
    });
}

#[test]
fn the_turn_in_a_ring_of_three() {
    verified(1, || {
        let turn = Arc::new(AtomicUsize::new(0));
        let threads = [0, 1, 2].map(|me| {
            let turn = Arc::clone(&turn);
            thread::spawn(move || {
                for _ in 0..TIMES {
                    while turn.load(Acquire) != me {
                        hint::spin_loop();
                    }
                    turn.store((me + 1) % 3, Release);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A barrier that is used again, whose sense is turned over each time.
#[test]
fn a_barrier() {
    #[derive(Default)]
    struct Barrier {
        came: AtomicUsize,
        sense: AtomicBool,
    }
    fn meet(barrier: &Barrier) {
        for round in 0..TIMES {
            let sense = round % 2 == 0;
            if barrier.came.fetch_add(1, AcqRel) == 1 {
                barrier.came.store(0, Relaxed);
                barrier.sense.store(sense, Release);
            }
            while barrier.sense.load(Acquire) != sense {
                hint::spin_loop();
            }
        }
    }
    verified(100, || both(Barrier::default(), meet, meet));
}

#[test]
fn a_channel_of_one() {
    verified(10, || {
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            for number in 0..TIMES {
                while sender.try_send(number).is_err() {
                    thread::yield_now();
                }
            }
        });
        for number in 0..TIMES {
            while receiver.try_recv() != Ok(number) {
                thread::yield_now();
            }
        }
        thread.join().unwrap();
    });
}

/// What a lock guards cannot be seen: no proof, and no alarm though the one thread may have the lock whenever the
/// other one wants it.
#[test]
fn the_turn_under_a_mutex() {
    fn take(turn: &Mutex<usize>, me: usize) {
        for _ in 0..FEW {
            loop {
                let mut turn = turn.lock().unwrap();
                if *turn == me {
                    *turn = 1 - me;
                    break;
                }
                drop(turn);
                thread::yield_now();
            }
        }
    }
    not_failing(|| both(Mutex::new(0), |turn| take(turn, 0), |turn| take(turn, 1)));
}

/// Each gives way to the other, so often and no more.
#[test]
fn the_way_a_few_times() {
    fn enter(mine: &AtomicBool, theirs: &AtomicBool) {
        for _ in 0..FEW {
            mine.store(true, SeqCst);
            if !theirs.load(SeqCst) {
                break;
            }
            mine.store(false, SeqCst);
            hint::spin_loop();
        }
    }
    verified(300, || both(<[AtomicBool; 2]>::default(), |[a, b]| enter(a, b), |[a, b]| enter(b, a)));
}

#[test]
fn the_locks_a_few_times() {
    fn enter(first: &Mutex<()>, second: &Mutex<()>) {
        for _ in 0..FEW {
            let _held = first.lock().unwrap();
            if second.try_lock().is_ok() {
                break;
            }
            thread::yield_now();
        }
    }
    verified(300, || both(<[Mutex<()>; 2]>::default(), |[a, b]| enter(a, b), |[a, b]| enter(b, a)));
}

/// Each keeps what it has while it gives way.
#[test]
fn the_locks_for_ever() {
    fn enter(first: &Mutex<()>, second: &Mutex<()>) {
        loop {
            let _held = first.lock().unwrap();
            if second.try_lock().is_ok() {
                break;
            }
            thread::yield_now();
        }
    }
    fails(ENDLESS, || both(<[Mutex<()>; 2]>::default(), |[a, b]| enter(a, b), |[a, b]| enter(b, a)));
}

#[test]
fn what_neither_of_them_waits_for() {
    fn give(place: &AtomicUsize, mine: usize) {
        while place.swap(mine, AcqRel) != 3 {
            hint::spin_loop();
        }
    }
    fails(ENDLESS, || both(AtomicUsize::new(0), |place| give(place, 1), |place| give(place, 2)));
}
