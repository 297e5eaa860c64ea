//! Memory of arenas that the program frees.
//!
//! A free is no event and no scheduling point: nothing of the execution changes by it but what is in
//! the memory. It is a write to every object inside all the same, and a failure if a use of one of
//! them is not ordered before it. As no allocator may unwind, the thread goes on to its next
//! operation, which it does not get past.
//!
//! Not accused is std's own `Arc`: see [`std_arc`](crate::std_arc).

use super::misuse::{use_after_free, used_before_free};
use super::tracked::unordered_use;
use crate::alloc::{Birth, Block, Freed, Owner, runtime_scope};
use crate::execution::Execution;
use crate::race::Access;
use racefuzz_trace::{ObjectKind, Point, Verb};
use std::alloc::Layout;

/// The program frees the block at an address of its region.
pub(crate) fn freed(execution: &mut Execution, owner: Owner, address: usize, size: usize) {
    let by = here(execution);
    let Some(region) = &mut execution.storage.region else { return };
    let Some(block) = region.free_by(owner, address, by) else {
        // Kept from an earlier execution.
        return crate::alloc::Region::free(owner, address, size);
    };
    if block.free {
        return freed_again(execution, block, by);
    }
    if execution.config.inject.reuse {
        let known_by = Birth { thread: by.0, time: execution.threads[by.0 as usize].time + 1 };
        region.add_reusable(block, known_by);
    }
    if block.contents != 0 {
        check_contents(execution, block, by);
    }
}

/// [`freed`], in a lean execution; false, and nothing was done, if the address is not that of a block of this
/// execution that was not freed yet, or if memory is needed to note it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn freed_lean(execution: &mut Execution, address: usize) -> bool {
    let by = (execution.current, execution.running().pending.site, execution.schedule.steps);
    let Some(region) = &mut execution.storage.region else { return false };
    let Some(block) = region.free_next(address, by) else { return false };
    if block.contents != 0 {
        let block = *block;
        let _runtime = runtime_scope();
        check_contents(execution, block, by);
    }
    true
}

/// The program frees a block that it has freed before.
#[cold]
fn freed_again(execution: &mut Execution, block: Block, by: Freed) {
    let Some(region) = &mut execution.storage.region else { return };
    let Some(before) = region.freed(block) else { return };
    let inside = region.contents(block).max();
    let object = inside.unwrap_or_else(|| execution.new_shown_object(ObjectKind::Allocation, before.1));
    use_after_free(execution, object, before, Verb::Free, by.1);
}

/// Fails if a use of what is in a block is not ordered before its release.
#[inline(never)]
fn check_contents(execution: &mut Execution, block: Block, by: Freed) {
    let end = block.start + block.len;
    let mut next = block.contents;
    while let Some(region) = &mut execution.storage.region
        && let Some((object, before)) = region.content(next)
    {
        next = before;
        if !(block.start..end).contains(&execution.objects[object as usize].address) {
            // It was moved out.
            continue;
        }
        let used = match waiting_use(execution, object) {
            // It keeps no clocks: there was nothing that they would have been needed for.
            None if execution.lean => None,
            None => unordered_use(execution, object).filter(|_| !crate::std_arc::releases()),
            waiting => waiting,
        };
        if let Some(used) = used {
            used_before_free(execution, object, by, used);
            return;
        }
    }
}

/// The program frees an address that it has read from freed memory.
#[cold]
pub(crate) fn freed_pattern(execution: &mut Execution) {
    let by = here(execution);
    let object = execution.new_shown_object(ObjectKind::Allocation, by.1);
    use_after_free(execution, object, by, Verb::Free, by.1);
}

/// Who frees, and after which step.
fn here(execution: &Execution) -> Freed {
    let me = execution.current;
    (me, execution.threads[me as usize].pending.site, execution.schedule.steps)
}

/// A thread that waits for an object.
fn waiting_use(execution: &Execution, object: u32) -> Option<Access> {
    let thread = *execution.objects[object as usize].waiters.first()?;
    let pending = &execution.threads[thread as usize].pending;
    Some(Access { thread, time: 0, step: 0, verb: pending.op.verb, site: pending.site })
}

/// A freed block that is given out again, if that is to be tried. Only one whose free happens before:
/// what an allocator does to find it out orders the two, so there is no other.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn reuse(execution: &mut Execution, layout: Layout) -> Option<*mut u8> {
    if execution.config.inject.reuse { choose_reuse(execution, layout) } else { None }
}

#[cold]
fn choose_reuse(execution: &mut Execution, layout: Layout) -> Option<*mut u8> {
    if execution.phase() != crate::execution::Phase::Running {
        return None;
    }
    let me = execution.current;
    let clock = &execution.threads[me as usize].clock;
    let known = |free: Birth| free.thread == me || clock.knows(free.thread, free.time);
    let fitting = execution.storage.region.as_mut()?.reusable(layout, known);
    let address = *fitting.get(execution.choose(Point::Reuse, 1 + fitting.len()).checked_sub(1)?)?;
    let birth = Birth { thread: me, time: execution.threads[me as usize].time + 1 };
    execution.storage.region.as_mut()?.revive(address, birth);
    Some(std::ptr::with_exposed_provenance_mut(address))
}
