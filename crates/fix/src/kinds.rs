//! The kinds of repair: which are tried, in which order, and what is said where there is none.

use crate::advice::{self, AsItIs};
use crate::describe;
use crate::locks::{Placed, waits_for_added};
use crate::placement::Placement;
use crate::search::{Measured, Search, Tried};
use crate::updates::AsUpdate;
use racefuzz_trace::{
    Certainty, Certificate, Change, Edit, Failure, FailureDetail, FailureKind, Fix, FixKind, LockName,
    Overlay, Site, Verb, Verdict, WaitEdge,
};
use std::sync::Arc;

/// The repairs found.
pub(crate) struct Kinds<'s, 'a> {
    search: &'s mut Search<'a>,
    failure: Failure,
    /// Each with the good schedules that it permits.
    pub(crate) found: Vec<(Fix, Option<u128>)>,
    pub(crate) no_lock: Option<String>,
    pub(crate) notes: Vec<String>,
    /// One lock over everything repairs it.
    all_locked: Option<(Placement, Arc<Measured>)>,
    /// Something repairs it at places that may not be changed.
    elsewhere: bool,
}

impl<'s, 'a> Kinds<'s, 'a> {
    /// Tries them all.
    pub(crate) fn tried(search: &'s mut Search<'a>, failure: Failure) -> Self {
        let mut kinds = Self {
            search,
            failure,
            found: Vec::new(),
            no_lock: None,
            notes: Vec::new(),
            all_locked: None,
            elsewhere: false,
        };
        kinds.all();
        kinds
    }

    fn all(&mut self) {
        match &self.failure.detail {
            FailureDetail::Deadlock { waiting, cycle } if !cycle.is_empty() => {
                self.no_lock = Some(advice::cycle(&self.failure.trace, waiting, cycle));
                self.lock_order();
                self.let_go();
                self.drop_early();
                self.gate();
            }
            _ => {
                self.locks();
                self.drop_early();
            }
        }
        self.one_step();
        if self.search.weak {
            self.swaps();
            self.orderings();
        }
        self.notifications();
        self.tokens();
        self.conditional_waits();
        self.joins();
        self.wake_all();
        self.give_back();
        self.no_yield();
        self.last_resort();
        self.waits();
        self.notes.extend(advice::instead(&self.failure, &self.found));
        advice::note_costs(&self.failure, &mut self.found);
        self.untried();
        if self.found.is_empty() && self.elsewhere {
            self.notes.push("locks repair it at places that are in other packages only".to_owned());
        }
    }

    /// Adds a repair, unless it is one at places that may not be changed.
    fn add(
        &mut self,
        kind: FixKind,
        overlay: Overlay,
        besides: &Overlay,
        measured: &Measured,
        needed: Vec<Certificate>,
    ) -> bool {
        let sites = &self.search.sites;
        let (taken, retaken) = self.taken(&overlay);
        let fix = Fix {
            besides: besides.edits.clone(),
            regions: measured.stretches.regions(&overlay),
            unguarded: measured.stretches.outside(),
            taken,
            retaken,
            parallelism: measured.parallelism,
            locks: describe::locks(&overlay),
            guarded: describe::guarded(&overlay, sites),
            waits: describe::now_waits(&overlay, &self.failure.trace, sites),
            needed,
            one_output: measured.one_output,
            ..Fix::new(kind, overlay, measured.verdict)
        };
        let may = self.search.may_lock(&fix);
        if may {
            self.found.push((fix, measured.schedules));
        }
        self.elsewhere |= !may;
        may
    }

    /// Where the program takes the lock of its own that an overlay takes: elsewhere, and inside.
    fn taken(&self, overlay: &Overlay) -> (Vec<Site>, Vec<Site>) {
        match &overlay.edits[..] {
            [Edit::Lock { lock: LockName::Own(created), sites, .. }] => {
                (self.search.taken_elsewhere(created, sites), self.search.taken_inside(created, sites))
            }
            [Edit::WaitFor { atomic, .. }] => (self.search.accessed(atomic), Vec::new()),
            _ => Default::default(),
        }
    }

    /// Tries an overlay, and adds it if it repairs.
    fn try_as(&mut self, kind: FixKind, overlay: Overlay, besides: &Overlay) -> bool {
        match self.search.try_overlay(&overlay.with(besides)) {
            Tried::Good(measured) => self.add(kind, overlay, besides, &measured, Vec::new()),
            Tried::Bad(_) | Tried::Unknown => false,
        }
    }

