//! Which places a repair changes, and whether their source is one that may be changed.

use crate::search::Search;
use racefuzz_trace::{Edit, Fix, Overlay, Site};

impl Search<'_> {
    /// Whether the source of a place may be changed.
    pub(crate) fn may_change(&self, site: &Site) -> bool {
        (self.options.may_change)(site)
    }

    /// Whether an access at a place may become another one.
    pub(crate) fn may_change_access(&self, site: &Site) -> bool {
        self.may_change(site) && (self.options.is_written)(site)
    }

    /// Whether an overlay changes only places that may be; where its locks are taken shows when it is explored.
    pub(crate) fn may_apply(&self, overlay: &Overlay) -> bool {
        overlay.edits.iter().all(|edit| match edit {
            Edit::Order { site, .. } | Edit::FailureOrder { site, .. } | Edit::Swap { site } => {
                self.may_change_access(site)
            }
            Edit::LoadAgain { load, .. } => self.may_change_access(load),
            Edit::Update { load, store, .. } => self.may_change_access(load) && self.may_change_access(store),
            edit => places(edit).into_iter().all(|site| self.may_change(site)),
        })
    }

    /// Whether a repair takes its locks, and gives them back, only at places that may be changed; of all places that it
    /// is about it has to be known when they are passed.
    pub(crate) fn may_lock(&self, fix: &Fix) -> bool {
        let is_known =
            |site: &Site| self.sites.known(site).is_some_and(|place| self.sites.roles.contains_key(&place));
        let are_known = fix.overlay.edits.iter().all(|edit| match edit {
            Edit::Lock { sites, shared, .. } => sites.iter().chain(shared).all(is_known),
            _ => true,
        });
        are_known
            && fix.regions.iter().all(|region| {
                let ends = [&region.begins, &region.first, &region.last].into_iter().chain(&region.ends);
                ends.into_iter().all(|site| self.may_change(site))
            })
    }
}

/// Where an edit changes the source around what stands there.
fn places(edit: &Edit) -> Vec<&Site> {
    match edit {
        Edit::Lock { .. } | Edit::Through { .. } => Vec::new(),
        Edit::Drop { created, guards } | Edit::Share { created, guards } => {
            guards.iter().chain([created]).collect()
        }
        Edit::Sort { first, second, .. } => vec![first, second],
        Edit::Order { site, .. }
        | Edit::FailureOrder { site, .. }
        | Edit::Swap { site }
        | Edit::WakeAll { site }
        | Edit::NoYield { site } => vec![site],
        Edit::Update { load, store, .. } => vec![load, store],
        Edit::Fence { before, .. } | Edit::WaitFor { before, .. } => vec![before],
        Edit::Join { spawned, before } => vec![spawned, before],
        Edit::Await { first, before } => vec![first, before],
        Edit::LoadAgain { load, .. } => vec![load],
        Edit::UnparkSelf { wait } => wait.iter().collect(),
        Edit::LetGo { guards, before, .. } => guards.iter().chain([before]).collect(),
        Edit::GiveBack { guards, .. } => guards.iter().collect(),
        Edit::TestAgain { wait } => vec![wait],
        Edit::GiveBackTaken { taken, looked, .. } => vec![taken, looked],
        Edit::PassOn { wait, looked } => vec![wait, looked],
        Edit::MoveUp { statement, before } => vec![statement, before],
    }
}
