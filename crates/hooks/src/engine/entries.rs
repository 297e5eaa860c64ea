//! Functions of the standard library that come compiled without hooks, and of which it must be known that they are
//! called.
//!
//! `Condvar::wait` reads the count of notifications and gives the lock back, and only then calls the system. A
//! notification that comes right before it, from a thread that does not take the lock, is lost; for it to come
//! there, the explorer must be able to let that thread run there. `Once::call` calls the system only to wait for
//! another thread; which one is that, if it never ends, is told by who has called before. `Condvar::notify_one` ends in
//! the call of the system, which then seems to be the program's own. What writes to standard output or standard error
//! takes its lock, which calls the system only where it is held: what is written under it is ordered by it.
//!
//! So the first instructions of such a function are moved to a page nearby, behind a call of the host's, and a jump
//! to there takes their place.

use super::border::{as_host, in_program};
use super::instruction;
use super::interpose::Frame;
use super::interpose::atomics::looks_unseen;
use super::roles::{Part, Role, function};
use super::{futex, shadow, sites};
use racefuzz_runtime::ops::unseen;
use std::ffi::c_void;

/// Bytes of the jump that takes the place of the first instructions.
const JUMP: usize = 5;
const PAGE: usize = 4096;

/// What is called where a function begins, the address of a function of the host's.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    /// Before it, with its first argument, and a frame.
    Before(usize),
    /// In its place, with its first five arguments, and a frame.
    Instead(usize),
}

/// What is called with the first argument of a function, and a frame.
type Called = extern "C" fn(usize, *const Frame);

/// What is called where the function of this name begins, if anything is. Of those by which threads wait on a condition
/// variable the one calls the other, or what both call is compiled into both.
fn hook(name: &str) -> Option<Hook> {
    let called: Called = match (Part::of(name).role, function(name)) {
        (Role::Condvar, "wait" | "wait_optional_timeout") => begins_to_wait,
        (Role::Once, "call") => begins_once,
        (Role::Condvar, "notify_one" | "notify_all") => notifies,
        _ if locks_output(name) => begins_output,
        _ => return None,
    };
    Some(Hook::Before(called as usize))
}

/// Whether a function takes the lock of standard output, or that of standard error.
fn locks_output(name: &str) -> bool {
    const STREAMS: [&str; 2] = ["std::io::stdio::Stdout", "std::io::stdio::Stderr"];
    STREAMS.iter().any(|stream| {
        let writes = name.strip_prefix("<&").and_then(|name| name.strip_prefix(stream));
        let locks = name.trim_start_matches('<').strip_prefix(stream);
        writes.is_some_and(|rest| rest.starts_with(" as std::io::Write>::"))
            || locks.is_some_and(|rest| rest.trim_start_matches('>') == "::lock")
    })
}

/// Finds the functions of the executable, and makes their beginnings steps.
pub(crate) fn prepare() {
    hook_all(&sites::functions(&hook));
}

/// Puts hooks where functions begin; the functions where that could be done.
pub(super) fn hook_all(hooks: &[(usize, Hook)]) -> Vec<usize> {
    let mut done = Vec::new();
    let Some((start, end)) = sites::code().filter(|_| !hooks.is_empty()) else { return done };
    let Some(page) = page_near(start, end) else { return done };
    let mut at = page;
    for (function, hook) in hooks.iter().copied() {
        // SAFETY: a function of the executable, which the loader has mapped, is followed by others or by padding.
        let code = unsafe { std::slice::from_raw_parts(function as *const u8, 32.min(end - function)) };
        let before = match hook {
            Hook::Before(called) => {
                let Some(moved) = movable(code) else { continue };
                stub(called, &code[..moved], function + moved)
            }
            Hook::Instead(called) => replacement(called),
        };
        if at + before.len() > page + PAGE {
            break;
        }
        // SAFETY: the page is this function's, and writable; the bytes fit in.
        unsafe { std::ptr::copy_nonoverlapping(before.as_ptr(), at as *mut u8, before.len()) };
        let mut jump = vec![0xe9];
        jump.extend(i32::try_from(at as isize - (function + JUMP) as isize).unwrap_or(0).to_le_bytes());
        super::barriers::overwrite(function, &jump);
        done.push(function);
        at += before.len().next_multiple_of(16);
    }
    // SAFETY: the page is this function's.
    unsafe { libc::mprotect(page as *mut c_void, PAGE, libc::PROT_READ | libc::PROT_EXEC) };
    done
}

