//! An explorer for tests that samples schedules; tests of other packages include it.

use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice};
use racefuzz_trace::ThreadId;

/// Takes choices at random: a xorshift generator with this state, which is not 0.
pub struct Random(pub u64);

impl Random {
    fn below(&mut self, count: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(count)) as u32
    }
}

impl Explorer for Random {
    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        choice.options[self.below(choice.options.len() as u32) as usize]
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.below(alternatives.count)
    }
}
