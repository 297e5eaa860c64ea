//! Instructions of x86-64: how long they are, and what memory they name.
//!
//! Maps of opcodes: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, appendix A.

/// Bytes of the instruction that begins here; nothing if it is none that a compiler makes.
pub(super) fn length(code: &[u8]) -> Option<usize> {
    let mut at = 0;
    let (mut short, mut wide) = (false, false);
    loop {
        match *code.get(at)? {
            0x66 => short = true,
            0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 | 0x67 => {}
            _ => break,
        }
        at += 1;
    }
    if code.get(at)? & 0xf0 == 0x40 {
        wide = code[at] & 8 != 0;
        at += 1;
    }
    let word = if short { 2 } else { 4 };
    let (opcode, map) = match *code.get(at)? {
        0x0f => match *code.get(at + 1)? {
            0x38 => (at + 2, 2),
            0x3a => (at + 2, 3),
            _ => (at + 1, 1),
        },
        0xc5 => (at + 2, 1),
        0xc4 => (at + 3, code.get(at + 1)? & 31),
        0x62 => (at + 4, code.get(at + 1)? & 7),
        _ => (at, 0),
    };
    let operands = opcode + 1;
    let opcode = *code.get(opcode)?;
    let (names_memory, immediate) = match map {
        0 => one_byte(opcode, code.get(operands).copied(), word, wide)?,
        1 => two_bytes(opcode),
        3 => (true, 1),
        2 | 5 | 6 => (true, 0),
        _ => return None,
    };
    let named = if names_memory { operand_length(code.get(operands..)?)? } else { 0 };
    Some(operands + named + immediate)
}

/// Whether the operands of an opcode begin with a byte that names registers or memory, and the bytes of an
/// immediate one.
fn one_byte(opcode: u8, next: Option<u8>, word: usize, wide: bool) -> Option<(bool, usize)> {
    Some(match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..4 => (true, 0),
            4 => (false, 1),
            5 => (false, word),
            _ => return None,
        },
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => (true, 0),
        0x68 | 0xa9 => (false, word),
        0x69 | 0x81 | 0xc7 => (true, word),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => (true, 1),
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => (false, 1),
        0xa0..=0xa3 => (false, 8),
        0xb8..=0xbf => (false, if wide { 8 } else { word }),
        0xc2 | 0xca => (false, 2),
        0xc8 => (false, 3),
        0xe8 | 0xe9 => (false, 4),
        0xf6 | 0xf7 => {
            let tests = next? & 0x38 < 0x10;
            (
                true,
                if !tests {
                    0
                } else if opcode == 0xf6 {
                    1
                } else {
                    word
                },
            )
        }
        0x60..=0x62 | 0x82 | 0x9a | 0xd4..=0xd6 | 0xea => return None,
        _ => (false, 0),
    })
}

fn two_bytes(opcode: u8) -> (bool, usize) {
    match opcode {
        0x80..=0x8f => (false, 4),
        0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => (true, 1),
        0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => {
            (false, 0)
        }
        _ => (true, 0),
    }
}

/// Bytes of an operand: what names it, an index, a displacement.
fn operand_length(operand: &[u8]) -> Option<usize> {
    let first = *operand.first()?;
    let (mode, base) = (first >> 6, first & 7);
    let indexed = mode != 3 && base == 4;
    let far = mode == 2 || mode == 0 && (base == 5 || indexed && operand.get(1)? & 7 == 5);
    Some(1 + usize::from(indexed) + if far { 4 } else { usize::from(mode == 1) })
}

/// The registers in the order in which instructions number them.
pub(super) type Registers = [usize; 16];

/// The address of the memory that a locked instruction works on, which begins with the prefix.
pub(super) fn locked_address(code: &[u8], registers: &Registers) -> Option<usize> {
    let mut at = 1;
    let prefix = if code.get(at)? & 0xf0 == 0x40 { code[at] } else { 0 };
    at += usize::from(prefix != 0);
    at += if *code.get(at)? == 0x0f { 2 } else { 1 };
    let operand = code.get(at..)?;
    let first = *operand.first()?;
    let (mode, base) = (first >> 6, first & 7);
    let register =
        |number: u8, high: u8| registers[usize::from(number) + if prefix & high != 0 { 8 } else { 0 }];
    let mut behind = 1;
    let mut sum = match (mode, base) {
        (3, _) | (0, 5) => return None,
        (_, 4) => {
            let index = *operand.get(1)?;
            behind = 2;
            let scaled = match index >> 3 & 7 {
                4 if prefix & 2 == 0 => 0,
                number => register(number, 2) << (index >> 6),
            };
            let base = if mode == 0 && index & 7 == 5 { 0 } else { register(index & 7, 1) };
            base.wrapping_add(scaled)
        }
        _ => register(base, 1),
    };
    let length = operand_length(operand)?;
    let displacement = operand.get(behind..length)?;
    sum = sum.wrapping_add_signed(match displacement {
        [] => 0,
        [byte] => *byte as i8 as isize,
        bytes => i32::from_le_bytes(bytes.try_into().ok()?) as isize,
    });
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_have_lengths() {
        for code in [
            &[0xf0, 0x48, 0xf7, 0x10][..],                  // lock not qword ptr [rax]
            &[0xf0, 0x48, 0x0f, 0xc1, 0x0c, 0x24],          // lock xadd [rsp], rcx
            &[0x0f, 0xae, 0xf0],                            // mfence
            &[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8],          // movabs rax, ...
            &[0x66, 0xb8, 1, 2],                            // mov ax, ...
            &[0x48, 0xf7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8],    // test qword ptr [rip + ...], ...
            &[0xf6, 0x44, 0x24, 8, 1],                      // test byte ptr [rsp + 8], 1
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], // nop
            &[0xc5, 0xfc, 0x10, 0x07],                      // vmovups ymm0, [rdi]
            &[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1],             // vextracti128 xmm1, ymm0, 1
            &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x47, 1],       // vmovups zmm0, [rdi + 64]
            &[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 4],             // palignr xmm0, xmm1, 4
            &[0xe8, 1, 2, 3, 4],                            // call
        ] {
            let padded = [code, &[0x90; 16]].concat();
            assert_eq!(length(&padded), Some(code.len()), "{code:x?}");
        }
    }

    #[test]
    fn a_locked_instruction_names_memory() {
        let registers = std::array::from_fn(|number| number << 16);
        let address = |code: &[u8]| locked_address(code, &registers);
        assert_eq!(address(&[0xf0, 0x48, 0xf7, 0x10]), Some(0));
        assert_eq!(address(&[0xf0, 0x49, 0xf7, 0x50, 0x08]), Some(0x8_0008));
        assert_eq!(address(&[0xf0, 0x48, 0x0f, 0xc1, 0x4c, 0x24, 0xf8]), Some(0x3_fff8));
        assert_eq!(address(&[0xf0, 0x4a, 0x83, 0x4c, 0xc6, 0x10, 0]), Some(0x46_0010));
        assert_eq!(address(&[0xf0, 0x48, 0xff, 0x05, 0, 0, 0, 0]), None);
    }
}
