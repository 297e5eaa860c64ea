//! Where a thread was at which place: for each of its events the one before it at the same place.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// As many events are looked through one by one.
const FEW: usize = 48;

/// There is none before it.
const NONE: u32 = u32::MAX;

/// For each of some numbers the place of the last one before it that is equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Occurrences {
    before: Vec<u32>,
    /// Of each number the last place.
    last: HashMap<u64, u32, BuildHasherDefault<Mixed>>,
}

/// A number that is mixed already.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Occurrences {
    pub(super) fn clear(&mut self) {
        self.before.clear();
        self.last.clear();
    }

    /// Brings it up to date with these numbers, which have only become more.
    pub(super) fn follow(&mut self, numbers: &[u64]) {
        if numbers.len() <= FEW {
            return;
        }
        for (number, at) in numbers.iter().zip(0..).skip(self.before.len()) {
            self.before.push(self.last.insert(*number, at).unwrap_or(NONE));
        }
    }

    /// All but the first of these numbers, so many, are about to go.
    pub(super) fn truncate(&mut self, numbers: &[u64], len: usize) {
        while self.before.len() > len {
            let before = self.before.pop().unwrap_or(NONE);
            let number = numbers[self.before.len()];
            match before {
                NONE => self.last.remove(&number),
                at => self.last.insert(number, at),
            };
        }
    }

    /// The places of a number among these, the last first, down to a place.
    pub(super) fn of<'a>(
        &'a self,
        number: u64,
        numbers: &'a [u64],
        down_to: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let is_followed = self.before.len() == numbers.len();
        let mut next = match is_followed {
            true => self.last.get(&number).copied().unwrap_or(NONE),
            false => numbers.len() as u32,
        };
        std::iter::from_fn(move || {
            let at = match is_followed {
                true => Some(next as usize).filter(|at| *at != NONE as usize && *at >= down_to)?,
                false => (down_to..next as usize).rev().find(|at| numbers[*at] == number)?,
            };
            next = if is_followed { self.before[at] } else { at as u32 };
            Some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_a_number_are_those_that_a_search_finds() {
        let (mut random, mut numbers, mut known) = (1u64, Vec::new(), Occurrences::default());
        for _ in 0..2_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            match random % 40 {
                0 => {
                    let len = numbers.len() / 2;
                    known.truncate(&numbers, len);
                    numbers.truncate(len);
                }
                1 => known.follow(&numbers),
                _ => numbers.push(random % 7),
            }
            if random % 3 == 0 {
                known.follow(&numbers);
                let down_to = numbers.len() / 3;
                for number in 0..8 {
                    let found: Vec<usize> = known.of(number, &numbers, down_to).collect();
                    let all = (down_to..numbers.len()).rev().filter(|at| numbers[*at] == number);
                    assert!(found.iter().copied().eq(all), "{number} in {numbers:?}: {found:?}");
                }
            }
        }
    }
}
