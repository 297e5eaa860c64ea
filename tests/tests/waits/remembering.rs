//! Threads that act on what they saw in rounds that failed: nothing may be taken back from them.

use crate::{fails, not_verified};
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

/// The rounds are counted where everybody can look.
#[test]
fn counting_rounds_for_others() {
    not_verified(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || theirs.0.store(true, Release));
        while !shared.0.load(Acquire) {
            shared.1.fetch_add(1, Relaxed);
            thread::yield_now();
        }
        other.join().unwrap();
        assert!(shared.1.load(Relaxed) < 6, "so many rounds");
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
