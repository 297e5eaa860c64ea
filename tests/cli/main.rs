//! The two binaries as people use them: what is typed, what is printed, what the exit code is.

mod arguments;
mod cargo;
mod check;
mod documents;
mod engines;
mod fix;
mod formats;
mod interrupts;
mod looks;
mod newcomer;
mod replay;
mod standard;
mod support;
mod traces;
mod unmodified;
mod unmodified_builds;
mod unmodified_check;
mod unmodified_fix;
