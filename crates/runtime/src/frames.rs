//! The calls that the running thread is in, as return addresses.

#[repr(C)]
struct Context {
    private: [u8; 0],
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        trace: extern "C" fn(*mut Context, *mut libc::c_void) -> libc::c_int,
        argument: *mut libc::c_void,
    ) -> libc::c_int;
    fn _Unwind_GetIP(context: *mut Context) -> usize;
    fn _Unwind_FindEnclosingFunction(address: *mut libc::c_void) -> *mut libc::c_void;
}

/// Calls `visit` with the address in each call, innermost first, until it returns false. Allocates
/// nothing.
pub(crate) fn walk<F: FnMut(usize) -> bool>(mut visit: F) {
    extern "C" fn trace<F: FnMut(usize) -> bool>(
        context: *mut Context,
        visit: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the unwinder passes its own context and the pointer to the local below.
        let goes_on = unsafe { (*visit.cast::<F>())(_Unwind_GetIP(context)) };
        // 5 (_URC_END_OF_STACK) ends the walk.
        if goes_on { 0 } else { 5 }
    }
    // SAFETY: the unwinder that Rust itself uses; the callback has the signature asked for, and the
    // pointer is to a local that outlives the call.
    unsafe { _Unwind_Backtrace(trace::<F>, (&raw mut visit).cast()) };
}

/// The function that an address lies in.
pub(crate) fn function(address: usize) -> usize {
    // SAFETY: looks an address up in what is loaded; it need not be one of code.
    unsafe { _Unwind_FindEnclosingFunction(address as *mut libc::c_void) as usize }
}
