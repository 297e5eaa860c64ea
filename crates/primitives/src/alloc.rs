//! `std::alloc`, and loom's `Track`: memory whose release is checked. What is not released by the end
//! of an execution is a leak; a use of a racefuzz object in released memory is reported.

pub use std::alloc::Layout;

#[cfg(feature = "model")]
pub use racefuzz_runtime::alloc::Allocator;
#[cfg(not(feature = "model"))]
pub use untracked::Allocator;

#[cfg(feature = "model")]
use racefuzz_runtime::{Site, ops};

/// `std::alloc::alloc`, tracked.
///
/// # Safety
/// As for `std::alloc::alloc`.
#[track_caller]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    // SAFETY: passed on to the caller.
    #[cfg(feature = "model")]
    return unsafe { ops::alloc(layout, Site::caller()) };
    // SAFETY: passed on to the caller.
    #[cfg(not(feature = "model"))]
    unsafe {
        std::alloc::alloc(layout)
    }
}

/// `std::alloc::alloc_zeroed`, tracked.
///
/// # Safety
/// As for `std::alloc::alloc_zeroed`.
#[track_caller]
pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
    // SAFETY: passed on to the caller; the memory, if there is any, has the layout's size.
    unsafe {
        let memory = alloc(layout);
        if !memory.is_null() {
            memory.write_bytes(0, layout.size());
        }
        memory
    }
}

/// `std::alloc::realloc`, tracked: always by new memory, so that uses of the old are found.
///
/// # Safety
/// As for `std::alloc::realloc`.
#[track_caller]
pub unsafe fn realloc(memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: the caller promises that `new_size` makes a valid layout, and that the old memory has
    // the old one's size; the new memory has at least the smaller of both.
    unsafe {
        let new = alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
        if !new.is_null() {
            new.copy_from_nonoverlapping(memory, layout.size().min(new_size));
            dealloc(memory, layout);
        }
        new
    }
}

/// `std::alloc::dealloc`, tracked. In an execution the memory is kept until its end; a second
/// release fails it.
///
/// # Safety
/// As for `std::alloc::dealloc`.
#[track_caller]
pub unsafe fn dealloc(memory: *mut u8, layout: Layout) {
    // SAFETY: passed on to the caller.
    #[cfg(feature = "model")]
    unsafe {
        ops::dealloc(memory, layout, Site::caller());
    }
    // SAFETY: passed on to the caller.
    #[cfg(not(feature = "model"))]
    unsafe {
        std::alloc::dealloc(memory, layout);
    }
}

/// loom's `Track`: a value that must be dropped before the execution ends.
#[derive(Debug)]
pub struct Track<T> {
    value: T,
    #[cfg(feature = "model")]
    tracked: Tracked,
}

impl<T> Track<T> {
    /// Tracks a value.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self {
            value,
            #[cfg(feature = "model")]
            tracked: Tracked(ops::track(Site::caller())),
        }
    }

    /// The value.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The value for writing.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The value, no longer tracked.
    pub fn into_inner(self) -> T {
        #[cfg(feature = "model")]
        drop(self.tracked);
        self.value
    }
}

#[cfg(feature = "model")]
#[derive(Debug)]
struct Tracked(Option<u32>);

#[cfg(feature = "model")]
impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(object) = self.0 {
            ops::untrack(object);
        }
    }
}

#[cfg(not(feature = "model"))]
mod untracked {
    use std::alloc::{GlobalAlloc, Layout, System};

    /// The allocator `A`, as it is.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Allocator<A = System>(A);

    impl Allocator {
        /// The system's allocator.
        pub const fn new() -> Self {
            Self(System)
        }
    }

    impl<A> Allocator<A> {
        /// Another allocator.
        pub const fn wrap(inner: A) -> Self {
            Self(inner)
        }
    }

    // SAFETY: every call is passed on as it is.
    unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
        #[inline]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: passed on to the caller.
            unsafe { self.0.alloc(layout) }
        }

        #[inline]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: passed on to the caller.
            unsafe { self.0.alloc_zeroed(layout) }
        }

        #[inline]
        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            // SAFETY: passed on to the caller.
            unsafe { self.0.dealloc(memory, layout) }
        }

        #[inline]
        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // SAFETY: passed on to the caller.
            unsafe { self.0.realloc(memory, layout, new_size) }
        }
    }
}