/// A page that a jump reaches from all of the code.
fn page_near(start: usize, end: usize) -> Option<usize> {
    const STEP: usize = 1 << 20;
    let start = start & !(PAGE - 1);
    let below = (1..512).filter_map(|steps| start.checked_sub(steps * STEP));
    let above = (1..512).map(|steps| end.next_multiple_of(PAGE) + steps * STEP);
    below.chain(above).filter(|address| *address > PAGE).find(|address| {
        let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: takes no place of what is there.
        let got = unsafe {
            let wanted = *address as *mut c_void;
            libc::mmap(wanted, PAGE, libc::PROT_READ | libc::PROT_WRITE, how, -1, 0)
        };
        got as usize == *address
    })
}

/// How many bytes at the beginning of a function are whole instructions that do the same elsewhere, and leave room
/// for a jump.
fn movable(code: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < JUMP {
        let instruction = code.get(at..)?;
        let same = matches!(
            instruction,
            // endbr64; push; and, with wide registers, push.
            [0xf3, 0x0f, 0x1e, 0xfa, ..] | [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..]
            // lock inc dword ptr [rdi]; lock inc qword ptr [rdi + ...]; between registers; sub rsp.
            | [0xf0, 0xff, 0x07, ..] | [0xf0, 0x48, 0xff, 0x47, ..]
            | [0x48 | 0x49 | 0x4c | 0x4d, 0x89 | 0x8b, 0xc0..=0xff, ..] | [0x89 | 0x8b, 0xc0..=0xff, ..]
            | [0x41 | 0x44 | 0x45, 0x89 | 0x8b, 0xc0..=0xff, ..] | [0x48, 0x81 | 0x83, 0xec, ..]
        );
        if !same {
            return None;
        }
        at += instruction::length(instruction)?;
    }
    Some(at)
}

/// A call of the host's with the first argument and a frame, then the moved instructions, then a jump to those behind.
fn stub(called: usize, moved: &[u8], behind: usize) -> Vec<u8> {
    let mut code = vec![
        0x55, // push rbp
        0x48, 0x89, 0xe5, // mov rbp, rsp
        0x57, 0x56, 0x52, 0x51, // push rdi; push rsi; push rdx; push rcx
        0x41, 0x50, 0x41, 0x51, // push r8; push r9
        0x48, 0x89, 0xee, // mov rsi, rbp
        0x48, 0xb8, // mov rax, ...
    ];
    code.extend(called.to_le_bytes());
    code.extend([
        0xff, 0xd0, // call rax
        0x41, 0x59, 0x41, 0x58, // pop r9; pop r8
        0x59, 0x5a, 0x5e, 0x5f, // pop rcx; pop rdx; pop rsi; pop rdi
        0x5d, // pop rbp
    ]);
    code.extend(moved);
    code.extend([0xff, 0x25, 0, 0, 0, 0]); // jmp [rip]
    code.extend(behind.to_le_bytes());
    code
}

/// What a stub has kept of the arguments of a function: the third and the fourth, then the first and the second.
///
/// # Safety
/// The frame is a stub's.
pub(super) unsafe fn kept_arguments(frame: *const Frame) -> [[usize; 2]; 2] {
    let frame = frame.cast::<usize>();
    // SAFETY: passed on to the caller.
    unsafe { [[*frame.sub(3), *frame.sub(4)], [*frame.sub(1), *frame.sub(2)]] }
}

/// What a stub has kept of the arguments of a function from one on, which is one of the first five: a slice.
///
/// # Safety
/// The frame is a stub's.
pub(super) unsafe fn kept_slice(frame: *const Frame, first: usize) -> [usize; 2] {
    let frame = frame.cast::<usize>();
    // SAFETY: passed on to the caller.
    unsafe { [*frame.sub(first + 1), *frame.sub(first + 2)] }
}

