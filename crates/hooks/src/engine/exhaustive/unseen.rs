//! Code that is not instrumented and may synchronise: a breakpoint stands where it begins, while the program has
//! several threads.
//!
//! What the compiler has instrumented calls a hook where it begins. Of other functions those are looked for in which
//! an instruction locks the bus, or which are, by their names, what the standard library synchronises by: it may do
//! so by plain instructions. What the library counts for itself orders nothing (see [`exhaustive`](super)).

use super::super::barriers::{self, calls_entry, overwrite};
use super::super::roles::function;
use super::super::{instruction, sites, state};
use super::functions::{self, Change};
use super::{note, uses};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const BREAKPOINT: u8 = 0xcc;

/// A function with a breakpoint: where it begins, its name, its first byte, and what it is watched for.
struct Watched {
    address: usize,
    name: String,
    first: u8,
    what: What,
}

/// What a function does that is not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// It may synchronise threads.
    Synchronises,
    /// It leaves the process: what is outside is not put back, and may be another thing in each execution.
    Leaves,
}

/// The code may be written to at any time.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

static WATCHED: OnceLock<Vec<Watched>> = OnceLock::new();
/// Whether the breakpoints are there, of the functions for either.
static ARE_SET: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// Puts stand-ins in place of functions, and finds those that are not seen.
pub(super) fn prepare() {
    let Some((start, end)) = sites::code() else {
        return note("the executable's own code is not found".to_owned());
    };
    let mut all = sites::functions(&|name| Some(name.to_owned()));
    all.retain(|(address, _)| (start..end).contains(address));
    let behind = all.iter().skip(1).map(|(address, _)| *address).chain([end]);
    let all: Vec<(usize, usize, String)> =
        all.iter().zip(behind).map(|((address, name), end)| (*address, end, name.clone())).collect();
    let mut watched = Vec::new();
    let mut changed: Vec<(usize, String, Change)> = Vec::new();
    for (address, end, name) in all {
        // SAFETY: the loader has mapped the code, and nothing changes it meanwhile.
        let code = unsafe { std::slice::from_raw_parts(address as *const u8, end - address) };
        if functions::GETS_HANDLE.contains(&&*name) {
            functions::gets_handle(address);
        }
        if let Some(change) = functions::change(&name) {
            changed.push((address, name, change));
        } else if let Some(what) = what(&name, code) {
            watched.push((address, name, what));
        }
    }
    let failed = functions::replace(changed).into_iter();
    uses::prepare();
    watched.extend(failed.map(|(address, name)| (address, name, What::Synchronises)));
    let watched = watched.into_iter().map(|(address, name, what)| {
        // SAFETY: as above.
        let first = unsafe { *(address as *const u8) };
        Watched { address, name, first, what }
    });
    let mut watched: Vec<Watched> = watched.collect();
    watched.sort_unstable_by_key(|watched| watched.address);
    let _ = WATCHED.set(watched);
    // Breakpoints come and go in each execution.
    IS_OPEN.store(barriers::open(start, end), Ordering::Relaxed);
    super::super::interpose::signals::handle_breakpoints();
}

/// What a function is to be watched for, if for anything.
fn what(name: &str, code: &[u8]) -> Option<What> {
    let plain = name.trim_start_matches(['<', '&', '(', '[']).trim_start_matches("mut ");
    let library = is_library(plain);
    // What cannot be read may do anything.
    let found = look(code).unwrap_or(Found { instrumented: false, locks: true });
    if found.instrumented {
        return None;
    }
    let outside = ["std::sys::net::", "std::sys::process::", "std::sys::pal::unix::process::"];
    if library && outside.iter().any(|part| plain.starts_with(part)) {
        return Some(What::Leaves);
    }
    let known = || RUNTIME.iter().any(|part| plain.starts_with(part));
    // What has no hook (`fetch_max`) is an instruction in a function of its own where nothing is inlined.
    let atomic = found.locks && plain.starts_with("core::sync::atomic");
    let synchronises = if library { atomic || synchronises(name) } else { found.locks && !known() };
    synchronises.then_some(What::Synchronises)
}

/// Whether a name without what stands before its path is the standard library's.
fn is_library(plain: &str) -> bool {
    ["std::", "core::", "alloc::", "test::"].iter().any(|part| plain.starts_with(part))
}

/// What is linked to every program, of what is none of the standard library by its name.
const RUNTIME: [&str; 12] = [
    "gimli::",
    "addr2line::",
    "object::",
    "miniz_oxide::",
    "rustc_demangle::",
    "hashbrown::",
    "memchr::",
    "compiler_builtins::",
    "panic_unwind::",
    "__rust",
    "rust_",
    "_",
];

