//! `Arc` and `Weak`: std's, with every reference counted by the execution too.
//!
//! Clones and drops are events that order nothing but the value's destructor; a value that is not
//! released by the end of the execution is a leak. The model's event comes first, then std's effect.

mod raw;
mod traits;
mod weak;

pub use weak::Weak;

use racefuzz_runtime::Site;
use racefuzz_runtime::ops::{self, CountRead};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::pin::Pin;

/// `std::sync::Arc` with leak checking, whose counts are steps where somebody looks at them.
///
/// An `Arc<T>` does not coerce to `Arc<dyn Trait>` (no type outside std can): use
/// [`from_std`](Self::from_std).
pub struct Arc<T: ?Sized> {
    /// Dropped by hand, so that what its value's destructor does is seen.
    inner: ManuallyDrop<std::sync::Arc<T>>,
    counted: Option<ops::Counted>,
}

impl<T> Arc<T> {
    /// A new counted value.
    #[inline]
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::of(std::sync::Arc::new(value), ops::counted_new(Site::caller()))
    }

    /// A new counted value that holds weak references to itself, which cannot be upgraded before
    /// this returns.
    #[track_caller]
    pub fn new_cyclic<F>(make: F) -> Self
    where
        F: FnOnce(&Weak<T>) -> T,
    {
        /// If `make` panics nothing has leaked.
        struct Unmade(Option<ops::Counted>);
        impl Drop for Unmade {
            fn drop(&mut self) {
                dropped(self.0, || true);
                if let Some(counted) = self.0 {
                    ops::counted_gone(counted);
                }
            }
        }
        let counted = ops::counted_new(Site::caller());
        let unmade = Unmade(counted);
        let inner = std::sync::Arc::new_cyclic(|weak| {
            let weak = Weak::of(weak.clone(), counted);
            let value = make(&weak);
            std::mem::forget(unmade);
            value
        });
        Self::of(inner, counted)
    }

    /// A new pinned counted value.
    #[track_caller]
    pub fn pin(value: T) -> Pin<Self> {
        // SAFETY: the value is behind an `Arc`, which never moves it while it is shared and lends it
        // for writing only to an unpinned `Arc`.
        unsafe { Pin::new_unchecked(Self::new(value)) }
    }

    /// New counted memory.
    #[track_caller]
    pub fn new_uninit() -> Arc<MaybeUninit<T>> {
        Arc::from_std_at(std::sync::Arc::new_uninit(), Site::caller())
    }

    /// The value, if this is the only strong reference: a step that looks at the count.
    ///
    /// # Errors
    /// With the reference itself, if there are others.
    #[track_caller]
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        this.observe(Site::caller(), |this| std::sync::Arc::strong_count(&this.inner) == 1);
        let (inner, counted) = this.into_parts();
        match std::sync::Arc::try_unwrap(inner) {
            Ok(value) => {
                dropped(counted, || true);
                Ok(value)
            }
            Err(inner) => Err(Self::of(inner, counted)),
        }
    }

    /// The value, if this is the only strong reference; else the reference is dropped. A step that
    /// looks at the count.
    #[track_caller]
    pub fn into_inner(this: Self) -> Option<T> {
        this.observe(Site::caller(), |this| std::sync::Arc::strong_count(&this.inner) == 1);
        let (inner, counted) = this.into_parts();
        dropped(counted, || std::sync::Arc::strong_count(&inner) == 1);
        std::sync::Arc::into_inner(inner)
    }

    /// The value if this is the only strong reference, else a clone of it: a step that looks at the
    /// count.
    #[track_caller]
    pub fn unwrap_or_clone(this: Self) -> T
    where
        T: Clone,
    {
        Self::try_unwrap(this).unwrap_or_else(|this| T::clone(&this))
    }
}

impl<T: ?Sized> Arc<T> {
    #[inline]
    fn of(inner: std::sync::Arc<T>, counted: Option<ops::Counted>) -> Self {
        Self { inner: ManuallyDrop::new(inner), counted }
    }
}

impl<T> Arc<MaybeUninit<T>> {
    /// The same with its value known to be initialised.
    ///
    /// # Safety
    /// The value must be initialised.
    pub unsafe fn assume_init(self) -> Arc<T> {
        let (inner, counted) = self.into_parts();
        // SAFETY: passed on to the caller.
        Arc::of(unsafe { inner.assume_init() }, counted)
    }
}

impl<T: Clone> Arc<T> {
    /// The value for writing, first cloned if there are other references: a step that looks at the
    /// count.
    #[track_caller]
    pub fn make_mut(this: &mut Self) -> &mut T {
        let site = Site::caller();
        this.observe(site, |this| this.is_unique());
        if std::sync::Arc::strong_count(&this.inner) != 1 {
            *this = Self::of(std::sync::Arc::new(T::clone(this)), ops::counted_new(site));
        } else if !this.is_unique() {
            // Std moves the value out; the weak references lose it.
            std::sync::Arc::make_mut(&mut this.inner);
            dropped(std::mem::replace(&mut this.counted, ops::counted_new(site)), || true);
        }
        std::sync::Arc::make_mut(&mut this.inner)
    }
}

