//! Barriers, whose word is that of racefuzz's own.

use super::super::interpose::Frame;
use super::super::kinds::as_kind;
use super::super::sites::site_and_part;
use super::{give_up, place, state_word};
use racefuzz_runtime::ops::{self, barrier};
use racefuzz_trace::ObjectKind;

/// What a barrier consists of, in words: a mutex, a count and a generation under it, a condition variable, and for
/// how many threads it is.
const WORDS: usize = 5;

/// For how many threads the barrier at an address is: all else that it consists of is zero, but for what lies between,
/// since nothing of the standard library's ever works on it. A number lies behind each word's beginning, and none is
/// that large.
fn threads(address: usize) -> Option<u64> {
    // SAFETY: the program gives the address of a barrier, which is so large.
    let words = unsafe { std::slice::from_raw_parts(address as *const u64, WORDS) };
    let mut numbers = words.iter().map(|word| *word & u64::from(u32::MAX)).filter(|number| *number != 0);
    let threads = numbers.next().unwrap_or(1);
    numbers.next().is_none().then_some(threads)
}

/// Waits until so many threads have arrived; whether the running one is the leader.
pub(super) fn wait(address: usize, frame: *const Frame) -> bool {
    let (site, part) = site_and_part(frame);
    let Some(threads) = threads(address) else {
        give_up(format!("the barrier used at {} is not as it is expected to be", place(site)));
        return true;
    };
    let word = state_word(address, 8, site, part);
    let arrived = as_kind!(word, ObjectKind::Barrier, |object| ops::update(
        object,
        barrier::ARRIVE,
        site,
        |word, _| barrier::arrive(word, threads)
    ));
    super::done(word);
    let Ok(Ok(Err(generation))) = arrived else { return true };
    let pass = barrier::pass(generation);
    let _ = as_kind!(word, ObjectKind::Barrier, |object| ops::update(object, pass, site, |_, _| ()));
    super::done(word);
    false
}
