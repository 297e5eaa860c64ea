//! `eventfd` and `epoll`.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::events::{self, Control};
use crate::engine::exhaustive;
use crate::engine::real::{checked, set_errno, system_call};
use std::ffi::{c_int, c_void};
use std::time::Duration;

/// A system call that has no more than four arguments.
fn call(number: libc::c_long, arguments: [usize; 4]) -> c_int {
    let [a, b, c, d] = arguments;
    // SAFETY: passed on from the caller of the function of this name.
    checked(unsafe { system_call(number as usize, [a, b, c, d, 8, 0]) }) as c_int
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn eventfd(count: u32, flags: c_int) -> c_int {
    let made = call(libc::SYS_eventfd2, [count as usize, flags as usize, 0, 0]);
    note_unseen("event counters and sets of them");
    if made >= 0 && in_program() {
        as_host(events::made, (made, Some((count, flags))));
    }
    made
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn epoll_create1(flags: c_int) -> c_int {
    let made = call(libc::SYS_epoll_create1, [flags as usize, 0, 0, 0]);
    note_unseen("event counters and sets of them");
    if made >= 0 && in_program() {
        as_host(events::made, (made, None));
    }
    made
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn epoll_create(_: c_int) -> c_int {
    // SAFETY: a call without pointers.
    unsafe { epoll_create1(0) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn close(descriptor: c_int) -> c_int {
    if in_program() {
        as_host(events::closed, descriptor);
    }
    call(libc::SYS_close, [descriptor as usize, 0, 0, 0])
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn fcntl(descriptor: c_int, command: c_int, argument: usize) -> c_int {
    let result = call(libc::SYS_fcntl, [descriptor as usize, command as usize, argument, 0]);
    if result >= 0 && in_program() && matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
        as_host(events::duplicated, (descriptor, result));
    }
    result
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn dup(descriptor: c_int) -> c_int {
    // SAFETY: duplicates a descriptor.
    unsafe { fcntl(descriptor, libc::F_DUPFD, 0) }
}

/// What is used here is not seen as an exploration has to see it.
fn note_unseen(what: &'static str) {
    if exhaustive::is_on() && in_program() {
        as_host(|what: &str| exhaustive::note(what.to_owned()), what);
    }
}

fn note_real(what: &'static str) {
    note_unseen(what);
    if in_program() {
        as_host(|what| crate::engine::state::with(|state| state.real = state.real.or(Some(what))), what);
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    note_real("sockets");
    call(libc::SYS_socket, [domain as usize, kind as usize, protocol as usize, 0])
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pipe2(into: *mut c_int, flags: c_int) -> c_int {
    note_real("pipes");
    call(libc::SYS_pipe2, [into as usize, flags as usize, 0, 0])
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn timerfd_create(clock: c_int, flags: c_int) -> c_int {
    note_real("timers that are descriptors");
    call(libc::SYS_timerfd_create, [clock as usize, flags as usize, 0, 0])
}

extern "C" fn reads(
    file: c_int,
    into: *mut c_void,
    length: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> isize {
    if in_program() && as_host(events::is_counter, file) {
        if length < 8 {
            set_errno(libc::EINVAL);
            return -1;
        }
        return match as_host(events::take, (file, frame)) {
            Some(count) => {
                // SAFETY: the caller gives room for so many bytes.
                unsafe { into.cast::<u64>().write_unaligned(count) };
                8
            }
            None => {
                set_errno(libc::EAGAIN);
                -1
            }
        };
    }
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_read as usize, [file as usize, into as usize, length, 0, 0, 0]) })
}

extern "C" fn controls(
    set: c_int,
    operation: c_int,
    descriptor: c_int,
    event: *mut libc::epoll_event,
    _: usize,
    frame: *const Frame,
) -> c_int {
    let arguments = [set as usize, operation as usize, descriptor as usize, event as usize];
    let result = call(libc::SYS_epoll_ctl, arguments);
    if result == 0 && in_program() && as_host(events::is_set, set) {
        // SAFETY: the caller gives an event, which the system has read, or null.
        let event = unsafe { event.as_ref() }.copied();
        let (events, data) = event.map_or((0, 0), |event| (event.events, event.u64));
        as_host(events::control, Control { set, operation, descriptor, events, data, frame });
    }
    result
}

extern "C" fn waits(
    set: c_int,
    into: *mut libc::epoll_event,
    most: c_int,
    timeout: c_int,
    signals: usize,
    frame: *const Frame,
) -> c_int {
    if in_program() && as_host(events::is_set, set) {
        let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
        let told = as_host(events::wait, (set, most.max(0) as usize, timeout, frame));
        for (index, (events, data)) in told.iter().enumerate() {
            // SAFETY: the caller gives room for `most`.
            unsafe { into.add(index).write(libc::epoll_event { events: *events, u64: *data }) };
        }
        let count = told.len() as c_int;
        as_host(drop, told);
        return count;
    }
    let arguments = [set as usize, into as usize, most as usize, timeout as usize, signals, 8];
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(libc::SYS_epoll_pwait as usize, arguments) }) as c_int
}

extern "C" fn waits_plainly(
    set: c_int,
    into: *mut libc::epoll_event,
    most: c_int,
    timeout: c_int,
    _: usize,
    frame: *const Frame,
) -> c_int {
    waits(set, into, most, timeout, 0, frame)
}

export! {
    read => reads;
    epoll_ctl => controls;
    epoll_wait => waits_plainly;
    epoll_pwait => waits;
}
