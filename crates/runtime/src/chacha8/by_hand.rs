//! The rounds in the processor's own vector instructions, for programs that are compiled without optimisation: there the
//! compiler takes each word by itself, through a dozen calls.

use super::Block;
use std::arch::asm;

/// Bytes of a block.
const BYTES: usize = size_of::<Block>();

/// For each lane of 32 bits, where its bytes go when it is rotated by 16, and by 8.
static ROTATED: [[u8; 32]; 2] = [by_bytes(2), by_bytes(1)];

const fn by_bytes(count: usize) -> [u8; 32] {
    let mut places = [0; 32];
    let mut at = 0;
    while at < 32 {
        // Within sixteen bytes.
        places[at] = ((at % 16) / 4 * 4 + (at + 4 - count) % 4) as u8;
        at += 1;
    }
    places
}

/// A quarter round of eight lanes: of the words that begin so many bytes behind `x`.
macro_rules! quarter {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vmovdqu ymm0, [{x} + ",
            $a,
            "]\n",
            "vmovdqu ymm1, [{x} + ",
            $b,
            "]\n",
            "vmovdqu ymm2, [{x} + ",
            $c,
            "]\n",
            "vmovdqu ymm3, [{x} + ",
            $d,
            "]\n",
            "vpaddd ymm0, ymm0, ymm1\n",
            "vpxor ymm3, ymm3, ymm0\n",
            "vpshufb ymm3, ymm3, ymm5\n",
            "vpaddd ymm2, ymm2, ymm3\n",
            "vpxor ymm1, ymm1, ymm2\n",
            "vpslld ymm4, ymm1, 12\n",
            "vpsrld ymm1, ymm1, 20\n",
            "vpor ymm1, ymm1, ymm4\n",
            "vpaddd ymm0, ymm0, ymm1\n",
            "vpxor ymm3, ymm3, ymm0\n",
            "vpshufb ymm3, ymm3, ymm6\n",
            "vpaddd ymm2, ymm2, ymm3\n",
            "vpxor ymm1, ymm1, ymm2\n",
            "vpslld ymm4, ymm1, 7\n",
            "vpsrld ymm1, ymm1, 25\n",
            "vpor ymm1, ymm1, ymm4\n",
            "vmovdqu [{x} + ",
            $a,
            "], ymm0\n",
            "vmovdqu [{x} + ",
            $b,
            "], ymm1\n",
            "vmovdqu [{x} + ",
            $c,
            "], ymm2\n",
            "vmovdqu [{x} + ",
            $d,
            "], ymm3\n",
        )
    };
}

/// Eight rounds on `start`, and `start` added.
#[target_feature(enable = "avx2")]
pub(super) fn rounds(start: &Block, into: &mut Block) {
    *into = *start;
    let x = into.as_mut_ptr().cast::<u8>();
    for half in [0, BYTES / super::WORDS / 2] {
        // SAFETY: reads and writes the half of each word of the block; the processor has the instructions.
        unsafe {
            asm!(
                "vmovdqu ymm5, [{rotated}]",
                "vmovdqu ymm6, [{rotated} + 32]",
                "2:",
                quarter!("0x000", "0x100", "0x200", "0x300"),
                quarter!("0x040", "0x140", "0x240", "0x340"),
                quarter!("0x080", "0x180", "0x280", "0x380"),
                quarter!("0x0c0", "0x1c0", "0x2c0", "0x3c0"),
                quarter!("0x000", "0x140", "0x280", "0x3c0"),
                quarter!("0x040", "0x180", "0x2c0", "0x300"),
                quarter!("0x080", "0x1c0", "0x200", "0x340"),
                quarter!("0x0c0", "0x100", "0x240", "0x380"),
                "dec {rounds:e}",
                "jnz 2b",
                x = in(reg) x.add(half),
                rotated = in(reg) ROTATED.as_ptr(),
                rounds = inout(reg) 4 => _,
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                out("ymm6") _,
                options(nostack),
            );
        }
    }
    // SAFETY: as above, for all of both blocks.
    unsafe {
        asm!(
            "2:",
            "vmovdqu ymm0, [{x} + {at}]",
            "vpaddd ymm0, ymm0, [{start} + {at}]",
            "vmovdqu [{x} + {at}], ymm0",
            "add {at}, 32",
            "jnz 2b",
            // What comes next may use the lower halves only.
            "vzeroupper",
            x = in(reg) x.add(BYTES),
            start = in(reg) std::ptr::from_ref(start).cast::<u8>().add(BYTES),
            at = inout(reg) -(BYTES as isize) => _,
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
            out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(nostack),
        );
    }
}
