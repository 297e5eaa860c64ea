//! Signals: handlers of the host run on the host's side; those of the program are kept and not called.
//!
//! What ends a process (an access to memory that is not there, say) ends the execution, where it strikes the
//! program's code.

use crate::engine::border::{as_host, enter_handler, in_program, leave_handler};
use crate::engine::real::{real, system_call};
use crate::engine::{barriers, process, stacks};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};

type Action = libc::sigaction;

const COUNT: usize = 65;

struct Actions(UnsafeCell<[Option<Action>; COUNT]>);

// SAFETY: written before the program runs, or by the one thread that drives it.
unsafe impl Sync for Actions {}

/// What the host asked for.
static HOST: Actions = Actions(UnsafeCell::new([const { None }; COUNT]));

/// What ends a process that goes wrong.
const FATAL: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn sigaction(signal: c_int, action: *const Action, before: *mut Action) -> c_int {
    if in_program() {
        // SAFETY: the caller gives room, or null. As if somebody had a handler: the standard library then
        // installs none, and makes no stacks for it.
        unsafe {
            if !before.is_null() {
                let mut other = std::mem::zeroed::<Action>();
                other.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
                before.write(other);
            }
        }
        return 0;
    }
    let real = real!(sigaction: unsafe extern "C" fn(c_int, *const Action, *mut Action) -> c_int);
    // SAFETY: passed on to the caller; the handler has the signature that its flag says.
    unsafe {
        if action.is_null() || !(0..COUNT as c_int).contains(&signal) {
            return real(signal, action, before);
        }
        let asked = *action;
        if asked.sa_sigaction == libc::SIG_DFL || asked.sa_sigaction == libc::SIG_IGN {
            return real(signal, action, before);
        }
        let known = &mut (&mut *HOST.0.get())[signal as usize];
        let earlier = known.replace(asked);
        let mut installed = asked;
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
        installed.sa_sigaction = handler as usize;
        installed.sa_flags |= libc::SA_SIGINFO;
        let result = real(signal, &raw const installed, before);
        if let (Some(earlier), false) = (earlier, before.is_null()) {
            before.write(earlier);
        }
        result
    }
}

extern "C" fn nothing(_: c_int) {}

/// From now on breakpoints in the program's code come to the handler.
pub(crate) fn handle_breakpoints() {
    // SAFETY: the handler has the signature that its flag says; all other fields may be zero.
    unsafe {
        let mut action = std::mem::zeroed::<Action>();
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let real = real!(sigaction: unsafe extern "C" fn(c_int, *const Action, *mut Action) -> c_int);
        real(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
    }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    if in_program() {
        return libc::SIG_DFL;
    }
    // SAFETY: passed on to the caller; no handler is set by the host in this way, only a default.
    unsafe { real!(signal: unsafe extern "C" fn(c_int, usize) -> usize)(signal, handler) }
}

#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
pub unsafe extern "C" fn sigaltstack(stack: *const libc::stack_t, before: *mut libc::stack_t) -> c_int {
    if in_program() {
        if !before.is_null() {
            // SAFETY: the caller gives room. There seems to be none.
            unsafe {
                let mut none = std::mem::zeroed::<libc::stack_t>();
                none.ss_flags = libc::SS_DISABLE;
                before.write(none);
            }
        }
        return 0;
    }
    let arguments = [stack as usize, before as usize, 0, 0, 0, 0];
    // SAFETY: passed on to the caller.
    crate::engine::real::checked(unsafe { system_call(libc::SYS_sigaltstack as usize, arguments) }) as c_int
}

/// The handler of every signal that the host handles.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let by_program = in_program();
    let on_program_stack = stacks::owns(std::ptr::from_ref(&by_program) as usize);
    if on_program_stack && !by_program && !FATAL.contains(&signal) {
        // The host is at work for the program, and is not to be left there. Whoever asks does so again.
        return;
    }
    let before = enter_handler();
    // SAFETY: the kernel passes the context.
    if by_program && signal == libc::SIGTRAP && unsafe { barriers::pass(context) } {
        return leave_handler(before);
    }
    if by_program && FATAL.contains(&signal) {
        // SAFETY: the kernel passes both.
        unsafe { redirect(signal, info, context) };
    } else {
        // SAFETY: it was set before the signal could come; called as its flags say.
        unsafe {
            if let Some(action) = (&*HOST.0.get())[signal as usize] {
                if action.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                        std::mem::transmute(action.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
                    handler(signal);
                }
            }
        }
    }
    leave_handler(before);
}

/// Makes the program's code that a signal has struck go on in [`land`], outside of the handler.
///
/// # Safety
/// What the kernel gave to the handler.
unsafe fn redirect(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: passed on to the caller.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let stack = registers[libc::REG_RSP as usize] as usize;
        let overflown = stacks::is_guard((*info).si_addr() as usize);
        // Below whatever the code that was struck keeps; from the top, if there is no room below.
        let top = if overflown { crate::engine::threads::own_stack().1 } else { stack - 1024 };
        registers[libc::REG_RSP as usize] = (top & !15) as i64 - 8;
        registers[libc::REG_RDI as usize] = i64::from(if overflown { OVERFLOW } else { signal });
        registers[libc::REG_RIP as usize] = land as extern "C" fn(c_int) as usize as i64;
    }
}

/// Stands for a stack that is used up.
const OVERFLOW: c_int = 1000;

extern "C" fn land(signal: c_int) {
    if signal == OVERFLOW {
        as_host(|()| process::overflown(), ());
    }
    process::struck(signal);
}
