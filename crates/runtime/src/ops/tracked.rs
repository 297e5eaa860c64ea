//! Tracked allocations.

use crate::backend;
use crate::execution::{Absent, Execution, current, with};
use crate::explorer::Op;
use crate::failure::{Detected, identity};
use crate::ops::misuse::{use_after_free, used_before_free};
use crate::race::Access;
use crate::schedule::fail_current;
use crate::site::Site;
use crate::thread::ThreadState;
use racefuzz_trace::{FailureDetail, FailureKind, MemoryOrder, ObjectId, ObjectKind, OpKind, ThreadId, Verb};
use std::alloc::Layout;

/// Allocates tracked memory: it must be released before the execution ends, and not be used after
/// that. Outside an execution it is `std::alloc::alloc`. Null if the system has no memory.
///
/// # Safety
/// As `std::alloc::alloc`: the layout must not be of size zero outside an execution.
pub unsafe fn alloc(layout: Layout, site: Site) -> *mut u8 {
    // SAFETY: the caller promises what `std::alloc::alloc` asks for.
    let memory =
        unsafe { if layout.size() == 0 { layout.align() as *mut u8 } else { std::alloc::alloc(layout) } };
    if let (Some(session), false) = (backend::hosted(), memory.is_null()) {
        session.alloc(memory as usize, layout);
    } else if !memory.is_null() {
        let _ = with(|execution| {
            let object = new_tracked(execution, site);
            execution.storage.allocations.add(memory as usize, layout, object);
            note(execution, OpKind::Alloc, Verb::Alloc, object, site);
        });
    }
    memory
}

fn new_tracked(execution: &mut Execution, site: Site) -> u32 {
    let object = execution.new_shown_object(ObjectKind::Allocation, site);
    execution.objects[object as usize].alive = true;
    object
}

fn note(execution: &mut Execution, kind: OpKind, verb: Verb, object: u32, site: Site) {
    let op = Op { kind, verb, order: MemoryOrder::Plain, object, lock: false };
    let now = execution.event(&op);
    execution.complete(&now, &op, 0);
    execution.record(&op, site, |_, _| {});
}

/// Releases tracked memory. A second release, or one that races with a use, is a failure.
///
/// # Safety
/// As `std::alloc::dealloc`: `memory` came from [`alloc`] with this layout and is not used again
/// (uses by other threads of an execution are found and reported).
pub unsafe fn dealloc(memory: *mut u8, layout: Layout, site: Site) {
    let address = memory as usize;
    if backend::hosted().is_some_and(|session| session.dealloc(address, site)) {
        return;
    }
    let known = with(|execution| {
        let Some(block) = execution.storage.allocations.get_mut(address) else { return Ok(false) };
        let object = block.object;
        if let Some(freed) = block.freed {
            use_after_free(execution, object, freed, Verb::Free, site);
            return Err(());
        }
        let (contents, end) = (block.contents.clone(), address + block.layout.size());
        note(execution, OpKind::Free, Verb::Free, object, site);
        let by = (execution.current, site, execution.schedule.steps);
        execution.storage.allocations.release(address, by);
        let inside = |object: &&u32| (address..end).contains(&execution.objects[**object as usize].address);
        if let Some(used) =
            contents.iter().filter(inside).find_map(|inside| unordered_use(execution, *inside))
        {
            used_before_free(execution, object, by, used);
            return Err(());
        }
        execution.objects[object as usize].alive = false;
        // SAFETY: the block has this layout, and its owner gave it back; it stays until the
        // execution ends.
        unsafe { memory.write_bytes(crate::alloc::PATTERN, layout.size()) };
        Ok(true)
    });
    match known {
        Ok(Ok(true)) => {}
        Ok(Err(())) => {
            fail_current();
        }
        // Being torn down, or allocated outside this execution.
        Err(Absent::TearDown) if in_heap(address) => {}
        Ok(Ok(false)) | Err(_) => {
            if layout.size() != 0 {
                // SAFETY: the caller promises that the memory came from `alloc` with this layout;
                // no execution tracks it, so nobody else frees it.
                unsafe { std::alloc::dealloc(memory, layout) }
            }
        }
    }
}

