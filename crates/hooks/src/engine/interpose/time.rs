//! Time, which is virtual, and giving way.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::real::{checked, system_call};
use crate::engine::roles::Role;
use crate::engine::{exhaustive, shadow, sites, state};
use racefuzz_runtime::ops::{self, process, unseen};
use racefuzz_trace::Verb;
use std::ffi::c_int;
use std::time::Duration;

/// What clocks say when an execution begins: that of the day, and the others.
const DAY: Duration = Duration::from_secs(1_700_000_000);
const START: Duration = Duration::from_secs(1_000);

fn duration(time: *const libc::timespec) -> Duration {
    // SAFETY: the program gives a time.
    let time = unsafe { *time };
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

/// What a clock says.
pub(crate) fn now(clock: c_int) -> Duration {
    let passed = ops::now().unwrap_or_default();
    passed + if clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE { DAY } else { START }
}

/// For how long a time that a clock will have lies ahead.
pub(crate) fn until(clock: c_int, time: *const libc::timespec) -> Duration {
    duration(time).saturating_sub(now(clock))
}

/// A time that is given as one that passes.
pub(crate) fn lasting(time: *const libc::timespec) -> Duration {
    duration(time)
}

fn sleep((time, frame): (Duration, *const Frame)) {
    let _ = ops::sleep(time, sites::site(frame));
    // Stores become visible in a reasonable amount of time, as the standards of C and C++ have it.
    exhaustive::note_time();
    if !(exhaustive::is_on() && process::is_enumerated()) {
        let _ = unseen::see_all();
    }
    shadow::publish();
}

/// The program asks for the time. Where every execution is explored its values are some of many, but for what std makes
/// of them to know how much of a limit is left.
fn asked_for((clock, frame): (c_int, *const Frame)) -> Duration {
    if exhaustive::is_on() && state::with(|state| state.threads.in_test) {
        exhaustive::note_time();
        let (site, part) = sites::site_and_part(frame);
        if part.role != Role::Condvar {
            exhaustive::note(format!("what the time is, asked for at {}", exhaustive::place(site)));
        }
    }
    now(clock)
}

extern "C" fn clock_says(
    clock: c_int,
    into: *mut libc::timespec,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    if in_program() {
        let now = as_host(asked_for, (clock, frame));
        let time = libc::timespec { tv_sec: now.as_secs() as i64, tv_nsec: i64::from(now.subsec_nanos()) };
        // SAFETY: the caller gives a place for the time.
        unsafe { into.write(time) };
        return 0;
    }
    let arguments = [clock as usize, into as usize, 0, 0, 0, 0];
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_clock_gettime as usize, arguments) }) as c_int
}

extern "C" fn sleeps(
    time: *const libc::timespec,
    left: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    let error = sleeps_on_clock(libc::CLOCK_MONOTONIC, 0, time, left, 0, frame);
    checked(-(error as isize)) as c_int
}

extern "C" fn sleeps_on_clock(
    clock: c_int,
    flags: c_int,
    time: *const libc::timespec,
    left: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    if in_program() {
        let absolute = flags & libc::TIMER_ABSTIME != 0;
        as_host(
            |(absolute, clock, time, frame)| {
                let time = if absolute { until(clock, time) } else { duration(time) };
                sleep((time, frame));
            },
            (absolute, clock, time, frame),
        );
        return 0;
    }
    let arguments = [clock as usize, flags as usize, time as usize, left, 0, 0];
    // SAFETY: passed on to the caller. This call returns the error itself.
    -unsafe { system_call(libc::SYS_clock_nanosleep as usize, arguments) } as c_int
}

extern "C" fn sleeps_micros(
    micros: u32,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    let time = Duration::from_micros(u64::from(micros));
    if in_program() {
        as_host(sleep, (time, frame));
    } else {
        std::thread::sleep(time);
    }
    0
}

extern "C" fn gives_way(_: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) -> c_int {
    if in_program() {
        as_host(yield_now, frame);
        return 0;
    }
    // SAFETY: a call without arguments.
    checked(unsafe { system_call(libc::SYS_sched_yield as usize, [0; 6]) }) as c_int
}

/// `sched_yield`.
pub(crate) fn yield_now(frame: *const Frame) {
    let _ = ops::yield_now(Verb::Yield, sites::site(frame));
    shadow::publish();
}

export! {
    clock_gettime => clock_says;
    nanosleep => sleeps;
    clock_nanosleep => sleeps_on_clock;
    usleep => sleeps_micros;
    sched_yield => gives_way;
}
