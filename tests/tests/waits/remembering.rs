//! Threads that act on what they saw in rounds that failed: nothing may be taken back from them.

use crate::{fails, not_failing, not_verified, verified};
use racefuzz::sync::Arc;
use racefuzz::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use racefuzz::{cell, hint, thread};

/// A thread stores 1 and then 2.
fn one_and_two(look: impl Fn(&AtomicUsize) + Sync) -> impl Fn() + Sync {
    move || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || {
            theirs.store(1, Release);
            theirs.store(2, Release);
        });
        look(&number);
        other.join().unwrap();
    }
}

#[test]
fn a_value_seen_on_the_way() {
    fails(
        "saw one",
        one_and_two(|number| {
            let mut saw = false;
            loop {
                match number.load(Acquire) {
                    1 => saw = true,
                    2 => break,
                    _ => {}
                }
            }
            assert!(!saw, "saw one");
        }),
    );
}

/// The thread that looks is created last, so that it finds the newest value first.
#[test]
fn a_value_seen_late() {
    fails("saw one", || {
        let number = Arc::new(AtomicUsize::new(0));
        let [first, second] = [Arc::clone(&number), Arc::clone(&number)];
        let writer = thread::spawn(move || {
            first.store(1, Release);
            first.store(2, Release);
        });
        let reader = thread::spawn(move || {
            let mut saw = false;
            loop {
                let now = second.load(Acquire);
                saw |= now == 1;
                if now == 2 {
                    break;
                }
                hint::spin_loop();
            }
            assert!(!saw, "saw one");
        });
        writer.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn an_assertion_in_the_loop() {
    fails(
        "saw one",
        one_and_two(|number| {
            while number.load(Acquire) != 2 {
                assert_ne!(number.load(Acquire), 1, "saw one");
            }
        }),
    );
}

#[test]
fn a_value_kept_for_later() {
    fails(
        "stored one",
        one_and_two(|number| {
            let kept = AtomicUsize::new(0);
            let mut last = 0;
            while number.load(Acquire) != 2 {
                last = last.max(number.load(Acquire));
            }
            kept.store(last, Relaxed);
            assert_ne!(kept.load(Relaxed), 1, "stored one");
        }),
    );
}

#[test]
fn giving_up_after_some_rounds() {
    for most in [3, 100] {
        fails("gave up", move || {
            let flag = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&flag);
            let other = thread::spawn(move || theirs.store(true, Release));
            let mut rounds = 0;
            while !flag.load(Acquire) {
                rounds += 1;
                assert!(rounds < most, "gave up");
                hint::spin_loop();
            }
            other.join().unwrap();
        });
    }
}

/// The number of rounds is looked at behind the loop.
#[test]
fn counting_rounds() {
    not_verified(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&flag);
        let other = thread::spawn(move || theirs.store(true, Release));
        let mut rounds = 0;
        while !flag.load(Acquire) {
            rounds += 1;
            hint::spin_loop();
        }
        other.join().unwrap();
        assert!(rounds < 30, "so many rounds");
    });
}

/// The rounds are counted where everybody can look; `look` does so behind the loop.
fn counted_for_others(look: impl Fn(&AtomicUsize) + Sync) -> impl Fn() + Sync {
    move || {
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.0.store(true, Release));
        while !shared.0.load(Acquire) {
            shared.1.fetch_add(1, Relaxed);
            thread::yield_now();
        }
        other.join().unwrap();
        look(&shared.1);
    }
}

/// A statistic that nobody reads.
#[test]
fn rounds_that_nobody_looks_at() {
    verified(8, counted_for_others(|_| ()));
}

#[test]
fn rounds_that_somebody_looks_at() {
    not_verified(counted_for_others(|rounds| assert!(rounds.load(Relaxed) < 6, "so many rounds")));
    fails("two rounds", counted_for_others(|rounds| assert!(rounds.load(Relaxed) < 2, "two rounds")));
}