/// Whether the standard library synchronises threads of the program by a function of this name.
fn synchronises(name: &str) -> bool {
    let has = |part: &str| name.contains(part);
    if has("sync::mpmc::") || has("sync::mpsc::") || has("sync::barrier::") || has("thread_parking::") {
        return true;
    }
    if has("sys::sync::mutex::") || has("sys::sync::rwlock::") || has("sync::reentrant_lock") {
        // What takes a lock that is free, of the library's own, or gives it back, orders nothing.
        let quick = ["lock", "try_lock", "unlock", "read", "try_read", "read_unlock", "write", "try_write"];
        return !quick.contains(&function(name)) && function(name) != "write_unlock" && !has("drop_in_place");
    }
    // Who holds the lock of an output keeps others from printing.
    if has("std::io::stdio::Std") && function(name) == "lock" {
        return true;
    }
    let waits = ["wait", "wait_timeout", "wait_optional_timeout", "call", "park", "park_timeout", "unpark"];
    let wakes = ["notify_one", "notify_all"];
    (has("sys::sync::") || has("thread::Thread>")) && waits.contains(&function(name))
        || has("condvar::Condvar>") && wakes.contains(&function(name))
        || has("num_running_threads") && !has("decrement")
}

/// What there is in a function.
#[derive(Default)]
struct Found {
    instrumented: bool,
    locks: bool,
}

/// Looks at its instructions, as far as they can be told.
fn look(code: &[u8]) -> Option<Found> {
    let (mut at, mut found) = (0, Found::default());
    while at < code.len() {
        let rest = &code[at..];
        if calls_entry(rest) {
            found.instrumented = true;
            return Some(found);
        }
        found.locks |= locks(rest);
        match instruction::length(rest) {
            Some(length) => at += length,
            None => return found.locks.then_some(found),
        }
    }
    Some(found)
}

/// Whether an instruction locks the bus, or orders memory.
fn locks(code: &[u8]) -> bool {
    if code.starts_with(&[0x0f, 0xae, 0xf0]) || code.first() == Some(&0xf0) {
        return true;
    }
    let prefix = code.iter().take_while(|byte| matches!(**byte, 0x66 | 0x40..=0x4f)).count();
    // An exchange with memory needs no prefix for that.
    matches!(code.get(prefix..), Some([0x86 | 0x87, operand, ..]) if operand >> 6 != 3)
}

thread_local! {
    static INSTRUMENTED: RefCell<HashMap<usize, bool>> = RefCell::new(HashMap::new());
}

/// Whether the function in which a call returns is instrumented.
pub(super) fn is_instrumented(returns_to: usize) -> bool {
    let known = INSTRUMENTED.with_borrow(|known| known.get(&returns_to).copied());
    known.unwrap_or_else(|| {
        let function = sites::function(returns_to - 1);
        let instrumented = function.is_some_and(|function| barriers::is_instrumented(function, returns_to));
        INSTRUMENTED.with_borrow_mut(|known| known.insert(returns_to, instrumented));
        instrumented
    })
}

/// Sets breakpoints, or takes them away.
fn set(what: What, are: bool) {
    if ARE_SET[what as usize].swap(are, Ordering::Relaxed) == are {
        return;
    }
    let is_open = IS_OPEN.load(Ordering::Relaxed);
    for watched in WATCHED.get().into_iter().flatten().filter(|watched| watched.what == what) {
        let byte = if are { BREAKPOINT } else { watched.first };
        if is_open {
            // SAFETY: code of the program, which does not run now, and may be written to.
            unsafe { (watched.address as *mut u8).write_volatile(byte) };
        } else {
            overwrite(watched.address, &[byte]);
        }
    }
}

/// An execution begins.
pub(crate) fn begin() {
    set(What::Synchronises, false);
    set(What::Leaves, false);
}

/// The test begins.
pub(crate) fn begin_test() {
    set(What::Leaves, true);
}

/// The program is about to have several threads.
pub(crate) fn watch() {
    set(What::Synchronises, true);
}

/// The running thread has come to a breakpoint at this address; whether it was one of these. It goes on, which is
/// no harm if it is alone. On the host's side.
pub(crate) fn pass(address: usize) -> bool {
    let watched = WATCHED.get().map_or(&[][..], Vec::as_slice);
    let Ok(index) = watched.binary_search_by_key(&address, |watched| watched.address) else { return false };
    let Watched { name, what, .. } = &watched[index];
    // The harness tells itself that the test is over.
    let over = name.contains("test::event::CompletedTest");
    let panicked = || state::with(|state| state.output.last_panic().is_some());
    match what {
        What::Leaves => note(format!("what is outside of the process, by `{}`", short(name))),
        What::Synchronises if is_alone() || over && panicked() => {}
        What::Synchronises if over => {
            note("a thread that the test has not joined goes on when it ends".to_owned());
        }
        What::Synchronises => note(format!("code that is not instrumented: `{}`", short(name))),
    }
    if over {
        begin();
    }
    set(*what, false);
    true
}

/// Whether there is no other thread than the running one.
pub(crate) fn is_alone() -> bool {
    state::with(|state| state.threads.is_alone(super::super::threads::me()))
}

/// A name without what it is generic over.
fn short(name: &str) -> String {
    let (mut short, mut depth) = (String::new(), 0_u32);
    let outer = name.strip_prefix('<').map_or(name, |name| name);
    let name = if outer.len() < name.len() { outer.replacen(">::", "::", 1) } else { name.to_owned() };
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => short.push(letter),
            _ => {}
        }
    }
    short
}
