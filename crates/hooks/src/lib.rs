//! Floor 5: runs unmodified programs, which the compiler has instrumented, on the same runtime as programs
//! over racefuzz's own types.
//!
//! The crate is linked, as a shared library, into test binaries that were compiled with the hooks of the
//! thread sanitizer. There it takes the place of the sanitizer's runtime and of the part of the system's
//! library by which threads are made, wait, and meet the outside: a *front end*, which states what the program
//! does as operations of `racefuzz-runtime`. Sampling, minimising, replaying and reporting are those of
//! `racefuzz-fuzz` and `racefuzz-report`.
//!
//! # Two sides of one process
//! The *host* is this crate with all below it; the *program* is everything else in the binary. Both are Rust
//! with a standard library of its own each, and share one C library. They are kept apart by the base of
//! thread-local storage (the FS register): a thread of the program has a block of its own in a fixed region of
//! addresses, and each function here that the program calls switches to the host's block and back
//! (`border`). So the host's thread-locals, its panics, its threads are what they always are, and a
//! function that both sides call (`malloc`, `pthread_create`) knows by one comparison who asks.
//!
//! # The walk of a load
//! 1. `FLAG.load(Acquire)` in the program was compiled to a call of `__tsan_atomic8_load(address, 2)`. Its
//!    export (`interpose`) makes a frame, so that the caller's return address is known, and calls on.
//! 2. The border is crossed: from here on the host runs, on the program's stack.
//! 3. `sites` finds the place: the return address, or that of the first caller that is not the standard
//!    library. `words` finds the object of that address, or makes it.
//! 4. `ops::load` of the runtime states the load; the explorer may let other threads run, which resumes their
//!    coroutines, each inside a function of the host like this one.
//! 5. When it is this thread's turn the runtime asks the object whether the memory holds what it knows; if
//!    not, code that is not instrumented has written there, and the thread learns from all others.
//! 6. The word goes back over the border. A store is written to the real memory, which holds the newest value
//!    for code that is not instrumented.
//!
//! # One execution
//! `driver` hands `racefuzz-fuzz` a closure that puts the process back (`segments`: the writable memory of
//! the executable; `heap`: nothing allocated; `blocks`: thread-local storage; descriptors) and calls the
//! program's `main` on the runtime's root thread. Where the program leaves the process the execution ends, and
//! its threads are left where they stand.
//!
//! # Every execution
//! With a request that asks for a check, `driver` hands the closure to `racefuzz-check`, which explores every execution
//! instead of sampling some. Operations are stated otherwise then (`exhaustive`): nothing may act on the program's
//! threads that is no operation, and where something may have, there is no proof.
//!
//! # Repairs
//! With one that asks for repairs, and where some execution fails, `racefuzz-fix` tries changes in the same process
//! (`repair`): an overlay is applied to the operations as to those of racefuzz's own types. Accesses to memory are none,
//! so `shadow` tells the overlay of them, and those that have raced are steps then.
//!
//! # What is not instrumented
//! The standard library comes compiled; its generic and inlined parts are compiled into the program and are
//! instrumented, the rest is not. Happens-before is over-approximated there: a thread learns from all others
//! when it comes back from a futex or wakes somebody, when it meets an atomic that code that is not seen has
//! written, and when it meets an atomic for the first time. A data race is reported only where none of this
//! could have ordered the accesses. Functions of it that begin by a look at memory which others write have a
//! step put before their beginning (`entries`).

#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod engine;
mod request;

pub use request::{Answer, Changeable, Check, Request};

#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[doc(hidden)]
pub use engine::interpose;
