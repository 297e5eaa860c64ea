//! Loops that look until something is there.

use crate::{verified, verified_in};
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::sync::{Arc, mpsc};
use racefuzz::{future, hint, thread};
use std::task::Poll;

/// A thread sets a flag; this one waits for it.
fn for_a_flag(wait: impl Fn(&AtomicBool) + Sync) -> impl Fn() + Sync {
    move || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        wait(&flag);
        other.join().unwrap();
    }
}

#[test]
fn a_hint_in_the_loop() {
    verified_in(
        1,
        for_a_flag(|flag| {
            while !flag.load(Acquire) {
                hint::spin_loop()
            }
        }),
    );
    verified_in(
        1,
        for_a_flag(|flag| {
            while !flag.load(Acquire) {
                thread::yield_now()
            }
        }),
    );
}

#[test]
fn no_hint_in_the_loop() {
    verified_in(1, for_a_flag(|flag| while !flag.load(Acquire) {}));
}

#[test]
fn a_hint_more_each_time() {
    verified_in(
        1,
        for_a_flag(|flag| {
            let mut step = 0u32;
            while !flag.load(Acquire) {
                (0..1u32 << step.min(6)).for_each(|_| hint::spin_loop());
                step += 1;
            }
        }),
    );
}

#[test]
fn an_exchange_that_fails() {
    verified_in(1, for_a_flag(|flag| while flag.compare_exchange(true, false, AcqRel, Relaxed).is_err() {}));
}

#[test]
fn a_swap_of_the_same() {
    verified_in(
        1,
        for_a_flag(|flag| {
            while !flag.swap(false, AcqRel) {
                hint::spin_loop()
            }
        }),
    );
}

#[test]
fn an_or_with_nothing() {
    verified_in(
        1,
        for_a_flag(|flag| {
            while !flag.fetch_or(false, AcqRel) {
                hint::spin_loop()
            }
        }),
    );
}

#[test]
fn waking_oneself() {
    verified(
        20,
        for_a_flag(|flag| {
            while !flag.load(Acquire) {
                thread::current().unpark();
                hint::spin_loop();
                thread::park();
            }
        }),
    );
}

#[test]
fn waking_oneself_where_an_exchange_fails() {
    verified(20, || {
        let flag = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(1, Release));
        while flag.compare_exchange(1, 2, Acquire, Acquire).is_err() {
            thread::current().unpark();
            hint::spin_loop();
            thread::park();
        }
        other.join().unwrap();
    });
}

/// A future that is polled again at once.
#[test]
fn waking_the_waker() {
    verified(4, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        future::block_on(std::future::poll_fn(|context| match flag.load(Acquire) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }));
        other.join().unwrap();
    });
}

#[test]
fn yielding_in_a_future() {
    verified(4, || {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        future::block_on(async {
            while !flag.load(Acquire) {
                future::yield_now().await;
            }
        });
        other.join().unwrap();
    });
}

/// A waker that is registered while another thread wakes: it polls again.
#[test]
fn registering_against_a_wake() {
    let program = |wait: fn(), wakes: bool| {
        move || {
            let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let theirs = Arc::clone(&shared);
            let main = thread::current();
            let other = thread::spawn(move || {
                theirs.0.fetch_or(2, AcqRel);
                theirs.1.store(1, Relaxed);
                theirs.0.swap(0, Release);
                if wakes {
                    main.unpark();
                }
            });
            loop {
                if shared.0.compare_exchange(0, 1, Acquire, Acquire).is_ok() {
                    shared.0.swap(0, AcqRel);
                } else {
                    thread::current().unpark();
                    hint::spin_loop();
                }
                if shared.1.load(Relaxed) == 1 {
                    break;
                }
                wait();
            }
            other.join().unwrap();
        }
    };
    verified(200, program(thread::yield_now, false));
    verified(200, program(thread::park, true));
}

