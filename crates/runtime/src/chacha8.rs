//! ChaCha8, one block of many streams at a time (D. J. Bernstein, "ChaCha, a variant of Salsa20", 2008).
//!
//! In goes a key and a range of streams, out come the words that a generator on each of the streams gives next.
//! The streams lie side by side in vectors, as wide as the processor has them.

use crate::Words;

/// Streams that are computed together.
pub const LANES: usize = 16;

const WORDS: usize = Words::COUNT;

/// One block of so many streams, by word and stream.
pub type Block = [[u32; LANES]; WORDS];

/// The block of this number of each of the streams from `first` on.
pub fn block(key: &[u32; 8], block: u32, first: u64) -> Block {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        return unsafe { compute_avx2(key, block, first) };
    }
    compute(key, block, first)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn compute_avx2(key: &[u32; 8], block: u32, first: u64) -> Block {
    compute(key, block, first)
}

#[inline(always)]
fn compute(key: &[u32; 8], block: u32, first: u64) -> Block {
    const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let mut start = [[0; LANES]; WORDS];
    for (word, constant) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = [*constant; LANES];
    }
    start[12] = [block; LANES];
    start[14] = std::array::from_fn(|continuation| (first + continuation as u64) as u32);
    start[15] = std::array::from_fn(|continuation| ((first + continuation as u64) >> 32) as u32);
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
    for (word, start) in x.iter_mut().zip(&start) {
        for continuation in 0..LANES {
            word[continuation] = word[continuation].wrapping_add(start[continuation]);
        }
    }
    x
}

/// Written so that the compiler makes vector instructions of it: one loop, enough of it to be worth
/// that, no branch.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "four rows are walked at once")]
fn quarter(x: &mut Block, ia: usize, ib: usize, ic: usize, id: usize) {
    for continuation in 0..LANES {
        let (mut a, mut b, mut c, mut d) =
            (x[ia][continuation], x[ib][continuation], x[ic][continuation], x[id][continuation]);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(16);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(12);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(8);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(7);
        (x[ia][continuation], x[ib][continuation], x[ic][continuation], x[id][continuation]) = (a, b, c, d);
    }
}
