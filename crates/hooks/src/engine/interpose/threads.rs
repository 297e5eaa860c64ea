//! POSIX threads.

use super::{Frame, export};
use crate::engine::border::{as_host, in_program};
use crate::engine::real::real;
use crate::engine::shadow;
use crate::engine::threads::{self, Body, Create};
use std::ffi::{CStr, c_char, c_int, c_void};

type Attributes = libc::pthread_attr_t;

extern "C" fn create(
    into: *mut usize,
    attributes: *const Attributes,
    body: Body,
    argument: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    if !in_program() {
        type Real = unsafe extern "C" fn(*mut usize, *const Attributes, Body, usize) -> c_int;
        // SAFETY: passed on to the caller.
        return unsafe { real!(pthread_create: Real)(into, attributes, body, argument) };
    }
    let stack = stack_asked_for(attributes);
    as_host(
        |create| {
            let result = threads::create(create);
            shadow::publish();
            result
        },
        Create { into, body, argument, stack, frame },
    )
}

/// Bytes of stack that attributes ask for.
fn stack_asked_for(attributes: *const Attributes) -> usize {
    let mut bytes = 0;
    if !attributes.is_null() {
        // SAFETY: the caller gives attributes; the other pointer is to a live local.
        unsafe { libc::pthread_attr_getstacksize(attributes, &raw mut bytes) };
    }
    bytes
}

extern "C" fn join(
    thread: usize,
    into: *mut usize,
    _: usize,
    _: usize,
    _: usize,
    frame: *const Frame,
) -> c_int {
    if !in_program() {
        // SAFETY: passed on to the caller.
        return unsafe {
            real!(pthread_join: unsafe extern "C" fn(usize, *mut usize) -> c_int)(thread, into)
        };
    }
    let joined = as_host(
        |argument| {
            let joined = threads::join(argument);
            shadow::publish();
            joined
        },
        (thread, frame),
    );
    match joined {
        Ok(result) => {
            if !into.is_null() {
                // SAFETY: the caller gives a place for the result.
                unsafe { into.write(result) };
            }
            0
        }
        Err(error) => error,
    }
}

export! {
    pthread_create => create;
    pthread_join => join;
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_detach(thread: usize) -> c_int {
    if in_program() {
        as_host(threads::detach, thread);
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(pthread_detach: unsafe extern "C" fn(usize) -> c_int)(thread) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_setname_np(thread: usize, name: *const c_char) -> c_int {
    if in_program() {
        as_host(
            |(thread, name): (usize, *const c_char)| {
                // SAFETY: the caller gives a string.
                let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
                threads::name((thread, name));
            },
            (thread, name),
        );
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(pthread_setname_np: unsafe extern "C" fn(usize, *const c_char) -> c_int)(thread, name) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_getattr_np(thread: usize, attributes: *mut Attributes) -> c_int {
    if in_program() {
        let (low, high) = threads::stack_of(thread);
        // SAFETY: the caller gives room for the attributes.
        return unsafe {
            libc::pthread_attr_init(attributes);
            libc::pthread_attr_setstack(attributes, low as *mut c_void, high - low)
        };
    }
    // SAFETY: passed on to the caller.
    unsafe {
        real!(pthread_getattr_np: unsafe extern "C" fn(usize, *mut Attributes) -> c_int)(thread, attributes)
    }
}

type KeyDestructor = Option<unsafe extern "C" fn(*mut c_void)>;

/// Keys of the program begin here, those of the system are below.
const KEYS: u32 = 1 << 20;

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_key_create(into: *mut u32, destructor: KeyDestructor) -> c_int {
    if in_program() {
        let key = as_host(threads::create_key, destructor);
        // SAFETY: the caller gives a place for the key.
        unsafe { into.write(KEYS + key) };
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        real!(pthread_key_create: unsafe extern "C" fn(*mut u32, KeyDestructor) -> c_int)(into, destructor)
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_key_delete(key: u32) -> c_int {
    if in_program() && key >= KEYS {
        as_host(threads::delete_key, key - KEYS);
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(pthread_key_delete: unsafe extern "C" fn(u32) -> c_int)(key) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_getspecific(key: u32) -> *mut c_void {
    if in_program() && key >= KEYS {
        return as_host(threads::value, key - KEYS) as *mut c_void;
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(pthread_getspecific: unsafe extern "C" fn(u32) -> *mut c_void)(key) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_setspecific(key: u32, value: *const c_void) -> c_int {
    if in_program() && key >= KEYS {
        as_host(threads::set_value, (key - KEYS, value as usize));
        return 0;
    }
    // SAFETY: passed on to the caller.
    unsafe { real!(pthread_setspecific: unsafe extern "C" fn(u32, *const c_void) -> c_int)(key, value) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: unsafe extern "C" fn(*mut c_void),
    value: *mut c_void,
    library: *mut c_void,
) -> c_int {
    if in_program() {
        as_host(threads::at_thread_exit, (destructor, value as usize));
        return 0;
    }
    type Real = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    // SAFETY: passed on to the caller.
    unsafe { real!(__cxa_thread_atexit_impl: Real)(destructor, value, library) }
}
