//! ChaCha8, sixteen blocks at a time (D. J. Bernstein, "ChaCha, a variant of Salsa20", 2008).
//!
//! In goes a key and a range of streams or of blocks, out come the words that a generator on each of the streams gives
//! next. The blocks lie side by side in vectors, as wide as the processor has them.

#[cfg(target_arch = "x86_64")]
mod by_hand;

use crate::Words;

/// Blocks that are computed together.
pub const LANES: usize = 16;

const WORDS: usize = Words::COUNT;

/// So many blocks, by word and lane.
pub type Block = [[u32; LANES]; WORDS];

/// The key of a seed: what PCG-32 makes of it (M. E. O'Neill, 2014), as `SeedableRng::seed_from_u64` of the crate
/// `rand_core` does.
#[must_use]
pub fn key(seed: u64) -> [u32; 8] {
    let mut state = seed;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11_634_580_027_462_260_723);
        let xorshifted = (((state >> 18) ^ state) >> 27) as u32;
        xorshifted.rotate_right((state >> 59) as u32)
    })
}

/// The block of this number of each of the streams from `first` on.
pub fn block(key: &[u32; 8], block: u64, first: u64, into: &mut Block) {
    blocks(key, (block, 0), (first, 1), into);
}

/// The blocks from number `first` on of one stream.
pub fn run(key: &[u32; 8], first: u64, stream: u64, into: &mut Block) {
    blocks(key, (first, 1), (stream, 0), into);
}

/// A number for the first lane, and by how much that of the next is higher.
type Numbers = (u64, u64);

/// For each lane the block of this number of this stream.
fn blocks(key: &[u32; 8], numbers: Numbers, streams: Numbers, into: &mut Block) {
    let start = start(key, numbers, streams);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        return unsafe {
            if cfg!(debug_assertions) { by_hand::rounds(&start, into) } else { rounds_avx2(&start, into) }
        };
    }
    rounds(&start, into);
}

/// What the blocks begin with.
fn start(key: &[u32; 8], numbers: Numbers, streams: Numbers) -> Block {
    const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let mut start = [[0; LANES]; WORDS];
    for (word, constant) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = [*constant; LANES];
    }
    let mut lane = 0;
    let (mut number, mut stream) = (numbers.0, streams.0);
    // Neither a range nor a closure: this runs without optimisation, too.
    while lane < LANES {
        (start[12][lane], start[13][lane]) = (number as u32, (number >> 32) as u32);
        (start[14][lane], start[15][lane]) = (stream as u32, (stream >> 32) as u32);
        (number, stream) = (number.wrapping_add(numbers.1), stream.wrapping_add(streams.1));
        lane += 1;
    }
    start
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn rounds_avx2(start: &Block, into: &mut Block) {
    rounds(start, into);
}

/// Eight rounds on `start`, and `start` added.
#[inline(always)]
fn rounds(start: &Block, into: &mut Block) {
    let mut x = *start;
    for _ in 0..4 {
        // No closures: they would not be compiled for the wide vectors.
        for i in 0..4 {
            quarter(&mut x, i, i + 4, i + 8, i + 12);
        }
        for i in 0..4 {
            quarter(&mut x, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12);
        }
    }
    for ((into, word), start) in into.iter_mut().zip(&x).zip(start) {
        for lane in 0..LANES {
            into[lane] = word[lane].wrapping_add(start[lane]);
        }
    }
}

/// Written so that the compiler makes vector instructions of it: one loop, enough of it to be worth
/// that, no branch.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "four rows are walked at once")]
fn quarter(x: &mut Block, ia: usize, ib: usize, ic: usize, id: usize) {
    for lane in 0..LANES {
        let (mut a, mut b, mut c, mut d) = (x[ia][lane], x[ib][lane], x[ic][lane], x[id][lane]);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(16);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(12);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(8);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(7);
        (x[ia][lane], x[ib][lane], x[ic][lane], x[id][lane]) = (a, b, c, d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn rounds_by_hand_are_the_compilers() {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return;
        }
        let key = key(7);
        for (numbers, streams) in
            [((0, 1), (9, 0)), ((5, 0), (u64::MAX - 3, 1)), (((1 << 32) - 2, 1), (1 << 40, 0))]
        {
            let start = start(&key, numbers, streams);
            let (mut one, mut other) = ([[0; LANES]; WORDS], [[0; LANES]; WORDS]);
            rounds(&start, &mut one);
            // SAFETY: the processor was just asked.
            unsafe { by_hand::rounds(&start, &mut other) };
            assert_eq!(one, other);
        }
    }
}
