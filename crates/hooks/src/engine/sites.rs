//! Places: return addresses of the program, and what they stand for.
//!
//! An operation is placed where the program asked for it. With optimisation that is the very caller of the
//! hook, into which the standard library was inlined; without, the caller may be a function of the standard
//! library that was compiled into the program, and the place is further up the stack. Which addresses are the
//! standard library's is found out once for each, from the debug information.

use super::interpose::Frame;
use super::roles::Part;
use super::{places, stacks, state};
use addr2line::Loader;
use object::{
    Object, ObjectSymbol, ObjectSymbolTable, ReadCache, RelocationFlags, RelocationTarget, SymbolKind, elf,
};
use racefuzz_runtime::{Place, Site};
use racefuzz_trace::normalize_path;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Calls that are looked at for one that is not the standard library's.
const DEPTH: usize = 24;

/// Where the executable is loaded.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// What it may write: from and to.
static STATICS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// What is known of the addresses seen so far.
#[derive(Default)]
struct Known {
    loader: Option<Loader>,
    codes: HashMap<usize, Code, Hasher>,
    /// Whether a static at an address is the standard library's.
    library: HashMap<usize, bool, Hasher>,
    /// Places that have no address: of panics.
    texts: Vec<Place>,
    /// Files in which some address has its place.
    files: HashSet<&'static str>,
}

/// A hash for addresses.
type Hasher = std::hash::BuildHasherDefault<super::words::AddressHasher>;

/// What an address of code stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    place: Place,
    /// All of it is the standard library's.
    is_std: bool,
    /// What of the standard library it is.
    part: Part,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// A place that has no address begins here.
const TEXTS: usize = 1 << 62;

/// The executable is loaded there, and may write what lies between two addresses.
pub(crate) fn prepare(base: usize, statics: (usize, usize)) {
    BASE.store(base, Ordering::Relaxed);
    STATICS[0].store(statics.0, Ordering::Relaxed);
    STATICS[1].store(statics.1, Ordering::Relaxed);
    racefuzz_runtime::resolve_code(|address| with(|known| known.place(address)));
}

fn with<R>(f: impl FnOnce(&mut Known) -> R) -> R {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    f(known.get_or_insert_with(Known::default))
}

/// The place of an operation that the program asked for by a call with this frame.
pub(crate) fn site(frame: *const Frame) -> Site {
    with(|known| known.site(frame)).0
}

/// The place, and what of the standard library asked for it.
pub(crate) fn site_and_part(frame: *const Frame) -> (Site, Part) {
    with(|known| known.site(frame))
}

/// A place that is known by its name only.
pub(crate) fn site_at(file: &str, line: u32, column: u32) -> Site {
    with(|known| {
        let index = known
            .texts
            .iter()
            .position(|place| (place.file(), place.line(), place.column()) == (file, line, column));
        let index = index.unwrap_or_else(|| {
            known.texts.push(Place::new(String::leak(file.to_owned()), line, column));
            known.texts.len() - 1
        });
        Site::of_code(TEXTS + index)
    })
}

/// The files that go by a name in reports, of those in which some address has its place.
pub(crate) fn files(name: &str) -> Vec<&'static str> {
    let roots = state::with(|state| state.roots.clone());
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    with(|known| known.files.iter().copied().filter(|file| normalize_path(file, &roots) == name).collect())
}

/// A place as reports have it.
pub(crate) fn shown(place: Place) -> racefuzz_trace::Site {
    let roots = state::with(|state| state.roots.clone());
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let (line, column) = (place.line(), place.column());
    racefuzz_trace::Site { file: normalize_path(place.file(), &roots), line, column }
}

/// The name of the static that lies at an address.
pub(crate) fn static_at(address: usize) -> Option<String> {
    let [from, to] = [&STATICS[0], &STATICS[1]].map(|bound| bound.load(Ordering::Relaxed));
    if !(from..to).contains(&address) {
        return None;
    }
    let offset = address - BASE.load(Ordering::Relaxed);
    with(|known| {
        let symbol = known.loader()?.find_symbol_info(offset as u64)?;
        let name = addr2line::demangle_auto(symbol.name().into(), None).into_owned();
        let inside = offset as u64 - symbol.address();
        let short = short_name(&name);
        Some(if inside == 0 { short } else { format!("{short}+{inside}") })
    })
}

