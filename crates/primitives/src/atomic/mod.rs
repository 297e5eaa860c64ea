//! Atomics: std's types and operations, each operation a step.
//!
//! Loads may read stale stores as far as the memory model allows. The newest value is kept in a std
//! atomic, which is all there is outside an execution.

mod boolean;
mod integer;
mod operations;
mod pointer;

pub use boolean::AtomicBool;
pub use integer::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};
pub use pointer::AtomicPtr;
pub use std::sync::atomic::{Ordering, compiler_fence};

use racefuzz_runtime::{Absent, Primitive, Shared, Shown, Site, ops};
use racefuzz_trace::{MemoryOrder, ObjectKind, Verb};

/// `std::sync::atomic::fence`.
///
/// # Panics
/// If the order is `Relaxed`.
#[track_caller]
pub fn fence(order: Ordering) {
    assert!(order != Ordering::Relaxed, "there is no such thing as a relaxed fence");
    match ops::fence(order.into(), Site::caller()) {
        Ok(()) | Err(Absent::TearDown) => {}
        Err(Absent::Outside) => {
            crate::outside::step();
            std::sync::atomic::fence(order);
        }
    }
}

/// A std atomic, and how its value becomes a word.
pub(crate) trait Real {
    type Value: Copy;

    fn load(&self, order: Ordering) -> Self::Value;
    fn store(&self, value: Self::Value, order: Ordering);
    fn exchange(
        &self,
        current: Self::Value,
        new: Self::Value,
        orders: (Ordering, Ordering),
        weak: bool,
    ) -> Result<Self::Value, Self::Value>;
    fn get_mut(&mut self) -> &mut Self::Value;

    fn to_word(value: Self::Value) -> u64;
    fn from_word(word: u64) -> Self::Value;
    fn show(word: u64) -> Shown;
}

/// What all atomics are made of.
pub(crate) struct Inner<A> {
    shared: Shared,
    /// The newest value.
    pub(crate) real: A,
}

impl<A: Real> Primitive for Inner<A> {
    const KIND: ObjectKind = ObjectKind::Atomic;

    #[inline]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        A::to_word(self.real.load(Ordering::Relaxed))
    }

    fn show(&self, word: u64) -> Shown {
        A::show(word)
    }

    fn keep_newest(&self, word: u64) {
        self.real.store(A::from_word(word), Ordering::Relaxed);
    }
}

impl<A> Inner<A> {
    #[track_caller]
    pub(crate) const fn new(real: A) -> Self {
        Self { shared: Shared::new(), real }
    }
}

impl<A: Real> Inner<A> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn load(&self, order: Ordering, site: Site) -> A::Value {
        match order {
            Ordering::Release => panic!("there is no such thing as a release load"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release load"),
            _ => {}
        }
        match ops::load(self, order.into(), Verb::Load, site) {
            Ok(word) => A::from_word(word),
            Err(absent) => {
                step(absent);
                self.real.load(order)
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn store(&self, value: A::Value, order: Ordering, site: Site) {
        match order {
            Ordering::Acquire => panic!("there is no such thing as an acquire store"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release store"),
            _ => {}
        }
        match ops::store(self, A::to_word(value), order.into(), Verb::Store, site) {
            Ok(true) => self.real.store(value, Ordering::Relaxed),
            Ok(false) => {}
            Err(absent) => {
                step(absent);
                self.real.store(value, order);
            }
        }
    }

    /// A read-modify-write that always succeeds: `f` in an execution, `real` outside.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn modify(
        &self,
        order: Ordering,
        verb: Verb,
        site: Site,
        f: impl Fn(A::Value) -> A::Value,
        real: impl FnOnce(&A) -> A::Value,
    ) -> A::Value {
        let (order, failure) = (MemoryOrder::from(order), MemoryOrder::Relaxed);
        let change = |word| Some(A::to_word(f(A::from_word(word))));
        match ops::rmw(self, (order, failure), verb, site, change) {
            Ok(done) => {
                self.keep(&done);
                A::from_word(done.read)
            }
            Err(absent) => {
                step(absent);
                real(&self.real)
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn exchange(
        &self,
        current: A::Value,
        new: A::Value,
        (success, failure): (Ordering, Ordering),
        weak: bool,
        site: Site,
    ) -> Result<A::Value, A::Value> {
        match failure {
            Ordering::Release => panic!("there is no such thing as a release failure ordering"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release failure ordering"),
            _ => {}
        }
        let verb = if weak { Verb::CompareExchangeWeak } else { Verb::CompareExchange };
        let values = (A::to_word(current), A::to_word(new));
        match ops::compare_exchange(self, (success.into(), failure.into()), verb, site, values) {
            Ok(done) => {
                self.keep(&done);
                let read = A::from_word(done.read);
                if done.wrote.is_some() { Ok(read) } else { Err(read) }
            }
            Err(absent) => {
                step(absent);
                self.real.exchange(current, new, (success, failure), weak)
            }
        }
    }

    /// Std's loop of a load and weak exchanges; `f` is the program's code and runs between steps.
    #[inline]
    pub(crate) fn try_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        site: Site,
        mut f: impl FnMut(A::Value) -> Option<A::Value>,
    ) -> Result<A::Value, A::Value> {
        let mut seen = self.load(fetch, site);
        while let Some(next) = f(seen) {
            match self.exchange(seen, next, (set, fetch), true, site) {
                Ok(before) => return Ok(before),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn keep(&self, done: &ops::Rmw) {
        if let (Some(word), true) = (done.wrote, done.newest) {
            self.real.store(A::from_word(word), Ordering::Relaxed);
        }
    }

    pub(crate) fn unsync_load(&self, site: Site) -> A::Value {
        if let Err(absent) = ops::unsync_read(self, site) {
            step(absent);
        }
        self.real.load(Ordering::Relaxed)
    }

    pub(crate) fn with_mut<R>(&mut self, site: Site, f: impl FnOnce(&mut A::Value) -> R) -> R {
        if let Err(absent) = ops::unsync_write(self, site) {
            step(absent);
        }
        ops::rebase(self);
        f(self.real.get_mut())
    }

    pub(crate) fn get_mut(&mut self) -> &mut A::Value {
        ops::rebase(self);
        self.real.get_mut()
    }

    /// The value for a `Debug` form: std's relaxed load, without a place in the source.
    pub(crate) fn shown(&self) -> A::Value {
        self.load(Ordering::Relaxed, self.shared.created().unwrap_or_else(Site::caller))
    }
}

#[inline]
fn step(absent: Absent) {
    if absent == Absent::Outside {
        crate::outside::step();
    }
}
