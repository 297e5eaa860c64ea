//! The begin and the end of the process, and system calls that are made by number.

use super::{Frame, atomics, export, files, time};
use crate::engine::border::{as_host, in_program};
use crate::engine::driver;
use crate::engine::futex::{self, Wait, Wake};
use crate::engine::process::{self, AT_EXIT, Main, Program};
use crate::engine::real::{checked, real, system_call};
use crate::engine::{state, threads};
use crate::request::Request;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

struct Started {
    main: Main,
    request: Request,
}

static STARTED: OnceLock<Started> = OnceLock::new();

type StartMain = unsafe extern "C" fn(
    Main,
    c_int,
    *mut *mut c_char,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
) -> c_int;

/// The C library's call of `main`: where the environment asks for it, `main` is run by the host.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn __libc_start_main(
    main: Main,
    count: c_int,
    arguments: *mut *mut c_char,
    init: *mut c_void,
    fini: *mut c_void,
    loader_fini: *mut c_void,
    stack_end: *mut c_void,
) -> c_int {
    let start = real!(__libc_start_main: StartMain);
    let asked = std::env::var_os(Request::VARIABLE).is_some();
    if asked {
        same_addresses(arguments);
    }
    let main = match asked.then(driver::request).flatten() {
        Some(request) => {
            let _ = STARTED.set(Started { main, request });
            host_main
        }
        None => main,
    };
    // SAFETY: passed on to the caller.
    unsafe { start(main, count, arguments, init, fini, loader_fini, stack_end) }
}

/// Starts the process anew without random addresses, unless it has none or may not ask for that.
fn same_addresses(arguments: *mut *mut c_char) {
    // SAFETY: asks for the persona, sets it, and replaces the process by the same executable with the same
    // arguments.
    unsafe {
        let persona = libc::personality(0xffff_ffff);
        let fixed = libc::ADDR_NO_RANDOMIZE;
        if persona & fixed == 0 && libc::personality((persona | fixed) as _) >= 0 {
            libc::execv(c"/proc/self/exe".as_ptr(), arguments.cast::<*const c_char>().cast_const());
        }
    }
}

unsafe extern "C" fn host_main(
    count: c_int,
    arguments: *mut *mut c_char,
    environment: *mut *mut c_char,
) -> c_int {
    if let Some(Started { main, request }) = STARTED.get() {
        // Processes that the program starts are none of this run.
        // SAFETY: no other thread runs yet.
        unsafe { std::env::remove_var(Request::VARIABLE) };
        driver::answer(request, Program { main: *main, count, arguments, environment });
    }
    0
}

