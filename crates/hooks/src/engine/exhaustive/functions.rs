//! Functions of the standard library that stand-ins take the place of: a jump to the host's function is written
//! over their beginning.

use super::super::border::{as_host, in_program};
use super::super::entries;
use super::super::interpose::Frame;
use super::super::roles::function;
use super::super::sites::site_and_part;
use super::{barrier, condvar, give_up, once, threads, unseen};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What is called instead of a function: with its first five arguments, and a frame.
type StandIn = extern "C" fn(usize, usize, usize, usize, usize, *const Frame) -> usize;

/// What is called before a function: with its first argument, and a frame.
type Before = extern "C" fn(usize, *const Frame);

/// What becomes of a function.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Replaced(StandIn),
    Preceded(Before),
}

/// What becomes of the function of this name, if anything does.
pub(super) fn change(name: &str) -> Option<Change> {
    let plain = name.trim_start_matches('<');
    if !plain.starts_with("std::") || plain.contains("{closure") {
        return None;
    }
    let is = |path: &str| plain.contains(path);
    Some(match function(name) {
        "wait" if is("sys::sync::condvar::") => Change::Replaced(waits),
        "wait_timeout" if is("sys::sync::condvar::") => Change::Replaced(waits_for_a_time),
        "wait_optional_timeout" if is("sys::sync::condvar::") => Change::Replaced(waits_for_a_time),
        "notify_one" if is("poison::condvar::Condvar>") => Change::Replaced(notifies_one),
        "notify_all" if is("poison::condvar::Condvar>") => Change::Replaced(notifies_all),
        "wait" if is("sync::barrier::Barrier>") => Change::Replaced(waits_at_barrier),
        "call" if is("sys::sync::once::") => Change::Preceded(begins_once),
        "park" if is("thread::Thread>") => Change::Replaced(parks),
        "park_timeout" if is("thread::Thread>") => Change::Replaced(parks_for_a_time),
        "park" if is("std::thread::") => Change::Replaced(parks_itself),
        "park_timeout" if is("std::thread::") => Change::Replaced(parks_itself_for_a_time),
        "unpark" if is("thread::Thread>") => Change::Replaced(unparks),
        "increment_num_running_threads" => Change::Preceded(spawns_in_scope),
        _ => return None,
    })
}

/// Puts them in place; the names of those for which that cannot be done.
pub(super) fn replace(functions: Vec<(usize, String, Change)>) -> Vec<(usize, String)> {
    let mut failed = Vec::new();
    let changes = functions.iter().map(|(address, _, change)| match change {
        Change::Replaced(by) => (*address, entries::Hook::Instead(*by as usize)),
        Change::Preceded(by) => (*address, entries::Hook::Before(*by as usize)),
    });
    let done = entries::hook_all(&changes.collect::<Vec<(usize, entries::Hook)>>());
    for (address, name, _) in functions {
        if !done.contains(&address) {
            failed.push((address, name));
        }
    }
    failed
}

/// A time as it is passed in registers; none if its nanoseconds are none.
fn time(seconds: usize, nanoseconds: usize) -> Option<Duration> {
    let nanoseconds = nanoseconds as u32;
    (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds as u64, nanoseconds))
}

extern "C" fn waits(
    address: usize,
    mutex: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    let wait =
        |(address, mutex, frame): (usize, usize, *const Frame)| condvar::wait(address, mutex, None, frame);
    usize::from(as_host(wait, (address, mutex, frame)))
}

extern "C" fn waits_for_a_time(
    address: usize,
    mutex: usize,
    seconds: usize,
    nanoseconds: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    let timeout = time(seconds, nanoseconds);
    let wait = |(address, mutex, timeout, frame): (usize, usize, Option<Duration>, *const Frame)| {
        condvar::wait(address, mutex, timeout, frame)
    };
    usize::from(as_host(wait, (address, mutex, timeout, frame)))
}

