//! Laws of tracked memory: what is released while another thread may still use it is reported,
//! whether or not the use comes behind the release in the schedule.

use crate::common::{explore, explore_sc, spawn};
use racefuzz_primitives::alloc::{Layout, alloc, dealloc};
use racefuzz_primitives::cell::UnsafeCell;
use racefuzz_primitives::sync::Arc;
use racefuzz_primitives::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use racefuzz_trace::FailureKind;

struct Node {
    value: UnsafeCell<u32>,
}

fn node() -> *mut Node {
    // SAFETY: `Node` is not zero-sized.
    let node = unsafe { alloc(Layout::new::<Node>()) }.cast::<Node>();
    // SAFETY: fresh memory for a `Node`.
    unsafe { node.write(Node { value: UnsafeCell::new(7) }) };
    node
}

fn free(node: *mut Node) {
    // SAFETY: made by `node`, and released once; uses behind that are reported instead of done.
    unsafe { dealloc(node.cast(), Layout::new::<Node>()) };
}

fn read(node: *mut Node) {
    // SAFETY: as for `free`.
    assert_eq!(unsafe { (*node).value.with(|value| *value) }, 7);
}

/// One thread loads a pointer and follows it, in one step; another takes it away and releases it.
fn swing() {
    let current = Arc::new(AtomicPtr::new(node()));
    let theirs = Arc::clone(&current);
    let reader = spawn(move || {
        let node = theirs.load(Ordering::SeqCst);
        if !node.is_null() {
            read(node);
        }
    });
    free(current.swap(std::ptr::null_mut(), Ordering::SeqCst));
    reader.join();
}

#[test]
fn a_use_that_no_step_divides_from_its_pointer_is_found() {
    assert!(explore(swing).fails(FailureKind::UseAfterFree) > 0);
    assert!(explore_sc(swing).fails(FailureKind::UseAfterFree) > 0);
}

/// Two owners read and give up their references; the last one releases.
fn last_owner(acquire: bool) {
    let node = node();
    let owners = Arc::new(AtomicUsize::new(2));
    let address = node as usize;
    let own = move |owners: &AtomicUsize| {
        read(address as *mut Node);
        if owners.fetch_sub(1, Ordering::Release) == 1 {
            if acquire {
                fence(Ordering::Acquire);
            }
            free(address as *mut Node);
        }
    };
    let theirs = Arc::clone(&owners);
    let other = spawn(move || own(&theirs));
    own(&owners);
    other.join();
}

#[test]
fn the_last_owner_must_have_acquired_the_other_owners_uses() {
    explore(|| last_owner(true)).passes();
    explore(|| last_owner(false)).only_fails(FailureKind::UseAfterFree);
}