    /// Tries edits that each stand alone.
    fn try_each(&mut self, kind: FixKind, edits: Vec<Edit>) {
        for edit in edits {
            self.try_as(kind, vec![edit].into(), &Overlay::default());
        }
    }

    /// Whether mutual exclusion can repair the program, and with which order edges.
    fn locks(&mut self) {
        /// Searches that may begin anew, each with accesses that are steps from then on.
        const MOST: u32 = 4;
        for _ in 0..MOST {
            (self.all_locked, self.no_lock) = (None, None);
            self.found.clear();
            self.place_locks();
            if self.search.look_again().is_none() {
                return;
            }
        }
    }

    fn place_locks(&mut self) {
        self.search.look_at_accesses();
        let everything = Placement::one(self.search.sites.concurrent.clone());
        let mut base = Overlay::default();
        match self.search.try_overlay(&everything.overlay(&self.search.sites)) {
            Tried::Good(measured) => self.all_locked = Some((everything, measured)),
            Tried::Unknown => return,
            Tried::Bad(bad) if waits_for_added(&bad) => {}
            Tried::Bad(bad) => {
                self.no_lock = Some(advice::still_fails(&bad));
                self.search.remember((*bad).clone());
                let locked = everything.overlay(&self.search.sites);
                match self.search.order_edges(&locked, 1).into_iter().next() {
                    Some(edge) => base = vec![edge].into(),
                    None => return,
                }
                if self.search.repairs(&base) {
                    // The edge alone does it; no lock is needed.
                    return;
                }
            }
        }
        let mut found = self.search.place_locks(&base);
        if found.is_empty() && self.all_locked.is_some() && self.search.take_sections_for_steps() {
            found = self.search.place_locks(&base);
        }
        for mut placed in found {
            self.search.shrink(&mut placed, &base);
            self.add_placed(placed, &base);
        }
    }

    fn add_placed(&mut self, placed: Placed, base: &Overlay) {
        let overlay = placed.placement.overlay(&self.search.sites);
        if self.found.iter().any(|(fix, _)| fix.overlay == overlay) {
            return;
        }
        self.add(FixKind::NewLock, overlay, base, &placed.measured, placed.needed.clone());
        self.readers(&placed.placement, base, &placed.measured);
        if placed.placement.locks.len() == 1 {
            self.variants(&placed, base);
        }
    }

    /// The same locks as reader-writer locks, where that leaves more.
    fn readers(&mut self, placement: &Placement, base: &Overlay, exclusive: &Measured) {
        let Some(overlay) = placement.with_readers(&exclusive.traces, &self.search.sites) else { return };
        let Tried::Good(measured) = self.search.try_overlay(&overlay.with(base)) else { return };
        let mean = |measured: &Measured| measured.parallelism.map_or(0.0, |parallelism| parallelism.mean);
        if mean(&measured) > mean(exclusive) + 1e-9 || measured.schedules > exclusive.schedules {
            self.add(FixKind::ReadWriteLock, overlay, base, &measured, Vec::new());
        }
    }

    /// The same region under a lock that is there, or under one beside each object.
    fn variants(&mut self, placed: &Placed, base: &Overlay) {
        let places = &placed.placement.locks[0];
        let sites: Vec<_> = places.iter().map(|place| self.search.sites.site(*place).clone()).collect();
        if let Some(created) = self.search.many_at(places) {
            let lock = LockName::Beside(0, created);
            let edit = Edit::Lock { lock, sites: sites.clone(), shared: Vec::new() };
            self.try_as(FixKind::NewLock, vec![edit].into(), base);
        }
        for created in self.search.single_locks() {
            let lock = LockName::Own(created.clone());
            let edit = Edit::Lock { lock, sites: sites.clone(), shared: Vec::new() };
            if self.try_as(FixKind::OwnLock, vec![edit].into(), base)
                && let Some((fix, _)) = self.found.last_mut()
            {
                // A lock that is held already leaves no trace when it is taken again. A new one in its place
                // passes through whatever this one does, and more.
                if !fix.retaken.is_empty() {
                    fix.regions =
                        placed.measured.stretches.regions(&placed.placement.overlay(&self.search.sites));
                    fix.regions.iter_mut().for_each(|region| region.lock = LockName::Own(created.clone()));
                    fix.unguarded = placed.measured.stretches.outside();
                }
                fix.notes.extend(AsItIs::of(&self.failure.trace, &sites, &created).words());
            }
        }
    }