/// Has the function be called with this third and fourth argument.
///
/// # Safety
/// The frame is a stub's, and the function may be called so.
pub(super) unsafe fn change_arguments(frame: *const Frame, [third, fourth]: [usize; 2]) {
    let frame = frame.cast::<usize>().cast_mut();
    // SAFETY: passed on to the caller.
    unsafe {
        frame.sub(3).write(third);
        frame.sub(4).write(fourth);
    }
}

/// A call of the host's with the arguments and a frame, which returns to the caller of the function.
fn replacement(called: usize) -> Vec<u8> {
    let mut code = vec![
        0x55, // push rbp
        0x48, 0x89, 0xe5, // mov rbp, rsp
        0x49, 0x89, 0xe9, // mov r9, rbp
        0x48, 0xb8, // mov rax, ...
    ];
    code.extend(called.to_le_bytes());
    code.extend([0xff, 0xd0, 0x5d, 0xc3]); // call rax; pop rbp; ret
    code
}

/// A thread is about to wait on the condition variable at an address.
extern "C" fn begins_to_wait(address: usize, frame: *const Frame) {
    if in_program() {
        as_host(looks_unseen, (address, frame));
    }
}

/// A thread is about to do what is done once, or to find that it is done, or to wait for the thread that does it.
extern "C" fn begins_once(address: usize, frame: *const Frame) {
    if in_program() {
        let begins = |(address, frame): (usize, *const Frame)| {
            futex::holds(address, true, sites::site(frame), Part { role: Role::Once, ..Part::default() });
        };
        as_host(begins, (address, frame));
    }
}

/// A thread is about to notify those who wait on the condition variable at an address.
extern "C" fn notifies(address: usize, frame: *const Frame) {
    if in_program() {
        let notifies = |(address, frame): (usize, *const Frame)| {
            let (_, part) = sites::site_and_part(frame);
            futex::calls(address, Part { role: Role::Condvar, ..part });
        };
        as_host(notifies, (address, frame));
    }
}

/// A thread is about to take the lock of an output, which whoever has written there before has given back.
extern "C" fn begins_output(_: usize, _: *const Frame) {
    if in_program() {
        as_host(
            |()| {
                let _ = unseen::learn_from_all();
                shadow::publish();
            },
            (),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_the_lock_of_an_output_is_known() {
        for name in [
            "<&std::io::stdio::Stdout as std::io::Write>::write_fmt",
            "<&std::io::stdio::Stderr as std::io::Write>::write_all",
            "<std::io::stdio::Stdout>::lock",
            "std::io::stdio::Stderr::lock",
        ] {
            assert!(locks_output(name), "{name}");
        }
        for name in [
            "<std::io::stdio::Stdout as std::io::Write>::write_fmt",
            "<std::io::stdio::StdoutLock as std::io::Write>::write",
            "<&mine::Stdout as std::io::Write>::write",
            "<std::io::stdio::Stdin>::lock",
        ] {
            assert!(!locks_output(name), "{name}");
        }
    }

    #[test]
    fn whole_instructions_are_moved() {
        // push rbp; mov rbp, rsp; push r15
        assert_eq!(movable(&[0x55, 0x48, 0x89, 0xe5, 0x41, 0x57, 0x90, 0x90]), Some(6));
        // push rbp; push r15; push r14; push r13
        assert_eq!(movable(&[0x55, 0x41, 0x57, 0x41, 0x56, 0x41, 0x55]), Some(5));
        // mov rsi, rdi; lock inc dword ptr [rdi]
        assert_eq!(movable(&[0x48, 0x89, 0xfe, 0xf0, 0xff, 0x07, 0xbf, 0xca]), Some(6));
        // push rbx; sub rsp, 16
        assert_eq!(movable(&[0x53, 0x48, 0x83, 0xec, 0x10, 0x90]), Some(5));
        // jmp; mov eax, [rdi]; mov rax, [rip + 1]
        for code in [[0xe9, 0, 0, 0, 0, 0x90, 0x90], [0x8b, 0x07, 0x90, 0x90, 0x90, 0x90, 0x90]] {
            assert_eq!(movable(&code), None);
        }
        assert_eq!(movable(&[0x48, 0x8b, 0x05, 1, 0, 0, 0]), None);
    }
}
