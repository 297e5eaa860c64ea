//! The functions of the system's library that exports of this crate stand before.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of the system's library, looked up at its first use.
pub(crate) struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Real {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Its address. Ends the process if there is none: the system is another one than this was written for.
    pub(crate) fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        // SAFETY: looks a name up behind this library in the order of the search.
        let mut found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // SAFETY: looks a name up in all that is loaded.
            found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr()) };
        }
        if found.is_null() {
            let name = self.name.to_str().unwrap_or("?");
            die(&format!("the system's library has no function `{name}`: it is not a supported glibc"));
        }
        self.address.store(found, Ordering::Release);
        found
    }
}

/// Declares the type of a function of the system's and gives it.
macro_rules! real {
    ($name:ident: $type:ty) => {{
        static REAL: $crate::engine::real::Real = $crate::engine::real::Real::new(
            match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name with a zero"),
            },
        );
        // SAFETY: the system's function of this name has this type.
        #[allow(unused_unsafe, reason = "it stands inside another one, too")]
        unsafe {
            std::mem::transmute::<*mut std::ffi::c_void, $type>(REAL.address())
        }
    }};
}
pub(crate) use real;

/// A system call, past every library.
///
/// # Safety
/// As the call itself.
#[inline(always)]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: passed on to the caller; the kernel changes the registers named.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0],
            in("rsi") arguments[1], in("rdx") arguments[2], in("r10") arguments[3],
            in("r8") arguments[4], in("r9") arguments[5], out("rcx") _, out("r11") _, options(nostack));
    }
    result
}

/// Makes the error of a system call the running side's `errno`, as the library does.
pub(crate) fn checked(result: isize) -> isize {
    if (-4095..0).contains(&result) {
        set_errno(-result as i32);
        return -1;
    }
    result
}

/// Sets `errno` of the running side.
pub(crate) fn set_errno(error: i32) {
    // SAFETY: the address of the running thread's own.
    unsafe { *libc::__errno_location() = error };
}

/// Ends the process with a line on standard error: nothing can be done with this program.
pub(crate) fn die(text: &str) -> ! {
    let line = format!("racefuzz: {text}\n");
    // SAFETY: writes initialised bytes; ends the process.
    unsafe {
        system_call(libc::SYS_write as usize, [2, line.as_ptr() as usize, line.len(), 0, 0, 0]);
        loop {
            system_call(libc::SYS_exit_group as usize, [EXIT_UNABLE, 0, 0, 0, 0, 0]);
        }
    }
}

/// The exit code of a process that could not run its program.
pub(crate) const EXIT_UNABLE: usize = 2;
