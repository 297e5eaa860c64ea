//! Stacks of their own that code runs on, and the switches between them.
//!
//! A fiber runs the loop it was made with, which has no end. The operating-system thread [enters](Fiber::enter) a
//! fiber and is back when one [leaves](Fiber::leave). In between, fibers may [pass](Fiber::pass) control on to
//! each other. Where the processor is one that [`direct`] knows, that is one switch, and the thread that entered
//! sleeps on; elsewhere it is a [leave](Fiber::leave), and it is up to the thread to enter the other fiber:
//! [`Fiber::DIRECT`] tells which. Under `--cfg racefuzz_portable` the processor is taken for one that is not known.

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", unix, not(any(miri, racefuzz_portable))))]
mod direct;
#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    unix,
    not(any(miri, racefuzz_portable))
))]
pub(crate) use direct::{Fiber, Home};

#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    unix,
    not(any(miri, racefuzz_portable))
)))]
mod portable;
#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    unix,
    not(any(miri, racefuzz_portable))
)))]
pub(crate) use portable::{Fiber, Home};
