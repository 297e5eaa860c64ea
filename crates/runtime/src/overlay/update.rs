//! A load and the store behind it as one read-modify-write.
//!
//! Where the load stands, the read-modify-write is performed: what is to be stored is known beforehand for
//! each word that may be read. The store that the program then states is done already, and is no event. A
//! program that does anything else is not the one that the edit is about, and its execution fails: so what
//! is explored to the end is exactly the program with a read-modify-write in place of the two.

use super::{applies, me};
use crate::execution::{Absent, Execution, Phase, with};
use crate::object::Primitive;
use crate::ops;
use crate::panics;
use crate::schedule::fail_current;
use crate::site::Site;
use crate::thread::Panicked;
use racefuzz_trace::{Change, Edit, Verb};
use std::sync::Arc;

/// A load that was done together with the store to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Updated {
    edit: u32,
    object: Option<u32>,
    wrote: Option<u64>,
}

/// Performs a load as the read-modify-write that it is part of; the word read, or `None` if it is a load.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn load_updates<P: Primitive>(primitive: &P, site: Site) -> Option<Result<u64, Absent>> {
    if applies() { updates(primitive, site) } else { None }
}

#[cold]
#[inline(never)]
fn updates<P: Primitive>(primitive: &P, site: Site) -> Option<Result<u64, Absent>> {
    let asked = with(|execution| {
        if execution.phase() != Phase::Running {
            return None;
        }
        let applied = execution.overlay.as_mut()?;
        let plan = applied.plan(site);
        let edit = applied.plans[plan].update_load?;
        Some((edit, Arc::clone(&applied.overlay)))
    });
    let (edit, overlay) = asked.ok().flatten()?;
    let Edit::Update { change, order, failure, .. } = &overlay.edits[edit as usize] else { return None };
    let verb = match change {
        Change::Set(_) => Verb::Swap,
        Change::Add(_) => Verb::FetchAdd,
        Change::Map(_) => Verb::CompareExchange,
    };
    let done = ops::rmw(primitive, (*order, *failure), verb, site, |word| change.of(word));
    Some(done.and_then(|done| {
        if let (Some(word), true) = (done.wrote, done.newest) {
            primitive.keep_newest(word);
        }
        with(|execution| {
            let object = primitive.shared().index_in(execution.epoch);
            me(execution).updated = Some(Updated { edit, object, wrote: done.wrote });
        })?;
        Ok(done.read)
    }))
}

/// What becomes of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// It is a store.
    AsStated,
    /// It was done together with the load before it.
    Done,
    /// It should have been, and was not: the program does not fit the edit.
    Misfit,
}

/// What becomes of a store at a place.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn store_updates<P: Primitive>(primitive: &P, value: u64, site: Site) -> Store {
    if applies() { stores(primitive, value, site) } else { Store::AsStated }
}

#[cold]
#[inline(never)]
fn stores<P: Primitive>(primitive: &P, value: u64, site: Site) -> Store {
    let store = with(|execution| {
        if execution.phase() != Phase::Running {
            return None;
        }
        let applied = execution.overlay.as_mut()?;
        let plan = applied.plan(site);
        let edit = applied.plans[plan].update_store?;
        let object = primitive.shared().index_in(execution.epoch);
        let updated = me(execution).updated.take();
        let done = updated.is_some_and(|updated| {
            (updated.edit, updated.object, updated.wrote) == (edit, object, Some(value))
        });
        Some(if done { Store::Done } else { Store::Misfit })
    });
    store.ok().flatten().unwrap_or(Store::AsStated)
}

/// Whether what the running thread states at a place may come behind the load that it has done; the store
/// itself is not stated, or does not fit and fails later.
pub(super) fn may_go_on(execution: &mut Execution, site: Site) -> bool {
    let Some(updated) = me(execution).updated else { return true };
    let here = execution.overlay.as_mut().and_then(|applied| {
        let plan = applied.plan(site);
        applied.plans[plan].update_store
    });
    if here == Some(updated.edit) {
        return true;
    }
    me(execution).updated = None;
    updated.wrote.is_none()
}

/// Whether the running thread may end: nothing that it has stored is still to be stated.
pub(super) fn may_end(execution: &mut Execution) -> bool {
    me(execution).updated.take().is_none_or(|updated| updated.wrote.is_none())
}

/// Notes that the program does not fit an edit as the failure of the execution.
pub(super) fn note_misfit(execution: &mut Execution, site: Site) {
    if !ops::is_real(execution) {
        return;
    }
    let panicked = Panicked {
        message: "the change does not fit what the program does here".to_owned(),
        site: Some(site),
        step: execution.schedule.steps,
        injected: false,
        taken: None,
        order: 0,
    };
    panics::fail(execution, execution.current, &panicked, false);
    execution.set_phase(Phase::TearDown);
}

/// The program does not fit an edit: the execution fails.
#[cold]
pub(crate) fn misfit(site: Site) -> Result<(), Absent> {
    let fails = with(|execution| {
        note_misfit(execution, site);
        execution.phase() == Phase::TearDown
    })?;
    if fails { Err(fail_current()) } else { Ok(()) }
}
