//! What an overlay means at each place of the source, looked up once for each place.

use super::locks::{Key, Open, Virtual};
use super::waits::{Expected, Looked, looked_at};
use crate::object::Shared;
use crate::site::{Place, Site};
use racefuzz_trace::{Edit, LockName, MemoryOrder, Overlay, normalize_path};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// What an overlay means at one place of the source; numbers are those of edits.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Regions that cover the place, and whether they share their lock here.
    pub(super) regions: SmallVec<[(u32, bool); 2]>,
    /// Edits by which an access that is no event does not end a region here, and those that are about what comes behind
    /// the event here.
    pub(super) through: SmallVec<[u32; 1]>,
    pub(super) behind: SmallVec<[u32; 1]>,
    pub(super) order: Option<MemoryOrder>,
    pub(super) failure_order: Option<MemoryOrder>,
    /// A store here is a swap.
    pub(super) swap: bool,
    /// Edits that make this load one read-modify-write with a store, and the other way round.
    pub(super) update_load: Option<u32>,
    pub(super) update_store: Option<u32>,
    pub(super) fence: Option<MemoryOrder>,
    /// A load here is done again.
    pub(super) load_again: Option<u32>,
    /// Edits that look at what is read here.
    pub(super) looked_at: SmallVec<[(u32, Looked); 1]>,
    /// Edits that load an atomic before the event here.
    pub(super) waits_for: SmallVec<[u32; 1]>,
    /// Edits that load the atomic which is created here.
    pub(super) awaited: SmallVec<[u32; 1]>,
    /// Edits of waits that this is part of, behind which their thread unparks itself.
    pub(super) waits: SmallVec<[u32; 1]>,
    pub(super) joins: SmallVec<[u32; 1]>,
    pub(super) awaits: SmallVec<[u32; 1]>,
    pub(super) signals: SmallVec<[u32; 1]>,
    /// Edits of locks that are created here.
    pub(super) created: SmallVec<[u32; 2]>,
    /// Edits of guards that are taken here.
    pub(super) guards: SmallVec<[u32; 1]>,
    pub(super) sort_first: bool,
    pub(super) sort_second: bool,
    /// Threads that are spawned here are joined by these.
    pub(super) spawned: SmallVec<[u32; 1]>,
    pub(super) wake_all: bool,
    pub(super) no_yield: bool,
    /// Locks are given back before the event here.
    pub(super) let_go: SmallVec<[u32; 1]>,
}

/// An overlay as a runner applies it.
pub(crate) struct Applied {
    pub(super) overlay: Arc<Overlay>,
    pub(super) roots: Vec<String>,
    pub(super) plans: Vec<Plan>,
    pub(super) known: HashMap<Site, usize>,
    /// The virtual objects of the running execution, in the order of first use; boxed, because one
    /// is referred to while others are added.
    #[expect(clippy::vec_box, reason = "objects stay where they are")]
    pub(super) objects: Vec<Box<Virtual>>,
    pub(super) keys: Vec<Key>,
    /// Atomics of the running execution that edits load.
    pub(super) expected: Vec<Expected>,
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
            expected: Vec::new(),
        }
    }

    /// Whether this is that overlay.
    pub(crate) fn is(&self, overlay: &Arc<Overlay>) -> bool {
        Arc::ptr_eq(&self.overlay, overlay)
    }

    /// Whether it has to be told of accesses that are no events.
    pub(crate) fn needs_accesses(&self) -> bool {
        let about_one = |edit: &Edit| {
            matches!(
                edit,
                Edit::Order { .. } | Edit::FailureOrder { .. } | Edit::Swap { .. } | Edit::WakeAll { .. }
            )
        };
        !self.overlay.edits.iter().all(about_one)
    }

    /// An execution begins.
    pub(crate) fn begin(&mut self) {
        self.objects.clear();
        self.keys.clear();
        self.expected.clear();
    }

    /// The number of the plan for a place.
    pub(super) fn plan(&mut self, site: Site) -> usize {
        let plans = &mut self.plans;
        *self.known.entry(site).or_insert_with(|| {
            plans.push(make_plan(&self.overlay, site.location(), &self.roots));
            plans.len() - 1
        })
    }

    /// The number of the plan for a place that an operation has passed.
    pub(super) fn known_plan(&self, site: Site) -> Option<usize> {
        self.known.get(&site).copied()
    }

    pub(super) fn object(&mut self, key: Key, site: Site) -> *const Virtual {
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

    /// Whether a region goes on over an access that is no event, at the place of this plan.
    pub(super) fn goes_through(&self, plan: usize, open: &Open) -> bool {
        let Some(last) = self.known_plan(open.last) else { return false };
        self.plans[plan].through.iter().any(|edit| {
            let about = &self.overlay.edits[*edit as usize];
            matches!(about, Edit::Through { region, .. } if *region == open.edit)
                && self.plans[last].behind.contains(edit)
        })
    }

    pub(super) fn lock_name(&self, edit: u32) -> Option<&LockName> {
        match &self.overlay.edits[edit as usize] {
            Edit::Lock { lock, .. } => Some(lock),
            _ => None,
        }
    }

    /// Where the lock is created that an edit is about, if such a lock has been used.
    pub(super) fn created_at(&self, edit: u32) -> Option<Site> {
        let (site, _) = self.known.iter().find(|(_, plan)| self.plans[**plan].created.contains(&edit))?;
        Some(*site)
    }

    /// Whether an edit of the lock created at the place of this plan asks for something.
    pub(super) fn has(&self, plan: usize, asks: impl Fn(&Edit) -> bool) -> bool {
        self.plans[plan].created.iter().any(|edit| asks(&self.overlay.edits[*edit as usize]))
    }
}

