//! Where an event stands in the source, as cheap to pass as a pointer.

use std::panic::Location;

/// A source location, opaque to everything above the runtime; it becomes a
/// [`racefuzz_trace::Site`] only when a trace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Site(&'static Location<'static>);

impl Site {
    /// The location of the caller.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub const fn caller() -> Self {
        Self(Location::caller())
    }

    /// A site for a location the caller has at hand.
    pub const fn at(location: &'static Location<'static>) -> Self {
        Self(location)
    }

    /// The place itself; its path is as the compiler was given it.
    pub fn location(self) -> &'static Location<'static> {
        self.0
    }

    /// A number for the place, the same in every build: the compiler may keep one place at several
    /// addresses.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        u64::from(self.0.line()) << 32 ^ u64::from(self.0.column()) << 16 ^ self.0.file().len() as u64
    }
}