    /// One lock over everything repairs it and nothing smaller was met: what of it is needed.
    fn last_resort(&mut self) {
        let Some((everything, measured)) = self.all_locked.take() else {
            if self.found.is_empty() && self.no_lock.is_none() && !self.search.out_of_time() {
                self.no_lock = Some(advice::held_in_sleep(&self.search.sites));
            }
            return;
        };
        if self.found.is_empty() {
            let placed = self.search.shrink_from(everything, measured);
            self.add_placed(placed, &Overlay::default());
        } else if !self.found.iter().any(|(fix, _)| fix.kind.is_lock()) {
            self.notes.push(
                "one lock over everything that the threads do repairs it, too; nothing that large is needed"
                    .to_owned(),
            );
        }
    }

    fn lock_order(&mut self) {
        let mut pairs = self.search.nested_locks();
        // Of locks that nobody knows apart none is meant.
        pairs.retain(|(_, _, created)| !created.is_empty());
        let sort = |(first, second, created): &(_, _, Vec<_>)| {
            let (first, second): (&racefuzz_trace::Site, &racefuzz_trace::Site) = (first, second);
            Edit::Sort { first: first.clone(), second: second.clone(), created: created.clone() }
        };
        // One pair first: where the order there is turned round, the others have the right one.
        self.try_each(FixKind::LockOrder, pairs.iter().map(sort).collect());
        if self.found.is_empty() && pairs.len() > 1 {
            let all: Vec<_> = pairs.iter().map(sort).collect();
            self.try_as(FixKind::LockOrder, all.into(), &Overlay::default());
        }
    }

    /// Threads wait for each other's locks, which nothing else could be done about.
    fn gate(&mut self) {
        if self.found.is_empty()
            && let Some(placed) = self.search.gate()
        {
            self.no_lock = None;
            self.add_placed(placed, &Overlay::default());
        }
    }

    /// A thread waits for a lock that it holds itself.
    fn let_go(&mut self) {
        let edits = self.search.taken_twice();
        self.try_each(FixKind::LetGo, edits);
    }

    /// A thread waits for others and has a lock, which nothing else could be done about.
    fn drop_early(&mut self) {
        if self.found.is_empty() {
            let edits = self.search.held_while_waiting();
            self.try_each(FixKind::LetGo, edits);
        }
    }

    /// A thread has ended with a lock.
    fn give_back(&mut self) {
        let edits = self.search.left_behind();
        self.try_each(FixKind::LetGo, edits);
    }

    fn one_step(&mut self) {
        let mut exact = Vec::new();
        for pair in self.search.load_store_pairs() {
            match self.search.try_update(&pair) {
                AsUpdate::Repairs(overlay, measured) => {
                    let adds = matches!(overlay.edits[..], [Edit::Update { change: Change::Add(_), .. }]);
                    self.add(FixKind::OneStep, overlay, &Overlay::default(), &measured, Vec::new());
                    if let Some((fix, _)) = self.found.last_mut().filter(|_| adds) {
                        fix.notes.push(
                            "it wraps around at the bounds of the type, where `+` and `-` panic in a debug \
                             build"
                                .to_owned(),
                        );
                    }
                }
                AsUpdate::Fails => {}
                AsUpdate::DoesNotFit => continue,
            }
            exact.push((pair.load, pair.store));
        }
        for (overlay, load, store) in self.search.one_steps() {
            if !exact.contains(&(load, store)) {
                self.try_as(FixKind::OneStep, overlay, &Overlay::default());
            }
        }
    }

    fn orderings(&mut self) {
        let none = Overlay::default();
        let ordered = self.search.order_accesses().into_iter().map(|ordered| (FixKind::Ordering, ordered));
        let mut all: Vec<_> = ordered.collect();
        // A few orderings are less to review than two fences, and so is one access that is another.
        let one_access = |fix: &Fix| matches!(fix.kind, FixKind::Swap | FixKind::OneStep);
        let enough = all.iter().any(|(_, ordered)| ordered.overlay.edits.len() <= 3)
            || self.found.iter().any(|(fix, _)| one_access(fix));
        let mut fences = self.search.fences();
        if fences.is_empty() && !enough {
            fences = self.search.fence_sets();
        }
        all.extend(fences.into_iter().map(|ordered| (FixKind::Fence, ordered)));
        for (kind, ordered) in all {
            let measured: Option<Arc<Measured>> = self.search.try_overlay(&ordered.overlay).good();
            if let Some(measured) = measured {
                self.add(kind, ordered.overlay, &none, &measured, ordered.needed);
            }
        }
    }

