//! The word of a barrier: a generation in its upper half, counting down, and those who have arrived in its lower
//! half.

use super::Update;
use crate::object::Test;
use racefuzz_trace::{MemoryOrder, OpKind, Verb};

const GENERATION: u64 = 1 << 32;

/// The word of a barrier that nobody has come to.
pub const INITIAL: u64 = !(GENERATION - 1);

/// How a thread arrives.
pub const ARRIVE: Update = Update::new(Verb::Arrive);

/// Another thread has arrived at a barrier for so many threads: as the last one, or else in this generation.
pub fn arrive(word: &mut u64, threads: u64) -> Result<(), u64> {
    *word += 1;
    let generation = *word & !(GENERATION - 1);
    if *word - generation < threads {
        return Err(generation);
    }
    *word = generation.wrapping_sub(GENERATION);
    Ok(())
}

/// How a thread that has arrived in a generation waits for the last one.
pub const fn pass(generation: u64) -> Update {
    Update {
        kind: OpKind::Load,
        order: MemoryOrder::Acquire,
        ..Update::when(Verb::Pass, Test::Below(generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_arrive_begins_a_generation() {
        let mut word = INITIAL;
        for _ in 0..3 {
            let before = word;
            let Err(generation) = arrive(&mut word, 3) else { panic!("the first is the last") };
            assert_eq!((generation, arrive(&mut word, 3)), (before, Err(before)));
            let Update { test, .. } = pass(generation);
            assert!(!test.holds(word));
            assert_eq!(arrive(&mut word, 3), Ok(()));
            assert!(test.holds(word));
            // Also when others have come again.
            assert_eq!(arrive(&mut word, 3), Err(before - GENERATION));
            assert!(test.holds(word));
            word = before - GENERATION;
        }
    }

    #[test]
    fn at_a_barrier_for_none_or_one_nobody_waits() {
        for threads in [0, 1] {
            let mut word = INITIAL;
            assert_eq!((arrive(&mut word, threads), arrive(&mut word, threads)), (Ok(()), Ok(())));
        }
    }
}