impl<T: ?Sized> Arc<T> {
    /// Counts a std `Arc`, of which this must be the only strong reference: the way to an
    /// `Arc<dyn Trait>`.
    #[track_caller]
    pub fn from_std(inner: std::sync::Arc<T>) -> Self {
        Self::from_std_at(inner, Site::caller())
    }

    fn from_std_at(inner: std::sync::Arc<T>, site: Site) -> Self {
        Self::of(inner, ops::counted_new(site))
    }

    /// Whether two references are to one value.
    #[inline]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&this.inner, &other.inner)
    }

    /// How many strong references there are: a step. It reads `Relaxed`, as std's: only with an acquire
    /// fence behind it is known what those did who have let go.
    #[track_caller]
    pub fn strong_count(this: &Self) -> usize {
        this.read_count(Site::caller(), |_| CountRead::Relaxed);
        std::sync::Arc::strong_count(&this.inner)
    }

    /// How many weak references there are: a step.
    #[track_caller]
    pub fn weak_count(this: &Self) -> usize {
        this.read_count(Site::caller(), |_| CountRead::Unordered);
        std::sync::Arc::weak_count(&this.inner)
    }

    /// The value for writing, if there is no other reference: a step that looks at the count.
    #[track_caller]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.observe(Site::caller(), Self::is_unique);
        std::sync::Arc::get_mut(&mut this.inner)
    }

    /// A weak reference to the value.
    #[must_use]
    #[track_caller]
    pub fn downgrade(this: &Self) -> Weak<T> {
        cloned(this.counted, Site::caller());
        Weak::of(std::sync::Arc::downgrade(&this.inner), this.counted)
    }

    fn is_unique(&self) -> bool {
        std::sync::Arc::strong_count(&self.inner) == 1 && std::sync::Arc::weak_count(&self.inner) == 0
    }

    /// A step that asks whether this is the only reference: whoever is told so knows what all others did.
    fn observe(&self, site: Site, exclusive: impl FnOnce(&Self) -> bool) {
        self.read_count(site, |this| if exclusive(this) { CountRead::Acquire } else { CountRead::Unordered });
    }

    fn read_count(&self, site: Site, reads: impl FnOnce(&Self) -> CountRead) {
        match self.counted {
            Some(counted) => {
                let _ = ops::counted_observe(counted, site, || reads(self));
            }
            None => outside(),
        }
    }

    fn into_parts(self) -> (std::sync::Arc<T>, Option<ops::Counted>) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used nor dropped after the read.
        (ManuallyDrop::into_inner(unsafe { std::ptr::read(&raw const this.inner) }), this.counted)
    }
}

#[cold]
fn outside() {
    if ops::mode() == Err(racefuzz_runtime::Absent::Outside) {
        crate::outside::step();
    }
}

#[inline]
fn cloned(counted: Option<ops::Counted>, site: Site) {
    match counted {
        Some(counted) => {
            let _ = ops::counted_clone(counted, site);
        }
        None => outside(),
    }
}

/// A strong reference is about to go, the last one if `last` says so.
#[inline]
fn dropped(counted: Option<ops::Counted>, last: impl Fn() -> bool) {
    match counted {
        Some(counted) => {
            let _ = ops::counted_drop(counted, counted.created(), last);
        }
        None => outside(),
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    #[inline]
    #[track_caller]
    fn clone(&self) -> Self {
        cloned(self.counted, Site::caller());
        Self::of(std::sync::Arc::clone(&self.inner), self.counted)
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    #[inline]
    fn drop(&mut self) {
        /// Says so when the value's destructor panics, too.
        struct Gone(Option<ops::Counted>);
        impl Drop for Gone {
            #[inline]
            fn drop(&mut self) {
                if let Some(counted) = self.0 {
                    ops::counted_gone(counted);
                }
            }
        }
        dropped(self.counted, || std::sync::Arc::strong_count(&self.inner) == 1);
        let _gone = Gone(self.counted);
        // SAFETY: this is the drop, and nothing uses `inner` after it.
        unsafe { drop_reference(&mut self.inner) };
    }
}

/// Drops the reference. The runtime knows this function by its name from std's own drops: what std's
/// `Arc` orders is not seen, what this one does is.
///
/// # Safety
/// As for `ManuallyDrop::drop`.
#[inline(never)]
unsafe fn drop_reference<T: ?Sized>(inner: &mut ManuallyDrop<std::sync::Arc<T>>) {
    // SAFETY: passed on to the caller.
    unsafe { ManuallyDrop::drop(inner) };
}
