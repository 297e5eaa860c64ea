//! The random numbers of one iteration.

use racefuzz_runtime::{WordSource, Words, chacha8};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// ChaCha8 seeded with the run's seed, on the stream of the iteration.
///
/// Nothing is computed before the first number is asked for. Executions of small programs need a
/// few blocks of sixteen words, so each of the first blocks is computed for sixteen consecutive iterations
/// together, in vector instructions: several times cheaper than blocks of one stream. Long executions go on with
/// sixteen consecutive blocks of their own stream at a time.
pub(crate) struct IterationRng {
    stream: Rc<Stream>,
    /// Words of the stream. The runtime, too, may draw from them.
    words: Rc<Words>,
}

/// The blocks of one stream.
struct Stream {
    cache: Rc<RefCell<BlockCache>>,
    /// Consecutive blocks of this stream, behind those that are shared.
    own: RefCell<Box<chacha8::Block>>,
    stream: Cell<u64>,
    /// Blocks taken so far.
    blocks: Cell<usize>,
}

const LANES: usize = chacha8::LANES;
/// Blocks of a stream that are computed together with those of others.
const SHARED_BLOCKS: usize = 32;

impl WordSource for Stream {
    fn refill(&self, words: &Words) {
        let blocks = self.blocks.get();
        if blocks < SHARED_BLOCKS {
            self.cache.borrow_mut().fill(self.stream.get(), blocks, words);
        } else {
            self.refill_alone(words);
        }
        self.blocks.set(blocks + 1);
    }
}

impl Stream {
    #[cold]
    #[inline(never)]
    fn refill_alone(&self, words: &Words) {
        let (blocks, mut own) = (self.blocks.get(), self.own.borrow_mut());
        let lane = (blocks - SHARED_BLOCKS) % LANES;
        if lane == 0 {
            chacha8::run(&self.cache.borrow().key, blocks as u64, self.stream.get(), &mut own);
        }
        words.fill(|place| own[place][lane]);
    }
}

impl IterationRng {
    pub(crate) fn new(cache: Rc<RefCell<BlockCache>>) -> Self {
        let stream =
            Rc::new(Stream { cache, own: RefCell::default(), stream: Cell::new(0), blocks: Cell::new(0) });
        let words = Rc::new(Words::new(Rc::<Stream>::clone(&stream)));
        Self { stream, words }
    }

    #[inline]
    pub(crate) fn start(&mut self, iteration: u64) {
        self.stream.stream.set(iteration);
        self.stream.blocks.set(0);
        self.words.clear();
    }

    /// The words, for whoever draws from them.
    pub(crate) fn words(&self) -> &Rc<Words> {
        &self.words
    }

    #[inline]
    pub(crate) fn word(&mut self) -> u32 {
        self.words.draw()
    }

    /// A number below `bound`, which is not 0. Multiplied, not rejected: the bias is below 2^-32
    /// times the bound.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(bound)) >> 32) as u32
    }

    /// [`below`](Self::below) for bounds of any size.
    #[inline]
    pub(crate) fn below_u64(&mut self, bound: u64) -> u64 {
        match u32::try_from(bound) {
            Ok(bound) => u64::from(self.below(bound)),
            Err(_) => self.below_large(bound),
        }
    }

    #[cold]
    #[inline(never)]
    fn below_large(&mut self, bound: u64) -> u64 {
        let word = u64::from(self.word()) << 32 | u64::from(self.word());
        ((u128::from(word) * u128::from(bound)) >> 64) as u64
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// An index in proportion to its weight; the weights must not all be 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let sum = weights.clone().sum();
        self.weighted_of(sum, weights)
    }

    /// [`weighted`](Self::weighted), the sum of the weights being known.
    #[inline]
    pub(crate) fn weighted_of(&mut self, sum: u64, weights: impl Iterator<Item = u64>) -> usize {
        let mut left = self.below_u64(sum);
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// The first blocks of the streams of consecutive iterations, shared by a worker's strategies.
pub(crate) struct BlockCache {
    key: [u32; 8],
    group: u64,
    blocks: Vec<chacha8::Block>,
    /// How many of them are this group's.
    computed: usize,
}

impl BlockCache {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: chacha8::key(seed), group: 0, blocks: Vec::new(), computed: 0 }
    }

    #[inline]
    fn fill(&mut self, stream: u64, block: usize, words: &Words) {
        let group = stream / LANES as u64;
        if self.group != group {
            (self.group, self.computed) = (group, 0);
        }
        while self.computed <= block {
            self.compute();
        }
        let lane = stream as usize % LANES;
        let block = &self.blocks[block];
        words.fill(|place| block[place][lane]);
    }

    /// Computes the next block of each stream of the group.
    #[cold]
    #[inline(never)]
    fn compute(&mut self) {
        if self.computed == self.blocks.len() {
            self.blocks.push([[0; LANES]; Words::COUNT]);
        }
        let (block, first) = (self.computed as u64, self.group * LANES as u64);
        chacha8::block(&self.key, block, first, &mut self.blocks[self.computed]);
        self.computed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    #[test]
    fn the_words_are_those_of_chacha8_on_the_stream_of_the_iteration() {
        for seed in [0, 42, u64::MAX] {
            let mut rng = IterationRng::new(Rc::new(RefCell::new(BlockCache::new(seed))));
            for iteration in [0, 1, 2, 3, 4, 5, 1 << 33, 7, 15, 16, 17, 3] {
                let mut reference = ChaCha8Rng::seed_from_u64(seed);
                reference.set_stream(iteration);
                rng.start(iteration);
                for _ in 0..1_100 {
                    assert_eq!(rng.word(), reference.next_u32());
                }
            }
        }
    }
}
