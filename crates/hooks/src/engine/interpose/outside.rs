//! What is not seen where every execution is explored: calls by which C code synchronises, and by which a program
//! changes what is outside of it. They are passed on to the C library.

use crate::engine::border::{as_host, in_program};
use crate::engine::exhaustive;
use crate::engine::real::real;
use std::ffi::{c_char, c_int, c_void};

fn note(what: &'static str) {
    if exhaustive::is_on() && in_program() {
        as_host(|what: &str| exhaustive::note(what.to_owned()), what);
    }
}

/// Functions of up to four words that are noted and called.
macro_rules! passed_on {
    ($($name:ident: $what:literal;)*) => {$(
        #[cfg_attr(feature = "interpose", unsafe(no_mangle))]
        pub unsafe extern "C" fn $name(a: usize, b: usize, c: usize, d: usize) -> isize {
            note($what);
            // SAFETY: passed on to the caller.
            unsafe { real!($name: unsafe extern "C" fn(usize, usize, usize, usize) -> isize)(a, b, c, d) }
        }
    )*};
}

passed_on! {
    pthread_mutex_lock: "locks of the C library";
    pthread_mutex_trylock: "locks of the C library";
    pthread_rwlock_rdlock: "locks of the C library";
    pthread_rwlock_wrlock: "locks of the C library";
    pthread_spin_lock: "locks of the C library";
    pthread_cond_wait: "condition variables of the C library";
    pthread_cond_timedwait: "condition variables of the C library";
    pthread_barrier_wait: "barriers of the C library";
    sem_wait: "semaphores of the C library";
    sem_post: "semaphores of the C library";
    mkdir: "files that it makes or changes";
    rmdir: "files that it makes or changes";
    unlink: "files that it makes or changes";
    unlinkat: "files that it makes or changes";
    rename: "files that it makes or changes";
    symlink: "files that it makes or changes";
    linkat: "files that it makes or changes";
    chdir: "files that it makes or changes";
    posix_spawn: "processes that it starts";
    posix_spawnp: "processes that it starts";
    fork: "processes that it starts";
}

/// Bits of how a file is opened by which it may change.
const CHANGES: c_int = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn open64(path: *const c_char, how: c_int, mode: usize) -> c_int {
    if how & CHANGES != 0 {
        note("files that it makes or changes");
    }
    type Open = unsafe extern "C" fn(*const c_char, c_int, usize) -> c_int;
    // SAFETY: passed on to the caller.
    unsafe { real!(open64: Open)(path, how, mode) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn mmap64(
    at: *mut c_void,
    length: usize,
    access: c_int,
    how: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    if how & libc::MAP_SHARED != 0 {
        note("memory that is shared with other processes");
    }
    type Map = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, i64) -> *mut c_void;
    // SAFETY: passed on to the caller.
    unsafe { real!(mmap64: Map)(at, length, access, how, file, offset) }
}
