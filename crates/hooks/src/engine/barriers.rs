//! Barriers that are written by hand: what the program's own code has of `lock` and `mfence`.
//!
//! The compiler makes a call of each atomic operation and each fence; such an instruction in code that it compiled
//! for the program was written in assembly, where a crate knows a quicker barrier than the language has, and is
//! not seen. The first byte of each is overwritten by a breakpoint: the program's threads run one at a time, so
//! that what follows the prefix does the same without it. Where it works on memory that other threads may use,
//! they may synchronise by it.

use super::instruction::{self, Registers};
use super::{exhaustive, shadow, sites};
use libc::{
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP, REG_RBX, REG_RCX,
    REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
};
use racefuzz_runtime::ops::unseen;
use std::ffi::c_void;
use std::sync::OnceLock;

const LOCK: u8 = 0xf0;
const FENCE: [u8; 3] = [0x0f, 0xae, 0xf0];
const BREAKPOINT: u8 = 0xcc;
const PAGE: usize = 4096;
/// Numbers of registers in instructions.
const RSP: usize = 4;
const RBP: usize = 5;

/// An instruction whose first byte is a breakpoint: its address, and bytes to be skipped behind that.
type Replaced = (usize, usize);

static REPLACED: OnceLock<Vec<Replaced>> = OnceLock::new();

/// Finds those of the executable and replaces them.
pub(crate) fn prepare() {
    let Some((start, end)) = sites::code() else { return };
    // SAFETY: the loader has mapped the code, and nothing changes it meanwhile.
    let code = unsafe { std::slice::from_raw_parts(start as *const u8, end - start) };
    let mut found: Vec<Replaced> = Vec::new();
    for at in candidates(code) {
        let Some(function) = sites::function(start + at) else { continue };
        let Some(before) = function.checked_sub(start).and_then(|from| code.get(from..)) else { continue };
        let instrumented = walk(before, start + at - function);
        if instrumented.is_some_and(|instrumented| instrumented || sites::is_written_for_program(function)) {
            found.push((start + at, if code[at] == LOCK { 0 } else { FENCE.len() - 1 }));
        }
    }
    found.retain(|(address, _)| replace(*address));
    if !found.is_empty() {
        super::interpose::signals::handle_breakpoints();
    }
    let _ = REPLACED.set(found);
}

/// Where the bytes are those of such an instruction, whatever they are part of.
fn candidates(code: &[u8]) -> impl Iterator<Item = usize> {
    code.iter().enumerate().filter(|(_, byte)| **byte == LOCK).filter_map(|(at, _)| {
        if at >= 2 && code[at - 2..=at] == FENCE {
            return Some(at - 2);
        }
        let prefixed = usize::from(code.get(at + 1)? & 0xf0 == 0x40);
        let (opcode, next) = (*code.get(at + 1 + prefixed)?, *code.get(at + 2 + prefixed)?);
        let locks = match opcode {
            0x0f => matches!(next, 0xab | 0xb0 | 0xb1 | 0xb3 | 0xba | 0xbb | 0xc0 | 0xc1 | 0xc7),
            0x80 | 0x81 | 0x83 | 0x86 | 0x87 | 0xf6 | 0xf7 | 0xfe | 0xff => next < 0xc0,
            opcode => opcode < 0x38 && opcode & 6 == 0 && next < 0xc0,
        };
        locks.then_some(at)
    })
}

/// Whether a function is compiled with the compiler's hooks, if an instruction begins so far behind its beginning:
/// what of the standard library is generic, or inlined what the program has given it, is compiled with the program.
fn walk(function: &[u8], offset: usize) -> Option<bool> {
    let (mut at, mut instrumented) = (0, false);
    while at < offset {
        let instruction = function.get(at..)?;
        instrumented |= calls_entry(instruction);
        at += instruction::length(instruction)?;
    }
    (at == offset).then_some(instrumented)
}

/// Whether the function that begins at an address is compiled with the compiler's hooks, of which an instruction begins
/// at another one.
pub(super) fn is_instrumented(function: usize, address: usize) -> bool {
    // SAFETY: the loader has mapped the code up to there.
    let code = unsafe { std::slice::from_raw_parts(function as *const u8, address - function + 16) };
    // What cannot be read is taken for the program's.
    walk(code, address - function) != Some(false)
}