/// A non-atomic use of an object that is not ordered before the present event of the current
/// thread. Another schedule might have it behind that; but such a use is no step of its own, so
/// perhaps none that is tried has. Atomic uses are steps, and found when they come behind.
pub(super) fn unordered_use(execution: &Execution, object: u32) -> Option<Access> {
    if !super::graphed::is_real(execution) {
        return None;
    }
    let clock = &execution.threads[execution.current as usize].clock;
    let entry = &execution.objects[object as usize];
    entry.cell.accesses.unordered(clock).or_else(|| {
        // Where executions are enumerated, one in which an atomic use comes behind need not be among
        // them: the release is no event of the graph.
        let (thread, step) = super::graphed::unordered(execution, object, execution.current, true)?;
        let events = execution.recorder.as_ref().map(|recorder| &recorder.trace.events);
        let used = events.and_then(|events| events.get(step.checked_sub(1)? as usize));
        let verb = used.filter(|event| event.thread.0 == thread).map_or(Verb::Load, |event| event.verb);
        Some(Access { thread, time: 0, step, verb, site: entry.created })
    })
}

fn in_heap(address: usize) -> bool {
    let execution = current();
    // SAFETY: see `execution::with`.
    !execution.is_null() && unsafe { (*execution).storage.allocations.get_mut(address).is_some() }
}

/// Starts to track a value for leaks: what `untrack` must be called with.
pub fn track(site: Site) -> Option<u32> {
    if let Some(session) = backend::hosted() {
        return session.track();
    }
    with(|execution| {
        let object = new_tracked(execution, site);
        execution.storage.live_references += 1;
        object
    })
    .ok()
}

/// The tracked value is released.
pub fn untrack(object: u32) {
    if let Some(session) = backend::hosted() {
        return session.untrack(object);
    }
    let _ = with(|execution| {
        let entry = &mut execution.objects[object as usize];
        if std::mem::replace(&mut entry.alive, false) {
            execution.storage.live_references -= 1;
        }
    });
}

/// At the end of an execution: what was not released.
pub(crate) fn report_leaks(execution: &mut Execution) {
    if execution.storage.live_references == 0 && execution.storage.allocations.is_empty() {
        return;
    }
    // What a thread holds that was not let end is no leak of the program.
    let cut_short = || {
        execution.outcome.stopped
            || execution.outcome.discarded
            || execution.threads[..execution.schedule.thread_count]
                .iter()
                .any(|thread| thread.state == ThreadState::Killed)
    };
    if execution.outcome.failure.is_some() || execution.outcome.blocked_at.is_some() || cut_short() {
        return;
    }
    let counted = execution.objects[..execution.storage.object_count]
        .iter()
        .enumerate()
        .filter(|(_, object)| object.alive && execution.storage.live_references != 0)
        .map(|(index, _)| index as u32);
    let mut leaked: Vec<u32> = counted.chain(execution.storage.allocations.leaked()).collect();
    leaked.sort_unstable();
    leaked.dedup();
    if leaked.is_empty() {
        return;
    }
    let first = leaked[0];
    let sites = leaked.iter().map(|object| Some(execution.objects[*object as usize].created));
    let identity = identity(FailureKind::Leak, sites);
    let word = execution.objects[first as usize].kind.word();
    execution.outcome.failure = Some(Detected {
        kind: FailureKind::Leak,
        message: match leaked.len() {
            1 => format!("an {word} was never released"),
            count => format!("{count} objects were never released, the first an {word}"),
        },
        thread: ThreadId::ROOT,
        step: execution.schedule.steps,
        identity,
        detail: execution
            .recorder
            .is_some()
            .then(|| FailureDetail::Leak { objects: leaked.iter().copied().map(ObjectId).collect() }),
    });
}
