//! Overlays: virtual edits applied while a program runs.
//!
//! In goes an [`Overlay`], which names places in the source; out come ordinary operations that the
//! program did not state: locks taken and given back, joins, waits, fences. Every engine sees them as
//! it sees those of the program. A virtual lock is an object of kind
//! [`ObjectKind::Added`](racefuzz_trace::ObjectKind::Added), by which reports tell it from others.
//!
//! Each operation passes [`before`] when it is stated. Without an overlay that is one comparison.
//! With one, the place is looked up, and what has to come first comes first, in this order: flags
//! for what the thread has got past, the release of regions that end here, joins, waits, the locks
//! of regions that begin here, a fence. Operations on a lock that is itself edited pass [`replace`],
//! which performs them on a virtual twin.

mod locks;
mod own;
mod plan;

pub(crate) use locks::Overlaid;
pub(crate) use own::replace;
pub(crate) use plan::Applied;

use crate::execution::{Absent, Execution, Phase, current, with};
use crate::object::Test;
use crate::ops::{self, Update};
use crate::site::Site;
use locks::{For, Key, Open, acquire, on, release};
use plan::{first_about, first_of};
use racefuzz_trace::{LockName, MemoryOrder, OpKind, ThreadId, Verb};
use smallvec::SmallVec;

/// A virtual operation.
#[derive(Clone, Copy)]
enum Act {
    Raise(u32),
    Await(u32),
    Release(Key),
    Acquire(Key, bool, For),
    Join(ThreadId),
    Fence(MemoryOrder),
}

/// Whether an overlay applies to what the running thread does now.
#[inline(always)]
pub(crate) fn applies() -> bool {
    let execution = current();
    // SAFETY: see `execution::with`; a plain read.
    !execution.is_null() && unsafe { (*execution).overlay.is_some() }
}

/// The running thread states an operation at a place, on the object that `object` gives.
#[inline(always)]
pub(crate) fn before(site: Site, object: impl FnOnce(&mut Execution) -> Option<u32>) -> Result<(), Absent> {
    if applies() { stated(site, object) } else { Ok(()) }
}

/// The same for an operation without an object.
#[inline(always)]
pub(crate) fn before_local(site: Site) -> Result<(), Absent> {
    before(site, |_| None)
}

/// The ordering that an access at this place has.
#[inline(always)]
pub(crate) fn order(site: Site, order: MemoryOrder) -> MemoryOrder {
    if applies() { ordered(site, order) } else { order }
}

/// The orderings of a read-modify-write: the failing one is the reading half of an edited one.
#[inline(always)]
pub(crate) fn orders(site: Site, success: MemoryOrder, failure: MemoryOrder) -> (MemoryOrder, MemoryOrder) {
    if !applies() {
        return (success, failure);
    }
    let edited = ordered(site, success);
    let reading = match edited {
        MemoryOrder::AcqRel => MemoryOrder::Acquire,
        MemoryOrder::Release => MemoryOrder::Relaxed,
        other => other,
    };
    (edited, if edited == success { failure } else { reading })
}

#[cold]
fn ordered(site: Site, order: MemoryOrder) -> MemoryOrder {
    with(|execution| {
        let applied = execution.overlay.as_mut()?;
        let plan = applied.plan(site);
        applied.plans[plan].order
    })
    .ok()
    .flatten()
    .unwrap_or(order)
}

/// Whether the notification at this place wakes all.
pub fn wakes_all(site: Site) -> bool {
    applies()
        && with(|execution| {
            let applied = execution.overlay.as_mut()?;
            let plan = applied.plan(site);
            Some(applied.plans[plan].wake_all)
        }) == Ok(Some(true))
}

#[cold]
#[inline(never)]
fn stated(site: Site, object: impl FnOnce(&mut Execution) -> Option<u32>) -> Result<(), Absent> {
    let acts = with(|execution| {
        if execution.phase != Phase::Running || me(execution).busy {
            return SmallVec::new();
        }
        let object = object(execution);
        plan_acts(execution, site, object)
    });
    match acts {
        Ok(acts) => perform(acts, site),
        // The operation itself finds out.
        Err(_) => Ok(()),
    }
}

/// The running thread is about to end.
pub(crate) fn at_thread_end(site: Site) {
    if !applies() {
        return;
    }
    let acts = with(|execution| {
        let mut acts: SmallVec<[Act; 4]> = SmallVec::new();
        if execution.phase == Phase::Running {
            leave(execution, &mut acts, |_| false);
        }
        acts
    });
    let _ = perform(acts.unwrap_or_default(), site);
}

fn me(execution: &mut Execution) -> &mut Overlaid {
    &mut execution.threads[execution.current as usize].overlaid
}

