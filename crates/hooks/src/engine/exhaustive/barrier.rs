//! Barriers: a word with a generation in its upper half, counting down, and those who have arrived in its lower
//! half, as racefuzz's own.

use super::super::interpose::Frame;
use super::super::kinds::as_kind;
use super::super::sites::site_and_part;
use super::{give_up, place, state_word};
use racefuzz_runtime::Test;
use racefuzz_runtime::ops::{self, Update};
use racefuzz_trace::{MemoryOrder, ObjectKind, OpKind, Verb};

const GENERATION: u64 = 1 << 32;
/// The word of a barrier that nobody has come to.
pub(super) const INITIAL: u64 = !(GENERATION - 1);
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
    let arrived = as_kind!(word, ObjectKind::Barrier, |barrier| ops::update(
        barrier,
        Update::new(Verb::Arrive),
        site,
        |word, _| {
            *word += 1;
            if (*word & (GENERATION - 1)) < threads {
                return Some(*word & !(GENERATION - 1));
            }
            *word = (*word & !(GENERATION - 1)).wrapping_sub(GENERATION);
            None
        }
    ));
    super::done(word);
    let Ok(Ok(Some(generation))) = arrived else { return true };
    let pass = Update {
        kind: OpKind::Load,
        order: MemoryOrder::Acquire,
        ..Update::when(Verb::Pass, Test::Below(generation))
    };
    let _ = as_kind!(word, ObjectKind::Barrier, |barrier| ops::update(barrier, pass, site, |_, _| ()));
    super::done(word);
    false
}
