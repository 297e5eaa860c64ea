//! The two binaries as people use them: what is typed, what is printed, what the exit code is.

mod arguments;
mod cargo;
mod check;
mod engines;
mod fix;
mod interrupts;
mod looks;
mod readme;
mod replay;
mod support;
mod traces;
