//! Laws of `time`, and of threads in a run on real ones.

use crate::words::{none_fails, outcomes};
use racefuzz_primitives::time::{Duration, Instant};
use racefuzz_primitives::{outside, thread};

#[test]
fn time_never_goes_back_and_sleeping_takes_it() {
    none_fails(|| {
        let begin = Instant::now();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            Instant::now()
        });
        thread::sleep(Duration::from_secs(2));
        let end = Instant::now();
        assert!(end - begin >= Duration::from_secs(2));
        assert!(begin.elapsed() > end.duration_since(begin));
        assert_eq!(begin.duration_since(end), Duration::ZERO);
        assert_eq!(begin.checked_duration_since(end), None);
        assert!(other.join().unwrap() > begin);
        let later = begin + Duration::from_secs(1);
        assert_eq!(later - Duration::from_secs(1), begin);
        assert!(begin.checked_sub(Duration::from_secs(86_400)).is_some());
        assert_eq!(begin.checked_add(Duration::MAX), None);
    });
}

#[test]
fn times_are_the_same_in_every_execution() {
    let seen = outcomes(|| {
        let begin = Instant::now();
        thread::park_timeout(Duration::from_millis(7));
        format!("{:?}", begin.elapsed())
    });
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_loop_that_waits_for_a_time_ends() {
    none_fails(|| {
        let deadline = Instant::now() + Duration::from_millis(1);
        while Instant::now() < deadline {}
    });
}

#[test]
fn outside_an_execution_it_is_std() {
    let begin = Instant::now();
    thread::sleep(Duration::from_millis(2));
    assert!(begin.elapsed() >= Duration::from_millis(2));
    assert!(Instant::now() > begin);
}

fn really(program: impl Fn() + Sync) -> outside::Ended {
    outside::run(&program, 1, Duration::from_micros(1), Duration::from_secs(20))
}

#[test]
fn a_run_on_real_threads_reports_panics_that_nobody_takes() {
    let joined = really(|| {
        assert!(thread::spawn(|| panic!("taken")).join().is_err());
        thread::scope(|scope| assert!(scope.spawn(|| panic!("taken")).join().is_err()));
    });
    assert_eq!((joined.panic, joined.hung), (None, false));
    let detached = really(|| drop(thread::spawn(|| panic!("detached"))));
    assert_eq!(detached.panic.as_deref(), Some("detached"));
    let kept = really(|| {
        let handle = thread::spawn(|| panic!("kept"));
        while !handle.is_finished() {
            thread::yield_now();
        }
    });
    assert_eq!(kept.panic.as_deref(), Some("kept"));
}
