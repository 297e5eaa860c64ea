//! The random numbers of one iteration.

use rand::SeedableRng;
use rand::rand_core::Rng;
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::rc::Rc;

/// ChaCha8 seeded with the run's seed, on the stream of the iteration.
///
/// Nothing is computed before the first number is asked for. Most executions of small programs need
/// less than one block of sixteen words, so the first blocks of four consecutive iterations are
/// computed together, which the compiler turns into vector instructions: 2.5 times cheaper than to
/// seek the generator, which computes four blocks of one stream. The words are those of `ChaCha8Rng`, to which longer executions go on.
pub(crate) struct Draws {
    rng: ChaCha8Rng,
    heads: Rc<RefCell<Heads>>,
    stream: u64,
    head: [u32; WORDS],
    /// Words taken of the head; beyond it, of the generator.
    taken: usize,
    stale: bool,
}

const WORDS: usize = 16;
const LANES: usize = 4;

impl Draws {
    pub(crate) fn new(seed: u64, heads: Rc<RefCell<Heads>>) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, heads, stream: 0, head: [0; WORDS], taken: 0, stale: true }
    }

    pub(crate) fn start(&mut self, iteration: u64) {
        self.stream = iteration;
        self.stale = true;
    }

    #[inline]
    pub(crate) fn word(&mut self) -> u32 {
        if self.stale {
            self.stale = false;
            self.taken = 0;
            self.head = self.heads.borrow_mut().of(self.stream);
        }
        match self.head.get(self.taken) {
            Some(word) => {
                self.taken += 1;
                *word
            }
            None => self.beyond(),
        }
    }

    fn beyond(&mut self) -> u32 {
        if self.taken == WORDS {
            self.taken += 1;
            self.rng.set_stream(self.stream);
            self.rng.set_word_pos(WORDS as u128);
        }
        self.rng.next_u32()
    }

    /// A number below `bound`, which is not 0. Multiplied, not rejected: the bias is below 2^-32
    /// times the bound.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(bound)) >> 32) as u32
    }

    /// The same for large bounds.
    pub(crate) fn below_u64(&mut self, bound: u64) -> u64 {
        if let Ok(bound) = u32::try_from(bound) {
            return u64::from(self.below(bound));
        }
        let word = u64::from(self.word()) << 32 | u64::from(self.word());
        ((u128::from(word) * u128::from(bound)) >> 64) as u64
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// An index in proportion to its weight; the weights must not all be 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below_u64(weights.clone().sum());
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// The first blocks of the streams of four consecutive iterations, shared by a worker's strategies.
pub(crate) struct Heads {
    key: [u32; 8],
    group: Option<u64>,
    blocks: [[u32; WORDS]; LANES],
}

impl Heads {
    pub(crate) fn new(seed: u64) -> Self {
        let bytes = ChaCha8Rng::seed_from_u64(seed).get_seed();
        let mut key = [0; 8];
        for (word, bytes) in key.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Self { key, group: None, blocks: [[0; WORDS]; LANES] }
    }

    #[inline]
    fn of(&mut self, stream: u64) -> [u32; WORDS] {
        let group = stream / LANES as u64;
        if self.group != Some(group) {
            self.group = Some(group);
            self.blocks = chacha8_heads(&self.key, group * LANES as u64);
        }
        self.blocks[stream as usize % LANES]
    }
}

type Lanes = [u32; LANES];

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
}

#[inline(always)]
fn xor_rotated(a: Lanes, b: Lanes, by: u32) -> Lanes {
    std::array::from_fn(|lane| (a[lane] ^ b[lane]).rotate_left(by))
}

/// Block 0 of four streams from `first` on (D. J. Bernstein, "ChaCha, a variant of Salsa20", 2008),
/// one stream in each lane.
fn chacha8_heads(key: &[u32; 8], first: u64) -> [[u32; WORDS]; LANES] {
    const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let mut start = [[0; LANES]; WORDS];
    for (word, constant) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = [*constant; LANES];
    }
    start[14] = std::array::from_fn(|lane| (first + lane as u64) as u32);
    start[15] = std::array::from_fn(|lane| ((first + lane as u64) >> 32) as u32);
    let mut x = start;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        x[a] = add(x[a], x[b]);
        x[d] = xor_rotated(x[d], x[a], 16);
        x[c] = add(x[c], x[d]);
        x[b] = xor_rotated(x[b], x[c], 12);
        x[a] = add(x[a], x[b]);
        x[d] = xor_rotated(x[d], x[a], 8);
        x[c] = add(x[c], x[d]);
        x[b] = xor_rotated(x[b], x[c], 7);
    };
    for _ in 0..4 {
        (0..4).for_each(|i| quarter(i, i + 4, i + 8, i + 12));
        (0..4).for_each(|i| quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12));
    }
    std::array::from_fn(|lane| std::array::from_fn(|word| x[word][lane].wrapping_add(start[word][lane])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_chacha8_on_the_stream_of_the_iteration() {
        for seed in [0, 42, u64::MAX] {
            let mut draws = Draws::new(seed, Rc::new(RefCell::new(Heads::new(seed))));
            for iteration in [0, 1, 2, 3, 4, 5, 1 << 33, 7] {
                let mut reference = ChaCha8Rng::seed_from_u64(seed);
                reference.set_stream(iteration);
                draws.start(iteration);
                for _ in 0..200 {
                    assert_eq!(draws.word(), reference.next_u32());
                }
            }
        }
    }
}
