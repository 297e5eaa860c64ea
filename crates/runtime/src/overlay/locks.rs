//! Virtual locks and flags: what a thread holds because of an overlay.

use super::me;
use super::update::Updated;
use super::waits::Word;
use crate::execution::{Absent, with};
use crate::object::{Primitive, Shared, Test};
use crate::ops::{self, Update};
use crate::site::Site;
use crate::touched::Reset;
use racefuzz_trace::{MemoryOrder, ObjectKind, Verb};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What distinguishes virtual objects within an execution: the first edit about it, and the object
/// that it stands beside or for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    New(u32),
    Beside(u32, u32),
    /// The twin of the program's own lock: of the only one, or of the one with this number.
    Own(u32, Option<u32>),
    Flag(u32),
}

/// A lock: 0 when free, [`Virtual::WRITER`] when held, else the number of readers. Or a flag.
pub(super) struct Virtual {
    pub(super) shared: Shared,
    pub(super) name: Option<String>,
}

impl Virtual {
    const WRITER: u64 = 1 << 63;
}

impl Primitive for Virtual {
    const KIND: ObjectKind = ObjectKind::Added;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn initial(&self) -> u64 {
        0
    }

    fn name(&self) -> Option<Cow<'static, str>> {
        self.name.clone().map(Cow::Owned)
    }
}

/// A region that a thread is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) edit: u32,
    pub(super) key: Key,
    pub(super) shared: bool,
    /// The last event inside.
    pub(super) last: Site,
}

/// A virtual lock that a thread holds: for so many regions, and for so many guards of the program's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) shared: bool,
    pub(super) regions: u32,
    pub(super) guards: u32,
    /// Where it was taken.
    pub(super) site: Site,
}

/// On whose behalf a virtual lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Region,
    Guard,
}

/// What a thread holds because of an overlay.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    /// It performs virtual operations, to which no overlay applies.
    pub(super) busy: bool,
    pub(super) open: SmallVec<[Open; 2]>,
    pub(super) held: SmallVec<[Held; 2]>,
    /// Flags to raise when it has got past where it stands.
    pub(super) signals: SmallVec<[u32; 1]>,
    /// Waits by parking that it is in, or has left last.
    pub(super) waited: SmallVec<[u32; 1]>,
    /// Locks whose taking waits for the one behind them.
    pub(super) deferred: SmallVec<[(Key, bool); 1]>,
    /// A load that was done together with the store to come.
    pub(super) updated: Option<Updated>,
    /// What it has read where edits look at it.
    pub(super) words: SmallVec<[Word; 1]>,
}

impl Reset for Overlaid {
    fn reset(&mut self) {
        self.busy = false;
        self.open.clear();
        self.held.clear();
        self.signals.clear();
        self.waited.clear();
        self.deferred.clear();
        self.updated = None;
        self.words.clear();
    }
}

pub(super) fn on(
    key: Key,
    how: Update,
    site: Site,
    f: impl FnOnce(&mut u64, &mut ops::Told<'_>),
) -> Result<(), Absent> {
    let object = with(|execution| {
        let mut applied = execution.overlay.take()?;
        let created = match key {
            Key::Own(_, Some(object)) => Some(execution.objects[object as usize].created),
            Key::Own(edit, None) => applied.created_at(edit),
            _ => None,
        };
        let object = applied.object(key, created.unwrap_or(site));
        execution.overlay = Some(applied);
        Some(object)
    })?;
    let Some(object) = object else { return Ok(()) };
    // SAFETY: the objects are boxed and live until the next execution begins.
    let object = unsafe { &*object };
    ops::update(object, how, site, |word, told| f(word, told)).map(drop)
}

/// How a virtual lock is taken.
pub(super) fn taking(shared: bool) -> Update {
    let (verb, test) = match shared {
        true => (Verb::ReadLock, Test::Clear(Virtual::WRITER)),
        false => (Verb::Lock, Test::Eq(0)),
    };
    Update { order: MemoryOrder::Acquire, hold: ops::Hold::Take, ..Update::when(verb, test) }
}

pub(super) fn taken(word: u64, shared: bool) -> u64 {
    if shared { word + 1 } else { Virtual::WRITER }
}

/// Whether the thread holds the lock already and holds it once more. A guard inside a region, and a
/// region inside a guard, do; a second guard inside a guard is the program's own self-deadlock.
pub(super) fn nested(key: Key, shared: bool, whom: For) -> Result<bool, Absent> {
    with(|execution| {
        let mut held = me(execution).held.iter_mut();
        let fits = |held: &Held| {
            held.key == key
                && (shared || !held.shared)
                && (held.shared || whom == For::Region || held.guards == 0)
        };
        let Some(held) = held.find(|held| fits(held)) else { return false };
        match whom {
            For::Region => held.regions += 1,
            For::Guard => held.guards += 1,
        }
        true
    })
}

pub(super) fn holds(key: Key, shared: bool, whom: For, site: Site) -> Result<(), Absent> {
    let (regions, guards) = if whom == For::Region { (1, 0) } else { (0, 1) };
    with(|execution| me(execution).held.push(Held { key, shared, regions, guards, site }))
}

/// Takes a virtual lock, unless the thread holds it already.
pub(super) fn acquire(key: Key, shared: bool, whom: For, site: Site) -> Result<(), Absent> {
    if nested(key, shared, whom)? {
        return Ok(());
    }
    on(key, taking(shared), site, |word, _| *word = taken(*word, shared))?;
    holds(key, shared, whom, site)
}

/// Takes a virtual lock if it is free; whether it was.
pub(super) fn try_acquire(key: Key, shared: bool, site: Site) -> Result<bool, Absent> {
    if nested(key, shared, For::Guard)? {
        return Ok(true);
    }
    let Update { test, verb, .. } = taking(shared);
    let verb = if verb == Verb::Lock { Verb::TryLock } else { Verb::TryReadLock };
    let refuses = if shared { Test::Any(Virtual::WRITER) } else { Test::Ne(0) };
    let how = Update { order: MemoryOrder::Acquire, hold: ops::Hold::Take, refuses, ..Update::new(verb) };
    let mut free = false;
    on(key, how, site, |word, told| {
        free = test.holds(*word);
        if free { *word = taken(*word, shared) } else { told.failed() }
    })?;
    if free {
        holds(key, shared, For::Guard, site)?;
    }
    Ok(free)
}

/// Gives a virtual lock back, if nothing is left that it was taken for; whether it was held for that.
pub(super) fn release(key: Key, whom: For, site: Site) -> Result<bool, Absent> {
    let held = with(|execution| {
        let held = &mut me(execution).held;
        let count = |held: &Held| if whom == For::Region { held.regions } else { held.guards };
        let place = held.iter().rposition(|held| held.key == key && count(held) > 0)?;
        match whom {
            For::Region => held[place].regions -= 1,
            For::Guard => held[place].guards -= 1,
        }
        Some((held[place].regions + held[place].guards == 0).then(|| held.remove(place).shared))
    })?;
    let Some(last) = held else { return Ok(false) };
    let Some(shared) = last else { return Ok(true) };
    let verb = if shared { Verb::ReadUnlock } else { Verb::Unlock };
    let how =
        Update { order: MemoryOrder::Release, hold: ops::Hold::Give, implied: true, ..Update::new(verb) };
    on(key, how, site, |word, _| *word = if shared { *word - 1 } else { 0 })?;
    Ok(true)
}
