//! Where a repair's regions lie, and what it changes in the failing schedule.

use crate::clause::runs;
use crate::sites::Sites;
use crate::steps::is_step;
use racefuzz_trace::{Edit, LockName, NowWaits, Overlay, Site, Trace};
use std::collections::BTreeSet;

/// The locks of an overlay with the places where each is held.
fn held(overlay: &Overlay, sites: &Sites) -> Vec<(LockName, BTreeSet<usize>, BTreeSet<usize>)> {
    let numbers =
        |places: &[Site]| places.iter().filter_map(|site| sites.known(site)).collect::<BTreeSet<_>>();
    overlay
        .edits
        .iter()
        .filter_map(|edit| match edit {
            Edit::Lock { lock, sites, shared } => Some((lock.clone(), numbers(sites), numbers(shared))),
            _ => None,
        })
        .collect()
}

/// Places of steps that locks of the overlay guard.
pub(crate) fn guarded(overlay: &Overlay, sites: &Sites) -> u32 {
    let all: BTreeSet<usize> = held(overlay, sites)
        .into_iter()
        .flat_map(|(_, places, shared)| places.into_iter().chain(shared))
        .collect();
    all.intersection(&sites.steps).count() as u32
}

/// The locks of an overlay.
pub(crate) fn locks(overlay: &Overlay) -> u32 {
    let names: BTreeSet<&LockName> = overlay
        .edits
        .iter()
        .filter_map(|edit| match edit {
            Edit::Lock { lock, .. } => Some(lock),
            _ => None,
        })
        .collect();
    names.len() as u32
}

/// The first step of a failing execution that begins a region while another thread is in its own.
pub(crate) fn now_waits(overlay: &Overlay, trace: &Trace, sites: &Sites) -> Option<NowWaits> {
    let mut first: Option<NowWaits> = None;
    for (_, places, shared) in held(overlay, sites) {
        let all: BTreeSet<usize> = places.union(&shared).copied().collect();
        let runs = runs(trace, sites, &all);
        let stretches: Vec<(usize, &Vec<usize>)> = runs
            .iter()
            .enumerate()
            .flat_map(|(thread, runs)| runs.iter().map(move |run| (thread, run)))
            .collect();
        for (thread, run) in &stretches {
            let inside = |at: usize, other: &[usize]| other[0] < at && at < other[other.len() - 1];
            let holder = stretches
                .iter()
                .filter(|(other, stretch)| other != thread && inside(run[0], stretch))
                .min_by_key(|(_, stretch)| stretch[0]);
            if let Some((_, stretch)) = holder {
                let step = run.iter().find(|at| is_step(trace, &trace.events[**at])).unwrap_or(&run[0]);
                let waits = NowWaits { step: *step as u32, until: stretch[stretch.len() - 1] as u32 };
                if first.as_ref().is_none_or(|first| waits.step < first.step) {
                    first = Some(waits);
                }
            }
        }
    }
    first
}
