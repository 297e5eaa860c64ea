//! What a thread leaves for whoever joins it.
//!
//! A packet has two owners, the coroutine of the thread and the handle to it, and goes with the second of them.
//! Inside an execution both let go on one operating-system thread, so that counting them needs no locked
//! instruction; and the memory is kept for the next thread.

use super::spawning::drop_payload;
use crate::alloc::{by_program, runtime_scope};
use crate::execution::current;
use crate::panics;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

/// The memory of packets that are this small is used again.
const SMALL: Layout = match Layout::from_size_align(64, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a size and an alignment"),
};
/// Pieces of memory that are kept.
const KEPT: usize = 64;

/// Memory of packets that are no more.
#[derive(Default)]
pub(crate) struct Spare(Vec<NonNull<u8>>);

impl Drop for Spare {
    fn drop(&mut self) {
        for memory in self.0.drain(..) {
            // SAFETY: it was allocated with this layout, and nobody else has it.
            unsafe { dealloc(memory.as_ptr(), SMALL) };
        }
    }
}

struct Inner<T> {
    owners: AtomicU8,
    result: UnsafeCell<Option<std::thread::Result<T>>>,
}

/// One of the two owners of what a thread leaves.
pub(super) struct Packet<T>(NonNull<Inner<T>>);

// SAFETY: the cell is written once, by the thread before its end, and taken only after that end;
// both happen on one operating-system thread, or (a handle that outlives the execution) after the
// worker has finished with the execution.
unsafe impl<T: Send> Sync for Packet<T> {}
// SAFETY: as above; the value itself may be sent.
unsafe impl<T: Send> Send for Packet<T> {}

impl<T> Packet<T> {
    const LAYOUT: Layout = {
        let layout = Layout::new::<Inner<T>>();
        let small = layout.size() <= SMALL.size() && layout.align() <= SMALL.align();
        if small { SMALL } else { layout }
    };

    /// The two owners of a new packet, made for a thread of the execution whose spare memory this is.
    #[inline]
    pub(super) fn pair(spare: Option<&mut Spare>) -> (Self, Self) {
        let known = spare.filter(|_| Self::LAYOUT == SMALL).and_then(|spare| spare.0.pop());
        let memory = known.unwrap_or_else(Self::allocate).cast::<Inner<T>>();
        // SAFETY: the memory is large enough and nobody else's.
        unsafe { memory.write(Inner { owners: AtomicU8::new(2), result: UnsafeCell::new(None) }) };
        (Self(memory), Self(memory))
    }

    #[cold]
    fn allocate() -> NonNull<u8> {
        // SAFETY: the layout is not of size 0: there is the count.
        NonNull::new(unsafe { alloc(Self::LAYOUT) }).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT))
    }

    /// The thread leaves its result.
    ///
    /// # Safety
    /// Called by the thread, before its end.
    #[inline]
    pub(super) unsafe fn put(&self, result: std::thread::Result<T>) {
        // SAFETY: nobody else touches the packet before the thread has ended, and it lives while it is owned; there
        // was no result.
        unsafe { self.0.as_ref().result.get().write(Some(result)) };
    }

    /// What the thread has left.
    ///
    /// # Safety
    /// Called by the owner of the handle, after the end of the thread.
    #[inline]
    pub(super) unsafe fn take(&self) -> Option<std::thread::Result<T>> {
        // SAFETY: the thread does not touch the packet any more, and it lives while it is owned.
        unsafe { (*self.0.as_ref().result.get()).take() }
    }
}

impl<T> Drop for Packet<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        // SAFETY: it lives while it is owned.
        let owners = unsafe { &self.0.as_ref().owners };
        // Should a handle be dropped by a thread that is not the execution's at this very moment, the memory
        // is lost, but never given back twice.
        let last = if current().is_null() {
            owners.fetch_sub(1, Ordering::AcqRel) == 1
        } else {
            let count = owners.load(Ordering::Acquire);
            owners.store(count - 1, Ordering::Release);
            count == 1
        };
        if last {
            // SAFETY: the other owner has let go.
            unsafe { release(self.0) };
        }
    }
}

/// Nobody owns a packet any more.
///
/// # Safety
/// So it is.
#[inline(never)]
unsafe fn release<T>(memory: NonNull<Inner<T>>) {
    // SAFETY: it is as the last owner left it.
    let result = unsafe { (*memory.as_ref().result.get()).take() };
    if result.is_some() {
        drop_result(result);
    }
    let _runtime = runtime_scope();
    let execution = current();
    let layout = Packet::<T>::LAYOUT;
    // SAFETY: the execution is this thread's; no reference into it is live, as a packet is dropped by the program.
    let spare = unsafe { execution.as_mut() }.map(|execution| &mut execution.coroutines.spare);
    match spare.filter(|spare| layout == SMALL && spare.0.len() < KEPT) {
        Some(spare) => spare.0.push(memory.cast()),
        // SAFETY: it was allocated with this layout, and what is in it was taken out.
        None => unsafe { dealloc(memory.as_ptr().cast(), layout) },
    }
}

/// Nobody took the result. Std ends the process if its destructor panics.
#[cold]
fn drop_result<T>(result: Option<std::thread::Result<T>>) {
    let execution = current();
    let release = || if execution.is_null() { drop(result) } else { by_program(|| drop(result)) };
    let Err(payload) = catch_unwind(AssertUnwindSafe(release)) else { return };
    if execution.is_null() {
        resume_unwind(payload);
    }
    // SAFETY: see `execution::with`.
    panics::fatal(unsafe { &mut *execution }, payload.as_ref());
    drop_payload(payload);
}