/// Loops that count for themselves, and wait for nobody.
#[test]
fn counting_to_a_number() {
    verified(1, || {
        let threads = [20, 30].map(|last| {
            thread::spawn(move || {
                let count = AtomicUsize::new(0);
                for _ in 0..last {
                    count.fetch_add(1, Relaxed);
                }
                assert_eq!(count.into_inner(), last);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// What happens behind the loop is not ordered by it.
#[test]
fn a_race_behind_the_loop() {
    struct Shared(AtomicBool, cell::UnsafeCell<u32>);
    // SAFETY: that it is not so is what is tested.
    unsafe impl Sync for Shared {}
    fails("data race", || {
        let shared = Arc::new(Shared(AtomicBool::new(false), cell::UnsafeCell::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            // SAFETY: none, as the flag is relaxed.
            theirs.1.with_mut(|value| unsafe { *value = 1 });
            theirs.0.store(true, Relaxed);
        });
        while !shared.0.load(Relaxed) {
            hint::spin_loop();
        }
        // SAFETY: as above.
        shared.1.with(|value| unsafe { *value });
        other.join().unwrap();
    });
}

/// A thread stores 1, 2, ... and `last`; another one looks.
fn counted_up(last: usize, look: impl Fn(&AtomicUsize) + Sync) -> impl Fn() + Sync {
    move || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || (1..=last).for_each(|now| theirs.store(now, Release)));
        look(&number);
        other.join().unwrap();
    }
}

/// No round alone makes a difference.
#[test]
fn a_sequence_of_values() {
    fails("this sequence", || {
        counted_up(3, |number| {
            let mut seen = Vec::new();
            while seen.last() != Some(&3) {
                let now = number.load(Acquire);
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
                hint::spin_loop();
            }
            assert!(seen != [0, 2, 3], "this sequence");
        })();
    });
}

/// What is remembered matters in other executions than the first.
#[test]
fn a_value_that_matters_together_with_another() {
    fails("both", || {
        let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let [first, second] = [Arc::clone(&shared), Arc::clone(&shared)];
        let state = thread::spawn(move || {
            first.0.store(1, Release);
            first.0.store(2, Release);
        });
        let data = thread::spawn(move || second.1.store(1, Release));
        let mut saw = false;
        loop {
            match shared.0.load(Acquire) {
                1 => saw = true,
                2 => break,
                _ => hint::spin_loop(),
            }
        }
        assert!(!(saw && shared.1.load(Acquire) == 0), "both");
        state.join().unwrap();
        data.join().unwrap();
    });
}

/// A value after which the thread waits for something that never comes.
#[test]
fn a_value_that_leads_into_another_wait() {
    fails("did not end", || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || {
            let mut wanted = 1;
            loop {
                match theirs.load(Acquire) {
                    2 => wanted = 3,
                    now if now == wanted => break,
                    _ => hint::spin_loop(),
                }
            }
        });
        number.store(2, Release);
        number.store(1, Release);
        other.join().unwrap();
    });
}

/// Each value that is seen is as large as the one before: there is nothing to be found.
#[test]
fn a_test_of_coherence() {
    not_failing(counted_up(3, |number| {
        let mut last = 0;
        while last < 3 {
            let now = number.load(Acquire);
            assert!(now >= last);
            last = now;
            hint::spin_loop();
        }
    }));
}

/// One that fails where the values are not in order.
#[test]
fn a_test_of_coherence_that_fails() {
    fails("went back", || {
        let number = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&number);
        let other = thread::spawn(move || [1, 2, 1, 3].map(|now| theirs.store(now, Release)));
        let mut last = 0;
        while last < 3 {
            let now = number.load(Acquire);
            assert!(now >= last, "went back");
            last = now;
            hint::spin_loop();
        }
        other.join().unwrap();
    });
}

/// A counter of rounds that is looked at without an atomic access, as it is nobody else's any more.
#[test]
fn a_counter_that_is_taken_out() {
    fn counted(look: impl Fn(AtomicUsize) + Sync) -> impl Fn() + Sync {
        move || {
            let (flag, mut rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
            thread::scope(|scope| {
                scope.spawn(|| flag.store(true, Release));
                scope.spawn(|| {
                    while !flag.load(Acquire) {
                        rounds.fetch_add(1, Relaxed);
                        hint::spin_loop();
                    }
                });
            });
            *rounds.get_mut() += 0;
            look(rounds);
        }
    }
    not_failing(counted(drop));
    fails("one round", counted(|rounds| assert!(rounds.into_inner() != 1, "one round")));
}
