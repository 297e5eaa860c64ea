//! Whether a program that does not end goes round in circles: its last operations are the same few, with the same
//! values, again and again.

use std::collections::HashSet;

/// Operations that are looked at, the last ones of an execution that may take no more.
const LAST: u64 = 10_000;
/// As many different ones are no circle.
const MOST: usize = 100;

/// The last operations of the running execution, once it is near its limit.
#[derive(Debug)]
pub(crate) struct Rounds {
    from: u64,
    /// The thread, what it used, and what that held behind.
    seen: Vec<(u32, usize, u64)>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { from: u64::MAX, seen: Vec::new() }
    }
}

impl Rounds {
    /// Executions may take so many steps.
    pub(crate) fn limit(&mut self, steps: u64) {
        self.from = if steps > 2 * LAST { steps - LAST } else { u64::MAX };
    }

    pub(crate) fn begin(&mut self) {
        self.seen.clear();
    }

    /// Whether an operation behind so many steps is to be noted.
    #[inline]
    pub(crate) fn is_near(&self, step: u64) -> bool {
        step >= self.from
    }

    pub(crate) fn note(&mut self, thread: u32, address: usize, word: u64) {
        self.seen.push((thread, address, word));
    }

    /// What it does, if it goes round in circles.
    pub(crate) fn told(&self) -> Option<String> {
        let count = self.seen.len();
        let mut different = HashSet::new();
        if count < 10 * MOST || self.seen.iter().any(|seen| different.insert(seen) && different.len() > MOST)
        {
            return None;
        }
        let threads: HashSet<u32> = self.seen.iter().map(|(thread, ..)| *thread).collect();
        let why = match threads.len() {
            1 => "a wait for what nobody does, or work on what is no atomic",
            _ => "a livelock, in which threads undo what others do, or work on what is no atomic",
        };
        Some(format!("the last {count} operations are the same {} over and over: {why}", different.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(operations: impl Iterator<Item = (u32, usize, u64)>) -> Option<String> {
        let mut rounds = Rounds::default();
        operations.for_each(|(thread, address, word)| rounds.note(thread, address, word));
        rounds.told()
    }

    #[test]
    fn circles_are_told_from_work() {
        let spins = told((0..2_000).map(|_| (1, 8, 0))).unwrap();
        assert!(spins.contains("the same 1 ") && spins.contains("nobody"), "{spins}");
        let undone = told((0..2_000).map(|n| (n / 2 % 2, 8, u64::from(n % 2)))).unwrap();
        assert!(undone.contains("the same 4 ") && undone.contains("livelock"), "{undone}");
        assert_eq!(told((0..2_000).map(|n| (1, 8, n))), None);
        assert_eq!(told((0..10).map(|_| (1, 8, 0))), None);
    }
}