/// Raises flags and ends the regions that `stay` does not hold open.
fn leave(execution: &mut Execution, acts: &mut SmallVec<[Act; 4]>, stay: impl Fn(&Open) -> bool) {
    let mine = me(execution);
    acts.extend(mine.signals.drain(..).map(Act::Raise));
    acts.extend(mine.open.iter().rev().filter(|open| !stay(open)).map(|open| Act::Release(open.key)));
    mine.open.retain(|open| stay(open));
    acts.extend(mine.deferred.drain(..).map(|(key, shared)| Act::Acquire(key, shared, For::Guard)));
}

fn plan_acts(execution: &mut Execution, site: Site, object: Option<u32>) -> SmallVec<[Act; 4]> {
    let mut acts = SmallVec::new();
    let Some(mut applied) = execution.overlay.take() else { return acts };
    let at = applied.plan(site);
    // What each region is about here; nothing for one beside objects that meets none before it began.
    let mut wanted: SmallVec<[Open; 2]> = SmallVec::new();
    for place in 0..applied.plans[at].regions.len() {
        let (edit, shared) = applied.plans[at].regions[place];
        let key = match applied.lock_name(edit) {
            Some(LockName::New(number)) => Some(Key::New(first_of(&applied.overlay, *number))),
            Some(LockName::Own(created)) => Some(Key::Own(first_about(&applied.overlay, created), None)),
            Some(LockName::Beside(..)) => {
                let created = object.map(|object| execution.objects[object as usize].created);
                let beside = created.map(|created| applied.plan(created));
                match beside.is_some_and(|plan| applied.plans[plan].created.contains(&edit)) {
                    true => object.map(|object| Key::Beside(edit, object)),
                    // Another object, or none: the region goes on with what it is about.
                    false => me(execution).open.iter().find(|open| open.edit == edit).map(|open| open.key),
                }
            }
            None => None,
        };
        wanted.extend(key.map(|key| Open { edit, key, shared }));
    }
    let sorted = applied.plans[at].sort_second;
    let deferred = if sorted { std::mem::take(&mut me(execution).deferred) } else { SmallVec::new() };
    leave(execution, &mut acts, |open| {
        wanted
            .iter()
            .any(|want| want.edit == open.edit && want.key == open.key && (want.shared || !open.shared))
    });
    me(execution).deferred = deferred;
    let plan = &applied.plans[at];
    for edit in &plan.joins {
        for thread in 0..execution.thread_count as u32 {
            let spawned = execution.threads[thread as usize].spawned_at;
            let joined = spawned.is_some_and(|site| {
                applied
                    .known
                    .get(&std::ptr::from_ref(site.location()))
                    .is_some_and(|plan| applied.plans[*plan].spawned.contains(edit))
            });
            if joined && thread != execution.current {
                acts.push(Act::Join(ThreadId(thread)));
            }
        }
    }
    acts.extend(plan.awaits.iter().map(|edit| Act::Await(*edit)));
    for want in wanted {
        let mine = me(execution);
        if !mine.open.iter().any(|open| open.edit == want.edit) {
            mine.open.push(want);
            acts.push(Act::Acquire(want.key, want.shared, For::Region));
        }
    }
    acts.extend(applied.plans[at].fence.map(Act::Fence));
    me(execution).signals.extend(applied.plans[at].signals.iter().copied());
    execution.overlay = Some(applied);
    acts
}

fn perform(acts: SmallVec<[Act; 4]>, site: Site) -> Result<(), Absent> {
    if acts.is_empty() {
        return Ok(());
    }
    with(|execution| me(execution).busy = true)?;
    let result = acts.into_iter().try_for_each(|act| match act {
        Act::Raise(edit) => {
            let how = Update { kind: OpKind::Store, order: MemoryOrder::Release, ..Update::new(Verb::Wake) };
            on(Key::Flag(edit), how, site, |word, _| *word = 1)
        }
        Act::Await(edit) => {
            let how = Update {
                kind: OpKind::Load,
                order: MemoryOrder::Acquire,
                ..Update::when(Verb::Await, Test::Ne(0))
            };
            on(Key::Flag(edit), how, site, |_, _| ())
        }
        Act::Acquire(key, shared, whom) => acquire(key, shared, whom, site),
        Act::Release(key) => release(key, For::Region, site),
        Act::Join(thread) => ops::join_thread(thread, false, site).map(drop),
        Act::Fence(order) => ops::fence(order, site),
    });
    // While it was busy the execution may have ended; that is the next operation's affair.
    let _ = with(|execution| me(execution).busy = false);
    result
}
