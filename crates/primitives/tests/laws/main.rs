//! What each primitive promises, in every schedule of small programs.

mod arc;
mod atomic;
mod cell;
mod common;
mod condvar;
mod enumerate;
mod exchange;
mod future;
mod light;
mod local;
mod mpsc;
mod mutex;
mod once;
mod random;
mod release;
mod rwlock;
mod thread;
mod time;
mod words;