/// The harness of tests reads a data base of terminals, if it has the name of one, to write in colours: some hundred
/// allocations in each execution, for output that is not shown. The test's own threads are told the name.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    // SAFETY: the caller gives a string.
    if in_program() && unsafe { CStr::from_ptr(name) } == c"TERM" && as_host(threads::before_test, ()) {
        return std::ptr::null_mut();
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(getenv: unsafe extern "C" fn(*const c_char) -> *mut c_char)(name) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn exit(code: c_int) {
    if in_program() {
        process::exit(code);
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(exit: unsafe extern "C" fn(c_int) -> !)(code) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn _exit(code: c_int) {
    if in_program() {
        process::leave(code);
    }
    loop {
        // SAFETY: ends the process.
        unsafe { system_call(libc::SYS_exit_group as usize, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn abort() {
    if in_program() {
        process::abort();
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(abort: unsafe extern "C" fn() -> !)() }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn __cxa_atexit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    library: *mut c_void,
) -> c_int {
    if in_program() {
        return if AT_EXIT.push((function, argument as usize)) { 0 } else { -1 };
    }
    type Real = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    // SAFETY: passed on to the caller.
    unsafe { real!(__cxa_atexit: Real)(function, argument, library) }
}

/// A panic begins to unwind.
extern "C-unwind" fn raises(
    exception: *mut c_void,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    if in_program() {
        as_host(process::panics, frame);
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(_Unwind_RaiseException: unsafe extern "C-unwind" fn(*mut c_void) -> c_int)(exception) }
}

export! { _Unwind_RaiseException => raises; }

/// The walk of a stack by which the standard library tells of a panic that ends the program, whatever the environment
/// says: it takes seconds to find the names of functions, in each execution. The walk finds no frame.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn _Unwind_Backtrace(each: *mut c_void, argument: *mut c_void) -> c_int {
    const END_OF_STACK: c_int = 5;
    if in_program() && as_host(|()| state::with(|state| state.output.announces_backtrace()), ()) {
        return END_OF_STACK;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        real!(_Unwind_Backtrace: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int)(each, argument)
    }
}

/// System calls by number. The C library's function takes any number of arguments; on this processor one that
/// takes all of them, in registers but for the last, is called alike.
extern "C" fn calls(number: usize, a: usize, b: usize, c: usize, d: usize, frame: *const Frame) -> isize {
    // The arguments behind the fifth word: the sixth register's was kept by the export, the last is the caller's.
    // SAFETY: the export has put both behind its frame.
    let (e, f) = unsafe { (*frame.cast::<usize>().sub(1), *frame.cast::<usize>().add(2)) };
    if in_program()
        && let Some(result) = program_call(number as libc::c_long, [a, b, c, d, e, f], frame)
    {
        return checked(result);
    }
    // SAFETY: passed on to the caller.
    checked(unsafe { system_call(number, [a, b, c, d, e, f]) })
}

fn program_call(number: libc::c_long, arguments: [usize; 6], frame: *const Frame) -> Option<isize> {
    match number {
        libc::SYS_futex => as_host(futex_call, (arguments, frame)),
        libc::SYS_getrandom => {
            as_host(files::draw, (arguments[0] as *mut u8, arguments[1]));
            Some(arguments[1] as isize)
        }
        libc::SYS_sched_yield => {
            as_host(time::yield_now, frame);
            Some(0)
        }
        libc::SYS_membarrier => {
            // Each command is a bit; these are barriers, the others register or ask.
            const BARRIERS: usize = 1 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7;
            if arguments[0] & BARRIERS != 0 {
                as_host(atomics::passes_barriers, ());
            }
            None
        }
        libc::SYS_gettid => Some(system_number()),
        libc::SYS_exit_group | libc::SYS_exit => {
            process::leave(arguments[0] as c_int);
            None
        }
        _ => None,
    }
}

/// What the running thread of the program takes for the number that the system gave it.
fn system_number() -> isize {
    const FIRST: isize = 100_000;
    FIRST + as_host(|()| crate::engine::threads::me(), ()) as isize
}

fn futex_call(
    ([address, operation, value, time, _, mask], frame): ([usize; 6], *const Frame),
) -> Option<isize> {
    let clock = if operation as c_int & libc::FUTEX_CLOCK_REALTIME != 0 {
        libc::CLOCK_REALTIME
    } else {
        libc::CLOCK_MONOTONIC
    };
    let (expected, most) = (value as u32, value.min(i32::MAX as usize));
    let time = time as *const libc::timespec;
    let wait = |timeout, mask| Some(futex::wait(Wait { address, expected, timeout, mask, frame }));
    match operation as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT => wait((!time.is_null()).then(|| time::lasting(time)), u32::MAX),
        libc::FUTEX_WAIT_BITSET => wait((!time.is_null()).then(|| time::until(clock, time)), mask as u32),
        libc::FUTEX_WAKE => Some(futex::wake(Wake { address, most, mask: u32::MAX, frame })),
        libc::FUTEX_WAKE_BITSET => Some(futex::wake(Wake { address, most, mask: mask as u32, frame })),
        _ => None,
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn gettid() -> c_int {
    if in_program() {
        return system_number() as c_int;
    }
    // SAFETY: a call without arguments.
    unsafe { system_call(libc::SYS_gettid as usize, [0; 6]) as c_int }
}

/// `syscall`: keeps the sixth register where `calls` finds it, right below the frame.
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall() {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push r9",
        "sub rsp, 8",
        "mov r9, rbp",
        "call {calls}",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        calls = sym calls,
    )
}
