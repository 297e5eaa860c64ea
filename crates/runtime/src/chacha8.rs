//! ChaCha8, sixteen blocks at a time (D. J. Bernstein, "ChaCha, a variant of Salsa20", 2008).
//!
//! In goes a key and a range of streams or of blocks, out come the words that a generator on each of the streams gives
//! next. The blocks lie side by side in vectors, as wide as the processor has them.

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
    blocks(key, &[block; LANES], &std::array::from_fn(|lane| first + lane as u64), into);
}

/// The blocks from number `first` on of one stream.
pub fn run(key: &[u32; 8], first: u64, stream: u64, into: &mut Block) {
    blocks(key, &std::array::from_fn(|lane| first + lane as u64), &[stream; LANES], into);
}

/// For each lane the block of this number of this stream.
fn blocks(key: &[u32; 8], numbers: &[u64; LANES], streams: &[u64; LANES], into: &mut Block) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        return unsafe { compute_avx2(key, numbers, streams, into) };
    }
    compute(key, numbers, streams, into);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn compute_avx2(key: &[u32; 8], numbers: &[u64; LANES], streams: &[u64; LANES], into: &mut Block) {
    compute(key, numbers, streams, into);
}

#[inline(always)]
fn compute(key: &[u32; 8], numbers: &[u64; LANES], streams: &[u64; LANES], into: &mut Block) {
    const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let mut start = [[0; LANES]; WORDS];
    for (word, constant) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = [*constant; LANES];
    }
    start[12] = numbers.map(|number| number as u32);
    start[13] = numbers.map(|number| (number >> 32) as u32);
    start[14] = streams.map(|stream| stream as u32);
    start[15] = streams.map(|stream| (stream >> 32) as u32);
    let mut x = start;
    for _ in 0..4 {
        // No closures: they would not be compiled for the wide vectors.
        for i in 0..4 {
            quarter(&mut x, i, i + 4, i + 8, i + 12);
        }
        for i in 0..4 {
            quarter(&mut x, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12);
        }
    }
    for ((into, word), start) in into.iter_mut().zip(&x).zip(&start) {
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
