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

use crate::execution::{Absent, Execution, Phase, current, with};
use crate::object::{Primitive, Shared, Test};
use crate::ops::{self, Update};
use crate::site::Site;
use racefuzz_trace::{
    Edit, LockName, MemoryOrder, ObjectKind, OpKind, Overlay, ThreadId, Verb, normalize_path,
};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

/// What an overlay means at one place of the source; numbers are those of edits.
#[derive(Debug, Default)]
struct Plan {
    /// Regions that cover the place, and whether they share their lock here.
    regions: SmallVec<[(u32, bool); 2]>,
    order: Option<MemoryOrder>,
    fence: Option<MemoryOrder>,
    joins: SmallVec<[u32; 1]>,
    awaits: SmallVec<[u32; 1]>,
    signals: SmallVec<[u32; 1]>,
    /// Edits of locks that are created here.
    created: SmallVec<[u32; 2]>,
    /// Edits of guards that are taken here.
    guards: SmallVec<[u32; 1]>,
    sort_first: bool,
    sort_second: bool,
    /// Threads that are spawned here are joined by these.
    spawned: SmallVec<[u32; 1]>,
    wake_all: bool,
}

/// What distinguishes virtual objects within an execution: the first edit about it, and the object
/// that it stands beside or for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    New(u32),
    Beside(u32, u32),
    /// The twin of the program's own lock: of the only one, or of the one with this number.
    Own(u32, Option<u32>),
    Flag(u32),
}

/// A lock: 0 when free, [`Virtual::WRITER`] when held, else the number of readers. Or a flag.
struct Virtual {
    shared: Shared,
    name: Option<String>,
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

/// An overlay as a runner applies it.
pub(crate) struct Applied {
    overlay: Arc<Overlay>,
    roots: Vec<String>,
    plans: Vec<Plan>,
    known: HashMap<*const Location<'static>, usize>,
    /// The virtual objects of the running execution, in the order of first use; boxed, because one
    /// is referred to while others are added.
    #[expect(clippy::vec_box, reason = "objects stay where they are")]
    objects: Vec<Box<Virtual>>,
    keys: Vec<Key>,
}

/// A region that a thread is in.
#[derive(Clone, Copy, Debug)]
struct Open {
    edit: u32,
    key: Key,
    shared: bool,
}

/// A virtual lock that a thread holds: for so many regions, and for so many guards of the program's.
#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    shared: bool,
    regions: u32,
    guards: u32,
}

/// On whose behalf a virtual lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Region,
    Guard,
}

/// What a thread holds because of an overlay.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    /// It performs virtual operations, to which no overlay applies.
    busy: bool,
    open: SmallVec<[Open; 2]>,
    held: SmallVec<[Held; 2]>,
    /// Flags to raise when it has got past where it stands.
    signals: SmallVec<[u32; 1]>,
    /// Locks whose taking waits for the one behind them.
    deferred: SmallVec<[(Key, bool); 1]>,
}

impl Overlaid {
    pub(crate) fn clear(&mut self) {
        self.busy = false;
        self.open.clear();
        self.held.clear();
        self.signals.clear();
        self.deferred.clear();
    }
}

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

impl Applied {
    pub(crate) fn new(overlay: Arc<Overlay>, roots: &[String]) -> Self {
        Self {
            overlay,
            roots: roots.to_vec(),
            plans: Vec::new(),
            known: HashMap::new(),
            objects: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Whether this is that overlay.
    pub(crate) fn is(&self, overlay: &Arc<Overlay>) -> bool {
        Arc::ptr_eq(&self.overlay, overlay)
    }

    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.objects.clear();
        self.keys.clear();
    }

    /// The number of the plan for a place.
    fn plan(&mut self, site: Site) -> usize {
        let location = site.location();
        let plans = &mut self.plans;
        *self.known.entry(std::ptr::from_ref(location)).or_insert_with(|| {
            plans.push(make_plan(&self.overlay, location, &self.roots));
            plans.len() - 1
        })
    }

    fn object(&mut self, key: Key, site: Site) -> *const Virtual {
        let place = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            let name = match key {
                Key::New(edit) | Key::Beside(edit, _) => self.lock_name(edit).map(LockName::to_string),
                Key::Flag(edit) => Some(format!("flag {}", edit + 1)),
                Key::Own(..) => None,
            };
            self.keys.push(key);
            self.objects.push(Box::new(Virtual { shared: Shared::at(site), name }));
            self.keys.len() - 1
        });
        std::ptr::from_ref(&*self.objects[place])
    }

    fn lock_name(&self, edit: u32) -> Option<&LockName> {
        match &self.overlay.edits[edit as usize] {
            Edit::Lock { lock, .. } => Some(lock),
            _ => None,
        }
    }

    /// Where the lock is created that an edit is about, if such a lock has been used.
    fn created_at(&self, edit: u32) -> Option<Site> {
        let (location, _) = self.known.iter().find(|(_, plan)| self.plans[**plan].created.contains(&edit))?;
        // SAFETY: the keys are addresses of `&'static Location`s.
        Some(Site::at(unsafe { &**location }))
    }

    /// Whether an edit of the lock created at the place of this plan asks for something.
    fn has(&self, plan: usize, asks: impl Fn(&Edit) -> bool) -> bool {
        self.plans[plan].created.iter().any(|edit| asks(&self.overlay.edits[*edit as usize]))
    }
}