pub(super) fn make_plan(overlay: &Overlay, location: Place, roots: &[String]) -> Plan {
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let here = racefuzz_trace::Site {
        file: normalize_path(location.file(), &roots),
        line: location.line(),
        column: location.column(),
    };
    let mut plan = Plan::default();
    for (number, edit) in (0u32..).zip(&overlay.edits) {
        plan.looked_at.extend(looked_at(edit, &here).map(|which| (number, which)));
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
            Edit::Through { after, accesses, .. } => {
                if *after == here {
                    plan.behind.push(number);
                }
                if accesses.contains(&here) {
                    plan.through.push(number);
                }
            }
            Edit::Drop { created, guards }
            | Edit::Share { created, guards }
            | Edit::GiveBack { created, guards } => {
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
            Edit::FailureOrder { site, order } if *site == here => plan.failure_order = Some(*order),
            Edit::Swap { site } if *site == here => plan.swap = true,
            Edit::UnparkSelf { wait } if wait.contains(&here) => plan.waits.push(number),
            Edit::Update { load, store, .. } => {
                if *load == here {
                    plan.update_load = Some(number);
                }
                if *store == here {
                    plan.update_store = Some(number);
                }
            }
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
            Edit::LoadAgain { load, .. } if *load == here => plan.load_again = Some(number),
            Edit::WaitFor { before, atomic, .. } => {
                if *before == here {
                    plan.waits_for.push(number);
                }
                if *atomic == here {
                    plan.awaited.push(number);
                }
            }
            Edit::WakeAll { site } if *site == here => plan.wake_all = true,
            Edit::NoYield { site } if *site == here => plan.no_yield = true,
            Edit::LetGo { created, guards, before, used: _ } => {
                if *created == here {
                    plan.created.push(number);
                }
                if guards.contains(&here) {
                    plan.guards.push(number);
                }
                if *before == here {
                    plan.let_go.push(number);
                }
            }
            Edit::Order { .. }
            | Edit::FailureOrder { .. }
            | Edit::Swap { .. }
            | Edit::UnparkSelf { .. }
            | Edit::Fence { .. }
            | Edit::LoadAgain { .. }
            | Edit::WakeAll { .. }
            | Edit::NoYield { .. }
            | Edit::TestAgain { .. }
            | Edit::GiveBackTaken { .. }
            | Edit::PassOn { .. }
            | Edit::MoveUp { .. } => {}
        }
    }
    plan
}

/// Several edits may be about one new lock.
pub(super) fn first_of(overlay: &Overlay, number: u32) -> u32 {
    let same =
        |edit: &Edit| matches!(edit, Edit::Lock { lock: LockName::New(other), .. } if *other == number);
    overlay.edits.iter().position(same).unwrap_or(0) as u32
}

/// The first edit that is about the lock created at a place.
pub(super) fn first_about(overlay: &Overlay, place: &racefuzz_trace::Site) -> u32 {
    let about = |edit: &Edit| match edit {
        Edit::Lock { lock: LockName::Own(created), .. } => created == place,
        Edit::Drop { created, .. }
        | Edit::Share { created, .. }
        | Edit::LetGo { created, .. }
        | Edit::GiveBack { created, .. } => created == place,
        Edit::Sort { created, .. } => created.contains(place),
        _ => false,
    };
    overlay.edits.iter().position(about).unwrap_or(0) as u32
}
