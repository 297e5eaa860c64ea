//! Memory that std's own `Arc` frees.
//!
//! A program under test may keep its instrumented objects in a `std::sync::Arc`, as many tests do.
//! Its count is not seen, so neither is what it orders: that every owner's uses happen before the
//! last owner frees the value. Who frees is found from the calls that the thread is in. Everything
//! that a value's destructor frees on the way is covered, too.
//!
//! The instrumented `Arc` is itself made of std's; it drops its references in a function of its own,
//! by which it is told.

#[cfg(unix)]
use crate::frames::walk;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::collections::HashMap;

/// What is known after a part of the calls, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// No `Arc` yet.
    Nothing,
    /// An `Arc` drops a reference; whose is not known.
    Drop,
    /// It is the program's own.
    Std,
    /// It is within the instrumented one.
    Instrumented,
}

impl Known {
    /// What is known after one more call.
    fn after(self, function: Function) -> Self {
        match (self, function) {
            (Self::Nothing | Self::Drop, Function::Drop) => Self::Drop,
            (Self::Drop, Function::Instrumented) => Self::Instrumented,
            (Self::Drop, Function::Other) => Self::Std,
            _ => self,
        }
    }

    fn is_decided(self) -> bool {
        matches!(self, Self::Std | Self::Instrumented)
    }
}

/// What a function has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// It is part of how std's `Arc` or `Weak` drops a reference.
    Drop,
    /// It may stand between that and what it is part of.
    Glue,
    /// It is how the instrumented `Arc` drops a reference.
    Instrumented,
    Other,
}

impl Function {
    /// By its name, and the file it is in where that is known: names come with their path from
    /// symbols, and without from line tables.
    fn of(name: &str, file: &str) -> Self {
        let name = without_hashes(name);
        let name = name.trim_start_matches('<');
        let last = |word: &str| {
            let whole = name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('<'));
            whole || name.ends_with(&format!("::{word}"))
        };
        let dropped = ["drop_in_place", "drop_glue"].iter().find_map(|glue| {
            let at = name.strip_prefix("core::ptr::").unwrap_or(name);
            Some(at.strip_prefix(glue)?.trim_start_matches("::").trim_start_matches('<'))
        });
        let is_count =
            |path: &str| path.starts_with("alloc::sync::Arc<") || path.starts_with("alloc::sync::Weak<");
        let of_count = is_count(name) || file.contains("library/alloc/src/sync.rs");
        if dropped.is_some_and(is_count) || (of_count && (last("drop_slow") || last("drop"))) {
            Self::Drop
        } else if last("drop_reference")
            && (name.contains("racefuzz") || file.contains("primitives/src/arc.rs"))
        {
            Self::Instrumented
        } else if name.contains("ManuallyDrop") || file.contains("mem/manually_drop.rs") {
            Self::Glue
        } else {
            Self::Other
        }
    }
}

/// A name without the hashes of crates, which some compilers write as `core[0123456789abcdef]`.
fn without_hashes(name: &str) -> String {
    let mut parts = name.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        match part.split_once(']') {
            Some((hash, rest)) if hash.len() > 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                name.push_str(rest);
            }
            _ => name.extend(["[", part]),
        }
        name
    })
}

/// What a call does to what is known before it: if that is nothing, and if it is a drop. Several
/// functions that are inlined into each other are one call.
#[derive(Clone, Copy, Debug)]
struct Call {
    after_nothing: Known,
    after_drop: Known,
}

impl Call {
    const UNKNOWN: Self = Self { after_nothing: Known::Nothing, after_drop: Known::Drop };

    fn add(&mut self, function: Function) {
        self.after_nothing = self.after_nothing.after(function);
        self.after_drop = self.after_drop.after(function);
    }

    fn after(self, known: Known) -> Known {
        match known {
            Known::Nothing => self.after_nothing,
            Known::Drop => self.after_drop,
            decided => decided,
        }
    }
}

thread_local! {
    /// The calls that were looked at, by the address in them.
    static CALLS: RefCell<HashMap<usize, Call>> = RefCell::default();
}

/// Whether the running code is called by the drop of the last reference of a std `Arc`.
///
/// True as well where the names of functions were stripped from the program: nobody is accused of
/// what cannot be told.
#[cold]
#[inline(never)]
pub(crate) fn releases() -> bool {
    CALLS.with_borrow_mut(|calls| {
        if let Some(known) = look(calls) {
            return known == Known::Std || known == Known::Drop;
        }
        if !learn(calls, &format!("{:#}", Backtrace::force_capture())) {
            return true;
        }
        look(calls).is_none_or(|known| known == Known::Std || known == Known::Drop)
    })
}

/// What the calls that the thread is in tell; `None` if one of them is not known. The innermost ones,
/// which look, never are.
#[cfg(unix)]
fn look(calls: &HashMap<usize, Call>) -> Option<Known> {
    let (mut known, mut any, mut missing) = (Known::Nothing, false, false);
    walk(|address| {
        match calls.get(&address) {
            Some(call) => (known, any) = (call.after(known), true),
            None => missing = any,
        }
        !missing && !known.is_decided()
    });
    (any && !missing).then_some(known)
}