    /// Stores that cut a release sequence.
    fn swaps(&mut self) {
        let edits = self.search.swaps();
        self.try_each(FixKind::Swap, edits);
    }

    /// Tokens that the wrong wait has taken.
    fn tokens(&mut self) {
        let edits = self.search.inner_waits();
        self.try_each(FixKind::UnparkSelf, edits);
    }

    /// Waits for a condition, where nothing as small repairs that makes nobody wait.
    fn conditional_waits(&mut self) {
        let leaves_open =
            |kind: FixKind| kind.is_lock() && kind != FixKind::OwnLock || kind == FixKind::Order;
        let asleep = matches!(self.failure.detail, FailureDetail::Deadlock { .. });
        if asleep || self.found.iter().any(|(fix, _)| !leaves_open(fix.kind)) {
            return;
        }
        for wait in self.search.conditional_waits() {
            let kind = if wait.leaves_all { FixKind::Wait } else { FixKind::LessConcurrent };
            self.add(kind, wait.overlay, &Overlay::default(), &wait.measured, Vec::new());
        }
    }

    /// Threads that are joined too late, or never.
    fn joins(&mut self) {
        let edges = self.search.missing_joins();
        self.edges(edges);
    }

    /// Steps that wait for others, in some way that is left open.
    fn waits(&mut self) {
        let edges = self.search.missing_waits();
        self.edges(edges);
    }

    fn edges(&mut self, candidates: Vec<Edit>) {
        let none = Overlay::default();
        for edge in self.search.repairing(candidates, &none, 3) {
            let overlay = Overlay::from(vec![edge]);
            if let Tried::Good(measured) = self.search.try_overlay(&overlay) {
                let leaves_all = self.search.leaves_all(&measured);
                let kind = if leaves_all { FixKind::Order } else { FixKind::LessConcurrent };
                self.add(kind, overlay, &none, &measured, Vec::new());
            }
        }
    }

    /// Notifications without the lock that the sleeper looks under.
    fn notifications(&mut self) {
        for overlay in self.search.locked_notifications() {
            self.try_as(FixKind::OwnLock, overlay, &Overlay::default());
        }
    }

    /// Changes that have to be written down to be explored.
    fn untried(&mut self) {
        for edit in self.search.waits_not_tested_again() {
            self.add_untried(FixKind::TestAgain, edit);
        }
        for edit in self.search.not_given_back() {
            self.add_untried(FixKind::GivenBack, edit);
        }
        for edit in self.search.not_passed_on() {
            self.add_untried(FixKind::PassedOn, edit);
        }
        for edit in self.search.misplaced() {
            self.add_untried(FixKind::Moved, edit);
        }
    }

    fn add_untried(&mut self, kind: FixKind, edit: Edit) {
        let verdict = Verdict { certainty: Certainty::Untried, memory: self.search.memory(), executions: 0 };
        let fix = Fix::new(kind, vec![edit].into(), verdict);
        if self.search.may_apply(&fix.overlay) {
            self.found.push((fix, None));
        }
    }

    fn wake_all(&mut self) {
        let waits = |edge: &WaitEdge| edge.verb == Verb::Woken;
        if let FailureDetail::Deadlock { waiting, .. } = &self.failure.detail
            && self.failure.kind == FailureKind::Deadlock
            && waiting.iter().any(waits)
        {
            let sites = self.search.notifications();
            self.try_each(FixKind::WakeAll, sites.into_iter().map(|site| Edit::WakeAll { site }).collect());
        }
    }

    /// Tasks that give way where they should not.
    fn no_yield(&mut self) {
        for (site, before, behind) in self.search.yields() {
            let overlay = Overlay::from(vec![Edit::NoYield { site: site.clone() }]);
            if self.try_as(FixKind::NoYield, overlay, &Overlay::default())
                && let Some((fix, _)) = self.found.last_mut()
            {
                fix.notes.push(format!(
                    "await before line {} or behind line {}, or hold an async lock over both lines; a lock that \
                     blocks would stop the other tasks with their thread",
                    before.line, behind.line
                ));
            }
        }
    }
}
