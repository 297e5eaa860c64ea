//! The program as a whole: its `main`, called for each execution, and its end.

use super::border::{as_host, in_program};
use super::interpose::Frame;
use super::output::Panic;
use super::real::die;
use super::threads::{self, Destructor};
use super::{exhaustive, heap, shadow, sites, state};
use racefuzz_runtime::ops::process::{self, End};
use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};

/// The program's `main` as C has it.
pub(crate) type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;

/// What `main` is called with.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) main: Main,
    pub(crate) count: c_int,
    pub(crate) arguments: *mut *mut c_char,
    pub(crate) environment: *mut *mut c_char,
}

struct Global<T>(UnsafeCell<T>);

// SAFETY: the program is set once, before it runs; what it registered belongs to its threads, of which one runs
// at a time.
unsafe impl<T> Sync for Global<T> {}

static PROGRAM: Global<Option<Program>> = Global(UnsafeCell::new(None));

/// Sets the program.
pub(crate) fn set(program: Program) {
    // SAFETY: see `Global`.
    unsafe { *PROGRAM.0.get() = Some(program) };
}

/// Runs the program once, as the root thread of an execution, from the state in which it was first found. Does
/// not return: leaving the process ends the execution.
pub(crate) fn execute() {
    state::with(|state| {
        state.begin();
        if let Some(segments) = &state.segments {
            segments.put_back();
        }
    });
    heap::reset();
    exhaustive::unseen::begin();
    shadow::begin();
    AT_EXIT.clear();
    threads::run(root, 0);
    process::end(End::Passed);
}

unsafe extern "C" fn root(_: *mut c_void) -> *mut c_void {
    // SAFETY: see `Global`; `main` is called as the C library would.
    let code = unsafe {
        let Program { main, count, arguments, environment } =
            (*PROGRAM.0.get()).unwrap_or_else(|| std::process::abort());
        main(count, arguments, environment)
    };
    exit(code);
    std::ptr::null_mut()
}

/// What runs when the program leaves: registered by `__cxa_atexit`.
pub(crate) struct AtExit {
    functions: UnsafeCell<[Option<Destructor>; Self::MOST]>,
    count: UnsafeCell<usize>,
}

// SAFETY: used by the threads of the program, of which one runs at a time, and between executions.
unsafe impl Sync for AtExit {}

/// The functions of the running execution.
pub(crate) static AT_EXIT: AtExit =
    AtExit { functions: UnsafeCell::new([None; AtExit::MOST]), count: UnsafeCell::new(0) };

impl AtExit {
    const MOST: usize = 256;

    /// Registers one; whether there is room.
    pub(crate) fn push(&self, function: Destructor) -> bool {
        // SAFETY: see above.
        unsafe {
            let count = &mut *self.count.get();
            let Some(place) = (&mut *self.functions.get()).get_mut(*count) else { return false };
            *place = Some(function);
            *count += 1;
        }
        true
    }

    fn pop(&self) -> Option<Destructor> {
        // SAFETY: see above.
        unsafe {
            let count = &mut *self.count.get();
            *count = count.checked_sub(1)?;
            (&mut *self.functions.get())[*count].take()
        }
    }

    fn clear(&self) {
        while self.pop().is_some() {}
    }
}

/// `exit`, on the program's side.
pub(crate) fn exit(code: c_int) {
    debug_assert!(in_program());
    threads::run_destructors();
    while let Some((function, argument)) = AT_EXIT.pop() {
        // SAFETY: the program registered them as a pair, to be called once.
        unsafe { function(argument as *mut c_void) };
    }
    leave(code);
}

/// `_exit`, on the program's side: nothing of the program runs any more.
pub(crate) fn leave(code: c_int) {
    as_host(
        |code| {
            /// What the standard library exits with where `main` panics, and the harness where a test does.
            const PANICKED: c_int = 101;
            let (said, harness, panicked) = state::with(|state| {
                let output = &state.output;
                (output.error(), state.threads.harness, output.last_panic().is_some())
            });
            process::end(match (code, said) {
                (0, _) => End::Passed,
                (_, Some(error)) if harness => End::Failed(format!("the test returned Err: {error}")),
                (code, _) if harness || code == PANICKED && panicked => {
                    End::Failed(format!("the program exits with code {code}"))
                }
                (code, said) => End::Exited(code, said.map(|error| format!("`main` returned Err: {error}"))),
            });
        },
        code,
    );
}

/// `abort`, on the program's side.
pub(crate) fn abort() {
    as_host(
        |()| {
            /// What the standard library says of a panic that nothing may unwind.
            const FATAL: [&str; 2] = ["panic in a destructor", "panic in a function that cannot unwind"];
            process::end(match state::with(|state| state.output.last_panic()) {
                Some(panic) if FATAL.iter().any(|fatal| panic.message.starts_with(fatal)) => {
                    End::Aborted(panic.message.lines().next().unwrap_or_default().to_owned())
                }
                Some(_) => End::Failed("the program aborts".to_owned()),
                None => End::Signal("SIGABRT"),
            });
        },
        (),
    );
}

/// A signal has struck the program's code, which goes no further.
pub(crate) fn struck(signal: c_int) {
    as_host(
        |signal| {
            process::end(End::Signal(match signal {
                libc::SIGSEGV => "SIGSEGV",
                libc::SIGBUS => "SIGBUS",
                libc::SIGILL => "SIGILL",
                libc::SIGFPE => "SIGFPE",
                libc::SIGTRAP => "SIGTRAP",
                _ => "a signal",
            }));
        },
        signal,
    );
}

/// The running thread raises a panic, which the standard library has announced.
pub(crate) fn panics(frame: *const Frame) {
    let (message, site) = match state::with(|state| state.output.last_panic()) {
        Some(Panic { message, file, line, column }) => (message, sites::site_at(&file, line, column)),
        None => ("a panic that nothing announced".to_owned(), sites::site(frame)),
    };
    let _ = process::note_panic(message, Some(site));
}

/// The running thread has used up its stack.
pub(crate) fn overflown() {
    if threads::asked_for_more_stack() {
        die("a thread needs a stack of more than 4 MiB, which is all that there is here");
    }
    let text = "stack overflow: the stack of a thread of the program has 4 MiB".to_owned();
    process::end(End::Broken(racefuzz_trace::FailureKind::Panic, text, None));
}