/// A stand-in that has to do with what is at its first argument, and that returns nothing.
macro_rules! on_address {
    ($($name:ident => $to:expr;)*) => {$(
        extern "C" fn $name(
            address: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame,
        ) -> usize {
            let to: fn((usize, *const Frame)) = $to;
            as_host(to, (address, frame));
            0
        }
    )*};
}

/// The function of the library by which a thread gets a handle of itself.
static CURRENT: AtomicUsize = AtomicUsize::new(0);
/// Its names: any of them will do.
pub(super) const GETS_HANDLE: [&str; 3] =
    ["std::thread::current::current_or_unnamed", "std::thread::current::current", "std::thread::current"];

/// That function is here.
pub(super) fn gets_handle(function: usize) {
    CURRENT.store(function, Ordering::Relaxed);
}

/// What the handles of the running thread refer to; on the program's side.
fn own() -> Option<usize> {
    let function = CURRENT.load(Ordering::Relaxed);
    if function == 0 {
        return None;
    }
    // SAFETY: the function takes nothing and returns a handle: a counted pointer, whose count comes first. The
    // handle is dropped, by whom it is not the last.
    unsafe {
        let current: extern "C" fn() -> usize = std::mem::transmute(function);
        let kept = current();
        *(kept as *mut usize) -= 1;
        Some(kept)
    }
}

fn park_itself(timeout: Option<Duration>, frame: *const Frame) {
    let own = own();
    as_host(
        |(own, timeout, frame): (Option<usize>, Option<Duration>, *const Frame)| match own {
            Some(own) => threads::park(own, timeout, frame),
            None => give_up("parking: the thread's own handle is not found".to_owned()),
        },
        (own, timeout, frame),
    );
}

extern "C" fn parks_itself(_: usize, _: usize, _: usize, _: usize, _: usize, frame: *const Frame) -> usize {
    park_itself(None, frame);
    0
}

extern "C" fn parks_itself_for_a_time(
    seconds: usize,
    nanoseconds: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    park_itself(time(seconds, nanoseconds), frame);
    0
}

/// The place where a thread keeps what its handles refer to, of a handle at an address.
fn kept(handle: usize) -> usize {
    // SAFETY: the program gives the address of a handle, which is a pointer.
    unsafe { (handle as *const usize).read() }
}

on_address! {
    notifies_one => |(address, frame)| condvar::notify_one(address, frame);
    notifies_all => |(address, frame)| condvar::notify_all(address, frame);
    parks => |(handle, frame)| threads::park(kept(handle), None, frame);
    unparks => |(handle, frame)| {
        let (site, part) = site_and_part(frame);
        threads::unpark(kept(handle), site, part);
    };
}

extern "C" fn parks_for_a_time(
    handle: usize,
    seconds: usize,
    nanoseconds: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    let timeout = time(seconds, nanoseconds);
    let park = |(handle, timeout, frame): (usize, Option<Duration>, *const Frame)| {
        threads::park(kept(handle), timeout, frame);
    };
    as_host(park, (handle, timeout, frame));
    0
}

extern "C" fn waits_at_barrier(
    address: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> usize {
    let wait = |(address, frame): (usize, *const Frame)| barrier::wait(address, frame);
    usize::from(as_host(wait, (address, frame)))
}

extern "C" fn spawns_in_scope(address: usize, _: *const Frame) {
    if in_program() {
        as_host(threads::spawns_in, address);
    }
}

extern "C" fn begins_once(address: usize, frame: *const Frame) {
    if in_program() {
        let begins = |(address, frame): (usize, *const Frame)| {
            // What the library does once for itself, of which not all is seen, orders nothing.
            // SAFETY: the frame of the stub, which has kept the arguments below it.
            let returns_to = unsafe { (*frame).returns_to };
            if !unseen::is_instrumented(returns_to) {
                return;
            }
            // SAFETY: as above.
            let [mut given, forces] = unsafe { entries::kept_arguments(frame) };
            once::begins(address, forces[1] & 1 != 0, &mut given, frame);
            // SAFETY: as above.
            unsafe { entries::change_arguments(frame, given) };
        };
        as_host(begins, (address, frame));
    }
}