#[cfg(not(unix))]
fn look(_: &HashMap<usize, Call>) -> Option<Known> {
    None
}

/// Adds the calls of a backtrace; false if none of them has a name.
///
/// A function is a line `NUMBER: ADDRESS - NAME`, or `- NAME` where it is inlined into the next; behind
/// it may be a line `at FILE`.
fn learn(calls: &mut HashMap<usize, Call>, backtrace: &str) -> bool {
    let mut lines = backtrace.lines().map(str::trim).peekable();
    let (mut current, mut named) = (None, false);
    while let Some(line) = lines.next() {
        let file = lines.next_if(|line| line.starts_with("at ")).unwrap_or_default();
        let (address, name) = match (line.strip_prefix("- "), line.split_once(" - ")) {
            (Some(name), _) => (current, name),
            (None, Some((head, name))) => {
                (head.split_once(": ").and_then(|(_, text)| address_of(text)), name)
            }
            (None, None) => continue,
        };
        let Some(address) = address else { continue };
        if current != Some(address) {
            calls.insert(address, Call::UNKNOWN);
        }
        current = Some(address);
        calls.entry(address).or_insert(Call::UNKNOWN).add(Function::of(name, file));
        named |= name != "<unknown>";
    }
    named
}

fn address_of(text: &str) -> Option<usize> {
    usize::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(functions: &[Function]) -> Known {
        functions.iter().fold(Known::Nothing, |known, function| known.after(*function))
    }

    #[test]
    fn whose_drop_it_is() {
        use Function::{Drop, Glue, Instrumented, Other};
        assert_eq!(known(&[Other, Other]), Known::Nothing);
        assert_eq!(known(&[Other, Drop]), Known::Drop);
        assert_eq!(known(&[Other, Drop, Drop, Drop, Other]), Known::Std);
        assert_eq!(known(&[Other, Drop, Drop, Glue, Instrumented, Other]), Known::Instrumented);
        // The inner one decides.
        assert_eq!(known(&[Other, Drop, Instrumented, Other, Drop, Drop, Other]), Known::Instrumented);
        assert_eq!(known(&[Other, Drop, Other, Drop, Instrumented, Other]), Known::Std);
    }

    #[test]
    fn functions_by_their_names() {
        let path = |name: &str| Function::of(name, "");
        assert_eq!(path("alloc::sync::Arc<T,A>::drop_slow"), Function::Drop);
        assert_eq!(path("<alloc[e28293b1aa0f68bd]::sync::Arc<program::Node>>::drop_slow"), Function::Drop);
        assert_eq!(path("<alloc::sync::Weak<T,A> as core::ops::drop::Drop>::drop"), Function::Drop);
        assert_eq!(path("core::ptr::drop_in_place<alloc::sync::Arc<program::Node>>"), Function::Drop);
        assert_eq!(path("racefuzz_primitives::arc::drop_reference"), Function::Instrumented);
        // A vector of references is freed by whoever owns it.
        let vector = "core::ptr::drop_in_place<alloc::vec::Vec<alloc::sync::Arc<program::Node>>>";
        assert_eq!(path(vector), Function::Other);
        assert_eq!(path("<program::Node as core::ops::drop::Drop>::drop"), Function::Other);
        let sync = "at /rustc/5980/library/alloc/src/sync.rs:2:9";
        assert_eq!(Function::of("drop_slow<program::Node, alloc::alloc::Global>", sync), Function::Drop);
        assert_eq!(Function::of("drop<program::Node, alloc::alloc::Global>", sync), Function::Drop);
        assert_eq!(Function::of("make_mut<program::Node, alloc::alloc::Global>", sync), Function::Other);
        assert_eq!(Function::of("drop<program::Node>", "at src/node.rs:1:2"), Function::Other);
        let arc = "at crates/primitives/src/arc.rs:1:2";
        assert_eq!(Function::of("drop_reference<program::Node>", arc), Function::Instrumented);
    }

    #[test]
    fn a_backtrace_is_read() {
        let text = "   0:     0x55550000 - alloc::sync::Arc<T,A>::drop_slow\n\
                    \x20                       at /rustc/library/alloc/src/sync.rs:1:2\n\
                    \x20  1:     0x55550010 - <alloc::sync::Arc<T,A> as core::ops::drop::Drop>::drop\n\
                    \x20                     - core::mem::drop\n\
                    \x20  2:     0x55550010 - program::main\n";
        let mut calls = HashMap::new();
        assert!(learn(&mut calls, text));
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[&0x5555_0000].after(Known::Nothing), Known::Drop);
        assert_eq!(calls[&0x5555_0010].after(Known::Drop), Known::Std);
        assert!(!learn(&mut calls, "   0:     0x55550000 - <unknown>\n"));
    }
}