#[test]
fn a_channel() {
    verified(8, || {
        let (sender, receiver) = mpsc::channel();
        let other = thread::spawn(move || sender.send(1).unwrap());
        while receiver.try_recv().is_err() {
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

#[test]
fn two_senders() {
    verified(200, || {
        let (sender, receiver) = mpsc::channel();
        let senders = [1, 2].map(|number| {
            let sender = sender.clone();
            thread::spawn(move || sender.send(number).unwrap())
        });
        let mut sum = 0;
        while sum < 3 {
            match receiver.try_recv() {
                Ok(number) => sum += number,
                Err(_) => thread::yield_now(),
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn the_last_owner() {
    verified(8, || {
        let mut value = Arc::new(0);
        let theirs = Arc::clone(&value);
        let other = thread::spawn(move || drop(theirs));
        while let Err(again) = Arc::try_unwrap(value) {
            value = again;
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

/// It writes back what it reads until the bit is there.
#[test]
fn an_update_of_the_same() {
    verified(40, || {
        let state = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&state);
        let other = thread::spawn(move || theirs.fetch_or(4, AcqRel));
        while state.fetch_update(AcqRel, Acquire, |word| Some(word & 4)) != Ok(4) {
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

#[test]
fn announced_and_taken_back() {
    verified(8, || {
        let state = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&state);
        let other = thread::spawn(move || theirs.fetch_or(4, AcqRel));
        loop {
            let seen = state.fetch_add(1, AcqRel);
            state.fetch_sub(1, AcqRel);
            if seen & 4 != 0 {
                break;
            }
            thread::yield_now();
        }
        other.join().unwrap();
    });
}

/// The same place waits for one number after the other.
#[test]
fn phases() {
    verified(500, || {
        let phase = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&phase);
        let other = thread::spawn(move || (1..=3).for_each(|number| theirs.store(number, Release)));
        for number in 1..=3 {
            while phase.load(Acquire) < number {
                hint::spin_loop();
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn to_and_fro() {
    verified_in(1, || {
        let ball = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ball);
        let other = thread::spawn(move || {
            for round in 0..2 {
                while theirs.load(Acquire) != 2 * round + 1 {
                    hint::spin_loop();
                }
                theirs.store(2 * round + 2, Release);
            }
        });
        for round in 0..2 {
            ball.store(2 * round + 1, Release);
            while ball.load(Acquire) != 2 * round + 2 {
                hint::spin_loop();
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn one_wait_in_another() {
    verified(4, || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            theirs.0.store(1, Release);
            theirs.1.store(1, Release);
            theirs.0.store(2, Release);
        });
        loop {
            while shared.1.load(Acquire) == 0 {
                hint::spin_loop();
            }
            if shared.0.load(Acquire) == 2 {
                break;
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn one_after_the_other() {
    verified_in(1, || {
        let flags = Arc::new(<[AtomicBool; 2]>::default());
        let theirs = Arc::clone(&flags);
        let other = thread::spawn(move || {
            while !theirs[0].load(Acquire) {
                hint::spin_loop();
            }
            theirs[1].store(true, Release);
        });
        flags[0].store(true, Release);
        while !flags[1].load(Acquire) {
            hint::spin_loop();
        }
        other.join().unwrap();
    });
}

/// It looks again whether a writer came between.
#[test]
fn a_sequence_lock() {
    verified(60, || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            theirs.0.store(1, SeqCst);
            theirs.1.store(1, SeqCst);
            theirs.2.store(1, SeqCst);
            theirs.0.store(2, SeqCst);
        });
        let (a, b) = loop {
            let before = shared.0.load(SeqCst);
            let read = (shared.1.load(SeqCst), shared.2.load(SeqCst));
            if before.is_multiple_of(2) && shared.0.load(SeqCst) == before {
                break read;
            }
            hint::spin_loop();
        };
        assert_eq!(a, b);
        writer.join().unwrap();
    });
}

#[test]
fn a_barrier_with_a_sense() {
    verified(40, || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let threads = [0, 1].map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if shared.0.fetch_add(1, AcqRel) == 1 {
                    shared.1.store(true, Release);
                } else {
                    while !shared.1.load(Acquire) {
                        hint::spin_loop();
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
