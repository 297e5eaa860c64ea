//! Which events are worth a row.

use super::fold::Piece;
use crate::anomaly::Finding;
use crate::view::{View, is_housekeeping};
use racefuzz_trace::{Event, ObjectId, ThreadId, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// More rows than this, and what has nothing to do with the story goes.
const COMFORTABLE: usize = 24;
/// More rows than this, and only the surroundings of what the story names stay.
const LONGEST: usize = 32;

/// The steps of the events to show, in order.
pub(crate) fn select(view: &View<'_>, finding: &Finding, keys: &BTreeSet<u32>) -> Vec<u32> {
    let focus = |event: &Event| event.object.is_some_and(|object| finding.objects.contains(&object));
    let worth = |event: &&Event| {
        keys.contains(&event.step)
            || focus(event) && !matches!(event.verb, Verb::RefClone | Verb::Inside)
            || !is_housekeeping(event.verb) && !matches!(event.verb, Verb::OnceCheck | Verb::Assume)
    };
    let all: Vec<&Event> = view.events.iter().filter(worth).collect();
    let mut shown: Vec<&Event> = all
        .iter()
        .copied()
        .filter(|event| keys.contains(&event.step) || !view.alone[event.step as usize])
        .collect();
    if shown.iter().all(|event| keys.contains(&event.step)) {
        // There is no concurrency to speak of; the plain story is all there is.
        shown = all;
    }
    if shown.is_empty() {
        shown =
            view.events.iter().filter(|event| !matches!(event.verb, Verb::Finish | Verb::Inside)).collect();
    }
    if shown.is_empty() {
        shown = view.events.iter().filter(|event| event.verb != Verb::Finish).collect();
    }
    if shown.len() > COMFORTABLE {
        let users = users(view);
        shown.retain(|event| {
            let shared = event.object.is_none_or(|object| users[&object].len() > 1);
            keys.contains(&event.step) || focus(event) || shared
        });
    }
    shown.iter().map(|event| event.step).collect()
}

/// The threads that use each object.
fn users(view: &View<'_>) -> BTreeMap<ObjectId, BTreeSet<ThreadId>> {
    let mut users: BTreeMap<ObjectId, BTreeSet<ThreadId>> = BTreeMap::new();
    for event in view.events {
        if let Some(object) = event.object {
            users.entry(object).or_default().insert(event.thread);
        }
    }
    users
}

/// Leaves out what is far from the story, if folding has left too many rows.
pub(crate) fn thin(
    pieces: Vec<Piece>,
    view: &View<'_>,
    finding: &Finding,
    keys: &BTreeSet<u32>,
) -> Vec<Piece> {
    if pieces.len() <= LONGEST {
        return pieces;
    }
    let selected = select(view, finding, keys);
    let key = |piece: &Piece| matches!(piece, Piece::Step(index) if keys.contains(&selected[*index]));
    let named: Vec<usize> = (0..pieces.len()).filter(|at| key(&pieces[*at])).collect();
    let near = |at: usize| {
        let next = named.partition_point(|key| *key < at);
        let close = |key: Option<&usize>| key.is_some_and(|key| key.abs_diff(at) <= 1);
        close(named.get(next)) || next > 0 && close(named.get(next - 1))
    };
    // A story that names its steps needs only them; without one, the end is what is known.
    let tail = pieces.len().saturating_sub(if named.is_empty() { LONGEST / 2 } else { 2 });
    let mut out: Vec<Piece> = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        if at >= tail || near(at) {
            out.push(piece);
            continue;
        }
        let hidden = match piece {
            Piece::Step(_) => 1,
            Piece::Repeat { of, times, .. } => of * (times - 1),
            Piece::Gap(hidden) => hidden,
        };
        match out.last_mut() {
            Some(Piece::Gap(sum)) => *sum += hidden,
            _ => out.push(Piece::Gap(hidden)),
        }
    }
    out
}