/// Whether a static of the standard library's lies at an address.
pub(crate) fn is_static_of_library(address: usize) -> bool {
    let [from, to] = [&STATICS[0], &STATICS[1]].map(|bound| bound.load(Ordering::Relaxed));
    if !(from..to).contains(&address) {
        return false;
    }
    let offset = address - BASE.load(Ordering::Relaxed);
    with(|known| {
        if let Some(known) = known.library.get(&address) {
            return *known;
        }
        let name = known.loader().and_then(|loader| loader.find_symbol(offset as u64));
        let of_library = name.is_some_and(|name| !is_program(&addr2line::demangle_auto(name.into(), None)));
        known.library.insert(address, of_library);
        of_library
    })
}

/// Whether an address lies in what of the executable cannot be written.
pub(crate) fn is_constant(address: usize) -> bool {
    let base = BASE.load(Ordering::Relaxed);
    (base..STATICS[0].load(Ordering::Relaxed)).contains(&address)
}

/// Where the code of the executable lies: from and to.
pub(crate) fn code() -> Option<(usize, usize)> {
    let base = BASE.load(Ordering::Relaxed);
    let range = with(|known| known.loader()?.get_section_range(b".text"))?;
    Some((base + range.begin as usize, base + range.end as usize))
}

/// Where the function begins that an address lies in.
pub(crate) fn function(address: usize) -> Option<usize> {
    let base = BASE.load(Ordering::Relaxed);
    with(|known| Some(base + known.loader()?.find_symbol_info((address - base) as u64)?.address() as usize))
}

/// The name of the function that an address lies in.
pub(crate) fn function_name(address: usize) -> Option<String> {
    let base = BASE.load(Ordering::Relaxed);
    with(|known| {
        let symbol = known.loader()?.find_symbol((address - base) as u64)?;
        Some(addr2line::demangle_auto(symbol.into(), None).into_owned())
    })
}

/// The words of the executable that hold addresses of other libraries' functions, which it calls by them, and the names
/// of those.
pub(crate) fn slots() -> Vec<(usize, String)> {
    let base = BASE.load(Ordering::Relaxed);
    let Ok(file) = std::fs::File::open("/proc/self/exe") else { return Vec::new() };
    let cache = ReadCache::new(file);
    let Ok(executable) = object::read::elf::ElfFile64::<object::Endianness, _>::parse(&cache) else {
        return Vec::new();
    };
    let Some(symbols) = executable.dynamic_symbol_table() else { return Vec::new() };
    let relocations = executable.dynamic_relocations().into_iter().flatten();
    let slots = relocations.filter_map(|(offset, relocation)| {
        let RelocationTarget::Symbol(index) = relocation.target() else { return None };
        let RelocationFlags::Elf { r_type: elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT } =
            relocation.flags()
        else {
            return None;
        };
        let name = symbols.symbol_by_index(index).ok()?.name().ok()?.to_owned();
        Some((base + offset as usize, name))
    });
    slots.collect()
}

/// Where the functions begin whose names something is known of, and what.
pub(crate) fn functions<T>(known: &dyn Fn(&str) -> Option<T>) -> Vec<(usize, T)> {
    let base = BASE.load(Ordering::Relaxed);
    let Ok(file) = std::fs::File::open("/proc/self/exe") else { return Vec::new() };
    let cache = ReadCache::new(file);
    let Ok(executable) = object::read::elf::ElfFile64::<object::Endianness, _>::parse(&cache) else {
        return Vec::new();
    };
    let functions =
        executable.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    let found = functions.filter_map(|symbol| {
        let name = addr2line::demangle_auto(symbol.name().ok()?.into(), None);
        let known = known(&name)?;
        Some((base + symbol.address() as usize, name.into_owned(), known))
    });
    let mut found: Vec<(usize, String, T)> = found.collect();
    // Functions of equal code may be one: the linker has their names in any order.
    found.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    found.dedup_by_key(|(address, ..)| *address);
    found.into_iter().map(|(address, _, known)| (address, known)).collect()
}

/// Whether the function at an address is none of the standard library's, or one of its functions that stand for an
/// instruction.
pub(crate) fn is_written_for_program(function: usize) -> bool {
    let base = BASE.load(Ordering::Relaxed);
    with(|known| {
        let symbol = known.loader()?.find_symbol((function - base) as u64)?;
        let name = addr2line::demangle_auto(symbol.into(), None);
        Some(is_program(&name) || name.contains("core_arch::"))
    })
    .unwrap_or(false)
}