/// Whether an instruction calls the hook that stands at the beginning of functions: by way of a table, or by a jump
/// that goes by way of one.
pub(super) fn calls_entry(code: &[u8]) -> bool {
    let slot = match code {
        [0xff, 0x15, ..] => relative(code, 2),
        [0xe8, ..] => relative(code, 1).and_then(|stub| {
            // SAFETY: the executable's instructions call code that is there, in its own pages.
            let stub = unsafe { std::slice::from_raw_parts(stub as *const u8, 12) };
            match stub {
                [0xff, 0x25, ..] => relative(stub, 2),
                [0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, ..] => relative(stub, 6),
                [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, ..] => relative(stub, 7),
                _ => None,
            }
        }),
        _ => None,
    };
    // SAFETY: the executable keeps the addresses of what it calls where its instructions say.
    slot.is_some_and(|slot| unsafe { (slot as *const usize).read_unaligned() } == super::interpose::entry())
}

/// What a displacement of four bytes leads to that ends an instruction.
fn relative(code: &[u8], at: usize) -> Option<usize> {
    let displacement = i32::from_le_bytes(code.get(at..at + 4)?.try_into().ok()?);
    Some((code.as_ptr() as usize + at + 4).wrapping_add_signed(displacement as isize))
}

fn replace(address: usize) -> bool {
    overwrite(address, &[BREAKPOINT])
}

/// Makes code of the program such that it may be both written to and run; whether the system lets it.
pub(super) fn open(start: usize, end: usize) -> bool {
    let (start, end) = (start & !(PAGE - 1), end.next_multiple_of(PAGE));
    // SAFETY: code of the program, which does not run now.
    unsafe {
        libc::mprotect(
            start as *mut c_void,
            end - start,
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        ) == 0
    }
}

/// Overwrites code of the program, which does not run now.
pub(super) fn overwrite(address: usize, bytes: &[u8]) -> bool {
    let page = address & !(PAGE - 1);
    let length = address + bytes.len() - page;
    let protect = |how| {
        // SAFETY: code of the program, which does not run now.
        unsafe { libc::mprotect(page as *mut c_void, length, how) == 0 }
    };
    if !protect(libc::PROT_READ | libc::PROT_WRITE) {
        return false;
    }
    for (offset, byte) in bytes.iter().enumerate() {
        // SAFETY: the pages may be written to; nobody executes them.
        unsafe { ((address + offset) as *mut u8).write_volatile(*byte) };
    }
    protect(libc::PROT_READ | libc::PROT_EXEC)
}

/// The program's thread has come to a breakpoint; whether it was one of these. On the host's side, in the handler
/// of the signal.
///
/// # Safety
/// `context` is what the kernel gave to the handler.
pub(crate) unsafe fn pass(context: *mut c_void) -> bool {
    // SAFETY: passed on to the caller.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let address = registers[REG_RIP as usize] as usize - 1;
    if exhaustive::is_on() && exhaustive::unseen::pass(address) {
        registers[REG_RIP as usize] = address as i64;
        return true;
    }
    let replaced = REPLACED.get().map_or(&[][..], Vec::as_slice);
    let Ok(index) = replaced.binary_search_by_key(&address, |(address, _)| *address) else { return false };
    let skipped = replaced[index].1;
    if exhaustive::is_on() && !exhaustive::unseen::is_alone() {
        exhaustive::note(
            "barriers that are written in assembly, or `fetch_max` and `fetch_min`, which have no hook"
                .to_owned(),
        );
    }
    registers[REG_RIP as usize] += skipped as i64;
    let _ = unseen::pass_barrier();
    if skipped == 0 {
        const ORDER: [i32; 16] = [
            REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
            REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
        ];
        let values: Registers = ORDER.map(|register| registers[register as usize] as usize);
        // SAFETY: an instruction of the program, which is longer than what is read of it or followed by others.
        let code = unsafe { std::slice::from_raw_parts(address as *const u8, 12) };
        // Below the red zone, and up to where the caller's frame begins.
        let frame = values[RSP].saturating_sub(128)..values[RBP];
        let own = instruction::locked_address(code, &values).is_some_and(|named| frame.contains(&named));
        if !own {
            let _ = unseen::learn_from_all();
        }
    }
    shadow::publish();
    true
}
