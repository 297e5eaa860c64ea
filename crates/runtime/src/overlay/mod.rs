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

mod lock_edits;
mod locks;
mod plan;
mod update;
mod waits;

pub(crate) use lock_edits::replace;
pub(crate) use locks::Overlaid;
pub(crate) use plan::Applied;
pub(crate) use update::{Store, load_updates, misfit, store_updates};
pub(crate) use waits::{has_read, is_known, known_before, loads_again};

use crate::execution::{Absent, Execution, Phase, current, with};
use crate::object::Test;
use crate::ops::{self, Update};
use crate::site::Site;
use locks::{For, Held, Key, Open, acquire, on, release};
use plan::{Plan, first_about, first_of};
use racefuzz_trace::{Edit, LockName, MemoryOrder, OpKind, ThreadId, Verb};
use smallvec::SmallVec;

/// A virtual operation.
#[derive(Clone, Copy)]
enum Act {
    Raise(u32),
    Await(u32),
    WaitFor(u32),
    Release(Key, For),
    Acquire(Key, bool, For),
    Join(ThreadId),
    Fence(MemoryOrder),
    UnparkSelf,
}

/// Whether an overlay applies to what the running thread does now.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn applies() -> bool {
    let execution = current();
    // SAFETY: see `execution::with`; a plain read.
    !execution.is_null() && unsafe { (*execution).overlay.is_some() }
}

/// The running thread states an operation at a place, on the object that `object` gives.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn before(site: Site, object: impl FnOnce(&mut Execution) -> Option<u32>) -> Result<(), Absent> {
    if applies() { stated(site, object) } else { Ok(()) }
}

/// The running thread is about to access memory, at a place, by what is no operation.
pub(crate) fn accesses(site: Site) -> Result<(), Absent> {
    if !applies() {
        return Ok(());
    }
    // One between a load and the store that is done with it comes behind both, as in what would be typed in.
    let acts = with(|execution| match execution.phase() == Phase::Running && !me(execution).busy {
        true => plan_acts(execution, site, None, true),
        false => SmallVec::new(),
    });
    perform(acts?, site)
}

/// The same for an operation without an object.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn before_local(site: Site) -> Result<(), Absent> {
    before(site, |_| None)
}

/// The ordering that an access at this place has.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn order(site: Site, order: MemoryOrder) -> MemoryOrder {
    if applies() { ordered(site, order) } else { order }
}

/// The orderings of a read-modify-write, where it succeeds and where it fails.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn orders(site: Site, success: MemoryOrder, failure: MemoryOrder) -> (MemoryOrder, MemoryOrder) {
    if applies() { both_ordered(site, success, failure) } else { (success, failure) }
}

/// Whether the store at this place is a swap instead.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn swaps(site: Site) -> bool {
    applies() && asks(site, |plan| plan.swap)
}

#[cold]
fn both_ordered(site: Site, success: MemoryOrder, failure: MemoryOrder) -> (MemoryOrder, MemoryOrder) {
    let edited = with(|execution| {
        let applied = execution.overlay.as_mut()?;
        let plan = applied.plan(site);
        let plan = &applied.plans[plan];
        Some((plan.order.unwrap_or(success), plan.failure_order.unwrap_or(failure)))
    });
    edited.ok().flatten().unwrap_or((success, failure))
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
    asks(site, |plan| plan.wake_all)
}

/// Whether a task that gives way at this place goes on instead.
pub fn goes_on(site: Site) -> bool {
    asks(site, |plan| plan.no_yield)
}

fn asks(site: Site, what: impl FnOnce(&Plan) -> bool) -> bool {
    applies()
        && with(|execution| {
            let applied = execution.overlay.as_mut()?;
            let plan = applied.plan(site);
            Some(what(&applied.plans[plan]))
        }) == Ok(Some(true))
}

#[cold]
#[inline(never)]
fn stated(site: Site, object: impl FnOnce(&mut Execution) -> Option<u32>) -> Result<(), Absent> {
    let acts = with(|execution| {
        if execution.phase() != Phase::Running || me(execution).busy {
            return Some(SmallVec::new());
        }
        if !update::may_go_on(execution, site) {
            return None;
        }
        let object = object(execution);
        Some(plan_acts(execution, site, object, false))
    });
    match acts {
        Ok(Some(acts)) => perform(acts, site),
        Ok(None) => misfit(site),
        // The operation itself finds out.
        Err(_) => Ok(()),
    }
}

/// The running thread is about to end.
#[inline]
pub(crate) fn at_thread_end(site: Site) {
    if applies() {
        ends(site);
    }
}