/// A path without the crate, the hash and what stands for the compiler's own names.
fn short_name(path: &str) -> String {
    let path = path.split("::{").next().unwrap_or(path);
    let mut parts: Vec<&str> = path.split("::").collect();
    if parts.len() > 1 && parts.last().is_some_and(|part| part.len() == 17 && part.starts_with('h')) {
        parts.pop();
    }
    parts.last().copied().unwrap_or(path).to_owned()
}

impl Known {
    fn loader(&mut self) -> Option<&Loader> {
        if self.loader.is_none() {
            self.loader = Loader::new("/proc/self/exe").ok();
        }
        self.loader.as_ref()
    }

    fn site(&mut self, mut frame: *const Frame) -> (Site, Part) {
        let mut part = Part::default();
        let mut first = None;
        for _ in 0..DEPTH {
            // SAFETY: a hook's own frame, perhaps of a call that is over, and from there the chain of frame pointers,
            // which is followed only upwards inside the stack in which it lies.
            let Frame { caller, returns_to } = unsafe { *frame };
            let address = returns_to.wrapping_sub(1);
            let code = self.code(address);
            part = part.called_by(code.part);
            if !code.is_std {
                if part != Part::default() {
                    places::calls(code.place);
                }
                return (Site::of_code(address), part);
            }
            first.get_or_insert(address);
            if !stacks::is_frame_behind(frame as usize, caller) {
                break;
            }
            frame = caller as *const Frame;
        }
        (Site::of_code(first.unwrap_or(0)), part)
    }

    fn code(&mut self, address: usize) -> Code {
        if let Some(code) = self.codes.get(&address) {
            return *code;
        }
        let code = self.look_up(address);
        self.files.insert(code.place.file());
        self.codes.insert(address, code);
        code
    }

    fn look_up(&mut self, address: usize) -> Code {
        let mut code = Code { place: Place::new("?", 0, 0), is_std: true, part: Part::default() };
        let offset = address.wrapping_sub(BASE.load(Ordering::Relaxed)) as u64;
        let Some(loader) = self.loader() else { return code };
        if let Some(symbol) = loader.find_symbol(offset) {
            code.is_std = !is_program(&addr2line::demangle_auto(symbol.into(), None));
        }
        let Ok(mut frames) = loader.find_frames(offset) else { return code };
        let mut outermost = None;
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|function| function.demangle().ok());
            let part = name.map_or(Part::default(), |name| Part::of(&name));
            let Some(location) = frame.location else { continue };
            let Some(file) = location.file else { continue };
            outermost = Some((file, location.line, location.column));
            if !is_std_file(file) {
                code.is_std = false;
                break;
            }
            code.part = code.part.called_by(part);
        }
        if let Some((file, line, column)) = outermost {
            let file = String::leak(file.to_owned());
            code.place = Place::new(file, line.unwrap_or(0), column.unwrap_or(0));
            code.is_std = is_std_file(file);
        }
        code
    }

    fn place(&mut self, address: usize) -> Place {
        match address.checked_sub(TEXTS) {
            Some(index) => self.texts.get(index).copied().unwrap_or(Place::new("?", 0, 0)),
            None => self.code(address).place,
        }
    }
}

fn is_std_file(file: &str) -> bool {
    file.starts_with("/rustc/")
        || file.contains("/lib/rustlib/src/rust/library/")
        || file.starts_with("library/")
}

/// Whether a function is no instance of the standard library's.
fn is_program(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '&']);
    let name = name.strip_prefix("mut ").unwrap_or(name);
    !["core::", "std::", "alloc::", "test::"].iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_implements_for_a_reference_goes_by_its_type() {
        assert!(!is_program("<&std::io::stdio::Stdout as std::io::Write>::write_fmt"));
        assert!(!is_program("<&mut alloc::vec::Vec<mine::Kind> as core::fmt::Debug>::fmt"));
        assert!(is_program("<&mine::Queue as core::fmt::Debug>::fmt"));
        assert!(is_program("<&mut mine::Queue as core::iter::Iterator>::next"));
    }

    #[test]
    fn a_static_goes_by_its_last_name() {
        assert_eq!(short_name("mine::counters::FLAG"), "FLAG");
        assert_eq!(short_name("mine::FLAG::h0123456789abcdef"), "FLAG");
    }
}
