//! Functions of the standard library that come compiled and use memory of the program's word by word: of some it is
//! known by their names what they use. It is looked at where they begin.

use super::super::entries::{self, Hook};
use super::super::interpose::Frame;
use super::super::roles::function;
use super::super::sites;
use super::copies;

/// As many as there is room for at a time.
const AT_A_TIME: usize = 32;

/// Finds them.
pub(super) fn prepare() {
    let mut functions = sites::functions(&hook);
    functions.retain(|(function, _)| begins_once(*function));
    for functions in functions.chunks(AT_A_TIME) {
        entries::hook_all(functions);
    }
}

/// Whether no loop of a function comes back to its beginning: it keeps a register there.
fn begins_once(function: usize) -> bool {
    // SAFETY: a function of the executable, which the loader has mapped.
    let code = unsafe { std::slice::from_raw_parts(function as *const u8, 2) };
    matches!(code, [0x50..=0x57, _] | [0x41, 0x50..=0x57])
}

/// What is called where the function of this name begins, if anything is.
fn hook(name: &str) -> Option<Hook> {
    used(name).map(|called| Hook::Before(called as usize))
}

/// What is called, with the first argument of the function, and a frame.
type Called = extern "C" fn(usize, *const Frame);

fn used(name: &str) -> Option<Called> {
    let of_trait = |name: &str| -> Option<(String, String)> {
        let (of, path) = name.strip_prefix('<')?.split_once(" as ")?;
        Some((of.to_owned(), path.to_owned()))
    };
    if let Some((of, path)) = of_trait(name) {
        let shown = path.starts_with("core::fmt::") && path.ends_with(">::fmt");
        return match (&*of, &*path) {
            ("u8" | "i8" | "bool", _) if shown => Some(reads::<1>),
            ("u16" | "i16", _) if shown => Some(reads::<2>),
            ("u32" | "i32" | "f32" | "char", _) if shown => Some(reads::<4>),
            ("u64" | "i64" | "f64" | "usize" | "isize", _) if shown => Some(reads::<8>),
            ("u128" | "i128" | "core::time::Duration", _) if shown => Some(reads::<16>),
            ("alloc::string::String", _) if shown => Some(reads::<24>),
            // A result that fits into a register: the text comes first.
            (
                "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "char",
                "core::str::traits::FromStr>::from_str",
            ) => Some(reads_slice::<0>),
            _ => None,
        };
    }
    let is = |path: &str| name.strip_prefix(path).is_some_and(|rest| !rest.contains("::"));
    match function(name) {
        // The byte that is looked for, and then what is looked through.
        "memchr" | "memchr_aligned" | "memrchr" if is("core::slice::memchr::") => Some(reads_slice::<1>),
        "do_count_chars" | "char_count_general_case" if is("core::str::count::") => Some(reads_slice::<0>),
        // The place of the result comes first.
        "from_utf8" if is("core::str::converts::") => Some(reads_slice::<1>),
        "from_utf8_lossy" if is("<alloc::string::String>::") => Some(reads_slice::<1>),
        "new" if is("<core::str::pattern::StrSearcher>::") => Some(reads_slice::<1>),
        "_push" | "_set_extension" | "pop" if is("<std::path::PathBuf>::") => Some(writes::<24>),
        _ => None,
    }
}

extern "C" fn reads<const BYTES: usize>(address: usize, frame: *const Frame) {
    copies::uses(address, BYTES, false, frame);
}

extern "C" fn writes<const BYTES: usize>(address: usize, frame: *const Frame) {
    copies::uses(address, BYTES, true, frame);
}

/// A slice is read, which begins with the argument of this number.
extern "C" fn reads_slice<const AT: usize>(_: usize, frame: *const Frame) {
    // SAFETY: the frame of a stub, which has kept the arguments.
    let [address, bytes] = unsafe { entries::kept_slice(frame, AT) };
    copies::uses(address, bytes, false, frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_uses_goes_by_its_name() {
        for name in [
            "<u32 as core::fmt::Display>::fmt",
            "<f64 as core::fmt::LowerExp>::fmt",
            "<alloc::string::String as core::fmt::Debug>::fmt",
            "<u16 as core::str::traits::FromStr>::from_str",
            "core::slice::memchr::memchr_aligned",
            "<alloc::string::String>::from_utf8_lossy",
            "<std::path::PathBuf>::_push",
        ] {
            assert!(used(name).is_some(), "{name}");
        }
        for name in [
            "<&u32 as core::fmt::Display>::fmt",
            "<mine::Kind as core::fmt::Display>::fmt",
            "<u64 as core::str::traits::FromStr>::from_str",
            "core::slice::memchr::memchr_aligned::{closure#0}::inner",
            "mine::memchr",
        ] {
            assert!(used(name).is_none(), "{name}");
        }
    }
}
