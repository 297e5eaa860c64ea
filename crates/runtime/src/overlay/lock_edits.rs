//! Operations on a lock of the program that is edited: they are performed on a virtual twin.

use super::locks::{For, Key, acquire, release, try_acquire};
use super::plan::Applied;
use super::{applies, me};
use crate::execution::{Absent, Execution, Phase, with};
use crate::object::Primitive;
use crate::ops;
use crate::site::Site;
use racefuzz_trace::{Edit, LockName, ObjectKind, Verb};
use smallvec::SmallVec;

/// What is to happen instead of an operation on a lock.
enum Instead {
    /// Nothing: the lock is not edited.
    AsStated,
    /// The lock excludes nobody.
    Dropped,
    /// The same on the twin.
    Twin { key: Key, shared: bool, defer: bool, sort: bool, used: bool },
}

/// Performs an operation on an edited lock; the word that the primitive is to see then, or `None`
/// if the lock is not edited.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn replace<P: Primitive + ?Sized>(
    primitive: &P,
    verb: Verb,
    site: Site,
) -> Result<Option<u64>, Absent> {
    let lock = matches!(P::KIND, ObjectKind::Mutex | ObjectKind::RwLock);
    if lock && applies() { replaced(primitive, verb, site) } else { Ok(None) }
}

/// Seen by a taking operation: free. By a try: taken. By a giving one: held by one. And what a twin
/// gives for one that was given back before.
const FREE: u64 = 0;
const TAKEN: u64 = u64::MAX;
const ONE: u64 = 1;
const GONE: u64 = 2;

#[cold]
#[inline(never)]
fn replaced<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Result<Option<u64>, Absent> {
    if !(verb.takes_lock() || verb.gives_lock()) {
        return Ok(None);
    }
    let instead = with(|execution| {
        match execution.resolve(primitive, verb, site) {
            Ok(object) if execution.phase() == Phase::Running => {
                let created = execution.objects[object as usize].created;
                instead(execution, created, object, verb, site)
            }
            // The operation itself finds out.
            _ => Instead::AsStated,
        }
    })?;
    let result = match instead {
        Instead::AsStated => return Ok(None),
        Instead::Dropped => {
            if verb.takes_lock() && primitive.guards_data() {
                with(|execution| me(execution).busy = true)?;
                let done = touch(primitive, verb, site);
                let _ = with(|execution| me(execution).busy = false);
                done?;
            }
            if verb.takes_lock() { FREE } else { ONE }
        }
        Instead::Twin { key, shared, defer, sort, used } => {
            with(|execution| me(execution).busy = true)?;
            let done = twin(key, shared, defer, sort, verb, site);
            // Given back before: what it guards was used until here all the same.
            let late = matches!(done, Ok(GONE)) && used && primitive.guards_data();
            let done = if late { touch(primitive, verb, site).and(done) } else { done };
            let _ = with(|execution| me(execution).busy = false);
            if done? == GONE { ONE } else { done? }
        }
    };
    Ok(Some(result))
}

/// An access to what a lock guards, of the sort that such a guard allows.
fn touch<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Result<(), Absent> {
    if matches!(verb, Verb::ReadLock | Verb::TryReadLock | Verb::ReadUnlock) {
        ops::read(primitive, Verb::CellRead, site)
    } else {
        ops::write(primitive, Verb::CellWrite, site)
    }
}

fn instead(execution: &mut Execution, created: Site, object: u32, verb: Verb, site: Site) -> Instead {
    let Some(mut applied) = execution.overlay.take() else { return Instead::AsStated };
    let created = applied.plan(created);
    let here = applied.plan(site);
    let about_guard = |applied: &Applied, edit: u32| applied.plans[here].guards.contains(&edit);
    let plan = &applied.plans[created];
    let dropped = plan.created.iter().any(|edit| match &applied.overlay.edits[*edit as usize] {
        Edit::Drop { guards, .. } => guards.is_empty() || about_guard(&applied, *edit),
        _ => false,
    });
    let about =
        plan.created.iter().copied().filter(|edit| applied.overlay.edits[*edit as usize].edits_own_lock());
    let first = about.min();
    let own = applied.has(created, |edit| matches!(edit, Edit::Lock { lock: LockName::Own(_), .. }));
    let reads = matches!(verb, Verb::ReadLock | Verb::TryReadLock | Verb::ReadUnlock)
        || applied.plans[created].created.iter().any(|edit| {
            matches!(applied.overlay.edits[*edit as usize], Edit::Share { .. })
                && about_guard(&applied, *edit)
        });
    let result = if dropped {
        Instead::Dropped
    } else if let Some(first) = first {
        let key = Key::Own(first, (!own).then_some(object));
        let (defer, sort) = (applied.plans[here].sort_first, applied.plans[here].sort_second);
        let used = applied.has(created, |edit| matches!(edit, Edit::LetGo { used: true, .. }));
        Instead::Twin { key, shared: reads, defer, sort, used }
    } else {
        Instead::AsStated
    };
    execution.overlay = Some(applied);
    result
}

fn twin(key: Key, shared: bool, defer: bool, sort: bool, verb: Verb, site: Site) -> Result<u64, Absent> {
    if verb.gives_lock() {
        let deferred = with(|execution| {
            let deferred = &mut me(execution).deferred;
            let place = deferred.iter().rposition(|(known, _)| *known == key);
            place.map(|place| deferred.remove(place)).is_some()
        })?;
        let held = deferred || release(key, For::Guard, site)?;
        return Ok(if held { ONE } else { GONE });
    }
    if matches!(verb, Verb::TryLock | Verb::TryReadLock | Verb::TryWriteLock) {
        return Ok(if try_acquire(key, shared, site)? { FREE } else { TAKEN });
    }
    if defer {
        with(|execution| me(execution).deferred.push((key, shared)))?;
        return Ok(FREE);
    }
    let mut taken: SmallVec<[(Key, bool); 2]> = SmallVec::new();
    if sort {
        taken.extend(with(|execution| std::mem::take(&mut me(execution).deferred))?);
    }
    taken.push((key, shared));
    with(|execution| taken.sort_by_key(|(key, _)| place_of(execution, *key)))?;
    taken.into_iter().try_for_each(|(key, shared)| acquire(key, shared, For::Guard, site))?;
    Ok(FREE)
}

/// What one order of all locks goes by: where they are created, then the first use.
fn place_of(execution: &Execution, key: Key) -> (&'static str, u32, u32, u32) {
    let object = match key {
        Key::Own(_, Some(object)) => object,
        _ => return ("", 0, 0, 0),
    };
    let created = execution.objects[object as usize].created.location();
    (created.file(), created.line(), created.column(), object)
}
