//! Where an event stands in the source, as cheap to pass as a pointer.
//!
//! Code that calls the runtime knows its place when it is compiled. Code that the compiler has instrumented
//! knows only an address of its own: what that stands for is looked up where a place is shown or compared,
//! by whoever runs such code ([`resolve_code`]).

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// A source location, opaque to everything above the runtime; it becomes a
/// [`racefuzz_trace::Site`] only when a trace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Site(NonNull<Location<'static>>);

// SAFETY: what it points to, if anything, is constant and lives for ever.
unsafe impl Send for Site {}
// SAFETY: as above.
unsafe impl Sync for Site {}

/// What marks an address of code: user space has no address with this bit.
const CODE: usize = 1 << (usize::BITS - 1);

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    file: &'static str,
    line: u32,
    column: u32,
}

impl Place {
    /// A line, from 1, and a column, from 1, of a file, whose path is as the compiler was given it.
    pub const fn new(file: &'static str, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }

    /// The path, as the compiler was given it.
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// The line, from 1.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1.
    pub const fn column(&self) -> u32 {
        self.column
    }
}

/// What finds the place of an address of code.
static RESOLVE: OnceLock<fn(usize) -> Place> = OnceLock::new();

/// Sets what finds the place of an address of code, for [`Site::of_code`]. The first caller wins. It is
/// asked again and again for one address, also while an execution runs, and must answer alike.
pub fn resolve_code(resolve: fn(usize) -> Place) {
    let _ = RESOLVE.set(resolve);
}

impl Site {
    /// The location of the caller.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub const fn caller() -> Self {
        Self::at(Location::caller())
    }

    /// A site for a location the caller has at hand.
    pub const fn at(location: &'static Location<'static>) -> Self {
        // SAFETY: a reference is never null.
        Self(unsafe { NonNull::new_unchecked(std::ptr::from_ref(location).cast_mut()) })
    }

    /// A site for an address of code: see [`resolve_code`].
    pub fn of_code(address: usize) -> Self {
        let marked = std::ptr::without_provenance_mut(address | CODE);
        // SAFETY: the mark makes it anything but null.
        Self(unsafe { NonNull::new_unchecked(marked) })
    }

    /// The address of code that it stands for, if it does.
    #[inline]
    fn code(self) -> Option<usize> {
        let address = self.0.as_ptr() as usize;
        (address & CODE != 0).then_some(address & !CODE)
    }

    /// The place itself; its path is as the compiler was given it.
    pub fn location(self) -> Place {
        match self.code() {
            None => {
                // SAFETY: without the mark it was made from a `&'static Location`.
                let location = unsafe { self.0.as_ref() };
                Place::new(location.file(), location.line(), location.column())
            }
            Some(address) => match RESOLVE.get() {
                Some(resolve) => resolve(address),
                None => Place::new("?", 0, 0),
            },
        }
    }

    /// A number for the place, the same in every build: the compiler may keep one place at several
    /// addresses. (An address of code is its own number: the same in every run of one build.)
    #[inline]
    pub(crate) fn number(self) -> u64 {
        if let Some(address) = self.code() {
            return address as u64;
        }
        let place = self.location();
        u64::from(place.line) << 32 ^ u64::from(place.column) << 16 ^ place.file.len() as u64
    }

    /// Another such number, for places where something is made.
    #[inline]
    pub(crate) fn number_of_origin(self) -> u64 {
        if let Some(address) = self.code() {
            return address as u64;
        }
        let place = self.location();
        (place.file.len() as u64) << 48 ^ u64::from(place.line) << 16 ^ u64::from(place.column)
    }

    /// It, as a word that an atomic can hold.
    #[inline]
    pub(crate) fn into_word(self) -> *mut Location<'static> {
        self.0.as_ptr()
    }

    /// The site that a word was made of; none, if it is null.
    ///
    /// # Safety
    /// Anything else comes from [`Site::into_word`].
    pub(crate) unsafe fn from_word(word: *mut Location<'static>) -> Option<Self> {
        NonNull::new(word).map(Self)
    }
}
