//! Every schedule, one after another.

use racefuzz_runtime::{Alternatives, Explorer, ThreadChoice};
use racefuzz_trace::ThreadId;

/// Enumerates every sequence of choices, depth first.
#[derive(Default)]
pub struct Enumerate {
    prefix: Vec<(u32, u32)>,
    at: usize,
}

impl Enumerate {
    fn next(&mut self, count: u32) -> u32 {
        if self.at == self.prefix.len() {
            self.prefix.push((0, count));
        }
        self.at += 1;
        self.prefix[self.at - 1].0
    }

    /// Moves on to the next sequence; false when all were tried.
    pub fn advance(&mut self) -> bool {
        while let Some((index, count)) = self.prefix.pop() {
            if index + 1 < count {
                self.prefix.push((index + 1, count));
                return true;
            }
        }
        false
    }
}

impl Explorer for Enumerate {
    fn begin(&mut self) {
        self.at = 0;
    }

    fn choose_thread(&mut self, choice: &ThreadChoice<'_>) -> ThreadId {
        // The default first, so that the first execution is the one without preemptions.
        let default = choice.default_thread();
        match self.next(choice.options.len() as u32) as usize {
            0 => default,
            index => *choice.options.iter().filter(|thread| **thread != default).nth(index - 1).unwrap(),
        }
    }

    fn choose(&mut self, alternatives: Alternatives) -> u32 {
        self.next(alternatives.count)
    }
}
