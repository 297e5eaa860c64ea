//! What a search for repairs asks of places and of the accesses there.

use super::border::as_host;
use super::interpose::Frame;
use super::{shadow, sites};
use crate::request::Changeable;
use racefuzz_runtime::ops::process;
use racefuzz_runtime::{Place, Site};
use racefuzz_trace::Verb;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A search for repairs has begun.
static IS_ASKED: AtomicBool = AtomicBool::new(false);
/// All accesses to memory are steps.
static ALL: AtomicBool = AtomicBool::new(false);
/// In the running execution it is to be said of accesses that they are made.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// What is asked, and known.
#[derive(Default)]
struct Places {
    /// What source may be changed.
    changeable: Changeable,
    /// Where accesses are steps, and which places that is so of.
    steps: HashSet<racefuzz_trace::Site>,
    are_steps: HashMap<Site, bool>,
    /// Places at which the standard library does something.
    called: HashSet<Place>,
}

static PLACES: Mutex<Option<Places>> = Mutex::new(None);

fn with<R>(f: impl FnOnce(&mut Places) -> R) -> R {
    f(PLACES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Places::default))
}

/// A search begins, by which this source may be changed.
pub(crate) fn ask(changeable: Changeable) {
    with(|places| places.changeable = changeable);
    IS_ASKED.store(true, Ordering::Relaxed);
}

/// Whether the source of a place that was met may be changed.
pub(crate) fn may_change(site: &racefuzz_trace::Site) -> bool {
    // Of two files that go by one name it is not known which one is meant.
    let [file] = sites::files(&site.file)[..] else { return false };
    let lies_in = |folders: &[String]| folders.iter().any(|folder| Path::new(file).starts_with(folder));
    with(|places| lies_in(&places.changeable.folders) && !lies_in(&places.changeable.others))
}

/// The standard library does something that is called at a place.
pub(super) fn calls(place: Place) {
    if IS_ASKED.load(Ordering::Relaxed) {
        with(|places| places.called.insert(place));
    }
}

/// Whether an operation at a place that was met since the search began is the program's own, and none of the standard
/// library's that is called there.
pub(crate) fn is_written(site: &racefuzz_trace::Site) -> bool {
    let is_it = |place: &&Place| (place.line(), place.column()) == (site.line, site.column);
    let called: Vec<Place> = with(|places| places.called.iter().filter(is_it).copied().collect());
    !called.into_iter().any(|place| sites::shown(place) == *site)
}

/// Makes accesses at a place steps; whether they were none.
pub(crate) fn watch(site: &racefuzz_trace::Site) -> bool {
    with(|places| {
        places.are_steps.clear();
        places.steps.insert(site.clone())
    })
}

/// Makes all accesses steps, or those at such places only again.
pub(crate) fn watch_all(all: bool) {
    ALL.store(all, Ordering::Relaxed);
}

/// Whether all accesses are steps, to learn where they lie.
pub(crate) fn watches_all() -> bool {
    ALL.load(Ordering::Relaxed)
}

/// Whether an access at a place is a step.
fn is_step(site: Site) -> bool {
    if watches_all() {
        return true;
    }
    let known = with(|places| match places.steps.is_empty() {
        true => Some(false),
        false => places.are_steps.get(&site).copied(),
    });
    known.unwrap_or_else(|| {
        let shown = sites::shown(site.location());
        with(|places| {
            let is_step = places.steps.contains(&shown);
            places.are_steps.insert(site, is_step);
            is_step
        })
    })
}

/// An execution begins.
pub(super) fn begin() {
    let told = process::asks_for_accesses() || watches_all() || with(|places| !places.steps.is_empty());
    IS_TOLD.store(told, Ordering::Relaxed);
}

/// Says that an access is about to be made, by a call with this frame, where an overlay or a search asks for it.
#[inline(always)]
pub(super) fn tell(writes: bool, frame: *const Frame) {
    #[cold]
    #[inline(never)]
    fn told(writes: bool, frame: *const Frame) {
        as_host(
            |(writes, frame)| {
                let site = sites::site(frame);
                let verb = if writes { Verb::CellWrite } else { Verb::CellRead };
                let _ = match is_step(site) {
                    true => process::access_as_step(verb, site),
                    false => process::accesses(site),
                };
                shadow::publish();
            },
            (writes, frame),
        );
    }
    if IS_TOLD.load(Ordering::Relaxed) {
        told(writes, frame);
    }
}