#[cold]
fn ends(site: Site) {
    let acts = with(|execution| {
        let mut acts: SmallVec<[Act; 4]> = SmallVec::new();
        if execution.phase() == Phase::Running && !update::may_end(execution) {
            update::note_misfit(execution, site);
        } else if execution.phase() == Phase::Running {
            leave(execution, &mut acts, |_| false);
            give_back(execution, &mut acts);
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
    acts.extend(mine.waited.drain(..).map(|_| Act::UnparkSelf));
    acts.extend(
        mine.open.iter().rev().filter(|open| !stay(open)).map(|open| Act::Release(open.key, For::Region)),
    );
    mine.open.retain(|open| stay(open));
    acts.extend(mine.deferred.drain(..).map(|(key, shared)| Act::Acquire(key, shared, For::Guard)));
}

/// Gives back the program's locks that are to be free when a thread has ended.
fn give_back(execution: &mut Execution, acts: &mut SmallVec<[Act; 4]>) {
    let Some(applied) = execution.overlay.take() else { return };
    for (edit, asked) in (0u32..).zip(&applied.overlay.edits) {
        if let Edit::GiveBack { guards, .. } = asked {
            end_guards(execution, &applied, edit, guards, acts);
        }
    }
    execution.overlay = Some(applied);
}

/// Gives back the guards that are to end before the event at a place.
fn let_go(execution: &Execution, applied: &Applied, at: usize, acts: &mut SmallVec<[Act; 4]>) {
    for edit in &applied.plans[at].let_go {
        if let Edit::LetGo { guards, .. } = &applied.overlay.edits[*edit as usize] {
            end_guards(execution, applied, *edit, guards, acts);
        }
    }
}

/// Gives back what the thread holds of the lock that an edit is about, if it was taken at one of
/// these places or they are none.
fn end_guards(
    execution: &Execution,
    applied: &Applied,
    edit: u32,
    guards: &[racefuzz_trace::Site],
    acts: &mut SmallVec<[Act; 4]>,
) {
    let about = |held: &&Held| {
        let Key::Own(_, Some(object)) = held.key else { return false };
        let created = applied.known_plan(execution.objects[object as usize].created);
        let taken = applied.known_plan(held.site);
        created.is_some_and(|plan| applied.plans[plan].created.contains(&edit))
            && (guards.is_empty() || taken.is_some_and(|plan| applied.plans[plan].guards.contains(&edit)))
    };
    let held = &execution.threads[execution.current as usize].overlaid.held;
    for held in held.iter().rev().filter(about) {
        acts.extend((0..held.guards).map(|_| Act::Release(held.key, For::Guard)));
    }
}

/// What comes before an operation at a place, or before an access that is none.
fn plan_acts(execution: &mut Execution, site: Site, object: Option<u32>, access: bool) -> SmallVec<[Act; 4]> {
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
        wanted.extend(key.map(|key| Open { edit, key, shared, last: site }));
    }
    let waits = applied.plans[at].waits.clone();
    // Of a wait that goes on nothing is over.
    let is_on = |edit: &u32| waits.contains(edit);
    let mine = me(execution);
    let (on, over): (SmallVec<[u32; 1]>, SmallVec<[u32; 1]>) = mine.waited.drain(..).partition(is_on);
    mine.waited = over;
    let sorted = applied.plans[at].sort_second;
    let deferred = if sorted { std::mem::take(&mut me(execution).deferred) } else { SmallVec::new() };
    leave(execution, &mut acts, |open| {
        access && applied.goes_through(at, open)
            || wanted
                .iter()
                .any(|want| want.edit == open.edit && want.key == open.key && (want.shared || !open.shared))
    });
    me(execution).deferred = deferred;
    let_go(execution, &applied, at, &mut acts);
    let plan = &applied.plans[at];
    for edit in &plan.joins {
        for thread in 0..execution.schedule.thread_count as u32 {
            let spawned = execution.threads[thread as usize].origin.spawned_at;
            let joined = spawned
                .and_then(|site| applied.known_plan(site))
                .is_some_and(|plan| applied.plans[plan].spawned.contains(edit));
            if joined && thread != execution.current {
                acts.push(Act::Join(ThreadId(thread)));
            }
        }
    }
    acts.extend(plan.awaits.iter().map(|edit| Act::Await(*edit)));
    acts.extend(plan.waits_for.iter().map(|edit| Act::WaitFor(*edit)));
    for want in wanted {
        let mine = me(execution);
        if let Some(open) = mine.open.iter_mut().find(|open| open.edit == want.edit) {
            open.last = site;
        } else {
            mine.open.push(want);
            acts.push(Act::Acquire(want.key, want.shared, For::Region));
        }
    }
    acts.extend(applied.plans[at].fence.map(Act::Fence));
    let mine = me(execution);
    if !access {
        mine.signals.extend(applied.plans[at].signals.iter().copied());
    }
    mine.waited = on;
    mine.waited
        .extend(waits.into_iter().filter(|edit| !mine.waited.contains(edit)).collect::<SmallVec<[u32; 1]>>());
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
            // Once is enough: a loop that raises it again does nothing new.
            let how = Update {
                kind: OpKind::Rmw,
                order: MemoryOrder::Release,
                refuses: Test::Ne(0),
                ..Update::new(Verb::Wake)
            };
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
        Act::WaitFor(edit) => waits::wait_for(edit, site),
        Act::Acquire(key, shared, whom) => acquire(key, shared, whom, site),
        Act::Release(key, whom) => release(key, whom, site).map(drop),
        Act::Join(thread) => ops::join_thread(thread, false, site).map(drop),
        Act::Fence(order) => ops::fence(order, site),
        Act::UnparkSelf => {
            let me = with(|execution| execution.threads[execution.current as usize].origin.host)?;
            ops::unpark(ThreadId(me), site)
        }
    });
    // While it was busy the execution may have ended; that is the next operation's affair.
    let _ = with(|execution| me(execution).busy = false);
    result
}