fn make_plan(overlay: &Overlay, location: &Location<'_>, roots: &[String]) -> Plan {
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let here = racefuzz_trace::Site {
        file: normalize_path(location.file(), &roots),
        line: location.line(),
        column: location.column(),
    };
    let mut plan = Plan::default();
    for (number, edit) in (0u32..).zip(&overlay.edits) {
        match edit {
            Edit::Lock { lock, sites, shared } => {
                if sites.contains(&here) {
                    plan.regions.push((number, false));
                } else if shared.contains(&here) {
                    plan.regions.push((number, true));
                }
                if matches!(lock, LockName::Own(created) | LockName::Beside(_, created) if *created == here) {
                    plan.created.push(number);
                }
            }
            Edit::Drop { created, guards } | Edit::Share { created, guards } => {
                if *created == here {
                    plan.created.push(number);
                }
                if guards.contains(&here) {
                    plan.guards.push(number);
                }
            }
            Edit::Sort { first, second, created } => {
                plan.sort_first |= *first == here;
                plan.sort_second |= *second == here;
                if created.contains(&here) {
                    plan.created.push(number);
                }
            }
            Edit::Order { site, order } if *site == here => plan.order = Some(*order),
            Edit::Fence { before, order } if *before == here => plan.fence = Some(*order),
            Edit::Join { spawned, before } => {
                if *spawned == here {
                    plan.spawned.push(number);
                }
                if *before == here {
                    plan.joins.push(number);
                }
            }
            Edit::Await { first, before } => {
                if *first == here {
                    plan.signals.push(number);
                }
                if *before == here {
                    plan.awaits.push(number);
                }
            }
            Edit::WakeAll { site } if *site == here => plan.wake_all = true,
            Edit::Order { .. } | Edit::Fence { .. } | Edit::WakeAll { .. } => {}
        }
    }
    plan
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

/// Several edits may be about one new lock.
fn first_of(overlay: &Overlay, number: u32) -> u32 {
    let same =
        |edit: &Edit| matches!(edit, Edit::Lock { lock: LockName::New(other), .. } if *other == number);
    overlay.edits.iter().position(same).unwrap_or(0) as u32
}

/// The first edit that is about the lock created at a place.
fn first_about(overlay: &Overlay, place: &racefuzz_trace::Site) -> u32 {
    let about = |edit: &Edit| match edit {
        Edit::Lock { lock: LockName::Own(created), .. } => created == place,
        Edit::Drop { created, .. } | Edit::Share { created, .. } => created == place,
        Edit::Sort { created, .. } => created.contains(place),
        _ => false,
    };
    overlay.edits.iter().position(about).unwrap_or(0) as u32
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

fn on(key: Key, how: Update, site: Site, f: impl FnOnce(&mut u64, &mut ops::Told<'_>)) -> Result<(), Absent> {
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
fn taking(shared: bool) -> Update {
    let (verb, test) = match shared {
        true => (Verb::ReadLock, Test::Clear(Virtual::WRITER)),
        false => (Verb::Lock, Test::Eq(0)),
    };
    Update { order: MemoryOrder::Acquire, hold: ops::Hold::Take, ..Update::when(verb, test) }
}

fn taken(word: u64, shared: bool) -> u64 {
    if shared { word + 1 } else { Virtual::WRITER }
}

/// Whether the thread holds the lock already and holds it once more. A guard inside a region, and a
/// region inside a guard, do; a second guard inside a guard is the program's own self-deadlock.
fn nested(key: Key, shared: bool, whom: For) -> Result<bool, Absent> {
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

fn holds(key: Key, shared: bool, whom: For) -> Result<(), Absent> {
    let (regions, guards) = if whom == For::Region { (1, 0) } else { (0, 1) };
    with(|execution| me(execution).held.push(Held { key, shared, regions, guards }))
}

/// Takes a virtual lock, unless the thread holds it already.
fn acquire(key: Key, shared: bool, whom: For, site: Site) -> Result<(), Absent> {
    if nested(key, shared, whom)? {
        return Ok(());
    }
    on(key, taking(shared), site, |word, _| *word = taken(*word, shared))?;
    holds(key, shared, whom)
}

/// Takes a virtual lock if it is free; whether it was.
fn try_acquire(key: Key, shared: bool, site: Site) -> Result<bool, Absent> {
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
        holds(key, shared, For::Guard)?;
    }
    Ok(free)
}

/// Gives a virtual lock back, if nothing is left that it was taken for.
fn release(key: Key, whom: For, site: Site) -> Result<(), Absent> {
    let last = with(|execution| {
        let held = &mut me(execution).held;
        let count = |held: &Held| if whom == For::Region { held.regions } else { held.guards };
        let place = held.iter().rposition(|held| held.key == key && count(held) > 0)?;
        match whom {
            For::Region => held[place].regions -= 1,
            For::Guard => held[place].guards -= 1,
        }
        (held[place].regions + held[place].guards == 0).then(|| held.remove(place).shared)
    })?;
    let Some(shared) = last else { return Ok(()) };
    let verb = if shared { Verb::ReadUnlock } else { Verb::Unlock };
    let how =
        Update { order: MemoryOrder::Release, hold: ops::Hold::Give, implied: true, ..Update::new(verb) };
    on(key, how, site, |word, _| *word = if shared { *word - 1 } else { 0 })
}

/// What is to happen instead of an operation on a lock.
enum Instead {
    /// Nothing: the lock is not edited.
    AsStated,
    /// The lock excludes nobody.
    Dropped,
    /// The same on the twin.
    Twin { key: Key, shared: bool, defer: bool, sort: bool },
}

/// Performs an operation on an edited lock; the word that the primitive is to see then, or `None`
/// if the lock is not edited.
#[inline(always)]
pub(crate) fn replace<P: Primitive + ?Sized>(
    primitive: &P,
    verb: Verb,
    site: Site,
) -> Result<Option<u64>, Absent> {
    let lock = matches!(P::KIND, ObjectKind::Mutex | ObjectKind::RwLock);
    if lock && applies() { replaced(primitive, verb, site) } else { Ok(None) }
}

/// Seen by a taking operation: free. By a try: taken. By a giving one: held by one.
const FREE: u64 = 0;
const TAKEN: u64 = u64::MAX;
const ONE: u64 = 1;

#[cold]
#[inline(never)]
fn replaced<P: Primitive + ?Sized>(primitive: &P, verb: Verb, site: Site) -> Result<Option<u64>, Absent> {
    if !(verb.takes_lock() || verb.gives_lock()) {
        return Ok(None);
    }
    let instead = with(|execution| {
        let object = execution.resolve(primitive);
        if execution.phase == Phase::Running {
            instead(execution, primitive.shared().created(), object, verb, site)
        } else {
            Instead::AsStated
        }
    })?;
    let result = match instead {
        Instead::AsStated => return Ok(None),
        Instead::Dropped => {
            if verb.takes_lock() && primitive.guards_data() {
                let reads = matches!(verb, Verb::ReadLock | Verb::TryReadLock);
                let verb = if reads { Verb::CellRead } else { Verb::CellWrite };
                with(|execution| me(execution).busy = true)?;
                let done =
                    if reads { ops::read(primitive, verb, site) } else { ops::write(primitive, verb, site) };
                let _ = with(|execution| me(execution).busy = false);
                done?;
            }
            if verb.takes_lock() { FREE } else { ONE }
        }
        Instead::Twin { key, shared, defer, sort } => {
            with(|execution| me(execution).busy = true)?;
            let done = twin(key, shared, defer, sort, verb, site);
            let _ = with(|execution| me(execution).busy = false);
            done?
        }
    };
    Ok(Some(result))
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
        Instead::Twin { key, shared: reads, defer, sort }
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
        if !deferred {
            release(key, For::Guard, site)?;
        }
        return Ok(ONE);
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
